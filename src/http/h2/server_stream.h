// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ServerStream: one request of a client as the Exchange that the engine knows. Lies in the request's own arena, which it opens with
// itself; the connection (server.h) takes the arena over when the request begins.
#pragma once

#include "http/h2/request_head.h"
#include "http/h2/stream.h"
#include "http/request/exchange.h"

namespace fairlead::http {
class Request;
}
namespace fairlead::http::h2 {

class ServerConnection;

class ServerStream final : public Stream, public Exchange {
 public:
  ServerStream(ServerConnection& connection, Arena& arena);

  // In the connection's list from its first field to the begin of its request.
  struct Opening : Link {
    explicit Opening(ServerStream& owner) : stream(owner) {}
    ServerStream& stream;
  };
  Opening& opening() { return opening_; }
  Arena& arena() const { return arena_; }
  RequestHead& head() { return head_; }
  // The head is complete, or there will be no more of it.
  bool may_begin() const { return complete_ || is_closed() || !violation_.empty() || is_late_; }
  // client_header_timeout is over.
  void time_out();
  // Of such a head; status 0: none.
  HeadFault head_fault() const;
  uint64_t started_ms() const { return started_ms_; }
  void set_request(Request& request) { request_ = &request; }

  // -- Stream --
  void take_field(std::string_view name, std::string_view value) override;
  void take_head(bool ends_stream) override;
  void take_violation(std::string_view what) override;

  // -- Exchange --
  Connection& connection() override;
  Body& request_body() override { return received(); }
  void limit_body(uint64_t bytes_max, uint64_t timeout_ms) override { limit_received(bytes_max, timeout_ms); }
  void send_interim(uint16_t status, const Headers* headers) override;
  Progress pump(Outgoing& response) override;
  Task<WaitStatus> writable(uint64_t timeout_ms) override;
  // Fault::malformed: the client broke the protocol on this stream, which we reset for that.
  Error error() const override { return is_violated() ? closed_error() : Stream::error(); }
  bool head_sent() const override { return head_submitted_; }
  uint64_t received_body_bytes() const override { return received_data_bytes(); }
  uint64_t sent_bytes() const override { return sent_wire_bytes(); }
  uint64_t sent_body_bytes() const override { return sent_data_bytes(); }
  bool is_gone() const override { return is_broken_off(); }
  void alert_gone(Resumable* resumable) override { alert(resumable); }
  void abandon() override;
  bool is_broken() const override { return broken_ || is_broken_off(); }

 private:
  const char* text_of_short_body(uint64_t bytes) override;
  void before_first_wait() override;
  void on_closed() override;
  void submit_head(Outgoing& response);

  ServerConnection& owner_;
  Arena& arena_;
  Opening opening_;
  RequestHead head_;
  HeadReader reader_;
  Headers trailers_;
  size_t trailer_bytes_ = 0;
  std::string_view violation_;
  Request* request_ = nullptr;
  uint64_t started_ms_;
  bool complete_ = false;
  bool is_late_ = false;
  bool head_submitted_ = false;
  bool sends_body_ = false;
  bool broken_ = false;
};

}  // namespace fairlead::http::h2
