// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/retry.h"

#include <algorithm>

#include "http/request/client_failure.h"

namespace fairlead::http {

// How often a refused stream is sent again to the same peer: once for a limit of streams that was not known, once for one that has changed.
static constexpr unsigned refusals_max = 2;

Retry::Retry(const ForwardConf& conf, Method method, size_t tries, uint64_t now_ms)
    : conf_(conf), method_(method), tries_left_(tries), started_ms_(now_ms) {
  if (conf.next_upstream_tries) tries_left_ = std::min<size_t>(tries_left_, conf.next_upstream_tries);
}

void Retry::allow_more(size_t tries) {
  tries_left_ += tries;
  size_t most = conf_.next_upstream_tries;
  if (most) tries_left_ = std::min(tries_left_, most - std::min<size_t>(retries_, most));
}

static Next condition_of(uint16_t status) {
  switch (status) {
    case 500: return Next::http_500;
    case 502: return Next::http_502;
    case 503: return Next::http_503;
    case 504: return Next::http_504;
    case 403: return Next::http_403;
    case 404: return Next::http_404;
    case 429: return Next::http_429;
    default: return Next::none;
  }
}

static Next condition_of(const Error& error) {
  switch (error.fault) {
    case Fault::timeout: return Next::timeout;
    case Fault::malformed: case Fault::too_large: return Next::invalid_header;
    default: return Next::error;
  }
}

// A reply that no policy has anything to say about: the usual case, told quickly.
static bool is_plain_success(const Outcome& outcome) {
  return outcome.error.fault == Fault::none && outcome.status < 400 && outcome.condition == Next::none;
}

bool Retry::is_listed(const Outcome& outcome) const {
  if (conf_.next_upstream.has(Next::off)) return false;
  Next condition = outcome.error.fault == Fault::none ? condition_of(outcome.status) : condition_of(outcome.error);
  if (outcome.condition != Next::none && conf_.next_upstream.has(outcome.condition)) return true;
  if (outcome.condition == Next::denied) return false;  // that it failed is no error of the peer's
  return condition != Next::none && conf_.next_upstream.has(condition);
}

// As nginx counts: error, timeout and invalid_header always, 5xx and 429 only if listed, 403 and
// 404 never.
bool Retry::is_failure(const Outcome& outcome) const {
  if (is_plain_success(outcome)) return false;
  const Error& error = outcome.error;
  if (error.fault == Fault::unsupported) return false;
  if (error.fault != Fault::none) return error.side == Side::upstream;
  return outcome.status != 403 && outcome.status != 404 && is_listed(outcome);
}

Again Retry::again(const Outcome& outcome, uint64_t now_ms, Random& random) {
  refused_ = {};
  pause_ms_ = 0;
  if (is_plain_success(outcome)) return Again::no;
  bool replied = outcome.error.fault == Fault::none;
  if (!replied && outcome.error.side != Side::upstream) return Again::no;
  // To the same peer: it may only have been about to leave, or full for a moment, and has told by then how many streams it takes. Then it
  // is an error like others, but a safe one.
  if (outcome.refused && !outcome.body_lost && refusals_ < refusals_max && !conf_.next_upstream.has(Next::off)) {
    ++refusals_;
    return Again::same_peer;
  }
  // Once: a request that makes peers close is not sent over every connection that is kept.
  if (outcome.stale && !outcome.body_lost && !was_stale_ && !conf_.next_upstream.has(Next::off)) {
    // RFC 9112 section 9.3.1.1: what was certainly not read may be sent again whatever the method.
    bool unread = conf_.stale_retry && outcome.unread;
    if (unread || is_idempotent(method_) || conf_.next_upstream.has(Next::non_idempotent)) {
      was_stale_ = true;
      return Again::same_peer;
    }
  }
  if (!is_listed(outcome)) return Again::no;
  if (outcome.body_lost) {
    refused_ = "body";
    return Again::no;
  }
  // A gRPC status that was listed by its name is permission enough: every gRPC call is a POST.
  bool permitted = outcome.refused || (replied && outcome.condition != Next::none && conf_.next_upstream.has(outcome.condition));
  if (outcome.sent && !permitted && !is_idempotent(method_) && !conf_.next_upstream.has(Next::non_idempotent)) {
    refused_ = "non_idempotent";
    return Again::no;
  }
  if (tries_left_ <= 1) {
    refused_ = "tries";
    return Again::no;
  }
  ++retries_;
  uint64_t pause_ms = draw_pause(random);
  if (conf_.next_upstream_timeout && now_ms - started_ms_ + pause_ms >= conf_.next_upstream_timeout) {
    refused_ = "timeout";
    return Again::no;
  }
  --tries_left_;
  pause_ms_ = pause_ms;
  return Again::next_peer;
}

uint64_t Retry::draw_pause(Random& random) const {
  const RetryBackoff& backoff = conf_.retry_backoff;
  if (backoff.base_ms == 0) return 0;
  uint64_t steps = (uint64_t{1} << std::min(retries_, 20u)) - 1;
  uint64_t bound = std::min(steps * backoff.base_ms, backoff.max_ms);
  return random.below(static_cast<uint32_t>(std::min<uint64_t>(bound, UINT32_MAX)));
}

uint16_t Retry::status_of(const Error& error) {
  if (error.side == Side::client) return status_of_client_failure(error);
  if (error.side == Side::local) return 500;
  if (error.fault == Fault::timeout) return 504;
  return 502;
}

std::string_view Retry::reason_of(const Outcome& outcome) {
  const Error& error = outcome.error;
  if (error.fault == Fault::none) return {};
  if (error.side == Side::client) return reason_of_client_failure(error);
  if (!outcome.connected) return error.fault == Fault::timeout ? "UT" : "UF";
  switch (error.fault) {
    case Fault::timeout: return "UT";
    case Fault::reset: return "UR";
    case Fault::malformed: case Fault::too_large: return "DPE";
    case Fault::unavailable: return "UH";
    default: return "UC";
  }
}

}  // namespace fairlead::http
