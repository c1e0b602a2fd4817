// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/peer_connection.h"

#include "event/net/connector.h"
#include "event/net/upstreams.h"
#include "event/worker.h"
#include "http/h2/pool.h"
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

// Ends a connection to some peer that nobody uses: of the target's pool, of the fullest one, of HTTP/2 (then its place is free soon). None:
// there is none.
static Room close_idle(const PeerCall& call) {
  if (call.target.pool && call.target.pool->close_oldest()) return Room::free;
  Upstreams& upstreams = call.worker.state<Upstreams>();
  ConnPool* fullest = &upstreams.shared_pool();
  for (const auto& upstream : upstreams.all())
    if (upstream && upstream->pool.idle_count() > fullest->idle_count()) fullest = &upstream->pool;
  if (fullest->close_oldest()) return Room::free;
  return call.worker.state<h2::PeerPool>().close_oldest() ? Room::soon : Room::none;
}

Task<bool> find_room(const PeerCall& call) {
  constexpr int turns_max = 2;  // see Worker::make_room()
  for (int turn = 0; call.worker.make_room() != Room::free; ++turn) {
    while (close_idle(call) == Room::free)
      if (call.worker.has_room()) co_return true;
    if (turn == turns_max) {
      call.logger.error("{} worker_connections are not enough while connecting to upstream", call.worker.limits().connections_max);
      co_return false;
    }
    co_await Yield(call.worker.loop());
  }
  co_return true;
}

Task<Result<std::unique_ptr<PooledConnection>>> connect_peer(PeerCall call, uint64_t deadline_ms) {
  Worker& worker = call.worker;
  const AttemptTarget& target = call.target;
  bool is_room = co_await find_room(call);
  if (!is_room) co_return no_room;
  ConnectionSlot slot(worker);  // before the wait: whoever looks meanwhile must see it taken
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
