// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Request: one HTTP request from its head to the log. Lies in its own arena, which the protocol's serve frame owns.
#pragma once

#include "core/base/arena.h"
#include "http/message/message.h"
#include "http/request/exchange.h"

namespace fairlead::http {

class UntilGone;

class Request {
 public:
  Request(Arena& own_arena, const RequestHead& request_head, Exchange& client_exchange)
      : arena(own_arena), head(request_head), exchange(client_exchange), response(own_arena) {}

  Arena& arena;
  const RequestHead& head;
  Exchange& exchange;
  Outgoing response;

  Connection& client() { return exchange.connection(); }
  Loop& loop() { return client().loop(); }

 private:
  friend class UntilGone;
  friend class AbortScope;
  int abort_scopes_ = 0;
  Resumable* until_gone_ = nullptr;
};

// While one lives, a client that goes away destroys the running request. Static files and `return` hold none, so a half-closed client
// still gets its answer.
class AbortScope {
 public:
  explicit AbortScope(Request& request) : request_(request) {
    ++request_.abort_scopes_;
    if (request_.until_gone_ && request_.client().watch().has_hung_up()) request_.loop().ready(*request_.until_gone_);
  }
  ~AbortScope() { --request_.abort_scopes_; }
  AbortScope(const AbortScope&) = delete;
  AbortScope& operator=(const AbortScope&) = delete;

 private:
  Request& request_;
};

// co_await UntilGone(request, task): runs `task`; if the client goes away while an AbortScope lives, destroys it. True: it ran to its
// end.
class UntilGone : public Resumable, public Completion {
 public:
  UntilGone(Request& request, Task<Unit> task) : Resumable(&UntilGone::on_gone), request_(request), task_(std::move(task)) {}
  ~UntilGone() { stop_watching(); }
  UntilGone(const UntilGone&) = delete;
  UntilGone& operator=(const UntilGone&) = delete;

  bool await_ready() {
    task_.promise().set_completion(this);
    return done_ = task_.promise().run();
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) {
    frame_ = &frame.promise();
    request_.until_gone_ = this;
    request_.client().watch().alert(this);
    if (request_.client().watch().has_hung_up()) request_.loop().ready(*this);
  }
  bool await_resume() {
    stop_watching();
    return done_;
  }
  PromiseBase* done(PromiseBase&) override {
    done_ = true;
    return frame_;
  }

 private:
  static void on_gone(Resumable& self) {
    auto& gone = static_cast<UntilGone&>(self);
    if (gone.done_ || gone.request_.abort_scopes_ == 0) return;
    gone.task_.reset();
    gone.request_.loop().resume(gone.frame_);
  }
  void stop_watching() {
    if (request_.until_gone_ != this) return;
    request_.until_gone_ = nullptr;
    request_.client().watch().alert(nullptr);
    unlink();
  }
  Request& request_;
  Task<Unit> task_;
  PromiseBase* frame_ = nullptr;
  bool done_ = false;
};

}  // namespace fairlead::http
