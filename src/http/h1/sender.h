// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Sender: pulls a Body and writes it to a connection with HTTP/1 framing, behind whatever head was put before it. Used for responses to
// clients and for requests to upstreams. Plain: pump() never waits.
#pragma once

#include "core/base/buffer.h"
#include "event/net/connection.h"
#include "http/message/body.h"
#include "http/request/exchange.h"

namespace fairlead::http::h1 {

enum class SendFraming : uint8_t {
  none,     // no body: only what is in out()
  length,   // exactly the announced number of bytes
  chunked,  // RFC 9112 section 7.1
  until_close,
};

class Sender {
 public:
  explicit Sender(Connection& to) : to_(to) {}

  // Bytes to go before the body: heads. Filled by the caller before the first pump.
  Chain& out() { return out_; }
  // The `bytes` right behind what out() ends with are the caller's and free: what a body begins with, as far as it fits, is copied there
  // with its framing and leaves with the head as one piece.
  void set_room_behind(uint32_t bytes) { room_bytes_ = bytes; }
  // `length`: with SendFraming::length, the announced bytes; a body that gives less fails, more is dropped.
  void begin(SendFraming framing, uint64_t length = 0) {
    framing_ = framing;
    left_ = length;
    body_ended_ = framing == SendFraming::none || (framing == SendFraming::length && length == 0);
  }
  // At most `bytes_max` of a file are sent before pump() comes back with need_write; `cork`: with what stands before it in full packets.
  void limit_files(uint64_t bytes_max, bool cork) {
    file_bytes_max_ = bytes_max;
    cork_ = cork;
  }
  // The connection ends right behind the body.
  void ends_connection() { ends_connection_ = true; }
  // How many bytes in memory are gathered before a write.
  void gather_up_to(size_t bytes) { gather_bytes_max_ = bytes; }
  // Pulls and writes until all is written (done), the socket is full (need_write), the body has nothing now (need_body; everything
  // pulled so far is on its way), or it failed: then error() says on which side.
  Progress pump(Body& body);

  const Error& error() const { return error_; }
  uint64_t sent_body_bytes() const { return body_bytes_; }
  // A failure after this lost bytes that cannot be replayed: something was pulled from the body.
  bool has_pulled() const { return pulled_; }

 private:
  Progress gather(Body& body);
  Progress write_out();
  Progress write_file();
  void set_corked(bool on);
  void frame(Chunk& chunk);
  bool put_behind(std::string_view bytes);
  void begin_chunk(uint64_t bytes);
  void close_chunk();
  void finish_body(const Body& body);
  Progress fail(Error error) {
    error_ = error;
    return Progress::failed;
  }

  Connection& to_;
  Chain out_;
  Chunk file_ = {};  // a file range that waits behind out_
  uint64_t left_ = 0;
  uint64_t body_bytes_ = 0;
  SendFraming framing_ = SendFraming::none;
  uint32_t room_bytes_ = 0;  // right behind the last slice of out_; 0 once that is another one, or was written
  size_t gather_bytes_max_ = 64 * 1024;
  uint64_t file_bytes_max_ = 2 * 1024 * 1024;
  bool body_ended_ = true;
  bool ends_connection_ = false;
  bool cork_ = false;
  bool corked_ = false;
  bool pulled_ = false;
  bool chunk_open_ = false;  // chunked: the last chunk still needs its line end
  Error error_;
};

}  // namespace fairlead::http::h1
