// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/variable.h"

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/block.h"
#include "core/conf/left_out.h"
#include "core/conf/module.h"

namespace fairlead {

// Names are case-insensitive, as in nginx.
static std::string lower_name(std::string_view name) {
  std::string text(name);
  for (char& byte : text) byte = lower(byte);
  return text;
}

uint32_t VariableTable::use(std::string_view name, Place place) {
  std::string key = lower_name(name);
  auto found = by_name_.find(key);
  if (found != by_name_.end()) return found->second;
  uint32_t index = static_cast<uint32_t>(entries_.size());
  auto entry = std::make_unique<Entry>();
  entry->name = key;
  entry->place = place;
  entries_.push_back(std::move(entry));
  by_name_.emplace(std::move(key), index);
  return index;
}

const VariableDef* VariableTable::built_in(std::string_view name) const {
  const VariableDef* prefix = nullptr;
  for (const Module* module : modules().all()) {
    for (const VariableDef& def : module->variables) {
      if (!(def.engines & engine_)) continue;
      if (!(def.flags & variable_prefix)) {
        if (def.name == name) return &def;
      } else if (name.size() >= def.name.size() && name.substr(0, def.name.size()) == def.name) {
        if (!prefix || def.name.size() > prefix->name.size()) prefix = &def;
      }
    }
  }
  return prefix;
}

ConfResult<uint32_t> VariableTable::define(const VariableDef& def, Place place) {
  uint32_t index = use(def.name, place);
  Entry& entry = *entries_[index];
  const VariableDef* known = built_in(entry.name);
  if (known && !(known->flags & (variable_changeable | variable_prefix))) return format("the duplicate \"{}\" variable", def.name);
  if ((def.flags & variable_weak) && (known || entry.get)) return index;
  if (entry.get && def.get && !(entry.flags & variable_changeable)) return format("the duplicate \"{}\" variable", def.name);
  if (known && !(known->flags & variable_prefix) && !def.get) return index;  // `set $args`: the built-in keeps its getter
  if (!def.get && entry.get) return index;
  entry.get = def.get;
  entry.set = def.set;
  entry.datum = def.datum;
  entry.flags = static_cast<uint8_t>(def.flags | (def.get ? 0 : variable_changeable));
  if (!entry.get) entry.get = [](Session&, uintptr_t) { return Value{{}, true}; };  // used before it was set: empty
  return index;
}

ConfResult<Unit> VariableTable::finish() {
  for (auto& entry : entries_) {
    if (entry->get) continue;
    const VariableDef* def = built_in(entry->name);
    if (!def) {
      std::string_view reason = why_variable_left_out(entry->name);
      std::string hint = reason.empty() ? std::string() : format(", left out: {}", reason);
      return format("unknown \"{}\" variable{}{}", entry->name, at_place(entry->place), hint);
    }
    entry->get = def->get;
    entry->set = def->set;
    entry->flags = def->flags;
    entry->datum = def->datum;
    if (def->flags & variable_prefix) {
      entry->rest = std::string_view(entry->name).substr(def->name.size());
      entry->datum = reinterpret_cast<uintptr_t>(&entry->rest);
    }
  }
  return Unit();
}

std::optional<uint32_t> VariableTable::find(std::string_view name) const {
  auto found = by_name_.find(lower_name(name));
  if (found == by_name_.end()) return std::nullopt;
  return found->second;
}

}  // namespace fairlead
