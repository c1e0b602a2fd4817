// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// TlsObjects: what was read from certificate files while a configuration was loaded, for the rest of that load and for the next one
// (`ssl_object_cache_inheritable`): files that have not changed are not read again. Of the process that loads; loading by anybody else
// (workers, file threads) goes past it.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "core/conf/module.h"
#include "event/file/watch.h"
#include "event/tls/pem.h"

namespace fairlead {

class TlsObjects {
 public:
  using Certificates = std::vector<X509Ptr>;  // the first is the leaf where that matters
  using Lists = std::vector<X509CrlPtr>;
  enum class Kind : char { certificate = 'c', key = 'k', bundle = 'b', lists = 'l' };

  // Of the load under way; nullptr: there is none here.
  static TlsObjects* current() { return current_; }

  // From here to end() loads ask it. `inherits`: what the last load left may be used.
  void begin(bool inherits);
  // Forgets what this load did not ask for.
  void end();

  // What was read from the file as it is now, or nullptr. T: Certificates, KeyPtr, Lists.
  template <class T>
  const T* find(Kind kind, std::string_view path) {
    Entry* entry = find_entry(kind, path);
    return entry ? std::get_if<T>(&entry->object) : nullptr;
  }
  // The file was looked at before it was read: `mark`.
  template <class T>
  const T& keep(Kind kind, std::string_view path, const FileMark& mark, T object) {
    Entry& entry = entries_[key_of(kind, path)];
    entry.mark = mark;
    entry.object = std::move(object);
    entry.is_used = true;
    return std::get<T>(entry.object);
  }

 private:
  struct Entry {
    FileMark mark;
    std::variant<std::monostate, Certificates, KeyPtr, Lists> object;
    bool is_used = false;  // by the load under way
  };
  static std::string key_of(Kind kind, std::string_view path) { return std::string(1, static_cast<char>(kind)).append(path); }
  Entry* find_entry(Kind kind, std::string_view path);

  static thread_local TlsObjects* current_;
  std::unordered_map<std::string, Entry> entries_;
};

extern const Module tls_objects_module;

}  // namespace fairlead
