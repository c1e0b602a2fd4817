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

// `classes` gets the scan classes of all its bytes.
size_t name_end(std::string_view text, unsigned& classes) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    unsigned own = scan::class_of(text[at]);
    classes |= own;
    if (own & scan::host_byte) [[likely]] continue;
    if (text[at] == ':') break;
    bool escaped = text[at] == '%' && at + 2 < text.size() && hex_value(text[at + 1]) >= 0 && hex_value(text[at + 2]) >= 0;
    if (!escaped) return std::string_view::npos;
  }
  bool has_dot = (classes & scan::dot) != 0;
  return has_dot && text.substr(0, at).find("..") != std::string_view::npos ? std::string_view::npos : at;
}

}  // namespace

std::optional<Authority> parse_authority(std::string_view text, Arena& arena) {
  if (text.empty()) return std::nullopt;
  if (scan::is_plain_host(text) && text.back() != '.') return Authority{text};
  bool is_literal = text[0] == '[';
  unsigned classes = is_literal ? unsigned{scan::upper_case} : 0u;  // of a literal: perhaps
  size_t end = is_literal ? literal_end(text) : name_end(text, classes);
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
  if (classes & scan::upper_case) {
    char* to = static_cast<char*>(arena.allocate(result.host.size(), 1));
    lower_into(to, result.host);
    result.host = {to, result.host.size()};
  }
  return result;
}

}  // namespace fairlead::http
