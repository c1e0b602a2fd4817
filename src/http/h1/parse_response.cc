// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The response side of http/h1/parse.h, and the trailers of either side.
#include <limits>

#include "core/base/text.h"
#include "http/h1/connection_options.h"
#include "http/h1/parse.h"

namespace fairlead::http::h1 {
namespace {

// A valid field name by RFC 9110; upstreams are not held to the configuration's taste in names.
bool is_token_name(const FieldLine& line) { return (line.name_classes & scan::name_foreign) == 0; }

}  // namespace

ParseResult ResponseParser::parse(std::string_view buffer) {
  if (buffer.data() != base_) {
    if (base_) head_.headers.rebase(base_, buffer.data());
    base_ = buffer.data();
  }
  bool complete = stage_ != Stage::status_line || read_status_line(buffer);
  if (complete && stage_ == Stage::fields) read_fields(buffer);
  switch (stage_) {
    case Stage::done: return ParseResult::done;
    case Stage::failed: return ParseResult::failed;
    case Stage::no_header: return ParseResult::no_header;
    default: return ParseResult::need_more;
  }
}

bool ResponseParser::fail(const char* what, std::string_view detail) {
  error_ = {502, what, detail};
  stage_ = Stage::failed;
  return false;
}

bool ResponseParser::no_header() {
  error_ = {200, "upstream sent no valid HTTP/1.0 header", {}};
  stage_ = Stage::no_header;
  return false;
}

// Anything that does not begin as "HTTP/d.d ddd" is a body without a head. All of it is looked at again with each call: it is short.
bool ResponseParser::read_status_line(std::string_view buffer) {
  const char *at = base_, *end = base_ + buffer.size();
  constexpr char usual[] = "HTTP/1.1 200 OK\r\n";
  if (buffer.size() >= sizeof usual - 1 && scan::is_at(at, usual)) return take_usual_status_line();
  for (char wanted : std::string_view("HTTP/")) {
    if (at == end) return false;
    if (*at++ != wanted) return no_header();
  }
  unsigned numbers[2] = {0, 0};
  for (unsigned i = 0; i < 2; ++i) {
    const char* digits = at;
    while (at < end && is_digit(*at) && at - digits < 3) numbers[i] = numbers[i] * 10 + static_cast<unsigned>(*at++ - '0');
    if (at == end) return false;
    if (at == digits || *at != (i == 0 ? '.' : ' ')) return no_header();
    ++at;
  }
  while (at < end && *at == ' ') ++at;
  unsigned status = 0;
  for (unsigned i = 0; i < 3; ++i) {
    if (at == end) return false;
    if (!is_digit(*at)) return no_header();
    status = status * 10 + static_cast<unsigned>(*at++ - '0');
  }
  if (status < 100) return no_header();
  if (at == end) return false;
  if (*at != ' ' && *at != '.' && *at != '\r' && *at != '\n') return no_header();  // IIS may say "403.1"
  if (*at == ' ') ++at;
  head_.version_major = static_cast<uint8_t>(std::min(numbers[0], 255u));
  head_.version_minor = static_cast<uint8_t>(std::min(numbers[1], 255u));
  head_.status = static_cast<uint16_t>(status);
  reason_at_ = static_cast<size_t>(at - base_);
  return end_status_line(buffer, at);
}

// What nearly every reply begins with.
bool ResponseParser::take_usual_status_line() {
  constexpr std::string_view line = "HTTP/1.1 200 OK";
  head_.version_major = head_.version_minor = 1;
  head_.status = 200;
  reason_at_ = line.size() - 2;
  reason_bytes_ = 2;
  status_line_bytes_ = line.size();
  line_at_ = line.size() + 2;
  scanned_ = 0;
  stage_ = Stage::fields;
  return true;
}

bool ResponseParser::end_status_line(std::string_view buffer, const char* at) {
  const char *end = base_ + buffer.size(), *reason = at;
  at = scan::find_control(base_, std::max(at, base_ + scanned_), end);
  while (at < end && *at != '\r' && *at != '\n' && *at != '\0') at = scan::find_control(base_, at + 1, end);
  scanned_ = static_cast<size_t>(at - base_);
  if (at == end) return false;
  FieldLine line;
  end_line(line, LineKind::end, buffer, at, true);
  if (line.kind == LineKind::more) return false;
  if (line.kind == LineKind::bad) return fail("upstream sent invalid status line", buffer.substr(0, std::min<size_t>(line.stop, 256)));
  reason_bytes_ = static_cast<size_t>(at - reason);
  status_line_bytes_ = static_cast<size_t>(at - base_);
  line_at_ = line.next;
  scanned_ = 0;
  stage_ = Stage::fields;
  return true;
}

// A whole line that is a field. True: on to the next.
bool ResponseParser::keep_field(const FieldLine& line) {
  KnownHeader known = line.known;
  bool frames = known == KnownHeader::content_length || known == KnownHeader::transfer_encoding;
  if (frames && head_.headers.has(known)) return fail("upstream sent duplicate header line", line.name);
  if (is_token_name(line)) {
    head_.headers.add(known, line.name, line.value);
  } else if (left_out_bytes_ == 0) {  // HTTP/2 could not carry it, and nobody can mean it
    left_out_at_ = static_cast<uint32_t>(line_at_);
    left_out_bytes_ = static_cast<uint32_t>(line.next - line_at_);
  }
  line_at_ = line.next;
  scanned_ = 0;
  return true;
}

// What is not a field on a line as nearly all are. True: on to the next line.
bool ResponseParser::read_any_line(std::string_view buffer) {
  FieldLine line;
  switch (parse_field_line(line, buffer, line_at_, scanned_, {.lone_lf = true, .controls = true})) {
    case LineKind::more: scanned_ = line.scanned; return false;
    case LineKind::bad:
      return fail("upstream sent invalid header", buffer.substr(line_at_, std::min<size_t>(line.stop - line_at_, 256)));
    case LineKind::field: return keep_field(line);
    case LineKind::end: break;
  }
  line_at_ = line.next;
  finish();
  return false;
}

void ResponseParser::read_fields(std::string_view buffer) {
  static constexpr KnownHeaderSet framing(KnownHeader::content_length, KnownHeader::transfer_encoding);
  do {
    if (scanned_ == 0)
      line_at_ = take_plain_fields(head_.headers, buffer, line_at_, {.once = framing, .odd_classes = scan::name_foreign});
    if (buffer.substr(line_at_, 2) == "\r\n") {
      line_at_ += 2;
      finish();
      return;
    }
  } while (read_any_line(buffer));
}

bool ResponseParser::finish() {
  head_.status_line = {base_, status_line_bytes_};
  head_.reason = {base_ + reason_at_, reason_bytes_};
  head_.bytes = line_at_;
  Framing& framing = head_.framing;
  const Headers& headers = head_.headers;
  const Headers::Field* length = headers.find(KnownHeader::content_length);
  if (length) {
    std::optional<uint64_t> bytes = parse_decimal(length->value);
    if (!bytes || *bytes > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return fail("upstream sent invalid \"Content-Length\" header", length->value);
    }
    framing.content_length = static_cast<int64_t>(*bytes);
  }
  bool version_1_1 = head_.version_major == 1 && head_.version_minor >= 1;
  ConnectionOptions options(headers);
  framing.keep_alive = !options.close && (version_1_1 || options.keep_alive);
  if (const Headers::Field* coding = headers.find(KnownHeader::transfer_encoding)) {
    if (length) return fail("upstream sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time");
    if (!equal_nocase(coding->value, "chunked")) return fail("upstream sent unknown \"Transfer-Encoding\"", coding->value);
    framing.chunked = true;
    if (!version_1_1) framing.keep_alive = false;  // RFC 9112 section 6.1: do not trust what follows such a message
  }
  stage_ = Stage::done;
  return true;
}

bool parse_trailers(std::string_view section, Trailers& trailers, uint32_t fields_max) {
  size_t at = 0;
  for (uint32_t count = 0;; ++count) {
    FieldLine line;
    LineKind kind = parse_field_line(line, section, at, 0, {.lone_lf = false, .controls = false});
    if (kind == LineKind::end) return line.next == section.size();
    if (kind != LineKind::field || !is_token_name(line) || count >= fields_max) return false;
    KnownHeader known = line.known;
    if (!not_in_trailers.holds(known)) trailers.add(known, line.name, line.value);
    at = line.next;
  }
}

}  // namespace fairlead::http::h1
