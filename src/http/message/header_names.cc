// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/header_names.h"

#include <algorithm>

#include "core/base/text.h"

namespace fairlead::http {

void HeaderNames::add(std::string_view name) {
  KnownHeader known = find_known_header(name);
  if (known != KnownHeader::other) known_.add(known);
  else if (!holds_other(name)) others_.push_back(name);
}

void HeaderNames::remove(std::string_view name) {
  KnownHeader known = find_known_header(name);
  if (known != KnownHeader::other) known_.remove(known);
  else std::erase_if(others_, [name](std::string_view other) { return equal_nocase(other, name); });
}

bool HeaderNames::holds(std::string_view name) const {
  KnownHeader known = find_known_header(name);
  return known != KnownHeader::other ? known_.holds(known) : holds_other(name);
}

bool HeaderNames::holds_other(std::string_view name) const {
  return std::any_of(others_.begin(), others_.end(), [name](std::string_view other) { return equal_nocase(other, name); });
}

}  // namespace fairlead::http
