// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// least_conn: the balancing method of core/upstream/least_conn.h as a directive.
#include "core/upstream/least_conn.h"

#include "core/upstream/group.h"

namespace fairlead {
namespace {

struct NoConf {};

ConfResult<Unit> set_least_conn(Line& line, NoConf&) { return set_balancer(line, std::make_unique<LeastConn>()); }

constexpr Directive rows[] = {
    custom<set_least_conn, NoConf>("least_conn", in_upstream_any, words(0),
                                   "Prefer the peer with the fewest requests in flight for its weight.")
        .many(),
};

}  // namespace

extern constinit const Module upstream_least_conn_module = {
    .name = "upstream_least_conn",
    .conf = conf_of<NoConf>,
    .directives = rows,
};

}  // namespace fairlead
