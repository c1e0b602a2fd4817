// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// HTTP/1 towards a peer: one exchange on a connection of its own. Plain calls; who waits is the forwarder.
#pragma once

#include "http/h1/body.h"
#include "http/h1/parse.h"
#include "http/h1/sender.h"
#include "http/request/peer_connection.h"

namespace fairlead::http::h1 {

class ClientExchange final : public PeerExchange {
 public:
  ClientExchange(const PeerCall& call, std::unique_ptr<PooledConnection> connection);

  Progress pump(Body& body) override { return sender_.pump(body); }
  Error send_error() const override { return sender_.error(); }
  bool has_pulled_body() const override { return sender_.has_pulled(); }
  HeadPoll poll_head() override;
  bool awaits_input() const override { return peer_->unread().empty() && !peer_->transport().has_pending(); }
  Error head_error() const override { return error_; }
  std::string_view error_detail() const override { return parser_->error().detail; }
  bool is_headless() const override { return headless_; }
  Body& body() override { return *body_; }
  PeerWait readable(uint64_t deadline_ms) override { return PeerWait(peer_->watch(), peer_->transport().read_wait(), deadline_ms); }
  PeerWait writable(uint64_t deadline_ms) override { return PeerWait(peer_->watch(), peer_->transport().write_wait(), deadline_ms); }
  bool has_hung_up() const override { return peer_->watch().has_hung_up(); }
  bool is_reused() const override { return reused_; }
  bool is_stale() const override { return reused_ && !answer_bytes_; }
  bool is_unread() const override { return peer_.is_unread(); }
  uint64_t sent_bytes() const override { return peer_.sent_bytes(); }
  uint64_t received_bytes() const override { return peer_.received_bytes(); }
  Connection* tunnel() override;
  const char* end(bool uploaded) override;

 private:
  HeadPoll fail(Error error) {
    error_ = error;
    return HeadPoll::failed;
  }
  HeadPoll read_more();
  void log_left_out(std::string_view line) const;
  void begin_headless_body();
  void begin_body();
  const char* surplus() const;
  // The connection may serve another request: not behind a 101, asked for or not, where the peer speaks another protocol.
  bool is_reusable() const {
    bool is_over = body_ && body_->is_complete() && peer_->unread().empty();
    return is_over && head_.status != 101 && head_.framing.keep_alive && !peer_->is_broken();
  }

  PeerConnection peer_;
  Arena& arena_;  // keeps the bytes of the head
  const Logger& logger_;
  const AttemptTarget& target_;
  ResponseHead& head_;
  std::optional<ResponseParser> parser_;  // a new one for each head: interim ones come first
  BodyRules rules_;
  Sender sender_;
  ReceivedBody* body_ = nullptr;  // in the request's arena
  uint32_t interim_seen_ = 0;
  Method method_;
  // Bits, for the room of an ExchangePlace.
  bool reused_ : 1;
  bool answer_bytes_ : 1 = false;
  bool headless_ : 1 = false;
  bool is_tunnel_ : 1 = false;
  InterimHook interim_;
  Error error_;
};

class ClientProtocol final : public ConnectionProtocol {
 public:
  constexpr ClientProtocol() : ConnectionProtocol("") {}
  PeerExchange* make(const PeerCall& call, std::unique_ptr<PooledConnection> connection) const override;
};

extern const ClientProtocol client_protocol;

}  // namespace fairlead::http::h1
