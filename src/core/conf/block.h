// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Block: one `{ ... }` of the configuration (or the main part), in a tree, with the Conf of each module. While reading, a block has a Conf
// only for modules of which something was set in it; resolve() completes the rest top-down: inherited values are copied into own Confs, and
// a block in which nothing of a module was set shares its parent's Conf. All objects lie in the generation's arena.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/conf/line.h"
#include "core/conf/module.h"

namespace fairlead {

class Block {
 public:
  Block(Block* parent, uint32_t context, Place place, Arena& arena);
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  Block* parent() const { return parent_; }
  uint32_t context() const { return context_; }
  // The module that opened it.
  uint16_t owner() const { return owner_; }
  void set_owner(uint16_t module) { owner_ = module; }
  Place place() const { return place_; }
  std::span<Block* const> children() const { return children_; }
  // The nearest block outwards, this one included, of one of `contexts`, or nullptr.
  Block* enclosing(uint32_t contexts);

  // The Conf of a module, complete after resolve(). Never null then.
  void* conf(uint16_t module) const { return confs_[module]; }
  // While reading: this block's own Conf, made now if it has none.
  void* own_conf(uint16_t module);
  bool has_own_conf(uint16_t module) const { return own_[module] != nullptr; }
  // Whether the row was set in this very block.
  bool is_set(uint16_t module, uint16_t row) const { return own_[module] && own_[module][row]; }
  void mark_set(uint16_t module, uint16_t row) { own_[module][row] = true; }
  // By field type and name, for finish functions: whether `name` was set in this block.
  bool is_set(std::string_view name) const;

  // What the engine that opened the block made of it (a server, a location, an upstream group).
  template <class T>
  T* object() const { return static_cast<T*>(object_); }
  void set_object(void* object) { object_ = object; }

  // Completes this block and those within. Runs the modules' finish functions; the error names its place.
  ConfResult<Unit> resolve();

 private:
  void inherit(uint16_t module);

  Block* parent_;
  uint32_t context_;
  uint16_t owner_ = no_conf_index;
  Place place_;
  Arena& arena_;
  std::vector<void*> confs_;
  std::vector<bool*> own_;  // per module: which rows were set here; nullptr: no own Conf
  std::vector<bool> made_here_;  // the Conf is this block's, whether read or made to shed values that are not inherited
  std::vector<Block*> children_;
  void* object_ = nullptr;
};

// `function(Block&)` for a block and all within.
template <class Function>
void each_block(Block& block, Function function) {
  function(block);
  for (Block* child : block.children()) each_block(*child, function);
}

// A module's Conf as it holds in `block`.
template <class Conf>
Conf& conf(const Block& block) { return *static_cast<Conf*>(block.conf(conf_index<Conf>)); }
// While reading.
template <class Conf>
Conf& own_conf(Block& block) { return *static_cast<Conf*>(block.own_conf(conf_index<Conf>)); }

// " in FILE:LINE", as behind every configuration error.
std::string at_place(Place place);

}  // namespace fairlead
