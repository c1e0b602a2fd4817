// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_auth_jwt/key_store.h"

#include <cerrno>

#include "core/base/format.h"
#include "core/process/small_file.h"
#include "event/file/blocking.h"
#include "http/request/subrequest.h"

namespace fairlead::http::auth_jwt {

// While one lives, its source is being loaded. Its end, of whatever kind, lets the others go on.
class KeyStore::Loading {
 public:
  explicit Loading(Source& source) : source_(source) {
    source_.is_loading = true;
    source_.load_ended.reset();
  }
  ~Loading() {
    source_.is_loading = false;
    source_.load_ended.set();
  }
  Loading(const Loading&) = delete;
  Loading& operator=(const Loading&) = delete;

 private:
  Source& source_;
};

KeyStore::SourcePtr KeyStore::find(const std::string& name) {
  auto found = sources_.find(name);
  if (found == sources_.end()) {
    if (sources_.size() >= key_sets_max) {
      auto oldest = sources_.begin();
      for (auto it = sources_.begin(); it != sources_.end(); ++it)
        if (it->second->used < oldest->second->used) oldest = it;
      sources_.erase(oldest);  // who loads it or waits for it owns it, too
    }
    found = sources_.emplace(name, std::make_shared<Source>(worker_.loop())).first;
  }
  found->second->used = ++uses_;
  return found->second;
}

// Waits while somebody else loads it. True: that load has ended, well or not; false: there is none, or it was given up.
Task<bool> KeyStore::wait_for_load(SourcePtr source) {
  uint64_t before = source->loads;
  while (source->is_loading && source->loads == before) co_await source->load_ended.wait();
  co_return source->loads != before;
}

// A load of `source` has ended.
KeySetPtr KeyStore::take(Request& request, Source& source, std::string_view name, ConfResult<KeySetPtr> loaded) {
  ++source.loads;
  if (!loaded) {
    source.keys.reset();  // what they were replaced by is no reason to go on with them
    request.logger.error("the keys of \"{}\" cannot be used: {}", name, loaded.error());
    return nullptr;
  }
  source.loaded_ms = worker_.loop().now_ms();
  if (source.keys && source.keys->text == (*loaded)->text) return source.keys;  // tokens verified with it stay so
  source.keys = *loaded;
  if (source.keys->left_out > 0)
    request.logger.warn("{} of the keys of \"{}\" are left out: {}", source.keys->left_out, name, source.keys->left_out_reason);
  return source.keys;
}

bool KeyStore::is_young(const Source& source, const KeyLimits& limits) const {
  return source.keys && limits.cache_ms > 0 && worker_.loop().now_ms() - source.loaded_ms < limits.cache_ms;
}

namespace {

// What a file thread does. An errno: the file could not be read.
struct ReadKeys {
  std::string path;
  size_t bytes_max;
  Result<ConfResult<KeySetPtr>, int> operator()() const {
    auto text = read_small_file(path, bytes_max + 1);
    if (!text) return errno;
    if (text->size() > bytes_max) return ConfResult<KeySetPtr>(format("more than {} bytes", bytes_max));
    return parse_key_set(*text);
  }
};

}  // namespace

Task<KeySetPtr> KeyStore::from_file(Request& request, std::string path, KeyLimits limits) {
  SourcePtr source = find("file " + path);
  if (is_young(*source, limits)) co_return source->keys;
  FileMark mark = FileMark::of(path);
  if (source->keys && limits.cache_ms == 0 && mark == source->mark) co_return source->keys;
  while (source->is_loading) {
    bool ended = co_await wait_for_load(source);
    if (ended) co_return source->keys;
  }
  Loading loading(*source);
  auto reading = blocking(worker_.files(), ReadKeys{path, limits.bytes_max});
  auto read = co_await reading;
  if (!read) co_return take(request, *source, path, std::string(read.error().what));
  if (!*read) {
    request.logger.error(Errno{read->error()}, "open() \"{}\" failed", path);
    co_return take(request, *source, path, std::string("the file cannot be read"));
  }
  source->mark = mark;
  co_return take(request, *source, path, std::move(**read));
}

// What the location said.
static ConfResult<KeySetPtr> parse_response(const Subrequest& asked, size_t bytes_max) {
  if (asked.status() != 200) return format("status {}", asked.status());
  if (asked.is_cut()) return format("a response of more than {} bytes, or one that broke off", bytes_max);
  std::string text;
  for (size_t i = 0; i < asked.body().count(); ++i) text += asked.body()[i].view();
  return parse_key_set(text);
}

Task<KeySetPtr> KeyStore::from_request(Request& request, std::string uri, KeyLimits limits) {
  bool is_kept = limits.cache_ms > 0;
  SourcePtr source = find(format("{} {} {}", is_kept ? "request" : "asked", reinterpret_cast<uintptr_t>(request.server), uri));
  if (is_young(*source, limits)) co_return source->keys;
  while (is_kept && source->is_loading) {
    bool ended = co_await wait_for_load(source);
    if (ended) co_return source->keys;
  }
  Loading loading(*source);
  auto target = parse_subrequest_target(uri, request.arena());
  if (!target) co_return take(request, *source, uri, std::string("invalid URI"));
  SubrequestPlan plan;
  plan.uri = target->uri;
  plan.args = target->args;
  plan.copies_fields = false;  // what the client may have of it, or in which coding, does not count
  plan.response_bytes_max = limits.bytes_max;
  Subrequest asked(request, plan);
  co_await asked.run();
  co_return take(request, *source, uri, parse_response(asked, limits.bytes_max));
}

}  // namespace fairlead::http::auth_jwt
