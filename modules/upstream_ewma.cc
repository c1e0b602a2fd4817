// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ewma: the balancing method of core/upstream/peak_ewma.h as a directive.
#include "core/base/text.h"
#include "core/upstream/group.h"
#include "core/upstream/peak_ewma.h"

namespace fairlead {
namespace {

struct NoConf {};

ConfResult<Unit> set_time(const Line& line, size_t index, std::string_view text, double& field) {
  auto ms = parse_time_ms(text, TimeGrain::milliseconds);
  if (!ms || *ms == 0) return line.invalid_parameter(index);
  field = static_cast<double>(*ms);
  return Unit();
}

ConfResult<Unit> set_ewma(Line& line, NoConf&) {
  PeakEwma::Settings settings;
  for (size_t i = 1; i <= line.word_count(); ++i) {
    std::string_view word = line.word(i);
    if (word.starts_with("decay=")) FL_TRY(set_time(line, i, word.substr(6), settings.decay_ms));
    else if (word.starts_with("init=")) FL_TRY(set_time(line, i, word.substr(5), settings.initial_ms));
    else return line.invalid_parameter(i);
  }
  return set_balancer(line, std::make_unique<PeakEwma>(settings));
}

constexpr Directive rows[] = {
    custom<set_ewma, NoConf>("ewma", in_upstream, words(0, 2),
                             "Of two peers drawn by chance take the one whose answering time, an average that follows a rise at once "
                             "and a fall slowly, times its requests in flight is less. Defaults: decay=10s init=30ms.")
        .many()
        .takes("[decay=time] [init=time]"),
};

}  // namespace

extern constinit const Module upstream_ewma_module = {
    .name = "upstream_ewma",
    .conf = conf_of<NoConf>,
    .directives = rows,
};

}  // namespace fairlead
