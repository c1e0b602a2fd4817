// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Exchange: what any client protocol offers one request: its body, and a way to answer. One per request, owned by the protocol (it
// lies in the request's arena). PeerExchange is the same for the upstream side. Neither knows phases or modules.
#pragma once

#include "event/net/connection.h"
#include "http/message/body.h"
#include "http/message/message.h"

namespace fairlead::http {

// How the framing of a response is bound to end, and what the protocol needs to know to write it. Filled by the engine (or a test), read
// by the Exchange. `body` is never null.
struct Outgoing {
  explicit Outgoing(Arena& arena) : head(arena) {}
  ResponseHead head;        // framing.content_length: no_length if unknown; Connection and framing fields are the protocol's
  Body* body = nullptr;
  bool head_only = false;   // HEAD, 204, 304: the body is not pulled
  bool keep_alive = true;   // the engine allows the connection to live on
  bool ends_request = false;  // nothing is waited for once it has been written
  bool is_last = false;     // the connection's requests or its time are used up: it should take no further one
  bool allow_chunked = true;  // off: a body of unknown length ends with the connection
  uint64_t send_timeout_ms = 60'000;
  uint64_t file_bytes_max = 2 * 1024 * 1024;  // of a file at once, then others get their turn (sendfile_max_chunk)
  size_t gather_bytes = 64 * 1024;  // of a body in memory that leave in one write: the call does not matter, the cache holds it
  bool cork_files = false;  // a head and the begin of a file behind it leave in one packet (tcp_nopush)
};

enum class Progress : uint8_t { done, need_write, need_body, failed };

class Exchange {
 public:
  virtual ~Exchange() = default;
  // Shared with other exchanges if the protocol multiplexes: nothing is done to it on behalf of one request.
  virtual Connection& connection() = 0;
  // The request's body; an ended one if there is none.
  virtual Body& request_body() = 0;
  // From now on: more body bytes than `bytes_max` fail with Fault::too_large, waits for them with timeout after `timeout_ms`.
  virtual void limit_body(uint64_t bytes_max, uint64_t timeout_ms) = 0;
  // Sends an interim response (100, 103) ahead of the answer, if the protocol version has them.
  virtual void send_interim(uint16_t status, const Headers* headers) = 0;
  // Plain: sends the head, then as much of the body as is there and as the client takes. Called again until done or failed. error() says why
  // it failed.
  virtual Progress pump(Outgoing& response) = 0;
  // After need_write: until pump() may get further.
  virtual Task<WaitStatus> writable(uint64_t timeout_ms) = 0;
  virtual Error error() const = 0;
  virtual bool head_sent() const = 0;
  // Bytes of the request's body on the wire that were consumed so far, its framing included.
  virtual uint64_t received_body_bytes() const = 0;
  // Bytes of this response on the wire, head included, so far; and of its body with its framing.
  virtual uint64_t sent_bytes() const = 0;
  virtual uint64_t sent_body_bytes() const = 0;

  // The client has given this request up: its connection hung up, its stream was reset.
  virtual bool is_gone() const = 0;
  // Fired through the ready list when that happens. At most one; nullptr removes it. The owner outlives the registration.
  virtual void alert_gone(Resumable* resumable) = 0;
  // The answer stays cut: what the client has of it must not look complete. Nothing more is sent. HTTP/1 ends the connection, HTTP/2 the
  // stream.
  virtual void abandon() = 0;
  virtual bool is_broken() const = 0;
  // Hands the client's connection over: from now on its bytes in both directions are the caller's, and it ends with the request. What was
  // read of the body is gone. nullptr: the connection is shared with other requests, or bytes of the response still wait for it.
  virtual Connection* take_connection() { return nullptr; }
  // Ahead of abandon(), for a client that took too long: an abrupt end where the protocol knows a gentle one (reset_timedout_connection).
  virtual void reset_on_close() {}
};

// Pumps until done, waiting for the client or the body. `pump` should be tried before: the small case needs no Task.
Task<Result<Unit>> respond(Exchange& exchange, Outgoing& response);

}  // namespace fairlead::http
