// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Retry: whether a request may be tried again, as a pure policy over what happened. It knows no sockets and never waits.
#pragma once

#include <string_view>

#include "core/base/error.h"
#include "core/base/random.h"
#include "http/forward/conf.h"
#include "http/message/method.h"

namespace fairlead::http {

// What a try came to, as far as the policy looks at it.
struct Outcome {
  Error error;                 // fault none: a reply's head was read
  uint16_t status = 0;         // of that reply
  Next condition = Next::none;  // that the reply meets besides its status
  bool connected = false;      // else nothing of the request can have been seen
  bool sent = false;           // some byte of the request was written
  bool stale = false;          // a reused connection that ended before any byte of an answer
  bool unread = false;         // stale, and the peer cannot have read any byte of this request
  bool refused = false;        // the peer said that it did not look at the request (RFC 9113 section 8.7)
  bool body_lost = false;      // the body cannot be given again
};

// What the policy says, with its reason for the log.
enum class Again : uint8_t {
  no,
  next_peer,
  same_peer,  // after a stale connection on a new one; after a refused stream: not a failure of the peer, does not count as a try
};

class Retry {
 public:
  // `tries`: how many peers there are to try.
  Retry(const ForwardConf& conf, Method method, size_t tries, uint64_t now_ms);

  // After a try. A pause that would not be over within next_upstream_timeout is none to wait for: the answer is no.
  Again again(const Outcome& outcome, uint64_t now_ms, Random& random);
  // Whether there is another peer to try, and a try left for it.
  bool has_tries() const { return tries_left_ > 1; }
  // More tries than there are peers, as far as the configuration allows (a chooser that goes on).
  void allow_more(size_t tries);
  // Of the last again(): milliseconds to wait before the next try, the Nth after the first: uniform
  // in [0, min((2^N - 1) * base, max)).
  uint64_t pause_ms() const { return pause_ms_; }
  // Does the outcome count as a failure of the peer (max_fails)? What it cannot do for this request it may well do for others. No question
  // where it is asked again (Again::same_peer): that try is as if it had not been.
  bool is_failure(const Outcome& outcome) const;
  // The status a client gets for an outcome without reply.
  static uint16_t status_of(const Error& error);
  // Envoy's short flags: UF, UT, UC, UR, DPE, ...
  static std::string_view reason_of(const Outcome& outcome);
  // Why the last again() said no, for $fail_reason: "non_idempotent", "tries", "timeout", "body", or empty.
  std::string_view refused() const { return refused_; }

 private:
  bool is_listed(const Outcome& outcome) const;
  uint64_t draw_pause(Random& random) const;

  const ForwardConf& conf_;
  Method method_;
  size_t tries_left_;
  uint64_t started_ms_;
  unsigned retries_ = 0;
  uint64_t pause_ms_ = 0;
  unsigned refusals_ = 0;        // so often this request was sent again because the peer had refused it without looking at it
  bool was_stale_ = false;       // ... and it was sent again for that: no kept connection is used any more
  std::string_view refused_;
};

}  // namespace fairlead::http
