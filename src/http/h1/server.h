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
#include "http/request/request.h"
#include "http/request/sink.h"

namespace fairlead::http::h1 {

struct HeadEnd;

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
  Task<WaitStatus> writable(uint64_t timeout_ms) override;
  Error error() const override { return sender_.error(); }
  bool head_sent() const override { return head_written_; }
  uint64_t sent_bytes() const override { return client_.sent_bytes() - sent_before_; }
  uint64_t sent_body_bytes() const override { return sent_bytes() > head_bytes_ ? sent_bytes() - head_bytes_ : 0; }
  uint64_t received_body_bytes() const override { return client_.received_bytes() - client_.unread().size() - received_before_; }

  bool is_gone() const override { return client_.watch().has_hung_up(); }
  void alert_gone(Resumable* resumable) override { client_.watch().alert(resumable); }
  void abandon() override { client_.mark_broken(); }
  // Behind the head of a tunnel there is no message that could be cut.
  bool is_broken() const override { return client_.is_broken() && !(opens_tunnel_ && finished_); }
  Connection* take_connection() override;
  void reset_on_close() override { client_.reset_on_close(); }

  // Nobody takes the body any more: however large it is, it may come.
  void lift_body_limit() { rules_.bytes_max = UINT64_MAX; }
  // After the response: whether another request may follow, as far as this exchange is concerned.
  bool keeps_alive() const { return finished_ && keep_alive_ && !client_.is_broken(); }
  ReceivedBody& body() { return body_; }

 private:
  static void send_continue(void* self);
  void write_head(Outgoing& response);
  void put_head(const ResponseHead& head, const HeadEnd& end, uint32_t joined_bytes);

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
  bool opens_tunnel_ = false;
};

// Serves requests on `client` until it ends. Never fails: what goes wrong is answered or logged.
Task<Unit> serve(Connection& client, const ServerRules& rules, RequestSink& sink);

}  // namespace fairlead::http::h1
