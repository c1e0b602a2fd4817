// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// least_time: the balancing method of core/upstream/least_time.h as a directive.
#include "core/upstream/least_time.h"

#include "core/upstream/group.h"

namespace fairlead {
namespace {

struct NoConf {};

ConfResult<Unit> set_least_time(Line& line, NoConf&) {
  if (line.word(1) != "header" && line.word(1) != "last_byte") return line.invalid_value(1);
  bool inflight = line.word_count() == 2;
  if (inflight && line.word(2) != "inflight") return line.invalid_parameter(2);
  auto measure = line.word(1) == "header" ? LeastTime::Measure::header : LeastTime::Measure::last_byte;
  return set_balancer(line, std::make_unique<LeastTime>(measure, inflight));
}

constexpr Directive rows[] = {
    custom<set_least_time, NoConf>("least_time", in_upstream, words(1, 2),
                                   "Prefer the peer that is expected to answer first, by its average times and the requests in flight; "
                                   "inflight: those count that have waited already.")
        .many()
        .takes("header | last_byte [inflight]"),
};

}  // namespace

extern constinit const Module upstream_least_time_module = {
    .name = "upstream_least_time",
    .conf = conf_of<NoConf>,
    .directives = rows,
};

}  // namespace fairlead
