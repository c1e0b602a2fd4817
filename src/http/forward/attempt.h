// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Attempt: one try of a request on one peer: connect or reuse, send, read the head of the reply. The upload goes on beside the reply if it
// could not be written at once. Which peer, and whether there is another try, is decided above (forward.h). Lives in the frame
// of forward(); destroying it ends the exchange, and gives the connection back if it is reusable.
#pragma once

#include <memory>
#include <optional>

#include "event/loop/child.h"
#include "event/net/conn_pool.h"
#include "event/net/socket.h"
#include "http/h1/client.h"
#include "http/request/request.h"

namespace fairlead::http {

struct ForwardConf;

// Where to and within which limits. Times in milliseconds, 0: none.
struct AttemptTarget {
  Addr address;
  PoolKey key;
  ConnPool* pool = nullptr;  // nullptr: no reuse
  ConnectOptions connect;
  uint64_t connect_timeout_ms = 60'000;
  uint64_t send_timeout_ms = 60'000;
  uint64_t read_timeout_ms = 60'000;
  uint64_t try_timeout_ms = 0;  // of the whole try until the head of the reply
  size_t head_bytes_max = 4096;
  h1::BodyRules body;
  const ForwardConf* hints = nullptr;  // a 103 is passed on by these rules; nullptr: dropped
};

// What to send. The head is shared by all tries.
struct AttemptRequest {
  Chain head;
  Body* body = nullptr;
  h1::SendFraming framing = h1::SendFraming::none;
  uint64_t length = 0;
  Method method = Method::get;  // as sent: a reply to HEAD has no body
  bool asks_upgrade = false;    // the head has an Upgrade field: a 101 is an answer
};

class Attempt {
 public:
  Attempt(Request& request, const AttemptTarget& target)
      : request_(request), target_(target), head(*request.arena().make<ResponseHead>(request.arena())) {}
  ~Attempt() { finish(); }
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  // Ends with the head of the reply in `head`, or with the error, whose side says whose fault it was.
  Task<Result<Unit>> run(const AttemptRequest& what);

  // After run() succeeded.
  Body& body() { return exchange_->body(); }
  // Waits for the upload to end, if it still runs.
  Child<Result<Unit>>& upload() { return upload_; }
  // Puts the connection back into the pool if the exchange is complete, else closes it.
  void finish();

  bool is_reused() const { return reused_; }
  bool is_connected() const { return connection_ != nullptr; }
  // Some byte of this request was written.
  bool has_sent() const { return connection_ && connection_->connection.sent_bytes() > sent_before_; }
  // Something was taken from the body, which only a kept one can give again.
  bool has_pulled_body() const { return exchange_ && exchange_->sender().has_pulled(); }
  // The peer's TCP acknowledged no byte of this request: it cannot have read any. A system call; for failures only.
  bool nothing_acknowledged() const;
  // Writes what is known so far into the record: phases, bytes.
  void note_times(TryRecord& record) const;
  // After run(): the connection for a tunnel, which then is this object's no longer to pool.
  Connection& tunnel();
  h1::Sender& sender() { return exchange_->sender(); }
  // What it was at when it failed, in the words of the error log: "connecting to upstream" and the like.
  std::string_view doing() const;
  // The bytes that made a head malformed, for the log; empty if unknown.
  std::string_view error_detail() const { return exchange_ ? exchange_->error_detail() : std::string_view(); }
  bool has_answer_bytes() const { return exchange_ && exchange_->has_answer_bytes(); }

 private:
  Task<Result<Unit>> send_rest(Body& body);
  Task<WaitStatus> wait_readable();
  Task<Result<Unit>> head_beside_upload();
  static void on_interim(void* self, ResponseHead& interim);
  Result<Unit> head_done();

  Request& request_;
  const AttemptTarget& target_;
  std::unique_ptr<PooledConnection> connection_;
  std::optional<h1::ClientExchange> exchange_;
  Child<Result<Unit>> upload_;
  bool reused_ = false;
  bool is_tunnel_ = false;
  bool upload_seen_ = false;
  bool request_sent_ = false;  // all of it was written
  Method method_ = Method::get;
  bool asks_upgrade_ = false;
  uint64_t started_ms_ = 0, try_deadline_ms_ = 0;
  uint64_t sent_before_ = 0, received_before_ = 0;
  int64_t connect_ms_ = -1, header_ms_ = -1;
  uint64_t sent_ = 0, received_ = 0;  // kept when the connection is given away
  uint64_t bounded(uint64_t deadline_ms) const;

 public:
  ResponseHead& head;  // in the request's arena: the log shows it when this object is gone
};

}  // namespace fairlead::http
