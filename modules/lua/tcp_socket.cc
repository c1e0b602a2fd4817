// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/tcp_socket.h"

#include "core/base/format.h"
#include "event/net/connector.h"
#include "event/tls/peer.h"
#include "event/worker.h"
#include "modules/lua/socket_names.h"

namespace fairlead::lua {

// -- pools --

std::unique_ptr<PooledConnection> SocketPools::take(const std::string& name) {
  auto found = pools_.find(name);
  return found == pools_.end() ? nullptr : found->second->idle.take(PoolKey::of(found->first));
}

void SocketPools::put(const std::string& name, std::unique_ptr<PooledConnection> idle, uint64_t idle_ms, size_t size) {
  auto found = pools_.find(name);
  if (found == pools_.end()) {
    found = pools_.emplace(name, std::make_unique<Pool>(worker_.loop(), PoolLimits())).first;
    found->second->size = size;
  }
  PoolLimits limits;
  limits.idle_max = found->second->size;
  limits.idle_timeout_ms = idle_ms ? idle_ms : uint64_t{1} << 40;
  limits.requests_max = limits.age_max_ms = UINT64_MAX;
  found->second->idle.set_limits(limits);
  found->second->idle.put(std::move(idle));
}

// -- the socket --

Task<std::string> TcpSocket::connect(ConnectTo to) {
  BusyFlag busy(is_connecting);
  connection_ = worker_.state<SocketPools>().take(to.pool);
  pool_ = to.pool;
  if (connection_) co_return std::string();
  uint64_t deadline = worker_.loop().deadline(timeouts.connect_ms);
  Addr address;
  SocketName name{std::move(to.host), to.port, deadline};
  std::string wrong = co_await find_address(worker_, place_, std::move(name), address);
  if (!wrong.empty()) co_return std::move(wrong);
  PoolKey key = PoolKey::of(pool_);
  auto connected = co_await fairlead::connect(worker_.loop(), address, options, key, deadline);
  if (!connected) co_return text_of(connected.error());
  connection_ = std::move(*connected);
  connection_->slot = ConnectionSlot(worker_);
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
  if (!use_certificate(*made, certificate)) {
    take_openssl_errors();
    co_return "bad client certificate or key";
  }
  constexpr size_t record_bytes = 16384;
  Connection& over = connection_->connection;
  auto layer = std::make_unique<TlsTransport>(over.transport(), std::move(made), record_bytes);
  TlsTransport& transport = *layer;
  over.add_layer(std::move(layer));
  auto done = co_await transport.handshake(nullptr, worker_.loop().deadline(timeouts.connect_ms));
  std::string wrong;
  if (!done) wrong = done.error().fault == Fault::timeout ? "timeout" : done.error().fault == Fault::closed ? "closed" : "handshake failed";
  else if (with.verifies) wrong = verify(transport.ssl(), with);
  if (!done && !transport.failure().empty()) failure = transport.failure();
  if (!wrong.empty()) connection_.reset();
  co_return std::move(wrong);
}

// -- bytes --

// The other direction may still wait for the connection: who ends last drops it.
void TcpSocket::lose(bool& own_part) {
  own_part = false;
  lost_ = is_reading || is_writing;
  if (!lost_) connection_.reset();
}

Task<std::string> TcpSocket::send(Chain bytes) {
  BusyFlag busy(is_writing);
  StreamOutcome sent = co_await send_to(connection_->connection, *this, std::move(bytes));
  if (sent.is_over || lost_) lose(is_writing);
  co_return std::move(sent.wrong);
}

Task<std::string> TcpSocket::receive(ReadStep& step) {
  BusyFlag busy(is_reading);
  StreamOutcome got = co_await receive_from(connection_->connection, *this, step);
  if (got.is_over || lost_) lose(is_reading);
  co_return std::move(got.wrong);
}

std::string TcpSocket::keep(uint64_t idle_ms, size_t size) {
  Connection& held = connection_->connection;
  if (!held.unread().empty()) return "unread data in buffer";
  if (held.is_broken()) return "connection in dubious state";
  ++connection_->requests;
  worker_.state<SocketPools>().put(pool_, std::move(connection_), idle_ms, size);
  return {};
}

}  // namespace fairlead::lua
