// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/module.h"

#include <algorithm>
#include <memory>
#include <string>

#include "core/base/format.h"

namespace fairlead {

ModuleList& modules() {
  static ModuleList* list = new ModuleList;
  return *list;
}

std::string_view context_name(uint32_t context) {
  switch (context) {
    case in_main: return "main";
    case in_events: return "events";
    case in_http: return "http";
    case in_server: return "server";
    case in_location: return "location";
    case in_server_if: return "if in server";
    case in_location_if: return "if in location";
    case in_limit_except: return "limit_except";
    case in_upstream: return "upstream";
    case in_stream: return "stream";
    case in_stream_server: return "stream server";
    case in_stream_upstream: return "stream upstream";
  }
  return "";
}

// Repeatedly takes the first module, by name, all of whose predecessors are placed.
static ConfResult<std::vector<const Module*>> in_running_order(std::vector<const Module*> left) {
  std::sort(left.begin(), left.end(), [](const Module* a, const Module* b) { return a->name < b->name; });
  for (size_t i = 1; i < left.size(); ++i)
    if (left[i]->name == left[i - 1]->name) return format("module \"{}\" is there twice", left[i]->name);
  std::vector<const Module*> placed;
  auto waits_for = [&](const Module* m) {
    return std::any_of(m->after.begin(), m->after.end(), [&](std::string_view name) {
      return std::any_of(left.begin(), left.end(), [&](const Module* other) { return other != m && other->name == name; });
    });
  };
  while (!left.empty()) {
    auto next = std::find_if(left.begin(), left.end(), [&](const Module* m) { return !waits_for(m); });
    if (next == left.end()) return format("module \"{}\" runs after itself", left.front()->name);
    placed.push_back(*next);
    left.erase(next);
  }
  return placed;
}

ConfResult<Unit> ModuleList::assign(std::vector<const Module*> all) {
  auto ordered = in_running_order(std::move(all));
  if (!ordered) return ordered.error();
  modules_ = std::move(*ordered);
  rows_.clear();
  for (size_t m = 0; m < modules_.size(); ++m) {
    if (modules_[m]->conf.index) *modules_[m]->conf.index = static_cast<uint16_t>(m);
    for (size_t r = 0; r < modules_[m]->directives.size(); ++r)
      rows_.push_back(Row{&modules_[m]->directives[r], static_cast<uint16_t>(m), static_cast<uint16_t>(r)});
  }
  std::stable_sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) { return a.directive->name < b.directive->name; });
  for (size_t i = 1; i < rows_.size(); ++i) {
    const Directive &a = *rows_[i - 1].directive, &b = *rows_[i].directive;
    if (a.name == b.name && (a.contexts & b.contexts)) return format("directive \"{}\" is there twice for one context", a.name);
  }
  return Unit();
}

const Module* ModuleList::find(std::string_view name) const {
  for (const Module* module : modules_)
    if (module->name == name) return module;
  return nullptr;
}

std::span<const ModuleList::Row> ModuleList::rows(std::string_view name) const {
  auto less = [](const auto& a, const auto& b) {
    if constexpr (std::is_same_v<std::decay_t<decltype(a)>, Row>) return a.directive->name < b;
    else return a < b.directive->name;
  };
  auto first =
      std::lower_bound(rows_.begin(), rows_.end(), name, [](const Row& row, std::string_view n) { return row.directive->name < n; });
  auto last = std::upper_bound(first, rows_.end(), name, less);
  return {first, last};
}

// Levenshtein's distance with neighbours swapped counted once, bounded by `most`.
static size_t edit_distance(std::string_view a, std::string_view b, size_t most) {
  if ((a.size() > b.size() ? a.size() - b.size() : b.size() - a.size()) > most) return most + 1;
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

std::string_view ModuleList::nearest(std::string_view name, uint32_t context) const {
  size_t best = std::clamp<size_t>(name.size() / 3, 1, 3) + 1;  // a third of a short name may be wrong, no more
  std::string_view found;
  for (const Row& row : rows_) {
    if (!(row.directive->contexts & context)) continue;
    size_t distance = edit_distance(name, row.directive->name, best);
    if (distance >= best) continue;
    best = distance;
    found = row.directive->name;
  }
  return found;
}

}  // namespace fairlead
