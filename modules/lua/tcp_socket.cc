// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/tcp_socket.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "core/base/format.h"
#include "event/net/connector.h"
#include "event/net/room.h"
#include "event/tls/peer.h"
#include "event/worker.h"
#include "modules/lua/counted.h"
#include "modules/lua/if_cancelled.h"
#include "modules/lua/socket_names.h"

namespace fairlead::lua {

// -- pools --

std::shared_ptr<SocketPool> SocketPools::find(const std::string& name) const {
  auto found = pools_.find(name);
  return found == pools_.end() ? nullptr : found->second;
}

std::shared_ptr<SocketPool> SocketPools::open(const std::string& name, const PoolShape& shape) {
  if (auto known = find(name)) return known;
  if (pools_.size() >= drop_at_) drop_unused();
  auto made = std::make_shared<SocketPool>(worker_.loop(), shape);
  PoolLimits limits;
  limits.idle_max = shape.size;
  limits.requests_max = limits.age_max_ms = UINT64_MAX;
  made->idle.set_limits(limits);
  pools_.emplace(name, made);
  return made;
}

void SocketPools::drop_unused() {
  std::erase_if(pools_, [](const auto& each) { return each.second.use_count() == 1 && each.second->idle.idle_count() == 0; });
  drop_at_ = std::max<size_t>(64, 2 * pools_.size());
}

// -- the socket --

// Empty: the socket has a place in the pool.
Task<std::string> TcpSocket::take_place(SocketPool& pool, uint64_t deadline_ms) {
  if (pool.places.try_acquire()) co_return std::string();
  if (pool.waiting >= pool.shape.backlog) co_return "too many waiting connect operations";
  Counted waiting(pool.waiting);
  WaitStatus status = co_await pool.places.acquire(deadline_ms);
  if (status == WaitStatus::ready) co_return std::string();
  failure = "lua tcp socket queued connect timed out";
  co_return "timeout";
}

Task<std::string> TcpSocket::connect(ConnectTo to) {
  BusyFlag busy(is_connecting);
  drop();
  has_read_all = false;
  failure.clear();
  pool_ = to.pool;
  uint64_t deadline = worker_.loop().deadline(timeouts.connect_ms);
  SocketPools& pools = worker_.state<SocketPools>();
  std::shared_ptr<SocketPool> pool = to.shape ? pools.open(pool_, *to.shape) : pools.find(pool_);
  if (pool && pool->shape.backlog != PoolShape::no_backlog) {
    std::string wrong = co_await take_place(*pool, deadline);
    if (!wrong.empty()) co_return std::move(wrong);
    place_in_pool_ = PoolPlace(pool);
  }
  if (pool) connection_ = pool->idle.take(PoolKey::of(pool_));
  if (connection_) co_return std::string();
  IfCancelled cancelled([this] { drop(); });  // for the place in the pool
  std::string wrong = co_await open(std::move(to), deadline);
  cancelled.pass();
  if (!wrong.empty()) drop();
  co_return std::move(wrong);
}

Task<std::string> TcpSocket::open(ConnectTo to, uint64_t deadline_ms) {
  Addr address;
  SocketName name{std::move(to.host), to.port, deadline_ms};
  std::string wrong = co_await find_address(worker_, place_, std::move(name), address);
  if (!wrong.empty()) co_return std::move(wrong);
  bool is_room = co_await find_room(worker_);
  if (!is_room) co_return std::string(no_room_text);
  ConnectionSlot slot(worker_);
  PoolKey key = PoolKey::of(pool_);
  auto connected = co_await fairlead::connect(worker_.loop(), address, options, key, deadline_ms);
  if (!connected) {
    if (connected.error().sys) failure = log_text_of(connected.error());
    co_return text_of(connected.error());
  }
  connection_ = std::move(*connected);
  connection_->slot = std::move(slot);
  co_return std::string();
}

// -- TLS --

SSL* TcpSocket::ssl() const {
  if (!connection_) return nullptr;
  // Only secure() puts a layer on a connection of ours.
  auto* tls = connection_->connection.has_layer() ? static_cast<TlsTransport*>(&connection_->connection.transport()) : nullptr;
  return tls ? &tls->ssl() : nullptr;
}

std::string TcpSocket::verify(SSL& ssl, const SecureWith& with) const {
  X509* shown = SSL_get0_peer_certificate(&ssl);
  if (!shown) return "no peer certificate";
  VerifyResult result = verify_result(ssl);
  if (!result.is_good()) return format("{}: {}", result.code, result.text());
  if (with.name.empty() || has_name(*shown, with.name)) return {};
  return "certificate host mismatch";
}

// The first thing wrong with a chain is what scripts are told; the handshake goes on all the same.
static int stop_at_first(int good, X509_STORE_CTX*) { return good; }

// Certificates and keys are shared by count: what a script was given by ngx.ssl stays its own.
static bool use_certificate(SSL& ssl, const KeyPair& pair) {
  if (!pair.key) return true;
  bool good = SSL_use_certificate(&ssl, pair.certificate.get()) == 1;
  for (size_t i = 0; good && i < pair.chain.size(); ++i) good = SSL_add1_chain_cert(&ssl, pair.chain[i].get()) == 1;
  return good && SSL_use_PrivateKey(&ssl, pair.key.get()) == 1;
}

Task<std::string> TcpSocket::secure(TlsClient& tls, SecureWith with) {
  if (ssl()) co_return std::string();
  BusyFlag busy(is_connecting);
  SslPtr made(SSL_new(tls.current()));
  if (!made) co_return "SSL_new() failed";
  SSL_set_connect_state(made.get());
  SSL_set_verify(made.get(), SSL_VERIFY_NONE, &stop_at_first);
  if (!with.name.empty() && !is_address_text(with.name)) SSL_set_tlsext_host_name(made.get(), with.name.c_str());
  if (with.session) SSL_set_session(made.get(), with.session.get());
  if (with.asks_for_status) SSL_set_tlsext_status_type(made.get(), TLSEXT_STATUSTYPE_ocsp);
  if (with.trusted) SSL_set1_verify_cert_store(made.get(), with.trusted.get());
  if (!use_certificate(*made, certificate)) {
    take_openssl_errors();
    co_return "bad client certificate or key";
  }
  constexpr size_t record_bytes = 16384;
  Connection& over = connection_->connection;
  auto layer = std::make_unique<TlsTransport>(over.transport(), std::move(made), record_bytes);
  TlsTransport& transport = *layer;
  // What came in the clear and was not read: nobody vouches for it, it must not be read later as what the peer sent over TLS.
  over.consume(over.unread().size());
  over.release_if_empty();
  over.add_layer(std::move(layer));
  // From here on ssl() is there: what was not verified must not be taken for what was.
  IfCancelled cancelled([this] { drop(); });
  auto done = co_await transport.handshake(nullptr, worker_.loop().deadline(timeouts.connect_ms));
  cancelled.pass();
  std::string wrong;
  if (!done) wrong = done.error().fault == Fault::timeout ? "timeout" : "handshake failed";
  else if (with.verifies) wrong = verify(transport.ssl(), with);
  if (!done) failure = transport.failure().empty() ? log_text_of(done.error()) : transport.failure();
  if (!wrong.empty()) drop();
  co_return std::move(wrong);
}

// -- bytes --

// The other direction may still wait for the connection: who ends last drops it.
void TcpSocket::lose(bool& own_part) {
  own_part = false;
  lost_ = is_reading || is_writing;
  if (!lost_) drop();
}

Task<std::string> TcpSocket::send(Chain bytes) {
  BusyFlag busy(is_writing);
  IfCancelled cancelled([this] { lose(is_writing); });
  StreamOutcome sent = co_await send_to(connection_->connection, *this, std::move(bytes));
  cancelled.pass();
  if (sent.is_over || lost_) lose(is_writing);
  co_return std::move(sent.wrong);
}

Task<std::string> TcpSocket::receive(ReadStep& step) {
  BusyFlag busy(is_reading);
  IfCancelled cancelled([this] { lose(is_reading); });
  StreamOutcome got = co_await receive_from(connection_->connection, *this, step);
  cancelled.pass();
  has_read_all = got.is_over && (step.kind() != Reading::Kind::all || got.wrong != "closed");
  if (lost_) lose(is_reading);
  co_return std::move(got.wrong);
}

// What came meanwhile, and nobody asked for.
std::string TcpSocket::why_dubious() const {
  Connection& held = connection_->connection;
  if (has_read_all) return "closed";
  if (!held.unread().empty()) return "unread data in buffer";
  if (held.is_broken()) return "connection in dubious state";
  if (held.has_layer()) return {};  // a session ticket may lie there
  char byte;
  ssize_t got = recv(held.watch().fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got > 0) return "connection in dubious state";
  return got == 0 || (errno != EAGAIN && errno != EINTR) ? "closed" : std::string();
}

std::string TcpSocket::keep(uint64_t idle_ms, size_t size) {
  std::string wrong = why_dubious();
  if (!wrong.empty() && connection_->connection.unread().empty()) drop();
  if (!wrong.empty()) return wrong;
  ++connection_->requests;
  auto pool = worker_.state<SocketPools>().open(pool_, PoolShape{size, PoolShape::no_backlog});
  constexpr uint64_t for_ever = uint64_t{1} << 40;
  pool->idle.put(std::move(connection_), KeepLimits{.idle_timeout_ms = idle_ms ? idle_ms : for_ever});
  place_in_pool_.leave();
  return {};
}

}  // namespace fairlead::lua
