// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a tunnel knows of WebSockets: where frames end, so that a Close frame can be put between two of the peer's, and when that is due
// because the worker drains (websocket_drain). Payloads are not looked at.
#pragma once

#include <string>
#include <string_view>

#include "core/conf/module.h"
#include "core/conf/value.h"
#include "event/loop/sync.h"
#include "event/loop/timer.h"
#include "event/worker.h"

namespace fairlead::http {

class Request;

// The frames of one direction (RFC 6455 section 5.2).
class WebSocketFrames {
 public:
  // How many of `bytes` pass: all, or with `to_boundary` at most those up to the next end of a frame.
  size_t take(std::string_view bytes, bool to_boundary);
  // No frame has begun and not ended.
  bool is_between() const { return head_bytes_ == 0 && payload_left_ == 0; }
  // A Close frame has begun: no other may follow it.
  bool has_closed() const { return closed_; }

 private:
  size_t head_size() const;
  uint64_t payload_size() const;

  unsigned char head_[14];
  unsigned head_bytes_ = 0;
  uint64_t payload_left_ = 0;
  bool closed_ = false;
};

// websocket_drain.
struct WebSocketDrain {
  bool on = false;
  uint64_t spread_ms = 30'000;
  uint64_t timeout_ms = 5'000;  // from our Close frame to the end
};

struct WebSocketConf {
  WebSocketDrain drain;
};

// A Close frame with code 1012, service restart.
constexpr std::string_view restart_frame{"\x88\x02\x03\xf4", 4};

// Of the spread, what leaves peers their time before the worker ends in `left_ms` (0: whenever they have), at least half of that.
uint64_t spread_within(const WebSocketDrain& rules, uint64_t left_ms);

// What answers a client's Sec-WebSocket-Key in HTTP/1.1 (RFC 6455 section 4.2.2).
std::string websocket_accept(std::string_view key);

// Of one WebSocket: when the worker begins to drain, a moment within the spread is chosen; then it is due. Lives as long as the tunnel.
class WebSocketEnd {
 public:
  WebSocketEnd(Request& request, const WebSocketDrain& rules);
  WebSocketEnd(const WebSocketEnd&) = delete;
  WebSocketEnd& operator=(const WebSocketEnd&) = delete;

  WebSocketFrames frames;  // of the peer
  bool is_due() const { return due_.is_set(); }
  Event& due() { return due_; }
  bool may_close() const { return is_due() && frames.is_between() && !frames.has_closed(); }
  uint64_t timeout_ms() const { return rules_.timeout_ms; }

 private:
  struct Begin : Resumable {
    explicit Begin(WebSocketEnd& owner) : Resumable([](Resumable& r) { static_cast<Begin&>(r).end.on_drain(); }), end(owner) {}
    WebSocketEnd& end;
  };
  struct Moment : Timer {
    explicit Moment(WebSocketEnd& owner) : Timer([](Timer& t) { static_cast<Moment&>(t).end.on_moment(); }), end(owner) {}
    WebSocketEnd& end;
  };
  void on_drain();
  void on_moment();

  Worker& worker_;
  const WebSocketDrain& rules_;
  Begin begin_;
  DrainAlert alert_;
  Moment moment_;
  Event due_;
};

extern const Module websocket_module;

}  // namespace fairlead::http

namespace fairlead {
template <>
struct ConfValue<http::WebSocketDrain> {
  static constexpr WordCount words{1, 2};
  static constexpr std::string_view type = "off | spread=time [timeout=time]";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, http::WebSocketDrain& field);
};
}  // namespace fairlead
