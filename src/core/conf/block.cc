// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/block.h"

#include <algorithm>

#include "core/base/format.h"

namespace fairlead {

Block::Block(Block* parent, uint32_t context, Place place, Arena& arena)
    : parent_(parent), context_(context), place_(place), arena_(arena) {
  size_t count = modules().all().size();
  confs_.resize(count, nullptr);
  own_.resize(count, nullptr);
  made_here_.resize(count, false);
  if (parent_) parent_->children_.push_back(this);
}

Block* Block::enclosing(uint32_t contexts) {
  Block* block = this;
  while (block && !(block->context_ & contexts)) block = block->parent_;
  return block;
}

void* Block::own_conf(uint16_t module) {
  FL_ASSERT(module < own_.size());  // else its module is not in the list
  if (!own_[module]) {
    const Module& m = *modules().all()[module];
    own_[module] = arena_.make_array<bool>(m.directives.size() + 1).data();
    confs_[module] = m.conf.make ? m.conf.make(arena_) : nullptr;
    made_here_[module] = true;
  }
  return confs_[module];
}

bool Block::is_set(std::string_view name) const {
  for (const ModuleList::Row& row : modules().rows(name))
    if (is_set(row.module, row.row)) return true;
  return false;
}

void Block::inherit(uint16_t module) {
  const Module& m = *modules().all()[module];
  if (!m.conf.make) return;
  if (!parent_) {
    own_conf(module);
    return;
  }
  if (!own_[module]) {
    bool parent_has_local_values = false;
    if (parent_->own_[module])
      for (uint16_t row = 0; row < m.directives.size(); ++row)
        if (parent_->own_[module][row] && !m.directives[row].inherit) parent_has_local_values = true;
    if (!parent_has_local_values) {
      confs_[module] = parent_->confs_[module];
      return;
    }
    own_conf(module);
  }
  // What was set here, by the function that would copy it: rows that set the same fields share it.
  std::vector<Directive::Inherit> set_here;
  for (uint16_t row = 0; row < m.directives.size(); ++row)
    if (own_[module][row] && m.directives[row].inherit) set_here.push_back(m.directives[row].inherit);
  for (const Directive& directive : m.directives) {
    if (!directive.inherit || std::find(set_here.begin(), set_here.end(), directive.inherit) != set_here.end()) continue;
    directive.inherit(confs_[module], parent_->confs_[module]);
  }
}

ConfResult<Unit> Block::resolve() {
  std::span<const Module* const> all = modules().all();
  for (uint16_t module = 0; module < all.size(); ++module) inherit(module);
  for (uint16_t module = 0; module < all.size(); ++module) {
    if (!all[module]->finish || !made_here_[module]) continue;
    auto finished = all[module]->finish(*this, confs_[module]);
    if (!finished) return finished.error();
  }
  for (Block* child : children_) FL_TRY(child->resolve());
  return Unit();
}

std::string at_place(Place place) {
  if (place.line == 0) return place.file.empty() ? std::string() : format(" in {}", place.file);
  return format(" in {}:{}", place.file, place.line);
}

}  // namespace fairlead
