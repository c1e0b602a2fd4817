// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// RequestSocket: what a script reads a request by itself with (ngx.req.socket), without Lua: the bytes of its body; or, raw, the client's
// connection, in both directions.
#pragma once

#include "http/request/request.h"
#include "modules/lua/byte_socket.h"

namespace fairlead::lua {

class RequestSocket final : public ByteSocket {
 public:
  static constexpr char type_name[] = "fairlead.request_socket";

  // `raw`: the connection that the exchange handed over; nullptr: the body is read.
  RequestSocket(http::Request& request, Connection* raw, const void* owner) : ByteSocket(owner), request_(request), raw_(raw) {}

  bool is_open() const override { return open_; }
  void close() override { open_ = false; }
  LogLevel failure_level() const override { return LogLevel::info; }  // a client may send what it likes
  bool is_raw() const { return raw_ != nullptr; }
  Task<std::string> receive(ReadStep& step) override;
  Task<std::string> send(Chain bytes) override;

 private:
  Task<std::string> receive_body(ReadStep& step);
  Task<std::string> more_of_body();

  http::Request& request_;
  Connection* raw_;
  std::string unread_;  // of the body
  bool open_ = true;
};

}  // namespace fairlead::lua
