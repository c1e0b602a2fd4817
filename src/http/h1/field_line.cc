// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h1/field_line.h"

#include <algorithm>
#include <cstring>

#include "http/message/known_header_table.h"

namespace fairlead::http::h1 {

static LineKind finish_line(FieldLine& line, LineKind kind, const char* base, const char* stop) {
  line.kind = kind;
  line.stop = line.next = static_cast<size_t>(stop - base);
  return kind;
}

LineKind end_line(FieldLine& line, LineKind kind, std::string_view buffer, const char* at, bool lone_lf) {
  const char* base = buffer.data();
  if (*at == '\n') return finish_line(line, lone_lf ? kind : LineKind::bad, base, at + 1);
  if (*at != '\r') return finish_line(line, LineKind::bad, base, at + 1);
  if (at + 1 == base + buffer.size()) return finish_line(line, LineKind::more, base, at + 1);
  return finish_line(line, at[1] == '\n' ? kind : LineKind::bad, base, at + 2);
}

// Every byte is looked at once. Of a name that is known no byte has to be judged; what lies before a colon may be anything. A section that
// is longer than a line may be is left at that length: so no line here is too long.
size_t take_plain_fields(Headers& to, std::string_view buffer, size_t from, const PlainFields& rules) {
  const char *base = buffer.data(), *name = base + from;
  const char* end = base + std::min({buffer.size(), rules.section_end_max, from + std::min(rules.line_bytes_max, buffer.size())});
  if (end - base < 16) return from;  // too short for the searches to look at as a whole
  const KnownHeaderSet once = rules.once;
  Headers::Adding adding(to);
  for (size_t left = rules.lines_max; left > 0 && name < end && *name > ' '; --left) {  // a blank: the section's end, a body may follow
    const char* colon = scan::find_colon(base, name, end);
    if (end - colon < 4 || colon[1] != ' ' || colon[2] == ' ') break;
    const char *value = colon + 2, *stop = scan::find_unprintable(base, value, end);
    if (end - stop < 2 || std::memcmp(stop, "\r\n", 2) != 0 || stop[-1] == ' ') break;  // of an empty value: the blank behind the colon
    std::string_view text(name, static_cast<size_t>(colon - name));
    KnownHeader known = known_header::find(text);
    if (known == KnownHeader::other) [[unlikely]] {
      unsigned classes = name_classes(text);
      if (classes == 0 || (classes & rules.odd_classes)) break;
    } else if (adding.has(known) && once.holds(known)) [[unlikely]] {
      break;
    }
    adding.add(known, text, {value, static_cast<size_t>(stop - value)});
    name = stop + 2;
  }
  return static_cast<size_t>(name - base);
}

LineKind parse_field_line(FieldLine& line, std::string_view buffer, size_t from, size_t scanned, FieldSyntax syntax) {
  const char *base = buffer.data(), *end = base + buffer.size(), *at = base + from;
  line.scanned = 0;
  if (at == end) return finish_line(line, LineKind::more, base, end);
  if (*at == '\r' || *at == '\n') return end_line(line, LineKind::end, buffer, at, syntax.lone_lf);

  const char* name = at;
  at = scan::find_name_end(base, at, end);
  if (at == end) return finish_line(line, LineKind::more, base, end);
  if (*at != ':' || at == name) return finish_line(line, LineKind::bad, base, at + 1);
  line.name = {name, static_cast<size_t>(at - name)};
  line.known = find_known_header(line.name);
  line.name_classes = name_classes(line.name);

  ++at;
  while (at < end && (*at == ' ' || *at == '\t')) ++at;
  const char* value = at;
  at = scan::find_control(base, std::max(at, base + scanned), end);
  while (at < end && *at != '\r' && *at != '\n' && syntax.controls && *at != '\0') at = scan::find_control(base, at + 1, end);
  line.scanned = static_cast<size_t>(at - base);
  if (at == end) return finish_line(line, LineKind::more, base, end);
  LineKind kind = end_line(line, LineKind::field, buffer, at, syntax.lone_lf);
  while (at > value && (at[-1] == ' ' || at[-1] == '\t')) --at;
  line.value = {value, static_cast<size_t>(at - value)};
  return kind;
}

}  // namespace fairlead::http::h1
