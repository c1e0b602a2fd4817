// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Body framing of HTTP/1: decoders that say which ranges of the input are body (nothing is copied but trailers), and the bytes around
// an encoded chunk. Reading and writing the bytes is the caller's. A decoder keeps counters, no buffer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/arena.h"
#include "core/base/error.h"
#include "http/message/message.h"

namespace fairlead::http::h1 {

// One step of decoding: `consumed` bytes of the input are used up, and the last `body_bytes` of those are body.
struct BodyStep {
  enum class State : uint8_t {
    more,    // all input used (or a run of body found): go on with the rest, then with new input
    done,    // the body is complete; the rest of the input belongs to the next message
    failed,  // malformed; see what()
  };
  State state = State::more;
  size_t consumed = 0;
  size_t body_bytes = 0;

  // The body run of this step within the `input` it was made from.
  std::string_view body(std::string_view input) const { return input.substr(consumed - body_bytes, body_bytes); }
};

// A body of known length.
class LengthDecoder {
 public:
  explicit LengthDecoder(uint64_t bytes) : left_bytes_(bytes) {}
  BodyStep step(std::string_view input) {
    size_t taken = static_cast<size_t>(std::min<uint64_t>(left_bytes_, input.size()));
    left_bytes_ -= taken;
    return {left_bytes_ == 0 ? BodyStep::State::done : BodyStep::State::more, taken, taken};
  }

 private:
  uint64_t left_bytes_;
};

struct ChunkLimits {
  uint32_t extension_bytes_max = 16 * 1024;  // of all chunk extensions of a body together
  uint32_t trailer_bytes_max = 8 * 1024;
  uint32_t trailer_fields_max = 100;
};

// The chunked coding, RFC 9112 section 7.1, with CRLF only.
class ChunkedDecoder {
 public:
  // Trailers are added to `trailers` when the body is done, with their text in its arena; with nullptr they are only checked for
  // line ends and size.
  explicit ChunkedDecoder(Trailers* trailers, const ChunkLimits& limits = {}) : trailers_(trailers), limits_(limits) {}

  // Decodes up to and including the next run of body bytes. Call again with the rest of the input until it is used up; a step that
  // consumes nothing means so. After `done` and `failed` nothing is consumed any more.
  BodyStep step(std::string_view input);
  Fault fault() const { return fault_; }      // malformed, or too_large for a limit
  const char* what() const { return what_; }  // for the log, e.g. "invalid chunk size"
  // What is known to be still to come of the current chunk.
  uint64_t chunk_left_bytes() const { return left_bytes_; }

 private:
  enum class State : uint8_t {
    size_first, size_digits, size_blank, extension_start, extension_name, extension_name_blank, extension_value_start,
    extension_token, extension_quoted, extension_escape, extension_end, size_lf, body, body_cr, body_lf,
    trailer_first, trailer_line, trailer_lf, end_lf, done, failed,
  };

  bool take_size_byte(char byte);
  bool take_extension_byte(char byte);
  bool after_size(char byte);
  bool take_trailer_byte(char byte);
  bool keep_trailer_byte(char byte);
  bool end_trailers();
  bool to(State state) { state_ = state; return true; }
  bool fail(Fault fault, const char* what);

  Trailers* trailers_;
  ChunkLimits limits_;
  uint64_t left_bytes_ = 0;
  char* trailer_text_ = nullptr;  // in the arena
  uint32_t trailer_bytes_ = 0, trailer_room_ = 0;
  uint32_t extension_bytes_ = 0;
  const char* what_ = "";
  State state_ = State::size_first;
  Fault fault_ = Fault::none;
};

}  // namespace fairlead::http::h1
