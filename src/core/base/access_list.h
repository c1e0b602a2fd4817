// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// AccessList: ordered allow and deny rules over addresses; the first that matches decides. A value; what is done with the answer is the
// caller's.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/base/addr.h"

namespace fairlead {

class AccessList {
 public:
  enum class Answer : uint8_t { none, allow, deny };
  enum class Added : uint8_t { ok, low_bits_set, malformed };

  // `who`: "all", an address, a network, or "unix:". A network with bits behind its mask is taken without them.
  Added add(Answer answer, std::string_view who);
  // `none`: no rule matches.
  Answer check(const Addr& addr) const {
    for (const Rule& rule : rules_)
      if (!rule.network || rule.network->contains(addr)) return rule.answer;
    return Answer::none;
  }
  bool empty() const { return rules_.empty(); }

 private:
  struct Rule {
    Answer answer;
    std::optional<Cidr> network;  // none: everybody
  };
  std::vector<Rule> rules_;
};

}  // namespace fairlead
