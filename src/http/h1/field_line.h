// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// One line of a header or trailer section (RFC 9112 section 5), for the parsers of requests, responses and trailers. What the fields
// mean, which names a configuration drops and how long a line may be is the caller's matter.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "http/message/known_header.h"
#include "http/message/scan.h"

namespace fairlead::http::h1 {

enum class LineKind : uint8_t { more, field, end, bad };

struct FieldLine {
  LineKind kind = LineKind::more;
  uint8_t name_classes = 0;  // the scan::name_ bits of all bytes of the name
  KnownHeader known = KnownHeader::other;
  size_t next = 0;           // field, end: where the next line begins
  size_t stop = 0;           // one behind the last byte looked at
  size_t scanned = 0;        // more: where the search for the line's end may go on
  std::string_view name, value;
};

// How line ends and control characters are taken. Bare CR, NUL, folded lines and blanks before the colon are always bad.
struct FieldSyntax {
  bool lone_lf = true;   // LF without CR ends a line (RFC 9112 section 2.2)
  bool controls = false;  // other control characters may stand in values
};

namespace detail {

inline LineKind finish_line(FieldLine& line, LineKind kind, const char* base, const char* stop) {
  line.kind = kind;
  line.stop = line.next = static_cast<size_t>(stop - base);
  return kind;
}

// `at` is where a line ends if CR LF or LF stands there.
inline LineKind end_line(FieldLine& line, LineKind kind, std::string_view buffer, const char* at, bool lone_lf) {
  const char* base = buffer.data();
  if (*at == '\n') return finish_line(line, lone_lf ? kind : LineKind::bad, base, at + 1);
  if (*at != '\r') return finish_line(line, LineKind::bad, base, at + 1);
  if (at + 1 == base + buffer.size()) return finish_line(line, LineKind::more, base, at + 1);
  return finish_line(line, at[1] == '\n' ? kind : LineKind::bad, base, at + 2);
}

}  // namespace detail

// Reads the line that begins at `from` (less than or equal to buffer.size()); `scanned` is the field of that name from the previous
// call for this line, or 0. Fills in `line` (not returned: a copy of it right after it was written would stall) and gives its kind.
inline LineKind parse_field_line(FieldLine& line, std::string_view buffer, size_t from, size_t scanned, FieldSyntax syntax) {
  const char *base = buffer.data(), *end = base + buffer.size(), *at = base + from;
  line.scanned = 0;
  if (at == end) return detail::finish_line(line, LineKind::more, base, end);
  if (*at == '\r' || *at == '\n') return detail::end_line(line, LineKind::end, buffer, at, syntax.lone_lf);

  const char* name = at;
  at = scan::find_name_end(at, end);
  if (at == end) return detail::finish_line(line, LineKind::more, base, end);
  if (*at != ':' || at == name) return detail::finish_line(line, LineKind::bad, base, at + 1);
  line.name = {name, static_cast<size_t>(at - name)};
  line.known = find_known_header(line.name);
  line.name_classes = scan::name_plain;  // which all known names are made of
  if (line.known == KnownHeader::other) {
    for (char byte : line.name) line.name_classes |= static_cast<uint8_t>(scan::class_of(byte));
  }

  ++at;
  while (at < end && (*at == ' ' || *at == '\t')) ++at;
  const char* value = at;
  at = scan::find_control(std::max(at, base + std::min(scanned, buffer.size())), end);
  while (syntax.controls && at < end && *at != '\0' && *at != '\r' && *at != '\n') at = scan::find_control(at + 1, end);
  line.scanned = static_cast<size_t>(at - base);
  if (at == end) return detail::finish_line(line, LineKind::more, base, end);
  LineKind kind = detail::end_line(line, LineKind::field, buffer, at, syntax.lone_lf);
  while (at > value && (at[-1] == ' ' || at[-1] == '\t')) --at;
  line.value = {value, static_cast<size_t>(at - value)};
  return kind;
}

}  // namespace fairlead::http::h1
