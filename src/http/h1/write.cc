// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h1/write.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "http/h1/chunked.h"
#include "http/message/status.h"

namespace fairlead::http::h1 {
namespace {

constexpr std::string_view content_length_start = "Content-Length: ";
constexpr size_t end_bytes_max = 96;  // more than append_end() ever writes

bool is_replaced(const Headers::Field& field, const HeadEnd& end) {
  switch (field.known) {
    case KnownHeader::content_length:
    case KnownHeader::transfer_encoding: return end.length != Length::as_listed;
    case KnownHeader::connection: return end.connection != ConnectionOption::as_listed;
    default: return false;
  }
}

char* append_fields(char* at, const Headers& headers, const HeadEnd& end) {
  for (const Headers::Field& field : headers) {
    if (is_replaced(field, end)) [[unlikely]] continue;
    at = append_bytes(at, field.name);
    *at++ = ':';
    *at++ = ' ';
    at = append_bytes(at, field.value);
    *at++ = '\r';
    *at++ = '\n';
  }
  return at;
}

char* append_end(char* at, const HeadEnd& end) {
  if (end.length == Length::known) {
    at = append_bytes(at, content_length_start);
    at = std::to_chars(at, at + 20, end.length_bytes).ptr;
    at = append_bytes(at, "\r\n");
  } else if (end.length == Length::chunked) {
    at = append_bytes(at, "Transfer-Encoding: chunked\r\n");
  }
  switch (end.connection) {
    case ConnectionOption::close: at = append_bytes(at, "Connection: close\r\n"); break;
    case ConnectionOption::keep_alive: at = append_bytes(at, "Connection: keep-alive\r\n"); break;
    case ConnectionOption::upgrade: at = append_bytes(at, "Connection: upgrade\r\n"); break;
    default: break;
  }
  return append_bytes(at, "\r\n");
}

}  // namespace

void write_request_head(ChainWriter& to, const RequestLine& line, const Headers& headers, const HeadEnd& end) {
  constexpr std::string_view version = " HTTP/1.1\r\n";
  char* begin = to.reserve(line.method.size() + 1 + line.target.size() + version.size() + headers.bytes() + end_bytes_max);
  char* at = append_bytes(begin, line.method);
  *at++ = ' ';
  at = append_bytes(at, line.target);
  at = append_bytes(at, line.version_minor == 0 ? " HTTP/1.0\r\n" : version);
  at = append_fields(at, headers, end);
  at = append_end(at, end);
  to.advance(static_cast<size_t>(at - begin));
}

static constexpr std::string_view status_line_frame = "HTTP/1.1 65535 \r\n";

// The whole line, if it is one that we would write, too. Empty: it is to be put together.
static std::string_view ready_line(const StatusLine& line) {
  bool is_usual = line.reason.empty() || (line.status == 200 && line.reason == "OK");
  return is_usual ? status_line(line.status) : std::string_view();
}

size_t response_head_bytes_max(const StatusLine& line, const Headers& headers) {
  return std::max(status_line_bytes_max, status_line_frame.size() + line.reason.size()) + headers.bytes() + end_bytes_max;
}

char* append_response_head(char* to, const StatusLine& line, const Headers& headers, const HeadEnd& end) {
  constexpr size_t minor_at = std::string_view("HTTP/1.").size();
  std::string_view ready = ready_line(line);
  char* at = to;
  if (!ready.empty()) {
    at = append_bytes(at, ready);
  } else {
    at = append_bytes(at, "HTTP/1.1 ");
    if (line.status < 100) at = append_bytes(at, line.status < 10 ? "00" : "0");  // RFC 9112 section 4: three digits
    at = std::to_chars(at, at + 5, static_cast<uint16_t>(line.status)).ptr;
    *at++ = ' ';  // RFC 9112 section 4: stands even without a reason
    if (!line.reason.empty()) at = append_bytes(at, line.reason);
    at = append_bytes(at, "\r\n");
  }
  if (line.version_minor == 0) to[minor_at] = '0';
  at = append_fields(at, headers, end);
  return append_end(at, end);
}

void write_response_head(ChainWriter& to, const StatusLine& line, const Headers& headers, const HeadEnd& end) {
  char* begin = to.reserve(response_head_bytes_max(line, headers));
  to.advance(static_cast<size_t>(append_response_head(begin, line, headers, end) - begin));
}

}  // namespace fairlead::http::h1
