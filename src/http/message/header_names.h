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

// The fields that `keep` says yes to, in order: `fields` itself if those are all, else a list in `arena` with the same texts.
template <class Keep>
const Headers* keep_fields(const Headers& fields, Arena& arena, Keep&& keep) {
  size_t kept = 0;
  for (const Headers::Field& field : fields) kept += keep(field) ? 1 : 0;
  if (kept == fields.size()) return &fields;
  Headers* list = arena.make<Headers>(arena, static_cast<uint32_t>(kept));
  for (const Headers::Field& field : fields)
    if (keep(field)) list->add(field.known, field.name, field.value);
  return list;
}

}  // namespace fairlead::http
