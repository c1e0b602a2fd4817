// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The request side of http/h1/parse.h. Every step looks at bytes in order and decides nothing by what follows them, which is
// what makes the result independent of how the bytes arrived.
#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "core/base/format.h"
#include "core/base/text.h"
#include "http/h1/connection_options.h"
#include "http/h1/parse.h"
#include "http/message/authority.h"

namespace fairlead::http::h1 {
namespace {

// Of a line that is refused, the log shows this much.
constexpr size_t shown_bytes_max = 256;

constexpr char invalid_request[] = "client sent invalid request";

bool is_alpha(char byte) { return lower(byte) >= 'a' && lower(byte) <= 'z'; }

enum class Scan : uint8_t { more, ok, invalid, unsupported };

// "HTTP/1.x" from `at` on. Leaves `at` at the byte that decided, or behind the digits.
Scan scan_version(const char*& at, const char* end, unsigned& minor) {
  constexpr std::string_view usual = "HTTP/1.1\r";
  if (static_cast<size_t>(end - at) >= usual.size() && std::memcmp(at, usual.data(), usual.size()) == 0) {
    at += usual.size() - 1;
    minor = 1;
    return Scan::ok;
  }
  for (char wanted : std::string_view("HTTP/")) {
    if (at == end) return Scan::more;
    if (*at != wanted) return Scan::invalid;
    ++at;
  }
  if (at == end) return Scan::more;
  if (*at < '1' || *at > '9') return Scan::invalid;
  if (*at != '1') return Scan::unsupported;
  if (++at == end) return Scan::more;
  if (is_digit(*at)) return Scan::unsupported;
  if (*at != '.') return Scan::invalid;
  if (++at == end) return Scan::more;
  if (!is_digit(*at)) return Scan::invalid;
  for (minor = 0; at < end && is_digit(*at); ++at) {
    minor = minor * 10 + static_cast<unsigned>(*at - '0');
    if (minor > 999) return Scan::invalid;
  }
  return at == end ? Scan::more : Scan::ok;
}

bool names_path(std::string_view target) { return target[0] == '/' || target.find("://") != std::string_view::npos; }

// What stands between the scheme and the path of an absolute target.
std::string_view authority_of(std::string_view target) {
  std::string_view rest = target.substr(target.find("://") + 3);
  return rest.substr(0, rest.find_first_of("/?#"));
}

}  // namespace

ParseResult RequestParser::parse(std::string_view buffer) {
  if (buffer.data() != base_) {
    if (base_) head_.headers.rebase(base_, buffer.data());
    if (base_ && dropped_) dropped_->rebase(base_, buffer.data());
    base_ = buffer.data();
  }
  if (stage_ == Stage::empty_lines && !skip_empty_lines(buffer)) {
    return stage_ == Stage::failed ? ParseResult::failed : ParseResult::need_more;
  }
  bool complete = stage_ != Stage::request_line || read_request_line(buffer);
  if (complete && stage_ == Stage::fields) read_fields(buffer);
  if (stage_ == Stage::done) return ParseResult::done;
  return stage_ == Stage::failed ? ParseResult::failed : ParseResult::need_more;
}

bool RequestParser::within_limits(size_t stop) {
  size_t line_limit = line_at_ + rules_->line_bytes_max;
  if (stop <= line_limit && stop <= rules_->head_bytes_max) return true;
  if (stage_ == Stage::request_line) return give_up({414, "client sent too long URI"});
  // Whichever limit the bytes met first.
  if (line_limit > rules_->head_bytes_max) return give_up({494, "client sent too large request"});
  return give_up({494, "client sent too long header line", {base_ + line_at_, std::min<size_t>(rules_->line_bytes_max, shown_bytes_max)}});
}

bool RequestParser::give_up(HeadFault fault) {
  error_ = fault;
  error_.in_request_line = stage_ != Stage::fields;
  stage_ = Stage::failed;
  return false;
}

bool RequestParser::more(size_t stop) {
  within_limits(stop);
  return false;
}

bool RequestParser::fail(size_t stop, uint16_t status, const char* what, std::string_view detail) {
  if (!within_limits(stop)) return false;  // the limit was passed before this byte was there
  return give_up({status, what, detail});
}

bool RequestParser::skip_empty_lines(std::string_view buffer) {
  size_t at = line_at_;
  bool lone_cr = false;
  for (; at < buffer.size(); ++at) {
    if (buffer[at] == '\n') continue;
    if (buffer[at] != '\r' || at + 1 == buffer.size()) break;
    lone_cr = buffer[at + 1] != '\n';
    if (lone_cr) break;
  }
  line_at_ = at;
  if (lone_cr || at > rules_->head_bytes_max)
    return give_up({400, lone_cr && at <= rules_->head_bytes_max ? "client sent invalid method" : invalid_request});
  if (at == buffer.size() || buffer[at] == '\r') return false;
  line_start_ = static_cast<uint32_t>(at);
  stage_ = Stage::request_line;
  return true;
}

// "GET /path HTTP/1.1": nearly every request begins with such a line. False: nothing is said of it.
bool RequestParser::take_usual_line(std::string_view buffer) {
  constexpr char start[] = "GET /", rest[] = " HTTP/1.1\r\n";
  constexpr std::ptrdiff_t start_bytes = sizeof start - 1, rest_bytes = sizeof rest - 1;
  const char *line = base_ + line_at_, *end = base_ + std::min<size_t>(buffer.size(), rules_->head_bytes_max);
  if (scanned_ != 0 || end - line < start_bytes || !scan::is_at(line, start)) return false;
  const char *target = line + start_bytes - 1, *at = scan::find_blank_or_control(base_, target, end);
  if (end - at < rest_bytes || !scan::is_at(at, rest)) return false;
  const char* next = at + rest_bytes;
  if (static_cast<size_t>(next - line) > rules_->line_bytes_max) return false;
  head_.method = Method::get;
  head_.version_minor = 1;
  method_bytes_ = 3;
  target_at_ = static_cast<uint32_t>(target - base_);
  target_bytes_ = static_cast<uint32_t>(at - target);
  protocol_at_ = static_cast<uint32_t>(at + 1 - base_);
  protocol_bytes_ = static_cast<uint32_t>(rest_bytes - 3);
  request_line_bytes_ = static_cast<uint32_t>(next - line - 2);
  line_at_ = static_cast<size_t>(next - base_);
  stage_ = Stage::fields;
  return true;
}

bool RequestParser::read_request_line(std::string_view buffer) {
  if (take_usual_line(buffer)) return true;
  const char *end = base_ + buffer.size(), *at = base_ + line_at_;
  auto stop = [&] { return static_cast<size_t>(at - base_) + 1; };
  const char* method = at;
  while (at < end && (scan::class_of(*at) & scan::method_byte)) ++at;
  if (at == end) return more(buffer.size());
  if (*at != ' ' || at == method) return fail(stop(), 400, "client sent invalid method");
  method_bytes_ = static_cast<uint32_t>(at - method);
  std::string_view name(method, method_bytes_);
  head_.method = parse_method(name);  // known whatever becomes of the rest: a HEAD is answered without a body
  while (at < end && *at == ' ') ++at;
  if (at == end) return more(buffer.size());

  const char* target = at;
  if (*at != '/' && head_.method != Method::connect && !is_alpha(*at) && !(*at == '*' && name == "OPTIONS")) {
    return fail(stop(), 400, invalid_request);
  }
  at = scan::find_blank_or_control(base_, std::max(at, base_ + scanned_), end);
  scanned_ = static_cast<size_t>(at - base_);
  if (at == end) return more(buffer.size());
  if (*at != ' ' && *at != '\r' && *at != '\n') return fail(stop(), 400, invalid_request);
  target_at_ = static_cast<uint32_t>(target - base_);
  target_bytes_ = static_cast<uint32_t>(at - target);
  if (target_bytes_ == 0 || (*target == '*' && target_bytes_ != 1)) return fail(stop(), 400, invalid_request);
  const char* line_end = at;
  while (at < end && *at == ' ') ++at;
  if (at == end) return more(buffer.size());
  if (*at == '\r' || *at == '\n') {
    request_line_bytes_ = static_cast<uint32_t>(line_end - method);
    return end_request_line(buffer, at);
  }

  protocol_at_ = static_cast<uint32_t>(at - base_);
  unsigned minor = 0;
  switch (scan_version(at, end, minor)) {
    case Scan::more: return more(buffer.size());
    case Scan::invalid: return fail(stop(), 400, invalid_request);
    case Scan::unsupported: return fail(stop(), 505, "client sent invalid version");
    case Scan::ok: break;
  }
  protocol_bytes_ = static_cast<uint32_t>(at - base_) - protocol_at_;
  request_line_bytes_ = static_cast<uint32_t>(at - method);
  head_.version_minor = static_cast<uint8_t>(std::min(minor, 255u));
  while (at < end && *at == ' ') ++at;
  if (at == end) return more(buffer.size());
  return end_request_line(buffer, at);
}

bool RequestParser::end_request_line(std::string_view buffer, const char* at) {
  FieldLine line;
  end_line(line, LineKind::end, buffer, at, true);
  if (line.kind == LineKind::more) return more(line.stop);
  if (line.kind == LineKind::bad) return fail(line.stop, 400, invalid_request);
  if (!within_limits(line.stop)) return false;
  bool simple = protocol_bytes_ == 0;
  if (simple && std::string_view(base_ + line_start_, method_bytes_) != "GET") {
    return fail(line.stop, 400, "client sent invalid method in HTTP/0.9 request");
  }
  line_at_ = line.next;
  scanned_ = 0;
  stage_ = Stage::fields;
  std::string_view target(base_ + target_at_, target_bytes_);
  if (hosts_ && target.find("://") < target.find('/')) enter_host(authority_of(target));
  else if (hosts_ && head_.method == Method::connect && !names_path(target)) enter_host(target);
  if (!simple) return true;
  head_.version_major = 0;
  head_.version_minor = 9;
  return finish();
}

// A name of other than letters, digits and '-'. False: the field goes no further, dropped or refused.
bool RequestParser::judge_name(const FieldLine& line) {
  unsigned wrong = line.name_classes & (scan::name_token | scan::name_foreign);
  if (!rules_->underscores) wrong |= line.name_classes & scan::name_underscore;
  if (wrong != 0 && rules_->ignore_invalid_headers) {
    if (!dropped_) head_.dropped = dropped_ = head_.headers.arena().make<Headers>(head_.headers.arena(), 2u);
    dropped_->add(KnownHeader::other, line.name, line.value);
    return false;
  }
  return !(wrong & scan::name_foreign) || fail(line.stop, 400, "client sent invalid header line", line.name);
}

// What the log, which puts it in quotes, says of the two.
std::string_view RequestParser::twice(std::string_view name, std::string_view value, const Headers::Field& before) {
  return head_.headers.arena().copy(format("{}: {}\", previous value: \"{}: {}", name, value, before.name, before.value));
}

void RequestParser::enter_host(std::string_view authority) {
  std::optional<Authority> parsed = parse_authority(authority, head_.headers.arena());
  if (parsed) rules_ = &std::exchange(hosts_, nullptr)->rules_for(parsed->host);
}

// A whole line that is a field. True: on to the next.
bool RequestParser::keep_field(const FieldLine& line) {
  constexpr unsigned other_classes = scan::name_underscore | scan::name_token | scan::name_foreign;
  if (!within_limits(line.stop)) return false;
  if (++lines_ > rules_->headers_max) return fail(line.stop, 400, "client sent too many header lines");
  bool is_kept = !(line.name_classes & other_classes) || judge_name(line);
  if (stage_ == Stage::failed) return false;
  KnownHeader known = line.known;
  if (sent_once.holds(known) && head_.headers.has(known)) {
    const char* what = known == KnownHeader::host ? "client sent duplicate host header" : "client sent duplicate header line";
    return fail(line.stop, 400, what, twice(line.name, line.value, *head_.headers.find(known)));
  }
  if (is_kept) head_.headers.add(known, line.name, line.value);
  if (known == KnownHeader::host && hosts_) enter_host(line.value);
  line_at_ = line.next;
  scanned_ = 0;
  return true;
}

// What is not a field on a line as nearly all are. True: on to the next line.
bool RequestParser::read_any_line(std::string_view buffer) {
  FieldLine line;
  switch (parse_field_line(line, buffer, line_at_, scanned_, {.lone_lf = true, .controls = false})) {
    case LineKind::more: scanned_ = line.scanned; return more(line.stop);
    case LineKind::bad:
      return fail(line.stop, 400, "client sent invalid header line",
                  buffer.substr(line_at_, std::min(line.stop - line_at_, shown_bytes_max)));
    case LineKind::field: return keep_field(line);
    case LineKind::end: break;
  }
  if (!within_limits(line.stop)) return false;
  line_at_ = line.next;
  finish();
  return false;
}

void RequestParser::read_fields(std::string_view buffer) {
  do {
    if (scanned_ == 0 && !hosts_) {  // one of them may be Host, whose rules hold for the next
      size_t before = head_.headers.size();
      line_at_ = take_plain_fields(head_.headers, buffer, line_at_,
                                   {.once = sent_once,
                                    .odd_classes = scan::name_underscore | scan::name_token | scan::name_foreign,
                                    .line_bytes_max = rules_->line_bytes_max,
                                    .section_end_max = rules_->head_bytes_max,
                                    .lines_max = rules_->headers_max - std::min(lines_, rules_->headers_max)});
      lines_ += static_cast<uint32_t>(head_.headers.size() - before);
    }
    if (buffer.substr(line_at_, 2) == "\r\n") {
      if (within_limits(line_at_ + 2)) {
        line_at_ += 2;
        finish();
      }
      return;
    }
  } while (read_any_line(buffer));
}

inline void RequestParser::keep_request_line() {
  head_.request_line = {base_ + line_start_, request_line_bytes_};
  head_.method_text = {base_ + line_start_, method_bytes_};
  head_.target = {base_ + target_at_, target_bytes_};
  head_.protocol = {base_ + protocol_at_, protocol_bytes_};
  head_.bytes = line_at_ - line_start_;
}

std::string_view received_head(const RequestHead& head) {
  if (head.version_major > 1) return {};
  return {head.request_line.data(), std::max(head.request_line.size(), head.bytes)};
}

void RequestParser::describe(std::string_view buffer) {
  parse(buffer);  // finds out where the bytes lie now
  bool has_line = stage_ == Stage::fields || (stage_ == Stage::failed && !error_.in_request_line);
  if (!has_line) {
    std::string_view line = buffer.substr(line_start_);
    head_.request_line = line.substr(0, line.find_first_of("\r\n"));
    return;
  }
  if (!head_.target.empty()) return;  // the head was complete: finish() has seen to it
  ParseError first = error_;
  keep_request_line();
  if (finish_target()) finish_host();
  error_ = first;
}

bool RequestParser::finish() {
  keep_request_line();
  if (!finish_target() || !finish_host() || !finish_framing()) return false;
  stage_ = Stage::done;
  return true;
}

bool RequestParser::finish_target() {
  head_.request_uri = head_.target;
  if (head_.method == Method::connect && !names_path(head_.target)) {  // with a path it is no tunnel's, which is decided elsewhere
    head_.form = TargetForm::authority;
    std::optional<Authority> authority = parse_authority(head_.target, head_.headers.arena());
    if (!authority || !authority->has_port) return fail(line_at_, 400, "client sent invalid host in request line", head_.target);
    head_.host = authority->host;
    head_.port = authority->port;
  } else if (head_.target[0] == '*') {
    head_.form = TargetForm::asterisk;
  } else if (head_.target[0] != '/' && !finish_absolute()) {
    return false;
  }
  size_t query = head_.request_uri.find('?');
  head_.path = head_.request_uri.substr(0, query);
  if (query != std::string_view::npos) head_.args = head_.request_uri.substr(query + 1);
  return true;
}

// RFC 9112 section 3.2.2. Any scheme will do: it is not what decides about this connection.
bool RequestParser::finish_absolute() {
  head_.form = TargetForm::absolute;
  std::string_view rest = head_.target;
  size_t colon = rest.find("://");
  if (colon == std::string_view::npos) return fail(line_at_, 400, invalid_request);
  head_.scheme = rest.substr(0, colon);
  for (char byte : head_.scheme) {
    if (!is_alpha(byte) && !is_digit(byte) && byte != '+' && byte != '-' && byte != '.') return fail(line_at_, 400, invalid_request);
  }
  std::string_view named = authority_of(head_.target);
  std::optional<Authority> authority = parse_authority(named, head_.headers.arena());
  if (!authority) return fail(line_at_, 400, "client sent invalid host in request line", head_.target);
  head_.host = authority->host;
  head_.port = authority->port;
  rest.remove_prefix(colon + 3 + named.size());
  if (rest.starts_with('#')) return fail(line_at_, 400, invalid_request);  // a fragment is no part of a target
  if (rest.empty()) {
    head_.request_uri = "/";
  } else {
    head_.request_uri = rest[0] == '/' ? rest : head_.headers.arena().join({"/", rest});
  }
  return true;
}

bool RequestParser::finish_host() {
  const Headers::Field* field = head_.headers.find(KnownHeader::host);
  if (!field) {
    if (!head_.is_http_1_1()) return true;
    if (!within_limits(line_at_)) return false;
    HeadFault fault(400, "client sent HTTP/1.1 request without \"Host\" header");
    fault.lacks_host = true;
    return give_up(fault);
  }
  std::optional<Authority> authority = parse_authority(field->value, head_.headers.arena());
  if (!authority) return fail(line_at_, 400, "client sent invalid host header", field->value);
  if (head_.host.empty()) {  // a host in the target is the one that counts
    head_.host = authority->host;
    head_.port = authority->port;
  }
  return true;
}

// RFC 9112 sections 6 and 9.3, without any of the lenience that smuggling lives on.
bool RequestParser::finish_framing() {
  const Headers& headers = head_.headers;
  Framing& framing = head_.framing;
  const Headers::Field* length = headers.find(KnownHeader::content_length);
  if (length) {
    std::optional<uint64_t> bytes = parse_decimal(length->value);
    if (!bytes || *bytes > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return fail(line_at_, 400, "client sent invalid \"Content-Length\" header", length->value);
    }
    framing.content_length = static_cast<int64_t>(*bytes);
  }
  if (const Headers::Field* coding = headers.find(KnownHeader::transfer_encoding)) {
    if (!head_.is_http_1_1()) {
      return fail(line_at_, 400, "client sent HTTP/1.0 request with \"Transfer-Encoding\" header");
    }
    if (!equal_nocase(coding->value, "chunked")) {
      return fail(line_at_, 501, "client sent unknown \"Transfer-Encoding\"", coding->value);
    }
    if (length) {
      return fail(line_at_, 400, "client sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time");
    }
    framing.chunked = true;
  }
  ConnectionOptions options(headers);
  if (head_.is_http_1_1()) {
    framing.keep_alive = !options.close;
    if (const Headers::Field* expect = headers.find(KnownHeader::expect)) {
      head_.expect_continue = equal_nocase(expect->value, "100-continue");
    }
    if (options.upgrade && headers.has(KnownHeader::upgrade)) {
      head_.upgrade = headers.joined(KnownHeader::upgrade);
    }
  } else {
    framing.keep_alive = head_.version_major == 1 && options.keep_alive && !options.close;
  }
  return true;
}

}  // namespace fairlead::http::h1
