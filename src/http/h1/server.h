// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// HTTP/1 towards clients: the keepalive loop of one connection, and the Exchange it offers each request. Limits and times come from the
// configuration by way of H1Rules; what a request means is decided by `handle`.
#pragma once

#include "http/h1/body.h"
#include "http/h1/parse.h"
#include "http/h1/sender.h"
#include "http/request/exchange.h"

namespace fairlead::http::h1 {

class ServerExchange final : public Exchange {
 public:
  ServerExchange(Connection& client, const RequestHead& head, const BodyRules& rules)
      : client_(client), head_(head), body_(client, head.framing, rules, head.headers.arena()), sender_(client) {
    if (head.expect_continue && head.has_body()) body_.on_first_wait(this, &ServerExchange::send_continue);
  }

  Connection& connection() override { return client_; }
  Body& request_body() override { return body_; }
  void send_interim(uint16_t status, const Headers* headers) override;
  Progress pump(Outgoing& response) override;
  Error error() const override { return sender_.error(); }
  bool head_sent() const override { return head_written_; }
  uint64_t sent_bytes() const override { return client_.sent_bytes() - sent_before_; }
  uint64_t sent_body_bytes() const override { return sender_.sent_body_bytes(); }

  // After the response: whether another request may follow on this connection, as far as the protocol is concerned.
  bool keeps_alive() const { return keep_alive_ && !client_.is_broken(); }
  RequestBody& body() { return body_; }
  bool finished() const { return finished_; }

 private:
  static void send_continue(void* self);
  void write_head(Outgoing& response);

  Connection& client_;
  const RequestHead& head_;
  RequestBody body_;
  Sender sender_;
  uint64_t sent_before_ = client_.sent_bytes();
  bool head_written_ = false;
  bool finished_ = false;
  bool keep_alive_ = false;
};

}  // namespace fairlead::http::h1
