// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Heads to HTTP/1 bytes. Each head is one reservation of known length, filled by copies. Which fields a message has is decided by the
// caller; texts must be free of CR, LF and NUL (is_field_value), which parsed ones are.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/buffer.h"
#include "http/message/headers.h"
#include "http/message/message.h"

namespace fairlead::http::h1 {

// How the writer ends a head. Anything but `as_listed` replaces Content-Length and Transfer-Encoding fields in the list, and a
// connection option other than `as_listed` those named Connection, so that a head can never frame its body twice.
enum class Length : uint8_t { as_listed, none, known, chunked };
enum class ConnectionOption : uint8_t { as_listed, none, close, keep_alive, upgrade };

struct HeadEnd {
  Length length = Length::as_listed;
  ConnectionOption connection = ConnectionOption::as_listed;
  uint64_t length_bytes = 0;  // with Length::known
};

struct RequestLine {
  std::string_view method;
  std::string_view target;
  uint8_t version_minor = 1;  // HTTP/1.0 or HTTP/1.1
};

struct StatusLine {
  unsigned status = 200;
  std::string_view reason;    // empty: nginx's phrase of that status, if it has one
  uint8_t version_minor = 1;
};

void write_request_head(ChainWriter& to, const RequestLine& line, const Headers& headers, const HeadEnd& end = {});
void write_response_head(ChainWriter& to, const StatusLine& line, const Headers& headers, const HeadEnd& end = {});
// The same where the caller has room for response_head_bytes_max() bytes at `to`: gives the place behind the head.
size_t response_head_bytes_max(const StatusLine& line, const Headers& headers);
char* append_response_head(char* to, const StatusLine& line, const Headers& headers, const HeadEnd& end);

}  // namespace fairlead::http::h1
