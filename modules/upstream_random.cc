// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// random: the balancing methods of core/upstream/random.h as a directive.
#include "core/upstream/random.h"

#include "core/base/format.h"
#include "core/upstream/group.h"

namespace fairlead {
namespace {

struct NoConf {};

ConfResult<Unit> set_random(Line& line, NoConf&) {
  if (line.word_count() == 0) return set_balancer(line, std::make_unique<RandomChoice>(RandomChoice::Way::one));
  if (line.word(1) != "two") return line.invalid_parameter(1);
  using Way = RandomChoice::Way;
  using Measure = LeastTime::Measure;
  std::string_view how = line.word_count() == 2 ? line.word(2) : "least_conn";
  if (how == "least_conn") return set_balancer(line, std::make_unique<RandomChoice>(Way::two_least_conn));
  if (how == "least_time=header") return set_balancer(line, std::make_unique<RandomChoice>(Way::two_least_time, Measure::header));
  if (how == "least_time=last_byte") return set_balancer(line, std::make_unique<RandomChoice>(Way::two_least_time, Measure::last_byte));
  return line.invalid_parameter(2);
}

constexpr Directive rows[] = {
    custom<set_random, NoConf>("random", in_upstream_any, words(0, 2),
                             "Choose a peer by chance; two: the less busy of two, or the one that is expected to answer sooner.")
        .many()
        .takes("[two [least_conn | least_time=header|last_byte]]"),
};

}  // namespace

extern constinit const Module upstream_random_module = {
    .name = "upstream_random",
    .conf = conf_of<NoConf>,
    .directives = rows,
};

}  // namespace fairlead
