// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// queue: how many requests may wait while no peer of their group can be used, and how long. The queue is event/net/peer_queue.h.
#include "core/base/text.h"
#include "core/upstream/group.h"

namespace fairlead {
namespace {

struct NoConf {};

ConfResult<Unit> set_queue(Line& line, NoConf&) {
  QueueLimits& limits = group_of(line).queue;
  auto most = parse_decimal(line.word(1));
  if (!most || *most == 0) return line.invalid_value(1);
  limits.most = *most;
  if (line.word_count() == 1) return Unit();
  if (!line.word(2).starts_with("timeout=")) return line.invalid_parameter(2);
  auto ms = parse_time_ms(line.word(2).substr(8), TimeGrain::milliseconds);
  if (!ms || *ms == 0) return line.invalid_parameter(2);
  limits.timeout_ms = *ms;
  return Unit();
}

constexpr Directive rows[] = {
    custom<set_queue, NoConf>("queue", in_upstream, words(1, 2),
                              "How many requests of a worker may wait while no peer can be used, and how long; beyond that they are "
                              "answered with 502. Default: timeout=60s.")
        .takes("number [timeout=time]"),
};

}  // namespace

extern constinit const Module upstream_queue_module = {
    .name = "upstream_queue",
    .conf = conf_of<NoConf>,
    .directives = rows,
};

}  // namespace fairlead
