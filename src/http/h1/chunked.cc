// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h1/chunked.h"

#include <cstring>

#include "core/base/text.h"
#include "http/h1/parse.h"
#include "http/message/scan.h"

namespace fairlead::http::h1 {

bool ChunkedDecoder::fail(Fault fault, const char* what) {
  fault_ = fault;
  what_ = what;
  state_ = State::failed;
  return false;
}

BodyStep ChunkedDecoder::step(std::string_view input) {
  BodyStep result;
  size_t at = 0;
  while (at < input.size() && state_ < State::done) {
    if (state_ == State::body) {
      result.body_bytes = static_cast<size_t>(std::min<uint64_t>(left_bytes_, input.size() - at));
      left_bytes_ -= result.body_bytes;
      at += result.body_bytes;
      if (left_bytes_ == 0) state_ = State::body_cr;
      break;
    }
    char byte = input[at++];
    bool good = state_ < State::extension_start ? take_size_byte(byte)
                : state_ < State::body          ? take_extension_byte(byte)
                                                : take_trailer_byte(byte);
    if (!good) break;
  }
  result.consumed = at;
  if (state_ == State::done) result.state = BodyStep::State::done;
  if (state_ == State::failed) result.state = BodyStep::State::failed;
  return result;
}

// What may follow the digits of a size. Blanks do occur there: some servers pad their sizes.
bool ChunkedDecoder::after_size(char byte) {
  if (byte == '\r') return to(State::size_lf);
  if (byte != ';' && !is_blank(byte)) return fail(Fault::malformed, "invalid chunk size");
  if (++extension_bytes_ > limits_.extension_bytes_max) return fail(Fault::too_large, "too long chunk extensions");
  return to(byte == ';' ? State::extension_start : State::size_blank);
}

bool ChunkedDecoder::take_size_byte(char byte) {
  int digit = hex_value(byte);
  if (state_ == State::size_blank || (state_ == State::size_digits && digit < 0)) return after_size(byte);
  if (digit < 0) return fail(Fault::malformed, "invalid chunk size");
  // Leading zeros are bounded like extensions: neither says anything.
  if (state_ == State::size_digits && left_bytes_ == 0 && ++extension_bytes_ > limits_.extension_bytes_max) {
    return fail(Fault::too_large, "too long chunk size");
  }
  if (left_bytes_ > (uint64_t{1} << 59) - 1) return fail(Fault::malformed, "too large chunk size");  // the sum stays below 2^63
  left_bytes_ = left_bytes_ * 16 + static_cast<unsigned>(digit);
  return to(State::size_digits);
}

// chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ), RFC 9112 section 7.1.1. Their meaning is nobody's here.
bool ChunkedDecoder::take_extension_byte(char byte) {
  if (state_ == State::size_lf) {
    if (byte != '\n') return fail(Fault::malformed, "invalid line end in chunk framing");
    return to(left_bytes_ > 0 ? State::body : State::trailer_first);
  }
  if (++extension_bytes_ > limits_.extension_bytes_max) return fail(Fault::too_large, "too long chunk extensions");
  bool token = scan::is_token_byte(byte), blank = is_blank(byte), control = scan::is_control(byte) && byte != '\t';
  bool ends = byte == '\r' || byte == ';' || blank;
  State end_state = byte == '\r' ? State::size_lf : byte == ';' ? State::extension_start : State::extension_end;
  switch (state_) {
    case State::extension_start:
      if (blank || token) return to(token ? State::extension_name : state_);
      break;
    case State::extension_name:
    case State::extension_name_blank:
      if (token && state_ == State::extension_name) return true;
      if (byte == '=') return to(State::extension_value_start);
      if (blank) return to(State::extension_name_blank);
      if (ends) return to(end_state);
      break;
    case State::extension_value_start:
      if (byte == '"') return to(State::extension_quoted);
      if (blank || token) return to(token ? State::extension_token : state_);
      break;
    case State::extension_token:
      if (token) return true;
      if (ends) return to(end_state);
      break;
    case State::extension_quoted:
      if (byte == '"') return to(State::extension_end);
      if (!control) return to(byte == '\\' ? State::extension_escape : state_);
      break;
    case State::extension_escape:
      if (!control) return to(State::extension_quoted);
      break;
    case State::extension_end:
      if (ends) return to(end_state);
      break;
    default: break;
  }
  return fail(Fault::malformed, "invalid chunk extension");
}

bool ChunkedDecoder::take_trailer_byte(char byte) {
  switch (state_) {
    case State::body_cr:
      if (byte == '\r') return to(State::body_lf);
      return fail(Fault::malformed, "invalid line end in chunk framing");
    case State::body_lf:
      if (byte == '\n') return to(State::size_first);
      return fail(Fault::malformed, "invalid line end in chunk framing");
    case State::trailer_first:
      if (byte == '\r') return to(State::end_lf) && keep_trailer_byte(byte);
      return to(State::trailer_line) && take_trailer_byte(byte);
    case State::trailer_line:
      if (byte == '\n' || byte == '\0') return fail(Fault::malformed, "invalid trailer");
      if (byte == '\r') state_ = State::trailer_lf;
      return keep_trailer_byte(byte);
    case State::trailer_lf:
      if (byte != '\n') return fail(Fault::malformed, "invalid trailer");
      return to(State::trailer_first) && keep_trailer_byte(byte);
    case State::end_lf:
      if (byte != '\n') return fail(Fault::malformed, "invalid line end in chunk framing");
      return keep_trailer_byte(byte) && end_trailers();
    default: return fail(Fault::malformed, "invalid trailer");
  }
}

bool ChunkedDecoder::keep_trailer_byte(char byte) {
  if (trailer_bytes_ >= limits_.trailer_bytes_max) return fail(Fault::too_large, "too large trailers");
  ++trailer_bytes_;
  if (!trailers_) return true;
  // An empty trailer section, by far the most frequent, takes no memory.
  if (trailer_bytes_ <= 2 && state_ >= State::end_lf) return true;
  if (trailer_bytes_ > trailer_room_) {
    uint32_t room = std::max<uint32_t>(128, trailer_room_ * 2);
    char* text = static_cast<char*>(trailers_->arena().allocate(room, 1));
    if (trailer_text_) std::memcpy(text, trailer_text_, trailer_bytes_ - 1);
    trailer_text_ = text;
    trailer_room_ = room;
  }
  trailer_text_[trailer_bytes_ - 1] = byte;
  return true;
}

bool ChunkedDecoder::end_trailers() {
  state_ = State::done;
  if (!trailers_ || !trailer_text_) return true;
  if (parse_trailers({trailer_text_, trailer_bytes_}, *trailers_, limits_.trailer_fields_max)) return true;
  return fail(Fault::malformed, "invalid trailer");
}

}  // namespace fairlead::http::h1
