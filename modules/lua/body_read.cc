// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/body_read.h"

#include "http/request/read_body.h"
#include "modules/lua/run.h"

namespace fairlead::lua {

BodyRead::BodyRead(http::Request& request) : request_(request), ended_(request.loop()) { reading_.start(read()); }

Task<Unit> BodyRead::read() {
  auto read = co_await http::read_body(request_);
  if (!read) failure_ = read.error();
  ended_.set();
  co_return Unit();
}

bool is_reading_body(const Run* run) { return run && run->body_read && run->body_read->is_under_way(); }

}  // namespace fairlead::lua
