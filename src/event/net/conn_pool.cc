// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/conn_pool.h"

#include <algorithm>

#include "core/base/hash.h"
#include "core/base/text.h"
#include "event/worker.h"

namespace fairlead {

PooledConnection::Alert::Alert(PooledConnection& of) : Resumable(&ConnPool::on_event), owner(of) {}

PoolKey PoolKey::of(std::string_view text) { return PoolKey{text, hash_bytes(text)}; }

Room ConnPool::close_oldest() {
  auto* link = lru_.front();
  if (!link) return Room::none;
  remove(link->owner);
  return Room::free;
}

std::unique_ptr<PooledConnection> ConnPool::remove(PooledConnection* idle) {
  idle->lru_.unlink();
  idle->bucket_.unlink();
  idle->connection.watch().alert(nullptr);
  idle->alert_.unlink();
  --idle_;
  return std::unique_ptr<PooledConnection>(idle);
}

std::unique_ptr<PooledConnection> ConnPool::take(PoolKey key) {
  List<PooledConnection::BucketLink>& bucket = buckets_[key.hash % bucket_count];
  for (auto* link = bucket.front(); link; link = bucket.next(*link)) {
    PooledConnection* idle = link->owner;
    if (idle->key_hash_ != key.hash || !equal_short(idle->key_text_, key.text)) continue;
    // An event that has been seen but not handled yet says that the peer is gone: not this one.
    if (idle->connection.watch().has_hung_up() || idle->alert_.linked()) continue;
    return remove(idle);
  }
  return nullptr;
}

// Whether something came that nobody asked for (or the end). An edge that was told while the connection was in use is not told again, so it
// has to be looked for; a flag that is merely left over from a read that just fit costs one read.
static bool has_stray_bytes(Connection& connection) {
  constexpr size_t probe_bytes = 64;
  if (!connection.may_read()) return false;
  return connection.fill(probe_bytes).status != IoStatus::again;
}

void ConnPool::put(std::unique_ptr<PooledConnection> idle, KeepLimits own) {
  FL_ASSERT(idle->connection.unread().empty() && !idle->connection.is_broken());
  uint64_t now = loop_.now_ms();
  uint64_t requests_max = own.requests_max ? own.requests_max : limits_.requests_max;
  uint64_t timeout_ms = own.idle_timeout_ms ? own.idle_timeout_ms : limits_.idle_timeout_ms;
  if (limits_.idle_max == 0 || idle->requests >= requests_max || now - idle->created_ms_ >= limits_.age_max_ms ||
      idle->connection.watch().has_hung_up() || has_stray_bytes(idle->connection)) {
    return;
  }
  if (idle_ >= limits_.idle_max) remove(lru_.front()->owner);
  if (Worker* worker = idle->slot.worker(); worker && !linked()) worker->note_idle_peers(*this);
  idle->connection.release_if_empty();
  idle->expires_ms_ = timeout_ms ? now + timeout_ms : UINT64_MAX;
  PooledConnection* kept = idle.release();
  kept->lru_.owner = kept->bucket_.owner = kept;
  kept->alert_.pool = this;
  kept->connection.watch().alert(&kept->alert_, true);
  lru_.push_back(kept->lru_);
  buckets_[kept->key_hash_ % bucket_count].push_front(kept->bucket_);
  ++idle_;
  if (timeout_ms && (!timer_.armed() || kept->expires_ms_ < next_check_ms_)) check_at(kept->expires_ms_);
}

// The peer closed it, or sent something nobody asked for.
void ConnPool::on_event(Resumable& self) {
  auto& alert = static_cast<PooledConnection::Alert&>(self);
  alert.pool->remove(&alert.owner);
}

void ConnPool::check_at(uint64_t at_ms) {
  next_check_ms_ = at_ms;
  loop_.timers().arm(timer_, at_ms);
}

// Those with limits of their own may expire before others that are idle for longer: all are looked at, which are few.
void ConnPool::close_expired() {
  uint64_t now = loop_.now_ms(), next = UINT64_MAX;
  for (auto* link = lru_.front(); link;) {
    PooledConnection* idle = link->owner;
    link = lru_.next(*link);
    if (idle->expires_ms_ <= now) remove(idle);
    else next = std::min(next, idle->expires_ms_);
  }
  if (next != UINT64_MAX) check_at(next);
}

void ConnPool::clear() {
  while (auto* link = lru_.front()) remove(link->owner);
}

}  // namespace fairlead
