// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ListenPoint: one listening address as far as no protocol matters: its socket, what modules' parameters of its `listen` lines ask for, and
// which connection hooks follow from that. The engines derive from it (http::ListenAddress). Constant after the load.
#pragma once

#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/conf/line.h"
#include "core/process/listen_socket.h"

namespace fairlead {

class Block;
namespace event { struct ConnectionHook; }

// What parameters of a `listen` line ask for: at most one value per type, in the generation's arena.
class ListenOptions {
 public:
  // `name`: the parameter, as written in the configuration.
  template <class T>
  void set(std::string_view name, const T& value) { put(Entry{&type_of<T>, name, &value}); }
  template <class T>
  const T* find() const { return static_cast<const T*>(value_of(&type_of<T>)); }
  bool empty() const { return entries_.empty(); }
  // Every parameter of `other` is here, too.
  bool hold_all_of(const ListenOptions& other) const;
  // Takes over what is not here yet.
  void add(const ListenOptions& other);

 private:
  template <class T>
  static constexpr char type_of = 0;  // its address is the type's identity
  struct Entry {
    const void* type;
    std::string_view name;
    const void* value;
  };
  void put(const Entry& entry);
  const void* value_of(const void* type) const;
  std::vector<Entry> entries_;
};

struct ListenPoint {
  Addr addr;
  ListenSpec spec;
  ListenOptions options;
  // -- settled when the configuration is complete --
  std::vector<const event::ConnectionHook*> hooks;  // that apply here, in running order
  const Block* block = nullptr;                     // whose values hold until a server is chosen
  uint64_t greeting_timeout_ms = 60'000;            // for what comes before the protocol
  // Fills `hooks`; the options are complete.
  void find_hooks();
};

// A word of a `listen` line, given to the module that has a row for it (event::ListenOption). False: no module has.
ConfResult<bool> take_listen_option(Line& line, size_t index, ListenSpec& spec, ListenOptions& options);

}  // namespace fairlead
