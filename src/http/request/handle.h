// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// One request: phases, internal redirects, error pages, the log. Protocols make a Request and run a Handling of it.
#pragma once

#include "event/loop/task.h"
#include "http/hooks.h"
#include "http/request/request.h"
#include "http/request/sink.h"

namespace fairlead::http {

// Chooses the server, normalises the URI. next(), or what the request ends with at once.
Verdict prepare(Request& request);
// The same for a request whose head is malformed, as far as it is known: the server for its error pages and its log, and what the log says
// of it. That is the default server where the name of one was not read, and on a TLS address: whether this client may name another one is
// not asked any more.
void begin_refused(Request& request, const HeadFault& fault);

// The whole life of a request, without a frame of its own:
//   Handling handling(request);
//   if (!handling.try_begin(sink, fault)) co_await handling;
//   if (!handling.try_answer()) co_await handling;
// The wait ends early, and destroys what was waited for, if the client goes away while an AbortScope lives. A request counts as writing
// while this lives, and its end is the log, whatever becomes of the request, destruction included.
class Handling final : public Resumable, public Completion {
 public:
  explicit Handling(Request& request);
  ~Handling();
  Handling(const Handling&) = delete;
  Handling& operator=(const Handling&) = delete;

  // Both are plain and go as far as can be gone without waiting; false: not to the end, co_await the rest.
  // The phases. `fault`: of a head that can be no request, else nullptr.
  bool try_begin(RequestSink& sink, const HeadFault* fault) {
    return fault ? sink.refuse(request_, *fault, verdict_, rest_) : sink.begin(request_, verdict_, rest_);
  }
  // In place of both, for a request whose client gave it up before it could begin: all that is left to do is the log.
  void give_up();
  // In place of waiting for the first time: the client has left, what is not done by now will not be. No script has begun.
  void leave();
  // What they came to: the answer, or the phases again for another URI or location.
  bool try_answer();

  bool await_ready() {
    rest_.promise().set_completion(this);
    return is_done_ = rest_.promise().run();
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) {
    frame_ = &frame.promise();
    watch_client();
  }
  void await_resume() {
    if (frame_) stop_watching();
  }
  PromiseBase* done(PromiseBase&) override {
    is_done_ = true;
    return frame_;
  }

 private:
  static void on_gone(Resumable& self);
  void watch_client();
  void stop_watching();

  Request& request_;
  Task<Verdict> rest_;
  PromiseBase* frame_ = nullptr;  // the one that waits, while it does
  bool is_done_ = true;           // the rest ran to its end, or there is none
  bool has_left_ = false;         // the client did: the rest was destroyed
  Verdict verdict_;
};

// Of one whose client has gone, in the words of the log. Where an AbortScope lives a Handling logs it.
const char* how_client_left(const Request& request);

// The request of a subrequest, prepared by it: all phases but post_read and access; then the log, if log_subrequest says so. `makes_pages`:
// see SubrequestPlan.
Task<Unit> handle_subrequest(Request& request, bool makes_pages = true);
// The same for one that `content` answers in place of a location. A status that it gives becomes a built-in page.
Task<Unit> answer_subrequest(Request& request, Content content);

}  // namespace fairlead::http
