// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/connect.h"

#include "http/request/request.h"

namespace fairlead::http {

constinit const ConnectProtocol connect_protocol;

namespace {

class ConnectExchange final : public PeerExchange {
 public:
  ConnectExchange(const PeerCall& call, std::unique_ptr<PooledConnection> connection)
      : peer_(std::move(connection), call.target), head_(call.reply) {}

  Progress pump(Body&) override { return Progress::done; }
  Error send_error() const override { return Error(); }
  bool has_pulled_body() const override { return false; }
  HeadPoll poll_head() override {
    head_.status = 200;
    return HeadPoll::done;
  }
  Error head_error() const override { return Error(); }
  Body& body() override { return none_; }
  PeerWait readable(uint64_t deadline_ms) override { return PeerWait(peer_->watch(), Direction::read, deadline_ms); }
  PeerWait writable(uint64_t deadline_ms) override { return PeerWait(peer_->watch(), Direction::write, deadline_ms); }
  bool has_hung_up() const override { return peer_->watch().has_hung_up(); }
  bool is_reused() const override { return false; }
  bool is_stale() const override { return false; }
  bool is_unread() const override { return false; }
  uint64_t sent_bytes() const override { return peer_.sent_bytes(); }
  uint64_t received_bytes() const override { return peer_.received_bytes(); }
  Connection* tunnel() override { return &*peer_; }
  const char* end(bool) override {
    peer_.give_back(false);
    return nullptr;
  }

 private:
  PeerConnection peer_;
  ResponseHead& head_;
  EmptyBody none_;
};

}  // namespace

PeerExchange* ConnectProtocol::make(const PeerCall& call, std::unique_ptr<PooledConnection> connection) const {
  return call.place.make<ConnectExchange>(call.arena, call, std::move(connection));
}

}  // namespace fairlead::http
