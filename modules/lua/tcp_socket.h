// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// TcpSocket: a connection that a script opened (ngx.socket.tcp), without Lua: connecting, TLS, and the pools of idle ones.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

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

// Idle connections by the name of their pool; each pool has the size that its first user gave it. State of the worker.
class SocketPools {
 public:
  explicit SocketPools(Worker& worker) : worker_(worker) {}
  std::unique_ptr<PooledConnection> take(const std::string& name);
  void put(const std::string& name, std::unique_ptr<PooledConnection> idle, uint64_t idle_ms, size_t size);

 private:
  struct Pool {
    Pool(Loop& loop, const PoolLimits& limits) : idle(loop, limits) {}
    ConnPool idle;
    size_t size = 0;
  };
  Worker& worker_;
  std::unordered_map<std::string, std::unique_ptr<Pool>> pools_;
};

struct ConnectTo {
  std::string host;     // as given; or "unix:/path"
  uint16_t port = 0;
  std::string pool;     // the name of the pool
};

// What a handshake is to be.
struct SecureWith {
  SslSessionPtr session;     // to be resumed
  std::string name;          // sent, and wanted in the certificate; empty: none
  bool verifies = false;
  bool asks_for_status = false;
};

class TcpSocket final : public ByteSocket {
 public:
  static constexpr const char* type_name = "fairlead.tcp";

  // `owner`: the request or run; `place`: whose `resolver` is asked.
  TcpSocket(Worker& worker, const Block& place, const void* owner) : ByteSocket(owner), worker_(worker), place_(place) {}

  // The reason of a failure, as scripts see it; empty: it went well.
  Task<std::string> connect(ConnectTo to);
  // A handshake as its client, with the context of `tls`. A connection that is over TLS already stays as it is.
  Task<std::string> secure(TlsClient& tls, SecureWith with);
  Task<std::string> receive(ReadStep& step) override;
  Task<std::string> send(Chain bytes) override;
  // Into its pool; empty: done.
  std::string keep(uint64_t idle_ms, size_t size);

  bool is_open() const override { return connection_ && !lost_; }
  void close() override { connection_.reset(); }
  uint64_t reused() const { return connection_->requests; }
  Connection& connection() { return connection_->connection; }
  // nullptr: the connection is in the clear.
  SSL* ssl() const;

  ConnectOptions options;
  std::string failure;  // of the last handshake, in OpenSSL's words, for the log
  KeyPair certificate;  // shown to peers in place of the configuration's; without a key: none

 private:
  std::string verify(SSL& ssl, const SecureWith& with) const;
  void lose(bool& own_part);

  Worker& worker_;
  const Block& place_;
  std::string pool_;
  std::unique_ptr<PooledConnection> connection_;
  bool lost_ = false;  // it ended while the other direction was at work
};

}  // namespace fairlead::lua
