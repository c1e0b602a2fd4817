// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/file/open_file_cache.h"

#include <cerrno>
#include <utility>

#include "core/base/format.h"

namespace fairlead {

OpenFileCache::~OpenFileCache() {
  while (Entry* entry = by_use_.front()) drop(*entry);
}

// One path with other rules is another question.
std::string OpenFileCache::key_of(std::string_view path, const OpenRules& rules) {
  std::string key(path);
  if (rules.symlinks == Symlinks::allowed && rules.direct_bytes == UINT64_MAX) return key;
  key += '\0';  // no path has it
  key += format("{} {} {}", static_cast<int>(rules.symlinks), rules.trusted_bytes, rules.direct_bytes);
  return key;
}

void OpenFileCache::drop(Entry& entry) {
  entry.unlink();
  entries_.erase(entry.key);
}

void OpenFileCache::drop_unused(uint64_t now_ms) {
  constexpr int drops_max = 2;  // more than one a call, so that the number falls, few, so that no call takes long
  for (int i = 0; i < drops_max; ++i) {
    Entry* oldest = by_use_.front();
    if (!oldest || now_ms - oldest->used_ms <= limits_.inactive_ms) return;
    drop(*oldest);
  }
}

static bool is_same(const FileFacts& a, const FileFacts& b) {
  return a.inode == b.inode && a.device == b.device && a.size == b.size && a.modified_s == b.modified_s && a.is_folder == b.is_folder &&
         a.is_executable == b.is_executable;
}

// What the file system would say again; a lack of descriptors or memory passes.
static bool is_lasting(int err) {
  return err == ENOENT || err == ENOTDIR || err == ENAMETOOLONG || err == EACCES || err == ELOOP;
}

// Whether what is known still holds and suffices.
bool OpenFileCache::answers(Entry& entry, const char* path, const Use& use, uint64_t now_ms) {
  if (entry.found.err && !use.errors) return false;
  if (use.rules.wants_bytes && !entry.has_bytes && (entry.found.err || entry.found.facts.is_file)) return false;
  if (use.rules.wants_bytes && entry.found.facts.is_file && !entry.found.err && !entry.found.file) return false;
  if (now_ms - entry.checked_ms < use.valid_ms) return true;
  if (entry.found.err) return false;
  OpenRules look = use.rules;
  look.wants_bytes = false;
  OpenedFile now = open_file(path, look);
  if (now.err || !is_same(now.facts, entry.found.facts)) return false;
  entry.checked_ms = now_ms;
  return true;
}

OpenedFile OpenFileCache::find(std::string_view path, const Use& use, uint64_t now_ms) {
  drop_unused(now_ms);
  std::string key = key_of(path, use.rules);
  auto at = entries_.find(key);
  Entry* entry = at == entries_.end() ? nullptr : at->second.get();
  if (entry) {
    entry->unlink();
    by_use_.push_back(*entry);
    entry->used_ms = now_ms;
    ++entry->uses;
    if (answers(*entry, path.data(), use, now_ms)) return entry->found;
  }
  OpenedFile found = open_file(path.data(), use.rules);
  if (found.err && (!use.errors || !is_lasting(found.err))) {
    if (entry) drop(*entry);
    return found;
  }
  if (!entry) {
    if (entries_.size() >= limits_.files_max) drop(*by_use_.front());
    auto made = std::make_unique<Entry>();
    entry = made.get();
    entry->key = std::move(key);
    entry->uses = 1;
    entries_.emplace(entry->key, std::move(made));
    by_use_.push_back(*entry);
  }
  entry->used_ms = entry->checked_ms = now_ms;
  entry->has_bytes = use.rules.wants_bytes;
  entry->found = found;
  if (entry->uses < use.uses_min) entry->found.file = FileRef();
  return found;
}

}  // namespace fairlead
