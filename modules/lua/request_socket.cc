// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/request_socket.h"

#include "event/loop/child.h"
#include "http/conf/core_conf.h"
#include "modules/lua/conf.h"
#include "modules/lua/if_cancelled.h"
#include "modules/lua/socket_names.h"

namespace fairlead::lua {

// The client ended its connection, or its HTTP/2 stream.
static bool has_left(const Error& error) { return error.fault == Fault::closed || (error.fault == Fault::reset && error.sys == 0); }

// More bytes in unread_, or why not.
Task<std::string> RequestSocket::more_of_body() {
  http::Body& body = request_.exchange.request_body();
  // Only the socket's time counts: a late byte is no failure of the body, the script may read on.
  const http::CoreConf& core = conf<http::CoreConf>(request_);
  uint64_t own_bytes_max = core.client_max_body_size ? core.client_max_body_size : UINT64_MAX;
  request_.exchange.limit_body(request_.body_bytes_max ? request_.body_bytes_max : own_bytes_max, 0);
  uint64_t deadline = request_.loop().deadline(timeouts.read_ms);
  for (;;) {
    http::Chunk chunk;
    switch (body.poll(chunk)) {
      case http::Poll::ready:
        unread_.append(chunk.bytes.view());
        co_return std::string();
      case http::Poll::end:
        has_read_all = true;
        co_return "closed";
      case http::Poll::failed:
        has_read_all = true;
        co_return has_left(body.error()) ? "client aborted" : text_of(body.error());
      case http::Poll::pending: break;
    }
    Deadline<Result<Unit>> waiting(request_.loop(), body.ready(), deadline);
    std::optional<Result<Unit>> waited = co_await waiting;
    if (!waited) co_return "timeout";
  }
}

Task<std::string> RequestSocket::receive_body(ReadStep& step) {
  for (;;) {
    size_t consumed;
    bool complete = step.feed(unread_, consumed);
    unread_.erase(0, consumed);
    if (complete) co_return std::string();
    std::string wrong = co_await more_of_body();
    if (wrong.empty()) continue;
    if (has_read_all) step.result.append(std::exchange(unread_, std::string()));
    co_return std::move(wrong);
  }
}

Task<std::string> RequestSocket::receive(ReadStep& step) {
  BusyFlag busy(is_reading);
  IfCancelled cancelled([this] { close(); });
  if (!raw_) {
    std::string wrong = co_await receive_body(step);
    cancelled.pass();
    co_return std::move(wrong);
  }
  StreamOutcome got = co_await receive_from(*raw_, *this, step);
  cancelled.pass();
  has_read_all = got.is_over;
  if (got.is_over && got.wrong == "closed" && conf<LuaConf>(request_).check_client_abort) co_return "client aborted";
  co_return std::move(got.wrong);
}

Task<std::string> RequestSocket::send(Chain bytes) {
  BusyFlag busy(is_writing);
  IfCancelled cancelled([this] { close(); });
  StreamOutcome sent = co_await send_to(*raw_, *this, std::move(bytes));
  cancelled.pass();
  if (sent.is_over) open_ = false;
  co_return std::move(sent.wrong);
}

}  // namespace fairlead::lua
