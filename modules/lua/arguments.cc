// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/arguments.h"

#include "core/base/escape.h"

namespace fairlead::lua {

// The bytes that ngx.escape_uri keeps in a component: encodeURIComponent of JavaScript keeps these.
static bool is_kept_in_component(char byte) {
  bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
  return letter || std::string_view("-_.~!'()*").find(byte) != std::string_view::npos;
}

static bool is_control(char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f; }
static bool is_kept_in_uri(char byte) {
  return !is_control(byte) && static_cast<unsigned char>(byte) < 0x80 && std::string_view(" #%?").find(byte) == std::string_view::npos;
}
static bool is_kept_with_plus(char byte) { return is_kept_in_uri(byte) && byte != '+'; }
static bool is_ascii_text(char byte) { return !is_control(byte) && static_cast<unsigned char>(byte) < 0x80; }
static bool is_kept_for_html(char byte) { return is_ascii_text(byte) && std::string_view(" \"#%'").find(byte) == std::string_view::npos; }
static bool is_kept_for_refresh(char byte) { return is_ascii_text(byte) && std::string_view(" \"'").find(byte) == std::string_view::npos; }
static bool is_kept_in_key(char byte) { return static_cast<unsigned char>(byte) > 0x20 && byte != '%'; }
static bool is_no_control(char byte) { return !is_control(byte); }

template <bool (*is_kept)(char)>
static void append_escaped(std::string& to, std::string_view text) {
  constexpr char digits[] = "0123456789ABCDEF";
  for (char byte : text) {
    if (is_kept(byte)) {
      to += byte;
      continue;
    }
    to += '%';
    to += digits[static_cast<unsigned char>(byte) >> 4];
    to += digits[byte & 15];
  }
}

void append_component(std::string& to, std::string_view text) { append_escaped<is_kept_in_component>(to, text); }
void append_uri(std::string& to, std::string_view text) { append_escaped<is_kept_in_uri>(to, text); }
void append_uri_and_plus(std::string& to, std::string_view text) { append_escaped<is_kept_with_plus>(to, text); }
void append_uri_for_html(std::string& to, std::string_view text) { append_escaped<is_kept_for_html>(to, text); }
void append_uri_for_refresh(std::string& to, std::string_view text) { append_escaped<is_kept_for_refresh>(to, text); }
void append_memcached_key(std::string& to, std::string_view text) { append_escaped<is_kept_in_key>(to, text); }
void append_controls_escaped(std::string& to, std::string_view text) { append_escaped<is_no_control>(to, text); }

std::string_view decode_argument(std::string_view text, std::string& room) {
  if (text.find_first_of("%+") == std::string_view::npos) return text;
  room.assign(text);
  for (char& byte : room)
    if (byte == '+') byte = ' ';
  char* end = unescape_to(room.data(), room, BadPercent::keep);
  return std::string_view(room).substr(0, static_cast<size_t>(end - room.data()));
}

bool ArgumentReader::next() {
  while (!rest_.empty()) {
    size_t end = rest_.find('&');
    std::string_view one = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
    size_t equals = one.find('=');
    has_value = equals != std::string_view::npos;
    name = one.substr(0, equals);
    value = has_value ? one.substr(equals + 1) : std::string_view();
    if (!name.empty()) return true;
  }
  return false;
}

}  // namespace fairlead::lua
