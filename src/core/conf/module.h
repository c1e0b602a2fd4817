// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Module: the record by which a feature plugs in. It names the feature, its Conf struct, its directives and variables, and three sealed
// envelopes of hooks that only the named layer opens. ModuleList is all modules of this binary, in running order.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/arena.h"
#include "core/conf/directive.h"
#include "core/conf/variable.h"

namespace fairlead {

namespace event { struct Hooks; }
namespace http { struct Hooks; }
namespace stream { struct Hooks; }

class Block;
class Generation;

// The index of a Conf type among all modules, given at start.
constexpr uint16_t no_conf_index = 0xffff;
template <class Conf>
inline uint16_t conf_index = no_conf_index;

// How to make a module's Conf. conf_of<T> gives the record for T.
struct ConfType {
  void* (*make)(Arena& arena) = nullptr;
  uint16_t* index = nullptr;
};
template <class Conf>
constexpr ConfType conf_of = {[](Arena& arena) -> void* { return arena.make<Conf>(); }, &conf_index<Conf>};

// Called for each block that has a Conf of its own, outer blocks first, when all is read and inherited: defaults that depend on others,
// checks across fields, names of zones and upstreams.
using FinishConf = ConfResult<Unit> (*)(Block& block, void* conf);
namespace detail {
template <auto Function, class Conf>
ConfResult<Unit> finish_conf(Block& block, void* conf) { return Function(block, *static_cast<Conf*>(conf)); }
}  // namespace detail
template <auto Function, class Conf>
constexpr FinishConf finish_of = &detail::finish_conf<Function, Conf>;

struct Module {
  std::string_view name;
  ConfType conf = {};
  std::span<const Directive> directives = {};
  std::span<const VariableDef> variables = {};
  std::span<const std::string_view> after = {};  // names of modules that run before this one, where both take part
  FinishConf finish = nullptr;
  // Plain, in the master, when the generation is complete and before it takes over; may fail the load.
  ConfResult<Unit> (*generation)(Generation& generation) = nullptr;
  // The same, once zones are attached, log files open and variables known; nothing but listening sockets can make the load fail behind it.
  ConfResult<Unit> (*ready)(Generation& generation) = nullptr;
  const event::Hooks* event = nullptr;
  const http::Hooks* http = nullptr;
  const stream::Hooks* stream = nullptr;
};

// The modules of this process. Filled once by main, before anything is parsed; constant after that.
class ModuleList {
 public:
  // Sorts by the `after` edges, ties by name, and gives each Conf type its index. A cycle or a double name is an error.
  ConfResult<Unit> assign(std::vector<const Module*> modules);
  std::span<const Module* const> all() const { return modules_; }
  const Module* find(std::string_view name) const;
  // A row of any module by name, with the module's place; several modules may have rows of one name for different contexts.
  struct Row {
    const Directive* directive = nullptr;
    uint16_t module = 0;
    uint16_t row = 0;
    bool may_stand_in(const Block& block) const;
  };
  std::span<const Row> rows(std::string_view name) const;
  // The nearest name to a misspelt one among those allowed in `block`, or nothing.
  std::string_view nearest(std::string_view name, const Block& block) const;

 private:
  std::vector<const Module*> modules_;
  std::vector<Row> rows_;  // sorted by name
};
ModuleList& modules();

}  // namespace fairlead
