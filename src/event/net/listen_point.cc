// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/listen_point.h"

#include <algorithm>

#include "core/conf/module.h"
#include "event/hooks.h"

namespace fairlead {

const void* ListenOptions::value_of(const void* type) const {
  for (const Entry& entry : entries_)
    if (entry.type == type) return entry.value;
  return nullptr;
}

void ListenOptions::put(const Entry& entry) {
  for (Entry& known : entries_) {
    if (known.type != entry.type) continue;
    known = entry;
    return;
  }
  entries_.push_back(entry);
}

bool ListenOptions::hold_all_of(const ListenOptions& other) const {
  return std::all_of(other.entries_.begin(), other.entries_.end(), [&](const Entry& entry) { return value_of(entry.type) != nullptr; });
}

void ListenOptions::add(const ListenOptions& other) {
  for (const Entry& entry : other.entries_)
    if (!value_of(entry.type)) entries_.push_back(entry);
}

void ListenPoint::find_hooks() {
  hooks.clear();
  for (const Module* module : modules().all()) {
    if (!module->event) continue;
    const event::ConnectionHook& hook = module->event->connection;
    if (hook.run && (!hook.applies || hook.applies(*this))) hooks.push_back(&hook);
  }
}

ConfResult<bool> take_listen_option(Line& line, size_t index, ListenSpec& spec, ListenOptions& options) {
  std::string_view word = line.word(index);
  for (const Module* module : modules().all()) {
    if (!module->event) continue;
    for (const event::ListenOption& option : module->event->listen_options) {
      bool has_value = option.name.ends_with('=');
      if (has_value ? !word.starts_with(option.name) : word != option.name) continue;
      event::ListenWord given{line, word, has_value ? word.substr(option.name.size()) : std::string_view(), spec, options};
      auto applied = option.apply(given);
      if (!applied) return applied.error();
      return true;
    }
  }
  return false;
}

}  // namespace fairlead
