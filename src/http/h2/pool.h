// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PeerPool: the HTTP/2 connections to peers of one worker, each shared by many streams. A lease is the right to one stream. Who finds no
// room waits in order of arrival, while a connection is made if there may be one more. Each connection is run by a task of the pool's own
// nursery, so no request's end touches it; it lives until its last lease is given back. State of the worker (Worker::state<PeerPool>).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/base/list.h"
#include "event/loop/nursery.h"
#include "event/worker.h"
#include "http/h2/peer_conf.h"
#include "http/h2/session.h"
#include "http/request/peer_exchange.h"

namespace fairlead::http::h2 {

class PeerLink;
class PeerGroup;

// The right to one stream on `session()`, which it keeps alive.
class StreamLease {
 public:
  StreamLease() = default;
  explicit StreamLease(PeerLink& link);  // counts it
  StreamLease(StreamLease&& other) noexcept : link_(std::exchange(other.link_, nullptr)), reused_(other.reused_) {}
  StreamLease& operator=(StreamLease&& other) noexcept {
    if (this != &other) {
      give_back();
      link_ = std::exchange(other.link_, nullptr);
      reused_ = other.reused_;
    }
    return *this;
  }
  ~StreamLease() { give_back(); }
  explicit operator bool() const { return link_ != nullptr; }
  Session& session() const;
  // Another stream was opened on it before.
  bool is_reused() const { return reused_; }
  // co_await: until the peer's settings are known, or its connection has ended.
  Event::Wait settled(uint64_t deadline_ms);
  bool has_settings() const;
  void give_back();

 private:
  PeerLink* link_ = nullptr;
  bool reused_ = false;
};

// Of a handshake with questions (TlsTarget): its answers would hold for all requests that share the connection.
Error unasked_error();
// Of a handshake in which the peer did not choose HTTP/2, though it did before (forward/alpn.h).
Error unchosen_error();

class PeerPool final : public IdlePeers {
 public:
  explicit PeerPool(Worker& worker);
  ~PeerPool();
  PeerPool(const PeerPool&) = delete;
  PeerPool& operator=(const PeerPool&) = delete;

  // `target.limits` is set, here and below. Room on a connection that is there and that nobody waits for; else an empty lease.
  StreamLease try_lease(const AttemptTarget& target);
  // Waits for room, or for a connection. Errors: those of connect(), timeout at `deadline_ms` (absolute, 0: none), exhausted.
  Task<Result<StreamLease>> lease(const AttemptTarget& target, uint64_t deadline_ms);
  // A connection that was made for `target` joins the others; the first lease on it, empty if it has ended at once.
  StreamLease adopt(const AttemptTarget& target, std::unique_ptr<PooledConnection> connection);
  // There are as many connections to it as there may be.
  bool is_full(const AttemptTarget& target) const;
  // There is a connection to it whose SETTINGS are not known yet, so that it may turn out to have room.
  bool is_settling(const AttemptTarget& target) const;
  // There is a connection to it, or one is on its way.
  bool has_connection(const AttemptTarget& target) const;
  // One more that waits for a lease would need a further connection.
  bool lacks_connection(const AttemptTarget& target) const;

  size_t connection_count() const { return links_.count(); }
  size_t idle_count() const override;
  Room close_oldest() override;

 private:
  friend class PeerGroup;
  PeerGroup& group_of(const PoolKey& key);
  const PeerGroup* find_group(const AttemptTarget& target) const;  // nullptr: none

  Worker& worker_;
  struct KeyHash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const { return std::hash<std::string_view>()(key); }
  };
  std::unordered_map<std::string, std::unique_ptr<PeerGroup>, KeyHash, std::equal_to<>> groups_;
  Nursery links_;  // behind the groups: their runners end first
};

}  // namespace fairlead::http::h2
