// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/access_list.h"

namespace fairlead {

AccessList::Added AccessList::add(Answer answer, std::string_view who) {
  if (who == "all") {
    rules_.push_back({answer, std::nullopt});
    return Added::ok;
  }
  std::optional<Cidr> network = Cidr::parse(who);
  if (!network) return Added::malformed;
  rules_.push_back({answer, network});
  return network->low_bits_set() ? Added::low_bits_set : Added::ok;
}

}  // namespace fairlead
