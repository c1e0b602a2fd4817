// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// FilesConf: how files are found, opened and read: open_file_cache, disable_symlinks, directio, aio and their kin.
#pragma once

#include "core/conf/template.h"
#include "core/conf/value.h"
#include "event/file/open_file_cache.h"

namespace fairlead::http {

enum class Aio : uint8_t { off, threads };

struct FilesConf {
  // The line it was set in owns it; its address says which cache. nullptr: none.
  const OpenFileCache::Limits* open_file_cache = nullptr;
  Msec open_file_cache_valid{60'000};
  uint64_t open_file_cache_min_uses = 1;
  bool open_file_cache_errors = false;
  Symlinks symlinks = Symlinks::allowed;
  Template symlinks_from;             // links in this first part of a path are trusted
  uint64_t directio_bytes = UINT64_MAX;  // files from this size on go past the page cache
  Size directio_alignment{512};
  Size read_ahead{0};                 // larger files are read ahead by the system
  Buffers output_buffers{2, 32 * 1024};
  Aio aio = Aio::off;
  Template aio_pool{"default"};
  bool aio_write = false;             // temporary files are written by the threads of `aio`, too
};

extern const Module http_files_module;

}  // namespace fairlead::http
