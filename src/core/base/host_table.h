// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// HostTable<T>: values by host name: exact, "*.example.com", "example.*", and ".example.com" for the first two at once, as `map ...
// hostnames` and `valid_referers` write them. Keys are views that outlive the table.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/error.h"
#include "core/base/format.h"
#include "core/base/hash.h"

namespace fairlead {

template <class T>
class HostTable {
 public:
  // `name`: lower case. The error is the reason, in nginx's words.
  ConfResult<Unit> add(std::string_view name, const T& value) {
    size_t star = name.find('*');
    bool front = name.size() > 2 && name.starts_with("*.");
    bool tail = name.size() > 2 && name.ends_with(".*");
    bool plain = star == std::string_view::npos;
    bool one_star = plain || name.find('*', star + 1) == std::string_view::npos;
    if (name.find("..") != std::string_view::npos || name.find('\0') != std::string_view::npos || !one_star || !(plain || front || tail))
      return format("invalid hostname or wildcard \"{}\"", name);
    if (front) return insert(fronts_, name.substr(2), value, name);
    if (tail) return insert(tails_, name.substr(0, name.size() - 2), value, name);
    if (name.size() > 1 && name[0] == '.') {
      FL_TRY(insert(exact_, name.substr(1), value, name));
      return insert(fronts_, name.substr(1), value, name);
    }
    return insert(exact_, name, value, name);
  }
  // A text that is no host name: found as it is.
  ConfResult<Unit> add_exact(std::string_view text, const T& value) { return insert(exact_, text, value, text); }

  bool empty() const { return exact_.empty() && fronts_.empty() && tails_.empty(); }

  // `name`: lower case. The exact one, else the longest wildcard at the front, else the longest at the end; nullptr: there is none.
  const T* find(std::string_view name) const {
    if (auto found = exact_.find(name); found != exact_.end()) return &found->second;
    for (size_t dot = name.find('.'); dot != std::string_view::npos && !fronts_.empty(); dot = name.find('.', dot + 1))
      if (auto found = fronts_.find(name.substr(dot + 1)); found != fronts_.end()) return &found->second;
    for (size_t dot = name.rfind('.'); dot != std::string_view::npos && dot > 0 && !tails_.empty(); dot = name.rfind('.', dot - 1))
      if (auto found = tails_.find(name.substr(0, dot)); found != tails_.end()) return &found->second;
    return nullptr;
  }

 private:
  struct TextHash {
    size_t operator()(std::string_view text) const { return hash_bytes(text); }
  };
  using Table = std::unordered_map<std::string_view, T, TextHash>;

  static ConfResult<Unit> insert(Table& table, std::string_view key, const T& value, std::string_view written) {
    if (table.emplace(key, value).second) return Unit();
    return format("conflicting parameter \"{}\"", written);
  }

  Table exact_;
  Table fronts_;  // "*.example.com" as "example.com"
  Table tails_;   // "www.*" as "www"
};

}  // namespace fairlead
