// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/objects.h"

#include "core/conf/block.h"
#include "core/conf/generation.h"
#include "core/conf/value.h"

namespace fairlead {

thread_local TlsObjects* TlsObjects::current_ = nullptr;

void TlsObjects::begin(bool inherits) {
  if (!inherits) entries_.clear();
  for (auto& [key, entry] : entries_) entry.is_used = false;
  current_ = this;
}

void TlsObjects::end() {
  current_ = nullptr;
  std::erase_if(entries_, [](const auto& entry) { return !entry.second.is_used; });
}

TlsObjects::Entry* TlsObjects::find_entry(Kind kind, std::string_view path) {
  auto found = entries_.find(key_of(kind, path));
  if (found == entries_.end()) return nullptr;
  Entry& entry = found->second;
  if (!entry.is_used && entry.mark != FileMark::of(std::string(path))) return nullptr;  // within one load a file is looked at once
  entry.is_used = true;
  return &entry;
}

namespace {

struct ObjectsConf {
  bool inherits = true;
};

TlsObjects& objects() {
  static TlsObjects all;
  return all;
}

// Ahead of all that loads: the generation functions of the others.
ConfResult<Unit> begin_load(Block& block, ObjectsConf& own) {
  if (!block.parent()) objects().begin(own.inherits);
  return Unit();
}

// The load has come to its end; one that failed ends with the next one's begin.
ConfResult<Unit> end_load(Generation&) {
  objects().end();
  return Unit();
}

constexpr Directive rows[] = {
    slot<ObjectsConf, &ObjectsConf::inherits>("ssl_object_cache_inheritable", in_main,
                                              "Whether a reload takes over what it has of certificate files that have not changed."),
};

}  // namespace

constinit const Module tls_objects_module = {
    .name = "tls_objects",
    .conf = conf_of<ObjectsConf>,
    .directives = rows,
    .finish = finish_of<begin_load, ObjectsConf>,
    .ready = end_load,
};

}  // namespace fairlead
