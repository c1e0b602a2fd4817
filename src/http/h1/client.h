// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// HTTP/1 towards an upstream: one exchange on a pooled connection. Plain calls; who waits is the forwarder.
#pragma once

#include "http/h1/body.h"
#include "http/h1/parse.h"
#include "http/h1/sender.h"

namespace fairlead::http::h1 {

class ClientExchange {
 public:
  // `head` is empty; it is filled by poll_head(). `rules` outlives the exchange.
  ClientExchange(Connection& peer, ResponseHead& head, const BodyRules& rules, size_t head_bytes_max)
      : peer_(peer), head_(head), parser_(head), rules_(rules), head_bytes_max_(head_bytes_max), sender_(peer) { parser_.emplace(head); }

  // The request: its head goes to sender().out(), then sender().begin() and pump.
  Sender& sender() { return sender_; }
  const Sender& sender() const { return sender_; }

  enum class HeadPoll : uint8_t { done, pending, failed };
  // Reads what is there; `arena` is the request's, and keeps the bytes of the head. done: the head of the answer is complete (interim ones except 101 are skipped), body() may be used. failed: error().
  // `method`: the one that was sent.
  HeadPoll poll_head(Arena& arena, Method method);
  // Who is told of interim heads; they are skipped all the same.
  using OnInterim = void (*)(void* whom, ResponseHead& head);
  void on_interim(void* whom, OnInterim tell) {
    interim_whom_ = whom;
    on_interim_ = tell;
  }
  const Error& error() const { return error_; }
  // Of a malformed head: the bytes that broke it, for the log. May be empty.
  std::string_view error_detail() const { return error_detail_; }
  // The answer has no head: HTTP/0.9, everything up to the end is its body.
  bool is_headless() const { return headless_; }
  // A byte of any answer has arrived: a failure is then no stale connection.
  bool has_answer_bytes() const { return answer_bytes_; }

  // After done.
  Body& body() { return *body_; }
  // After the body's end: the connection may serve another request.
  bool is_reusable() const {
    return body_ && body_->is_complete() && head_.framing.keep_alive && peer_.unread().empty() && !peer_.is_broken();
  }

 private:
  HeadPoll fail(Error error) {
    error_ = error;
    return HeadPoll::failed;
  }
  HeadPoll read_more();
  void begin_headless_body(Arena& arena);
  void begin_body(Arena& arena, Method method);

  Connection& peer_;
  ResponseHead& head_;
  std::optional<ResponseParser> parser_;  // a new one for each head: interim ones come first
  const BodyRules& rules_;
  size_t head_bytes_max_;
  Sender sender_;
  ReceivedBody* body_ = nullptr;  // in the request's arena
  bool answer_bytes_ = false;
  bool headless_ = false;
  OnInterim on_interim_ = nullptr;
  void* interim_whom_ = nullptr;
  std::string_view error_detail_;
  Error error_;
};

}  // namespace fairlead::http::h1
