// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// hash: the balancing methods of core/upstream/hash.h as a directive.
#include "core/upstream/hash.h"

#include "core/upstream/group.h"

namespace fairlead {
namespace {

struct NoConf {};

ConfResult<Unit> set_hash(Line& line, NoConf&) {
  auto key = compile_word(line, 1);
  if (!key) return key.error();
  group_of(line).key = std::move(*key);
  if (line.word_count() == 1) return set_balancer(line, std::make_unique<KeyHash>());
  if (line.word(2) != "consistent") return line.invalid_parameter(2);
  return set_balancer(line, std::make_unique<ConsistentHash>());
}

constexpr Directive rows[] = {
    custom<set_hash, NoConf>("hash", in_upstream_any, words(1, 2), "Choose the peer by a key; consistent: few keys move when peers change.")
        .many()
        .takes("key [consistent]"),
};

}  // namespace

extern constinit const Module upstream_hash_module = {
    .name = "upstream_hash",
    .conf = conf_of<NoConf>,
    .directives = rows,
};

}  // namespace fairlead
