// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// RequestSink: what a client protocol needs of the engine: who answers requests, and what is done with a head that cannot be one. One per
// connection, whatever the protocol.
#pragma once

#include "event/loop/task.h"
#include "http/message/head_rules.h"
#include "http/request/client_facts.h"
#include "http/request/verdict.h"

namespace fairlead::http {

class Request;

class RequestSink {
 public:
  // What the request's phases come to, as far as that needs no waiting. False: `rest` has to be awaited and gives the verdict.
  virtual bool begin(Request& request, Verdict& verdict, Task<Verdict>& rest) = 0;
  // The same for a head that can be no request.
  virtual bool refuse(Request& request, const HeadFault& fault, Verdict& verdict, Task<Verdict>& rest) = 0;
  virtual ClientFacts& facts() = 0;
  // While the connection is idle, from before the wait to behind it; a draining worker shortens that wait.
  virtual void idle(bool begins) = 0;
  // A part of a request's head is there, and the rest is waited for.
  virtual void reading(bool) {}
  // The connection failed outside of any request, for a reason that its transport or protocol tells; `doing`: in the error log's words.
  virtual void broken(std::string_view /*reason*/, std::string_view /*doing*/) {}
  // The client ended the connection where a request might have begun.
  virtual void ended() {}
  // No further request is to be expected on this connection: say so in the response.
  virtual bool is_draining() const = 0;
  // When a wait that idle(true) announced must end at the latest; UINT64_MAX unless draining.
  virtual uint64_t idle_deadline_ms() const { return UINT64_MAX; }

 protected:
  ~RequestSink() = default;
};

}  // namespace fairlead::http
