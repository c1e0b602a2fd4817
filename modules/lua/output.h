// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a script prints, on its way to the client: the head is settled at the first byte, bytes are gathered and sent when there are enough,
// when the script flushes, and at its end. What the client does not take at once is sent by a task beside the script. In the request's
// arena; the hook that printed ends it.
#pragma once

#include "event/loop/child.h"
#include "event/loop/sync.h"
#include "http/request/request.h"

namespace fairlead::lua {

// Bytes pushed by a script, pulled by the exchange.
class PushBody final : public http::Body {
 public:
  explicit PushBody(Loop& loop) : writer_(bytes_, segment_bytes), filled_(loop) {}
  // From now on each text is a chunk of its own, for a filter that is to see what was printed at once.
  void keep_apart() { apart_ = true; }
  void push(std::string_view text) {
    if (!apart_) writer_.write(text);
    else if (!text.empty()) bytes_.push_back(Slice::copy_of(text));
    waiting_ += text.size();
    filled_.set();
  }
  void end() {
    ended_ = true;
    filled_.set();
  }
  bool has_ended() const { return ended_; }
  // Pushed and not yet pulled.
  size_t waiting() const { return waiting_; }
  http::Poll poll(http::Chunk& chunk) override;
  Task<Result<Unit>> ready() override;
  std::optional<uint64_t> size() const override;

 private:
  static constexpr size_t segment_bytes = 2048;
  Chain bytes_;
  ChainWriter writer_;
  size_t waiting_ = 0;
  bool apart_ = false;
  bool ended_ = false;
  Event filled_;
};

class Output {
 public:
  explicit Output(http::Request& request);

  enum class Sent : uint8_t { ok, ended, failed };
  // ok: the bytes are on their way. ended: after end(). failed: the client is gone.
  Sent print(std::string_view text);
  Sent send_head();
  // Sends what was gathered, as far as the client takes it now.
  void flush();
  // No more is printed.
  Sent end();
  bool has_ended() const { return body_.has_ended(); }
  bool is_committed() const { return committed_; }
  // Whether all is held back for its length to be known (lua_http10_buffering).
  bool is_buffered() const { return buffered_; }
  // Whether the script has begun to answer: its output stands for what ngx.exit() says later, held back or not.
  bool has_begun() const { return begun_; }
  // A filter refused the response: how the request goes on.
  const std::optional<http::Verdict>& refused() const { return refused_; }

  // Waits until all that was printed is with the kernel; false after send_timeout or if the client is gone.
  Task<Result<Unit>> drain();
  // Ends the response: the hook's last act. Plain: true if that is all, with `verdict` settled; false: await finish().
  bool try_finish(http::Verdict& verdict);
  // As above, and waits until it is sent.
  Task<http::Verdict> finish();
  // The script failed behind its first byte: what was printed leaves, the connection ends.
  void abandon();

 private:
  bool commit();
  void pump();
  Task<Unit> drain_beside();

  http::Request& request_;
  PushBody body_;
  bool buffered_;
  bool begun_ = false;
  bool committed_ = false;
  bool failed_ = false;
  bool sent_ = false;  // all of the response
  std::optional<http::Verdict> refused_;
  Child<Unit> beside_;
};

// The fields that a script's response lacks: a status, a type.
void complete_head(http::Request& request);

}  // namespace fairlead::lua
