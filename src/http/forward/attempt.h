// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Attempt: one try of a request on one peer: connect or reuse, send, read the head of the reply. The upload goes on beside the reply if it
// could not be written at once. Which peer, and whether there is another try, is decided above (forward.h); what the bytes look like, below
// (request/peer_exchange.h). Lives in the frame of forward(); destroying it ends the exchange, and gives the connection back if it is
// reusable.
#pragma once

#include "event/loop/child.h"
#include "http/request/peer_exchange.h"
#include "http/request/request.h"

namespace fairlead::http {

class Attempt {
 public:
  // All three outlive it.
  Attempt(Request& request, const PeerProtocol& protocol, const AttemptTarget& target)
      : request_(request), protocol_(protocol), target_(target), head(*request.arena().make<ResponseHead>(request.arena())) {}
  ~Attempt() { finish(); }
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  // Plain: sends all of `what`, which outlives the attempt, where a connection is open already. True: what is left is to await the reply,
  // by poll() and readable(). False: by run().
  bool begin(const AttemptRequest& what);
  // Plain: takes what is there of the reply's head. True: `result` says how the try ended, see run(). False: await readable().
  bool poll(Result<Unit>& result);
  PeerWait readable() { return exchange_->readable(read_deadline_ms_); }
  // What a timeout of readable() means.
  static Error timed_out();
  // After begin() gave false. Ends with the head of the reply in `head`, or with the error, whose side says whose fault it was.
  Task<Result<Unit>> run(const AttemptRequest& what);

  // After the reply's head is there.
  Body& body() { return exchange_->body(); }
  // After run() succeeded: the trailers of a reply whose body is empty. nullptr: there are none, there is a body, or it is not known yet.
  // They are waited for only once the request was sent whole: until then the peer may wait for more of it.
  Task<const Headers*> trailers_of_empty_reply();
  // Waits for the upload to end, if it still runs.
  Child<Result<Unit>>& upload() { return upload_; }
  // Ends the exchange: its connection goes back to where it came from, or is closed.
  void finish();

  // nullptr: not connected.
  const PeerExchange* exchange() const { return exchange_; }
  // What it was begun with says HEAD, whatever the client said: there is no body of any reply.
  bool asked_for_head() const { return what_->method == Method::head; }
  // Writes what is known so far into the record: phases, bytes.
  void note_times(TryRecord& record) const;
  // After a 101: the connection for a tunnel, which then is this object's no longer to pool. nullptr: there can be none.
  Connection* tunnel() { return exchange_->tunnel(); }
  // After a 101 without tunnel(): body() and send_tunnel() carry what would pass it.
  bool carries_tunnel() const { return exchange_->carries_tunnel(); }
  Task<Result<Unit>> send_tunnel(Body& body) { return send_rest(body); }
  // What it was at when it failed, in the words of the error log: "connecting to upstream" and the like.
  std::string_view doing() const;
  bool is_connecting() const;

 private:
  PeerCall call_of(const AttemptRequest& what);
  bool send(Body& body);
  Progress pump(Body& body);
  Task<Result<Unit>> send_rest(Body& body);
  Task<WaitStatus> wait_readable();
  Task<Result<Unit>> head_beside_upload();
  static void on_interim(void* self, ResponseHead& interim);
  Result<Unit> head_done();
  uint64_t bounded(uint64_t deadline_ms) const;

  Request& request_;
  const PeerProtocol& protocol_;
  const AttemptTarget& target_;
  const AttemptRequest* what_ = nullptr;  // once begun
  ExchangePlace place_;
  PeerExchange* exchange_ = nullptr;  // in it
  Child<Result<Unit>> upload_;
  bool upload_seen_ = false;
  bool request_sent_ = false;  // all of it was written
  bool awaits_reply_ = false;  // ... just now: there is nothing of a reply to look at
  bool asks_upgrade_ = false;
  Progress sent_ = Progress::done;
  uint64_t started_ms_ = 0, try_deadline_ms_ = 0, read_deadline_ms_ = 0;
  int64_t connect_ms_ = -1, header_ms_ = -1;

 public:
  ResponseHead& head;  // in the request's arena: the log shows it when this object is gone
};

}  // namespace fairlead::http
