// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// One line of a header or trailer section (RFC 9112 section 5), for the parsers of requests, responses and trailers. What the fields
// mean, which names a configuration drops and how long a line may be is the caller's matter.
#pragma once

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

// `at` is where a line ends if CR LF or LF stands there. Fills in kind, stop and next, and gives the kind: `kind`, bad or more.
LineKind end_line(FieldLine& line, LineKind kind, std::string_view buffer, const char* at, bool lone_lf);

// The scan::name_ bits of all bytes of `name`; 0 if one of them can be in no name at all.
inline uint8_t name_classes(std::string_view name) {
  unsigned classes = 0;
  for (char byte : name) {
    unsigned own = scan::class_of(byte);
    if (own == 0) return 0;
    classes |= own;
  }
  return static_cast<uint8_t>(classes);
}

// One as nearly all are: there as a whole, "Name: value" CR LF, no further blanks around the value. False: nothing is said of the line, and
// parse_field_line() is to be asked. Callers keep `line` to themselves, so that it never has to lie in memory. Only a name that is not
// known has to be looked at byte by byte: what lies before a colon may be anything.
[[gnu::always_inline]] inline bool take_plain_line(FieldLine& line, std::string_view buffer, size_t from) {
  const char *base = buffer.data(), *end = base + buffer.size(), *name = base + from;
  if (name == end || *name <= ' ') return false;  // the end of the section: a body may follow
  const char* colon = scan::find_colon(base, name, end);
  if (end - colon < 4 || colon == name || colon[1] != ' ') return false;
  const char* value = colon + 2;
  const char* stop = scan::find_control(base, value, end);
  if (end - stop < 2 || stop[0] != '\r' || stop[1] != '\n') return false;
  auto is_blank = [](char byte) { return byte == ' ' || byte == '\t'; };
  if (is_blank(*value) || is_blank(stop[-1])) return false;  // of an empty value: the blank behind the colon
  line.name = {name, static_cast<size_t>(colon - name)};
  line.known = find_known_header(line.name);
  line.name_classes = line.known != KnownHeader::other ? uint8_t{scan::name_plain} : name_classes(line.name);
  if (line.name_classes == 0) return false;
  line.value = {value, static_cast<size_t>(stop - value)};
  line.next = line.stop = static_cast<size_t>(stop + 2 - base);
  return true;
}

// Reads the line that begins at `from` (less than or equal to buffer.size()), whatever it is; `scanned` is the field of that name from the
// previous call for this line, or 0. Fills in `line` and gives its kind.
LineKind parse_field_line(FieldLine& line, std::string_view buffer, size_t from, size_t scanned, FieldSyntax syntax);

}  // namespace fairlead::http::h1
