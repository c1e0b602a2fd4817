// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ip_hash: the balancing method of core/upstream/ip_hash.h as a directive.
#include "core/upstream/ip_hash.h"

#include "core/upstream/group.h"

namespace fairlead {
namespace {

struct NoConf {};

ConfResult<Unit> set_ip_hash(Line& line, NoConf&) { return set_balancer(line, std::make_unique<IpHash>()); }

constexpr Directive rows[] = {
    custom<set_ip_hash, NoConf>("ip_hash", in_upstream_any, words(0), "Choose the peer by the client's address.").many(),
};

}  // namespace

extern constinit const Module upstream_ip_hash_module = {
    .name = "upstream_ip_hash",
    .conf = conf_of<NoConf>,
    .directives = rows,
};

}  // namespace fairlead
