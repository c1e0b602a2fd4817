// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// One line of a header or trailer section (RFC 9112 section 5), for the parsers of requests, responses and trailers. What the fields
// mean, which names a configuration drops and how long a line may be is the caller's matter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/message/headers.h"
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

// What ends a run of plain fields besides a line of another kind: a repeated one of `once`, a name with a byte of `odd_classes`, a line or
// a section longer than that.
struct PlainFields {
  const KnownHeaderSet& once;
  unsigned odd_classes;
  size_t line_bytes_max = SIZE_MAX, section_end_max = SIZE_MAX;  // the latter from the buffer's begin
  size_t lines_max = SIZE_MAX;
};

// Adds the fields from `from` on to `to` for as long as they stand on lines as nearly all are: there as a whole, "Name: value" CR LF, no
// further blanks around the value, nothing but visible ASCII in it. Gives where the first other line begins; parse_field_line() is to be
// asked what that is.
size_t take_plain_fields(Headers& to, std::string_view buffer, size_t from, const PlainFields& rules);

// Reads the line that begins at `from` (less than or equal to buffer.size()), whatever it is; `scanned` is the field of that name from the
// previous call for this line, or 0. Fills in `line` and gives its kind.
LineKind parse_field_line(FieldLine& line, std::string_view buffer, size_t from, size_t scanned, FieldSyntax syntax);

}  // namespace fairlead::http::h1
