// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ReceivedBody: the body of an HTTP/1 message, pulled from its connection through the framing that the head announced. Both sides use
// it: a request from a client, a response from an upstream. Bytes are slices of the connection's segments; nothing is copied.
#pragma once

#include <optional>

#include "event/net/connection.h"
#include "http/h1/chunked.h"
#include "http/message/body.h"
#include "http/message/message.h"

namespace fairlead::http::h1 {

struct BodyRules {
  uint64_t timeout_ms = 60'000;      // between two reads
  size_t buffer_bytes = 16 * 1024;   // of one read
  uint64_t bytes_max = UINT64_MAX;   // more fails with Fault::too_large
  ChunkLimits chunk;
};

enum class Coding : uint8_t { none, length, chunked, until_close };
// Of a request: no length and no coding means no body (RFC 9112 section 6.3).
Coding request_coding(const Framing& framing);

class ReceivedBody final : public Body {
 public:
  // `trailers` receives the trailer section (may be null); it and `rules` outlive the body.
  ReceivedBody(Connection& from, Coding coding, int64_t length, const BodyRules& rules, Trailers* trailers)
      : from_(from), rules_(rules), trailers_(trailers), left_(coding == Coding::length ? length : 0), coding_(coding) {
    if (coding == Coding::chunked) chunked_.emplace(trailers, rules.chunk);
    ended_ = coding == Coding::none || (coding == Coding::length && length == 0);
  }

  Poll poll(Chunk& chunk) override;
  Task<Result<Unit>> ready() override;
  std::optional<uint64_t> size() const override {
    if (ended_) return 0;
    if (coding_ == Coding::length) return left_;
    return std::nullopt;
  }
  bool is_at_hand() const override { return ended_ || (coding_ == Coding::length && from_.unread().size() >= left_); }
  Error error() const override { return error_; }
  const Headers* trailers() const override { return ended_ && coding_ == Coding::chunked ? trailers_ : nullptr; }

  bool is_complete() const { return ended_; }
  bool has_failed() const { return failed_; }
  // Called once, when the first byte of the body has to be waited for (100 Continue).
  void on_first_wait(void* whom, void (*call)(void*)) {
    first_wait_whom_ = whom;
    first_wait_ = call;
  }
  // Pulls and drops what is there. end: of the whole body; pending: nothing is there now; ready: a fair share was read, and there may be
  // more at once (in buffers, too, of which the socket says nothing): go on after a Yield.
  Poll discard();
  uint64_t received_bytes() const { return received_; }

 private:
  Poll read_more();
  Poll fail(Error error) {
    error_ = error;
    failed_ = true;
    return Poll::failed;
  }
  bool give(Chunk& chunk, size_t bytes);
  Poll decode_chunked(Chunk& chunk);

  Connection& from_;
  const BodyRules& rules_;
  Trailers* trailers_;
  uint64_t left_;
  uint64_t received_ = 0;
  Coding coding_;
  bool ended_ = false;
  bool failed_ = false;
  Error error_;
  void (*first_wait_)(void*) = nullptr;
  void* first_wait_whom_ = nullptr;
  std::optional<ChunkedDecoder> chunked_;  // with that coding
};

}  // namespace fairlead::http::h1
