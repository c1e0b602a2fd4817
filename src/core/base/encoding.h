// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Bytes as text and back: hex and base64 (RFC 4648). Escaping is in escape.h. Pure functions; the `_to` forms write into the caller's
// memory, the others make a std::string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fairlead {

// Lower-case hex, 2 * bytes.size() characters. Gives the end.
char* hex_to(char* to, std::string_view bytes);
std::string hex(std::string_view bytes);
// Writes text.size() / 2 bytes and gives the end; nullptr for an odd number of digits or a character that is none. `to` may be
// text.data().
char* hex_decode_to(char* to, std::string_view text);
std::optional<std::string> hex_decode(std::string_view text);

enum class Base64 : uint8_t {
  standard,  // + / with = padding (RFC 4648 section 4)
  url,       // - _ without padding (section 5)
};

constexpr size_t base64_size(size_t bytes, Base64 alphabet = Base64::standard) {
  return alphabet == Base64::standard ? (bytes + 2) / 3 * 4 : (bytes * 4 + 2) / 3;
}
// Writes base64_size(bytes.size(), alphabet) characters. Gives the end.
char* base64_to(char* to, std::string_view bytes, Base64 alphabet = Base64::standard);
std::string base64(std::string_view bytes, Base64 alphabet = Base64::standard);

// What decoding writes at most.
constexpr size_t base64_decoded_room(size_t characters) { return (characters + 3) / 4 * 3; }
// Padding may be absent or complete, nothing else may follow it; bits behind the last byte are not looked at (as nginx). Gives the end,
// nullptr for anything else. `to` may be text.data().
char* base64_decode_to(char* to, std::string_view text, Base64 alphabet = Base64::standard);
std::optional<std::string> base64_decode(std::string_view text, Base64 alphabet = Base64::standard);

}  // namespace fairlead
