// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// HTTP/1 towards clients: the keepalive loop of one connection, and the Exchange it offers each request. Limits and times come from the
// configuration by way of ServerRules; what a request means is decided by whoever handles it.
#pragma once

#include "http/h1/body.h"
#include "http/h1/rules.h"
#include "http/h1/sender.h"
#include "http/request/exchange.h"
#include "http/request/client_facts.h"
#include "http/request/request.h"

namespace fairlead::http::h1 {

class ServerExchange final : public Exchange {
 public:
  ServerExchange(Connection& client, const RequestHead& head, const BodyRules& rules, Trailers* trailers);
  ServerExchange(const ServerExchange&) = delete;

  Connection& connection() override { return client_; }
  Body& request_body() override { return body_; }
  void limit_body(uint64_t bytes_max, uint64_t timeout_ms) override {
    rules_.bytes_max = bytes_max;
    rules_.timeout_ms = timeout_ms;
  }
  void send_interim(uint16_t status, const Headers* headers) override;
  Progress pump(Outgoing& response) override;
  Error error() const override { return sender_.error(); }
  bool head_sent() const override { return head_written_; }
  uint64_t sent_bytes() const override { return client_.sent_bytes() - sent_before_; }
  uint64_t sent_body_bytes() const override { return sent_bytes() > head_bytes_ ? sent_bytes() - head_bytes_ : 0; }
  uint64_t received_body_bytes() const override { return client_.received_bytes() - client_.unread().size() - received_before_; }

  // After the response: whether another request may follow, as far as this exchange is concerned.
  bool keeps_alive() const { return finished_ && keep_alive_ && !client_.is_broken(); }
  ReceivedBody& body() { return body_; }

 private:
  static void send_continue(void* self);
  void write_head(Outgoing& response);

  Connection& client_;
  const RequestHead& head_;
  BodyRules rules_;  // this request's own: the location changes them
  ReceivedBody body_;
  Sender sender_;
  uint64_t sent_before_, received_before_;
  uint64_t head_bytes_ = 0;  // of what leaves before the body, interim responses included
  bool head_written_ = false;
  bool finished_ = false;
  bool keep_alive_ = false;
};

// Who answers requests, and what is done with a head that cannot be one. One per connection.
class RequestSink {
 public:
  // Both give the request's whole life as a task. Plain work may be done before it is made.
  virtual Task<Unit> handle(Request& request) = 0;
  // `error.status` is what the client gets (414, 494 and the like included).
  virtual Task<Unit> refuse(Request& request, const ParseError& error) = 0;
  virtual ClientFacts& facts() = 0;
  // While the connection is idle, from before the wait to behind it; a draining worker shortens that wait.
  virtual void idle(bool begins) = 0;
  // A request is being received: from before its first byte is looked at to the end of its head.
  virtual void reading(bool) {}
  // No further request is to be expected on this connection: say so in the response.
  virtual bool is_draining() const = 0;
  // When a wait that idle(true) announced must end at the latest; UINT64_MAX unless draining.
  virtual uint64_t idle_deadline_ms() const { return UINT64_MAX; }

 protected:
  ~RequestSink() = default;
};

// Serves requests on `client` until it ends. Never fails: what goes wrong is answered or logged.
Task<Unit> serve(Connection& client, const ServerRules& rules, RequestSink& sink);

}  // namespace fairlead::http::h1
