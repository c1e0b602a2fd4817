// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/encoding.h"

#include <array>

#include "core/base/text.h"

namespace fairlead {
namespace {

constexpr std::string_view letters(Base64 alphabet) {
  return alphabet == Base64::standard ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
                                      : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
}

constexpr std::array<int8_t, 256> make_values(Base64 alphabet) {
  std::array<int8_t, 256> values{};
  for (int8_t& value : values) value = -1;
  for (int8_t i = 0; i < 64; ++i) values[static_cast<unsigned char>(letters(alphabet)[static_cast<size_t>(i)])] = i;
  return values;
}

constexpr std::array<int8_t, 256> standard_values = make_values(Base64::standard);
constexpr std::array<int8_t, 256> url_values = make_values(Base64::url);

// The text without its padding; nothing if the padding is wrong.
std::optional<std::string_view> without_padding(std::string_view text) {
  size_t end = text.find('=');
  if (end == std::string_view::npos) return text;
  size_t padding = text.size() - end;
  if (text.size() % 4 != 0 || padding > 2 || text.back() != '=') return std::nullopt;
  return text.substr(0, end);
}

}  // namespace

char* hex_to(char* to, std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  for (char c : bytes) {
    unsigned char byte = static_cast<unsigned char>(c);
    *to++ = digits[byte >> 4];
    *to++ = digits[byte & 15];
  }
  return to;
}

std::string hex(std::string_view bytes) {
  std::string text(bytes.size() * 2, '\0');
  hex_to(text.data(), bytes);
  return text;
}

char* hex_decode_to(char* to, std::string_view text) {
  if (text.size() % 2 != 0) return nullptr;
  for (size_t i = 0; i < text.size(); i += 2) {
    int high = hex_value(text[i]), low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return nullptr;
    *to++ = static_cast<char>(high << 4 | low);
  }
  return to;
}

std::optional<std::string> hex_decode(std::string_view text) {
  std::string bytes(text.size() / 2, '\0');
  if (!hex_decode_to(bytes.data(), text)) return std::nullopt;
  return bytes;
}

char* base64_to(char* to, std::string_view bytes, Base64 alphabet) {
  std::string_view set = letters(alphabet);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    size_t count = bytes.size() - i < 3 ? bytes.size() - i : 3;
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k <= count; ++k) *to++ = set[group >> (18 - 6 * k) & 63];
    if (alphabet == Base64::standard) {
      for (size_t k = count; k < 3; ++k) *to++ = '=';
    }
  }
  return to;
}

std::string base64(std::string_view bytes, Base64 alphabet) {
  std::string text(base64_size(bytes.size(), alphabet), '\0');
  base64_to(text.data(), bytes, alphabet);
  return text;
}

char* base64_decode_to(char* to, std::string_view text, Base64 alphabet) {
  std::optional<std::string_view> plain = without_padding(text);
  if (!plain || plain->size() % 4 == 1) return nullptr;
  const std::array<int8_t, 256>& values = alphabet == Base64::standard ? standard_values : url_values;
  uint32_t held = 0;
  int bits = 0;
  for (char c : *plain) {
    int value = values[static_cast<unsigned char>(c)];
    if (value < 0) return nullptr;
    held = held << 6 | static_cast<uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      *to++ = static_cast<char>(held >> bits & 0xff);
    }
  }
  return to;
}

std::optional<std::string> base64_decode(std::string_view text, Base64 alphabet) {
  std::string bytes(base64_decoded_room(text.size()), '\0');
  char* end = base64_decode_to(bytes.data(), text, alphabet);
  if (!end) return std::nullopt;
  bytes.resize(static_cast<size_t>(end - bytes.data()));
  return bytes;
}

}  // namespace fairlead
