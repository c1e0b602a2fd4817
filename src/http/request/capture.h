// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Capture: takes the response of a request that no client waits for: keeps the beginning of its body in memory. What of it is not kept
// is not waited for, but for a moment. In the request's arena.
#pragma once

#include "http/request/exchange.h"

namespace fairlead::http {

class Capture final : public Exchange {
 public:
  // `client`: what the request's log and loop go by. `bytes_max`: of the body that is kept; a longer one is cut, or fails.
  Capture(Connection& client, Body& body, uint64_t bytes_max, bool fails_if_longer)
      : client_(client), body_(body), bytes_max_(bytes_max), fails_if_longer_(fails_if_longer) {}

  // Nothing of a body is kept whose response has a status that `keeps_body` refuses.
  void keep_only(bool (*keeps_body)(unsigned status)) { keeps_body_ = keeps_body; }

  Connection& connection() override { return client_; }
  Body& request_body() override { return body_; }
  void limit_body(uint64_t, uint64_t) override {}  // the parent's limits hold: the body is its own, or made by a module
  void send_interim(uint16_t, const Headers*) override {}
  Progress pump(Outgoing& response) override;
  Error error() const override { return error_; }
  void abandon() override { is_cut_ = true; }
  Task<WaitStatus> writable(uint64_t timeout_ms) override;
  bool is_gone() const override { return false; }  // who leaves is the parent's client
  void alert_gone(Resumable*) override {}
  bool is_broken() const override { return is_cut_; }
  bool head_sent() const override { return head_sent_; }
  uint64_t received_body_bytes() const override { return 0; }
  uint64_t sent_bytes() const override { return seen_bytes_; }
  uint64_t sent_body_bytes() const override { return seen_bytes_; }

  const Chain& kept() const { return kept_; }
  bool is_cut() const { return is_cut_; }

 private:
  // False: no more is wanted.
  bool take(Chunk& chunk);
  bool take_file(const Chunk& chunk);
  bool take_bytes(Slice bytes);
  // The body has nothing at present.
  Progress wait_for_more(Body& body);
  bool is_full() const { return !fails_if_longer_ && (bytes_max_ == 0 || is_cut_); }

  Connection& client_;
  Body& body_;
  uint64_t bytes_max_;
  bool fails_if_longer_;
  bool (*keeps_body_)(unsigned status) = nullptr;
  bool head_sent_ = false;
  bool is_cut_ = false;
  uint64_t seen_bytes_ = 0;
  Body* rest_ = nullptr;          // of which nothing is kept: polled until drained_until_ms_
  uint64_t drained_until_ms_ = 0;
  Chain kept_;
  Error error_;
};

}  // namespace fairlead::http
