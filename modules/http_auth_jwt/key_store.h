// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// KeyStore: the key sets that a worker has loaded, by where they come from: a file, or a location of the configuration that is asked by a
// subrequest. Whoever needs one that is being loaded waits for that. State of the worker; knows nothing of tokens. Private to this folder.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "event/file/watch.h"
#include "event/loop/sync.h"
#include "event/worker.h"
#include "http/request/request.h"
#include "modules/http_auth_jwt/jwk.h"

namespace fairlead::http::auth_jwt {

// Sets kept per worker, so that sources with variables cannot fill it: the one unused for longest leaves.
constexpr size_t key_sets_max = 256;

struct KeyLimits {
  uint64_t cache_ms = 0;    // a set is taken as it is for so long; 0: a file is read when it changed, a location asked each time
  size_t bytes_max = 0;     // of a set's text
};

class KeyStore {
 public:
  explicit KeyStore(Worker& worker) : worker_(worker) {}
  KeyStore(const KeyStore&) = delete;
  KeyStore& operator=(const KeyStore&) = delete;

  // nullptr: it could not be had, and the log says why.
  Task<KeySetPtr> from_file(Request& request, std::string path, KeyLimits limits);
  // `uri` as in a configuration: "/path?args". Sets are kept for each server: one location of that name is not another's. Without a
  // cache each request asks for itself, since what is answered may depend on it.
  Task<KeySetPtr> from_request(Request& request, std::string uri, KeyLimits limits);
  size_t size() const { return sources_.size(); }

 private:
  struct Source {
    explicit Source(Loop& loop) : load_ended(loop) {}
    KeySetPtr keys;            // of the last load that ended; nullptr: it failed
    FileMark mark;             // of the file they are from
    uint64_t loaded_ms = 0;    // when that was
    uint64_t used = 0;         // the store's count of uses at the last one
    uint64_t loads = 0;        // that have ended by themselves
    bool is_loading = false;
    Event load_ended;          // or was given up, with the request that made it
  };
  using SourcePtr = std::shared_ptr<Source>;
  class Loading;

  SourcePtr find(const std::string& name);
  bool is_young(const Source& source, const KeyLimits& limits) const;
  Task<bool> wait_for_load(SourcePtr source);
  KeySetPtr take(Request& request, Source& source, std::string_view name, ConfResult<KeySetPtr> loaded);

  Worker& worker_;
  uint64_t uses_ = 0;
  std::unordered_map<std::string, SourcePtr> sources_;
};

}  // namespace fairlead::http::auth_jwt
