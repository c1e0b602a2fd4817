// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/authority.h"

#include "core/base/text.h"
#include "http/message/scan.h"

namespace fairlead::http {
namespace {

// The end of the host at the start of `text`, or npos. RFC 3986's IP-literal is checked for its alphabet only: the host is a name to
// compare, not an address to connect to.
size_t literal_end(std::string_view text) {
  size_t close = text.find(']');
  if (close == std::string_view::npos || close < 3) return std::string_view::npos;
  for (char byte : text.substr(1, close - 1)) {
    if (hex_value(byte) < 0 && byte != ':' && byte != '.') return std::string_view::npos;
  }
  return close + 1;
}

size_t name_end(std::string_view text) {
  char before = 0;
  size_t at = 0;
  for (; at < text.size() && text[at] != ':'; ++at) {
    char byte = text[at];
    if (byte == '%') {
      if (at + 2 >= text.size() || hex_value(text[at + 1]) < 0 || hex_value(text[at + 2]) < 0) return std::string_view::npos;
    } else if (!(scan::class_of(byte) & scan::host_byte)) {
      return std::string_view::npos;
    }
    if (byte == '.' && before == '.') return std::string_view::npos;
    before = byte;
  }
  return at;
}

bool has_upper(std::string_view text) {
  for (char byte : text) {
    if (byte >= 'A' && byte <= 'Z') return true;
  }
  return false;
}

}  // namespace

std::optional<Authority> parse_authority(std::string_view text, Arena& arena) {
  if (text.empty()) return std::nullopt;
  size_t end = text[0] == '[' ? literal_end(text) : name_end(text);
  if (end == std::string_view::npos) return std::nullopt;
  Authority result;
  result.host = text.substr(0, end);
  if (!result.host.empty() && result.host.back() == '.') result.host.remove_suffix(1);
  if (result.host.empty()) return std::nullopt;
  if (end < text.size()) {
    if (text[end] != ':') return std::nullopt;
    uint32_t port = 0;
    for (char byte : text.substr(end + 1)) {
      if (!is_digit(byte)) return std::nullopt;
      port = port * 10 + static_cast<uint32_t>(byte - '0');
      if (port > 65535) return std::nullopt;
    }
    result.port = static_cast<uint16_t>(port);
    result.has_port = end + 1 < text.size();
  }
  if (has_upper(result.host)) {
    char* to = static_cast<char*>(arena.allocate(result.host.size(), 1));
    lower_into(to, result.host);
    result.host = {to, result.host.size()};
  }
  return result;
}

}  // namespace fairlead::http
