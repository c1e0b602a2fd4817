// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ConnectionProtocol: the part that is common to protocols with one exchange at a time on a connection (HTTP/1, FastCGI, ...): a kept
// connection or a new one, counted among the worker's, and back into the pool. PeerConnection is what their exchanges hold.
#pragma once

#include <memory>

#include "http/request/peer_exchange.h"

namespace fairlead::http {

// A connection while one exchange has it. Counts are of this exchange alone.
class PeerConnection {
 public:
  PeerConnection(std::unique_ptr<PooledConnection> connection, const AttemptTarget& target)
      : pooled_(std::move(connection)),
        target_(target),
        sent_before_(pooled_->connection.sent_bytes()),
        received_before_(pooled_->connection.received_bytes()) {}

  Connection& operator*() const { return pooled_->connection; }
  Connection* operator->() const { return &pooled_->connection; }
  bool is_reused() const { return pooled_->is_reused(); }
  // The peer's TCP acknowledged no byte of this exchange. Where the connection came to an orderly end, whose segment acknowledges all that
  // was received before, the peer cannot have read any; a reset acknowledges nothing and says nothing. A system call.
  bool is_unread() const;
  uint64_t sent_bytes() const { return pooled_->connection.sent_bytes() - sent_before_; }
  uint64_t received_bytes() const { return pooled_->connection.received_bytes() - received_before_; }
  // Into the pool if `reusable`, else closed. This object is empty then.
  void give_back(bool reusable);

 private:
  std::unique_ptr<PooledConnection> pooled_;
  const AttemptTarget& target_;
  uint64_t sent_before_, received_before_;  // of the connection, when it was taken
};

// The error where find_room() found none for `call`; the log is told.
Error no_room(const PeerCall& call);
// A new connection for `call`, counted among the worker's. Errors: those of connect(), no_room().
Task<Result<std::unique_ptr<PooledConnection>>> connect_peer(PeerCall call, uint64_t deadline_ms);

class ConnectionProtocol : public PeerProtocol {
 public:
  using PeerProtocol::PeerProtocol;
  PeerExchange* try_open(const PeerCall& call) const final;
  Task<Result<PeerExchange*>> open(PeerCall call, uint64_t deadline_ms) const final;

 protected:
  ~ConnectionProtocol() = default;
  // An exchange in call.place.
  virtual PeerExchange* make(const PeerCall& call, std::unique_ptr<PooledConnection> connection) const = 0;
};

}  // namespace fairlead::http
