// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/upstream_sticky/learn.h"

#include <algorithm>
#include <cstring>

#include "core/base/hash.h"
#include "core/shm/table.h"
#include "core/upstream/peer.h"
#include "http/request/request.h"

namespace fairlead::upstream_sticky {
namespace {

constexpr size_t route_bytes_max = 32;
// How many sessions that are over one request clears away.
constexpr int expired_most = 4;

struct Learnt {
  uint64_t used_ms;  // CLOCK_MONOTONIC, which all processes share
  uint32_t route_bytes;
  char route[route_bytes_max];
};
using LearntSessions = ShmTable<Learnt>;

std::string_view key_of(const Md5& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

}  // namespace

std::string_view first_text(const std::vector<Template>& texts, Session& session) {
  for (const Template& text : texts) {
    std::string_view value = text.evaluate(session);
    if (!value.empty()) return value;
  }
  return {};
}

std::string_view LearnBinder::bound_route(Session& session) const {
  std::string_view id = first_text(settings_.lookup, session);
  if (id.empty()) return {};
  http::Request& request = http::as_request(session);
  Md5 digest = md5(id);
  uint64_t now_ms = request.loop().now_ms();
  ShmLockGuard guard = settings_.zone->lock();
  const Learnt* known = LearntSessions::in(*settings_.zone).find(key_of(digest));
  if (!known || known->used_ms + settings_.timeout_ms < now_ms) return {};
  return request.arena().copy({known->route, known->route_bytes});
}

// A request of a known session keeps it alive, and moves it if it was served elsewhere; only `create` begins one.
void LearnBinder::learn(Session& session, const Peer& peer) const {
  std::string_view created = first_text(settings_.create, session);
  std::string_view id = created.empty() ? first_text(settings_.lookup, session) : created;
  if (id.empty()) return;
  Md5 digest = md5(id);
  uint64_t now_ms = http::as_request(session).loop().now_ms();
  ShmLockGuard guard = settings_.zone->lock();
  LearntSessions& sessions = LearntSessions::in(*settings_.zone);
  sessions.expire(expired_most, [&](const Learnt& old) { return old.used_ms + settings_.timeout_ms < now_ms; });
  Learnt* known = sessions.find(key_of(digest));
  if (known) sessions.touch(known);
  else if (!created.empty()) known = sessions.find_or_insert(key_of(digest)).value;
  if (!known) return;
  known->used_ms = now_ms;
  known->route_bytes = static_cast<uint32_t>(std::min(peer.spec.route.size(), route_bytes_max));
  std::memcpy(known->route, peer.spec.route.data(), known->route_bytes);
}

}  // namespace fairlead::upstream_sticky
