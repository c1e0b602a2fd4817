// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/escape.h"

#include <array>
#include <cstring>

#include "core/base/text.h"

namespace fairlead {
namespace {

constexpr size_t set_count = static_cast<size_t>(Escape::error_log) + 1;
constexpr char upper_hex[] = "0123456789ABCDEF";

// Per byte: how many bytes it becomes, 1 if it stays.
using Sizes = std::array<uint8_t, 256>;

constexpr bool unreserved(unsigned byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '-' || byte == '.' ||
         byte == '_' || byte == '~';
}

constexpr bool one_of(unsigned byte, std::string_view set) {
  return byte != 0 && byte < 0x80 && set.find(static_cast<char>(byte)) != std::string_view::npos;
}

constexpr Sizes percent_sizes(std::string_view also) {
  Sizes sizes{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    bool escaped = byte < 0x20 || byte > 0x7e || one_of(byte, "\"<>\\^`{|}") || one_of(byte, also);
    sizes[byte] = escaped ? 3 : 1;
  }
  return sizes;
}

constexpr uint8_t json_size(unsigned byte) {
  if (one_of(byte, "\"\\\n\r\t\b\f")) return 2;
  return byte < 0x20 ? 6 : 1;
}

constexpr uint8_t html_size(unsigned byte) {
  if (byte == '<' || byte == '>') return 4;
  if (byte == '&') return 5;
  return byte == '"' ? 6 : 1;
}

constexpr std::array<Sizes, set_count> make_tables() {
  std::array<Sizes, set_count> tables{};
  auto table = [&tables](Escape set) -> Sizes& { return tables[static_cast<size_t>(set)]; };
  table(Escape::uri) = percent_sizes(" #%?");
  table(Escape::args) = percent_sizes(" #%&+;?");
  table(Escape::uri_in_html) = percent_sizes(" #%'");
  table(Escape::uri_in_refresh) = percent_sizes(" '");
  for (unsigned byte = 0; byte < 256; ++byte) {
    table(Escape::uri_component)[byte] = unreserved(byte) ? 1 : 3;
    table(Escape::memcached)[byte] = byte <= 0x20 || byte == '%' ? 3 : 1;
    table(Escape::target)[byte] = byte <= 0x20 || byte == 0x7f ? 3 : 1;
    table(Escape::controls)[byte] = byte < 0x20 || byte == 0x7f ? 3 : 1;
    table(Escape::html)[byte] = html_size(byte);
    table(Escape::json)[byte] = json_size(byte);
    table(Escape::log)[byte] = byte < 0x20 || byte > 0x7e || byte == '"' || byte == '\\' ? 4 : 1;
    table(Escape::error_log)[byte] = byte < 0x20 || byte == 0x7f ? 4 : 1;
  }
  return tables;
}

constexpr std::array<Sizes, set_count> tables = make_tables();

char* write_hex(char* to, unsigned char byte) {
  *to++ = upper_hex[byte >> 4];
  *to++ = upper_hex[byte & 15];
  return to;
}

char* write_text(char* to, std::string_view text) {
  std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

char* write_entity(char* to, char c) {
  switch (c) {
    case '<': return write_text(to, "&lt;");
    case '>': return write_text(to, "&gt;");
    case '&': return write_text(to, "&amp;");
    default: return write_text(to, "&quot;");
  }
}

char* write_json(char* to, char c) {
  *to++ = '\\';
  switch (c) {
    case '\n': *to++ = 'n'; return to;
    case '\r': *to++ = 'r'; return to;
    case '\t': *to++ = 't'; return to;
    case '\b': *to++ = 'b'; return to;
    case '\f': *to++ = 'f'; return to;
    case '"': case '\\': *to++ = c; return to;
    default: return write_hex(write_text(to, "u00"), static_cast<unsigned char>(c));
  }
}

char* write_escaped(Escape set, char* to, char c) {
  switch (set) {
    case Escape::html: return write_entity(to, c);
    case Escape::json: return write_json(to, c);
    case Escape::log:
    case Escape::error_log: return write_hex(write_text(to, "\\x"), static_cast<unsigned char>(c));
    default:
      *to++ = '%';
      return write_hex(to, static_cast<unsigned char>(c));
  }
}

}  // namespace

size_t escaped_size(Escape set, std::string_view text) {
  const Sizes& sizes = tables[static_cast<size_t>(set)];
  size_t total = 0;
  for (char c : text) total += sizes[static_cast<unsigned char>(c)];
  return total;
}

char* escape_to(Escape set, char* to, std::string_view text) {
  const Sizes& sizes = tables[static_cast<size_t>(set)];
  for (char c : text) {
    if (sizes[static_cast<unsigned char>(c)] == 1) *to++ = c;
    else to = write_escaped(set, to, c);
  }
  return to;
}

void escape_append(Escape set, std::string& to, std::string_view text) {
  size_t before = to.size();
  to.resize(before + escaped_size(set, text));
  escape_to(set, to.data() + before, text);
}

char* unescape_to(char* to, std::string_view text, BadPercent bad) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      *to++ = text[i];
      continue;
    }
    int high = i + 1 < text.size() ? hex_value(text[i + 1]) : -1;
    int low = high >= 0 && i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (low >= 0) {
      *to++ = static_cast<char>(high << 4 | low);
      i += 2;
    } else if (bad == BadPercent::keep) {
      *to++ = '%';
    } else if (high >= 0) {
      i += 2;  // % and the digit go, and so does what should have been the second digit
    } else if (i + 1 < text.size()) {
      *to++ = text[++i];  // also if that is a %: it starts nothing
    }
  }
  return to;
}

}  // namespace fairlead
