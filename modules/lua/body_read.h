// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// BodyRead: the read of a request's body that a run has under way. There is one, however many of its threads wait for it, and it goes on
// when those are killed: nobody could be given a body that was read in part. Destroyed before its end it leaves such a one behind; whoever
// does so sees to it that no one reads on (http::drop_body).
#pragma once

#include "event/loop/child.h"
#include "event/loop/sync.h"
#include "http/request/request.h"

namespace fairlead::lua {

class Run;

class BodyRead {
 public:
  explicit BodyRead(http::Request& request);
  bool is_under_way() const { return !ended_.is_set(); }
  // co_await read.end(): until it has ended, well or not. Any number may wait.
  Event::Wait end() { return ended_.wait(); }
  // Then: of http::read_body(); Fault::none if all went well.
  const Error& failure() const { return failure_; }
  bool has_succeeded() const { return ended_.is_set() && failure_.fault == Fault::none; }

 private:
  Task<Unit> read();

  http::Request& request_;
  Event ended_;
  Error failure_;
  Child<Unit> reading_;  // last: it is destroyed before what it uses
};

// Whether `run` (may be null) has a read of the body under way.
bool is_reading_body(const Run* run);

}  // namespace fairlead::lua
