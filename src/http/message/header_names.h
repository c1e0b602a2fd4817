// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// HeaderNames: a set of header names made while the configuration loads, to be asked about every field of a message: a bit for a name
// that the engine knows, a text to compare for any other.
#pragma once

#include <string_view>
#include <vector>

#include "http/message/headers.h"

namespace fairlead::http {

class HeaderNames {
 public:
  HeaderNames() = default;
  explicit HeaderNames(const KnownHeaderSet& known) : known_(known) {}
  // The text of an unknown name must outlive this (the generation's arena).
  void add(std::string_view name);
  void add(KnownHeader known) { known_.add(known); }
  void add(const KnownHeaderSet& known) { known_.add(known); }
  void remove(std::string_view name);
  void clear() { *this = HeaderNames(); }

  bool holds(std::string_view name) const;
  bool holds(const Headers::Field& field) const {
    if (field.known != KnownHeader::other) return known_.holds(field.known);
    return !others_.empty() && holds_other(field.name);
  }

 private:
  bool holds_other(std::string_view name) const;

  KnownHeaderSet known_;
  std::vector<std::string_view> others_;
};

}  // namespace fairlead::http
