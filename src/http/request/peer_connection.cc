// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/peer_connection.h"

#include "event/net/connector.h"
#include "event/net/room.h"
#include "event/worker.h"
#include "http/request/request.h"

namespace fairlead::http {

bool PeerConnection::is_unread() const {
  if (!target_.address || !target_.address->is_ip()) return false;
  auto bytes = acknowledged_bytes(pooled_->connection.watch().fd());
  return bytes && *bytes <= sent_before_ + 1;  // the handshake's SYN counts as one
}

void PeerConnection::give_back(bool reusable) {
  if (reusable && target_.pool) {
    ++pooled_->requests;
    target_.pool->put(std::move(pooled_), target_.keep);
  }
  pooled_.reset();
}

PeerExchange* ConnectionProtocol::try_open(const PeerCall& call) const {
  if (!call.target.pool || call.target.is_fresh) return nullptr;
  auto kept = call.target.pool->take(call.target.key);
  return kept ? make(call, std::move(kept)) : nullptr;
}

Error no_room(const PeerCall& call) {
  call.logger.error("{} worker_connections are not enough while connecting to upstream", call.worker.limits().connections_max);
  return Error{Fault::exhausted, Side::local, 0, "no connection is free"};
}

Task<Result<std::unique_ptr<PooledConnection>>> connect_peer(PeerCall call, uint64_t deadline_ms) {
  Worker& worker = call.worker;
  const AttemptTarget& target = call.target;
  bool is_room = co_await find_room(worker);
  if (!is_room) co_return no_room(call);
  ConnectionSlot slot(worker);
  auto connected = co_await connect(worker.loop(), *target.address, target.connect, target.key, deadline_ms);
  if (!connected) co_return connected.error();
  (*connected)->slot = std::move(slot);
  co_return std::move(*connected);
}

Task<Result<PeerExchange*>> ConnectionProtocol::open(PeerCall call, uint64_t deadline_ms) const {
  auto connected = co_await connect_peer(call, deadline_ms);
  if (!connected) co_return connected.error();
  co_return make(call, std::move(*connected));
}

}  // namespace fairlead::http
