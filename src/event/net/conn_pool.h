// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ConnPool: idle connections to upstreams, of one worker. The key says everything that makes two connections interchangeable: address, TLS
// identity, protocol, local address. An idle connection holds no buffer; it leaves the pool when the peer closes it, sends
// anything unasked, its time is up, or the pool is full (the longest idle goes first).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/list.h"
#include "event/net/connection.h"
#include "event/worker.h"

namespace fairlead {

// What a connection must be to serve an attempt. `text` must outlive the use; the pool keeps a copy of its own.
struct PoolKey {
  std::string_view text;
  uint64_t hash = 0;  // hash_bytes() of it
  static PoolKey of(std::string_view text);
};

struct PoolLimits {
  size_t idle_max = 32;                 // connections; 0: nothing is kept
  uint64_t idle_timeout_ms = 60'000;
  uint64_t requests_max = 1000;         // per connection
  uint64_t age_max_ms = 3'600'000;      // a connection older than this is closed after its request
};

// What one connection is kept by instead of the pool's limits. 0: the pool's.
struct KeepLimits {
  uint64_t idle_timeout_ms = 0;
  uint64_t requests_max = 0;
};

class ConnPool;
class Worker;

// A connection to an upstream with what the pool knows of it. Owned by the attempt while in use, by the pool while idle.
class PooledConnection {
 public:
  PooledConnection(Watch* watch, PoolKey key) : connection(watch, Side::upstream), key_text_(key.text), key_hash_(key.hash) {
    created_ms_ = connection.loop().now_ms();
  }
  // Over another transport than a socket, which it owns (simulations).
  PooledConnection(std::unique_ptr<Transport> transport, PoolKey key)
      : transport_(std::move(transport)), connection(*transport_, Side::upstream), key_text_(key.text), key_hash_(key.hash) {
    created_ms_ = connection.loop().now_ms();
  }

 private:
  std::unique_ptr<Transport> transport_;  // null over a socket

 public:
  Connection connection;
  ConnectionSlot slot;           // taken before it was connected
  uint64_t requests = 0;         // finished on it, the current one not counted
  bool is_reused() const { return requests > 0; }

 private:
  friend class ConnPool;
  struct LruLink : Link { PooledConnection* owner = nullptr; } lru_;
  struct BucketLink : Link { PooledConnection* owner = nullptr; } bucket_;
  std::string key_text_;
  uint64_t key_hash_;
  uint64_t created_ms_;
  uint64_t expires_ms_ = 0;  // while idle
  struct Alert : Resumable {
    explicit Alert(PooledConnection& of);
    PooledConnection& owner;
    ConnPool* pool = nullptr;  // while idle
  } alert_{*this};
};

class ConnPool final : public IdlePeers {
 public:
  ConnPool(Loop& loop, const PoolLimits& limits) : loop_(loop), limits_(limits), timer_(this) {}
  ~ConnPool() { clear(); }
  ConnPool(const ConnPool&) = delete;
  ConnPool& operator=(const ConnPool&) = delete;

  // The most recently used idle connection of this key, or nullptr. Plain: tried before any Task is made.
  std::unique_ptr<PooledConnection> take(PoolKey key);
  // After a complete exchange: keeps it if the limits allow, else closes it. It must hold no unread byte and not be broken.
  void put(std::unique_ptr<PooledConnection> idle, KeepLimits own = {});
  // Closes all idle connections (drain, changed configuration).
  void clear();
  Room close_oldest() override;
  size_t idle_count() const override { return idle_; }
  const PoolLimits& limits() const { return limits_; }
  void set_limits(const PoolLimits& limits) { limits_ = limits; }

 private:
  friend class PooledConnection;
  static constexpr size_t bucket_count = 32;
  struct OwnTimer : Timer {
    explicit OwnTimer(ConnPool* owner) : Timer([](Timer& t) { static_cast<OwnTimer&>(t).pool->close_expired(); }), pool(owner) {}
    ConnPool* pool;
  };
  static void on_event(Resumable& self);
  std::unique_ptr<PooledConnection> remove(PooledConnection* idle);
  void close_expired();
  void check_at(uint64_t at_ms);

  Loop& loop_;
  PoolLimits limits_;
  size_t idle_ = 0;
  List<PooledConnection::LruLink> lru_;  // the longest idle first
  uint64_t next_check_ms_ = 0;  // what the timer is armed for
  OwnTimer timer_;
  List<PooledConnection::BucketLink> buckets_[bucket_count];  // the most recent first
};

}  // namespace fairlead
