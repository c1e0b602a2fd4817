// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// TcpSocket: a connection that a script opened (ngx.socket.tcp), without Lua: connecting, TLS, and the pools of idle ones.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "event/loop/sync.h"
#include "event/net/conn_pool.h"
#include "event/net/socket.h"
#include "event/tls/client.h"
#include "event/tls/pem.h"
#include "modules/lua/byte_socket.h"

namespace fairlead {
class Block;
class Worker;
}  // namespace fairlead

namespace fairlead::lua {

// What the first user of a pool says of it.
struct PoolShape {
  static constexpr size_t no_backlog = SIZE_MAX;
  size_t size = 0;
  // How many may wait for one of `size` connections, idle or in use; no_backlog: those in use are not counted.
  size_t backlog = no_backlog;
};

// Idle connections of one name and, if it has a backlog, the places of those in use. Places keep it alive.
struct SocketPool {
  SocketPool(Loop& loop, const PoolShape& of) : idle(loop, PoolLimits()), places(loop, of.size), shape(of) {}
  ConnPool idle;
  Semaphore places;
  const PoolShape shape;
  size_t waiting = 0;  // for a place
};

// One connection's place in its pool; the next who waits gets it when this ends.
class PoolPlace {
 public:
  PoolPlace() = default;
  explicit PoolPlace(std::shared_ptr<SocketPool> of) : pool_(std::move(of)) {}
  PoolPlace(PoolPlace&& other) noexcept = default;
  PoolPlace& operator=(PoolPlace&& other) noexcept {
    leave();
    pool_ = std::move(other.pool_);
    return *this;
  }
  ~PoolPlace() { leave(); }
  void leave() {
    if (auto left = std::move(pool_)) left->places.release();
  }

 private:
  std::shared_ptr<SocketPool> pool_;
};

// The pools by name; each has the shape that its first user gave it. State of the worker.
class SocketPools {
 public:
  explicit SocketPools(Worker& worker) : worker_(worker) {}
  // nullptr: nobody made it yet.
  std::shared_ptr<SocketPool> find(const std::string& name) const;
  // Makes it, unless it is there already.
  std::shared_ptr<SocketPool> open(const std::string& name, const PoolShape& shape);

 private:
  void drop_unused();
  Worker& worker_;
  std::unordered_map<std::string, std::shared_ptr<SocketPool>> pools_;
  size_t drop_at_ = 64;  // pools that hold nothing are looked for when there are so many
};

struct ConnectTo {
  std::string host;     // as given; or "unix:/path"
  uint16_t port = 0;
  std::string pool;     // the name of the pool
  std::optional<PoolShape> shape;  // the pool is made now; else with the first connection that is kept
};

// What a handshake is to be.
struct SecureWith {
  SslSessionPtr session;     // to be resumed
  std::string name;          // sent, and wanted in the certificate; empty: none
  bool verifies = false;
  bool asks_for_status = false;
  X509StorePtr trusted;       // against which it is verified, in place of the configuration's
};

class TcpSocket final : public ByteSocket {
 public:
  static constexpr char type_name[] = "fairlead.tcp";

  // `owner`: the request or run; `place`: whose `resolver` is asked.
  TcpSocket(Worker& worker, const Block& place, const void* owner) : ByteSocket(owner), worker_(worker), place_(place) {}

  // The reason of a failure, as scripts see it; empty: it went well.
  Task<std::string> connect(ConnectTo to);
  // A handshake as its client, with the context of `tls`. A connection that is over TLS already stays as it is.
  Task<std::string> secure(TlsClient& tls, SecureWith with);
  Task<std::string> receive(ReadStep& step) override;
  Task<std::string> send(Chain bytes) override;
  // Whether its pool is there already, whose shape no longer changes.
  bool has_pool() const { return worker_.state<SocketPools>().find(pool_) != nullptr; }
  // Into its pool; empty: done.
  std::string keep(uint64_t idle_ms, size_t size);

  bool is_open() const override { return connection_ && !lost_; }
  // Not while it connects, reads or writes.
  void close() override { drop(); }
  // Whether connect() was called at all.
  bool was_connected() const { return !pool_.empty(); }
  uint64_t reused() const { return connection_->requests; }
  Connection& connection() { return connection_->connection; }
  // nullptr: the connection is in the clear.
  SSL* ssl() const;

  ConnectOptions options;
  KeyPair certificate;  // shown to peers in place of the configuration's; without a key: none
  X509StorePtr trusted;  // for the next handshake alone

 private:
  Task<std::string> take_place(SocketPool& pool, uint64_t deadline_ms);
  Task<std::string> open(ConnectTo to, uint64_t deadline_ms);
  std::string verify(SSL& ssl, const SecureWith& with) const;
  std::string why_dubious() const;
  void lose(bool& own_part);
  void drop() {
    lost_ = false;
    connection_.reset();
    place_in_pool_.leave();
  }

  Worker& worker_;
  const Block& place_;
  std::string pool_;
  PoolPlace place_in_pool_;
  std::unique_ptr<PooledConnection> connection_;
  bool lost_ = false;  // one direction ended it or was cancelled while the other is at work
};

}  // namespace fairlead::lua
