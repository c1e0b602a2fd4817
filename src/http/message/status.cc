// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/status.h"

#include <algorithm>
#include <cstddef>

namespace fairlead::http {
namespace {

struct Line {
  unsigned status;
  std::string_view text;
};

// Sorted by status. The wording is part of the contract with nginx's users: 302, 405, 408, 413, 414, 416, 503 and 504
// deviate from RFC 9110.
constexpr Line lines[] = {
    {100, "HTTP/1.1 100 Continue\r\n"},
    {101, "HTTP/1.1 101 Switching Protocols\r\n"},
    {103, "HTTP/1.1 103 Early Hints\r\n"},
    {200, "HTTP/1.1 200 OK\r\n"},
    {201, "HTTP/1.1 201 Created\r\n"},
    {202, "HTTP/1.1 202 Accepted\r\n"},
    {204, "HTTP/1.1 204 No Content\r\n"},
    {206, "HTTP/1.1 206 Partial Content\r\n"},
    {301, "HTTP/1.1 301 Moved Permanently\r\n"},
    {302, "HTTP/1.1 302 Moved Temporarily\r\n"},
    {303, "HTTP/1.1 303 See Other\r\n"},
    {304, "HTTP/1.1 304 Not Modified\r\n"},
    {307, "HTTP/1.1 307 Temporary Redirect\r\n"},
    {308, "HTTP/1.1 308 Permanent Redirect\r\n"},
    {400, "HTTP/1.1 400 Bad Request\r\n"},
    {401, "HTTP/1.1 401 Unauthorized\r\n"},
    {402, "HTTP/1.1 402 Payment Required\r\n"},
    {403, "HTTP/1.1 403 Forbidden\r\n"},
    {404, "HTTP/1.1 404 Not Found\r\n"},
    {405, "HTTP/1.1 405 Not Allowed\r\n"},
    {406, "HTTP/1.1 406 Not Acceptable\r\n"},
    {408, "HTTP/1.1 408 Request Time-out\r\n"},
    {409, "HTTP/1.1 409 Conflict\r\n"},
    {410, "HTTP/1.1 410 Gone\r\n"},
    {411, "HTTP/1.1 411 Length Required\r\n"},
    {412, "HTTP/1.1 412 Precondition Failed\r\n"},
    {413, "HTTP/1.1 413 Request Entity Too Large\r\n"},
    {414, "HTTP/1.1 414 Request-URI Too Large\r\n"},
    {415, "HTTP/1.1 415 Unsupported Media Type\r\n"},
    {416, "HTTP/1.1 416 Requested Range Not Satisfiable\r\n"},
    {421, "HTTP/1.1 421 Misdirected Request\r\n"},
    {429, "HTTP/1.1 429 Too Many Requests\r\n"},
    {500, "HTTP/1.1 500 Internal Server Error\r\n"},
    {501, "HTTP/1.1 501 Not Implemented\r\n"},
    {502, "HTTP/1.1 502 Bad Gateway\r\n"},
    {503, "HTTP/1.1 503 Service Temporarily Unavailable\r\n"},
    {504, "HTTP/1.1 504 Gateway Time-out\r\n"},
    {505, "HTTP/1.1 505 HTTP Version Not Supported\r\n"},
    {507, "HTTP/1.1 507 Insufficient Storage\r\n"},
};

constexpr size_t longest() {
  size_t most = 0;
  for (const Line& line : lines) most = std::max(most, line.text.size());
  return most;
}
static_assert(longest() <= status_line_bytes_max);

constexpr unsigned first_status = 100, last_status = 511;

struct Index {
  uint8_t at[last_status - first_status + 1] = {};  // index + 1; 0: none
  constexpr Index() {
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); ++i) {
      at[lines[i].status - first_status] = static_cast<uint8_t>(i + 1);
    }
  }
};
constexpr Index index_of;

}  // namespace

std::string_view status_line(unsigned status) {
  if (status < first_status || status > last_status) return {};
  uint8_t at = index_of.at[status - first_status];
  return at == 0 ? std::string_view() : lines[at - 1].text;
}

std::string_view reason_phrase(unsigned status) {
  constexpr size_t before = std::string_view("HTTP/1.1 200 ").size(), after = 2;
  std::string_view line = status_line(status);
  return line.empty() ? line : line.substr(before, line.size() - before - after);
}

}  // namespace fairlead::http
