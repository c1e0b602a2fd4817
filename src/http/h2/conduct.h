// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a peer may do on one HTTP/2 connection that costs us and brings it nothing: give streams up at once, send frames that carry no
// message, be refused again and again. Plain counting; what follows from it is the session's matter.
#pragma once

#include <algorithm>
#include <cstdint>

#include "http/h2/rules.h"

namespace fairlead::http::h2 {

// Tokens that refill with time.
class Tokens {
 public:
  explicit Tokens(uint32_t most) : most_(most), left_(most) {}
  // False: none is left. Times in milliseconds.
  bool take(uint64_t now_ms) {
    if (left_ == 0) refill(now_ms);
    else if (left_ == most_) since_ms_ = now_ms;
    if (left_ == 0) return false;
    --left_;
    return true;
  }
  void give(uint32_t count) { left_ = std::min(most_, left_ + count); }

 private:
  void refill(uint64_t now_ms) {
    uint64_t back = (now_ms - since_ms_) * most_ / 10'000;
    if (back == 0) return;
    since_ms_ = now_ms;
    give(static_cast<uint32_t>(std::min<uint64_t>(back, most_)));
  }
  uint32_t most_, left_;
  uint64_t since_ms_ = 0;
};

// Each gives false once the limit is passed; violation() then says which.
class Conduct {
 public:
  // `head_bytes_max`: of a header block that is wanted; it may come in as many frames of the default size as it needs, and a few more.
  explicit Conduct(const ConductLimits& limits, uint32_t head_bytes_max = 0)
      : resets_(limits.resets_max),
        control_(limits.control_frames_max),
        refused_left_(limits.refused_max),
        continuations_max_(16 + head_bytes_max / 16'384) {}
  bool reset(uint64_t now_ms) { return resets_.take(now_ms) || violated("too many streams were reset"); }
  bool control_frame(uint64_t now_ms) { return control_.take(now_ms) || violated("too many frames without a message"); }
  bool refused() {
    if (refused_left_ == 0) return violated("too many streams were refused");
    --refused_left_;
    return true;
  }
  // One message may come in this many pieces of a header block, empty ones included.
  bool continuation() { return ++continuations_ <= continuations_max_ || violated("too many CONTINUATION frames"); }
  void head_begins() { continuations_ = 0; }
  // nginx's rule: frames that are mostly frame. `payload`: fields and body bytes.
  bool bytes(uint64_t frame, uint64_t payload) {
    constexpr uint64_t slack_bytes = 1024 * 1024;
    frames_ += frame;
    payload_ += payload;
    return frames_ / 8 <= payload_ + slack_bytes || violated("frames carry too little");
  }
  void answered() { resets_.give(1); }
  void message_frame_sent() { control_.give(2); }
  const char* violation() const { return violation_; }

 private:
  bool violated(const char* what) {
    if (!violation_) violation_ = what;
    return false;
  }
  Tokens resets_, control_;
  uint32_t refused_left_;
  uint32_t continuations_max_, continuations_ = 0;
  uint64_t frames_ = 0, payload_ = 0;
  const char* violation_ = nullptr;
};

}  // namespace fairlead::http::h2
