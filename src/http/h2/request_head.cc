// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h2/request_head.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/encoding.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "http/message/authority.h"
#include "http/message/scan.h"

namespace fairlead::http::h2 {

namespace {

// RFC 9113 section 8.3.1, RFC 8441 section 4.
enum Seen : uint8_t { seen_method = 1, seen_scheme = 2, seen_authority = 4, seen_path = 8, seen_protocol = 16, seen_field = 32 };

struct Pseudo {
  std::string_view name;
  uint8_t which;
  const char *twice, *empty, *missing;
};
constexpr Pseudo pseudos[] = {
    {":method", seen_method, "client sent duplicate :method header", "client sent empty :method header", "client sent no :method header"},
    {":scheme", seen_scheme, "client sent duplicate :scheme header", "client sent empty :scheme header", "client sent no :scheme header"},
    {":authority", seen_authority, "client sent duplicate :authority header", nullptr, nullptr},
    {":path", seen_path, "client sent duplicate :path header", "client sent empty :path header", "client sent no :path header"},
    {":protocol", seen_protocol, "client sent duplicate :protocol header", "client sent empty :protocol header", nullptr},
};

// RFC 9113 section 8.2.2: of a connection, so in no message.
constexpr KnownHeaderSet of_connection(KnownHeader::connection, KnownHeader::keep_alive, KnownHeader::proxy_connection,
                                       KnownHeader::transfer_encoding, KnownHeader::upgrade);

bool is_blank(char byte) { return byte == ' ' || byte == '\t'; }

// RFC 3986 section 3.1.
bool is_scheme(std::string_view text) {
  auto is_letter = [](char byte) { return static_cast<uint8_t>((byte | 0x20) - 'a') < 26; };
  auto may_follow = [&](char byte) {
    return is_letter(byte) || (byte >= '0' && byte <= '9') || byte == '+' || byte == '-' || byte == '.';
  };
  return is_letter(text[0]) && std::all_of(text.begin(), text.end(), may_follow);
}

}  // namespace

bool is_malformed(std::string_view name, std::string_view value) {
  auto is_forbidden = [](char byte) {
    unsigned of = scan::class_of(byte);
    return of == 0 || (of & scan::upper_case) || static_cast<uint8_t>(byte) >= 0x80;
  };
  if (name.empty() || std::any_of(name.begin(), name.end(), is_forbidden)) return true;
  return !value.empty() && (is_blank(value.front()) || is_blank(value.back()) || scan::has_control(value));
}

bool HeadReader::fail(uint16_t status, const char* what, std::string_view detail) {
  if (fault_.status == 0) fault_ = {status, what, detail.empty() ? detail : arena().copy(detail.substr(0, 256))};
  return false;
}

bool HeadReader::fail_malformed(const char* what, std::string_view detail) {
  if (fault_.status == 0) malformed_ = true;
  return fail(400, what, detail);
}

void HeadReader::take(std::string_view name, std::string_view value) {
  bytes_ += name.size() + value.size();
  if (fault_.status) {  // a HEAD is answered without a body whatever becomes of the rest
    if (name == ":method" && !(seen_ & seen_method)) head_.method = parse_method(value);
    return;
  }
  if (name.size() + value.size() > rules_->line_bytes_max) {
    if (name == ":path") fail(414, "client sent too long URI");
    else fail(494, "client sent too long header line");
    return;
  }
  if (bytes_ > rules_->head_bytes_max) {
    fail(494, "client sent too large request");
    return;
  }
  if (!name.empty() && name[0] == ':') {
    take_pseudo(name, value);
    return;
  }
  seen_ |= seen_field;
  if (++lines_ > rules_->headers_max) {
    fail(400, "client sent too many header lines");
    return;
  }
  if (http::h2::is_malformed(name, value)) {
    fail_malformed("client sent invalid header field", name);
    return;
  }
  KnownHeader known = find_known_header(name);
  if (known == KnownHeader::other && !keep_name(name, value)) return;
  if (of_connection.holds(known) || (known == KnownHeader::te && !equal_nocase(value, "trailers"))) {
    fail_malformed("client sent connection-specific header", name);
    return;
  }
  if (known == KnownHeader::host && !authority_.empty()) {  // as good as said twice, so it must say the same
    if (!equal_nocase(value, authority_)) fail(400, "client sent \":authority\" and \"Host\" that differ", value);
    return;
  }
  if (sent_once.holds(known) && head_.headers.has(known)) {
    fail(400, known == KnownHeader::host ? "client sent duplicate host header" : "client sent duplicate header line", name);
    return;
  }
  std::string_view kept_name = known == KnownHeader::other ? arena().copy(name) : header_name(known);
  head_.headers.add(known, kept_name, arena().copy(value));
  if (known == KnownHeader::host) enter_host(value);
}

void HeadReader::enter_host(std::string_view authority) {
  if (!hosts_) return;
  std::optional<Authority> parsed = parse_authority(authority, arena());
  if (parsed) rules_ = &std::exchange(hosts_, nullptr)->rules_for(parsed->host);
}

bool HeadReader::take_pseudo(std::string_view name, std::string_view value) {
  for (const Pseudo& pseudo : pseudos) {
    if (name != pseudo.name) continue;
    if (seen_ & pseudo.which) return fail_malformed(pseudo.twice);
    if (seen_ & seen_field) return fail_malformed("client sent pseudo-header behind other headers", name);
    seen_ |= pseudo.which;
    if (value.empty()) return !pseudo.empty || fail_malformed(pseudo.empty);
    return keep_pseudo(pseudo.which, value);
  }
  return fail_malformed("client sent unknown pseudo-header", name);
}

bool HeadReader::keep_pseudo(unsigned which, std::string_view value) {
  switch (which) {
    case seen_method:
      for (char byte : value) {
        if (!(scan::class_of(byte) & scan::method_byte)) return fail(400, "client sent invalid method", value);
      }
      head_.method = parse_method(value);
      head_.method_text = head_.method == Method::other ? arena().copy(value) : method_name(head_.method);
      break;
    case seen_path: head_.target = arena().copy(value); break;
    case seen_authority:
      authority_ = arena().copy(value);
      head_.headers.add(KnownHeader::host, authority_);
      enter_host(authority_);
      break;
    case seen_protocol: protocol_ = arena().copy(value); break;
    default:
      if (!is_scheme(value)) return fail_malformed("client sent invalid :scheme header", value);
      head_.scheme = arena().copy(value);
  }
  return true;
}

// As in HTTP/1: whether a field with this name is kept.
bool HeadReader::keep_name(std::string_view name, std::string_view value) {
  for (char byte : name) {
    unsigned wrong = scan::class_of(byte) & (scan::name_token | scan::name_foreign);
    if (!rules_->underscores) wrong |= scan::class_of(byte) & scan::name_underscore;
    if (wrong && rules_->ignore_invalid_headers) {
      drop(name, value);
      return false;
    }
    if (wrong & scan::name_foreign) return fail(400, "client sent invalid header line", name);
  }
  return true;
}

void HeadReader::drop(std::string_view name, std::string_view value) {
  if (!dropped_) head_.dropped = dropped_ = arena().make<Headers>(arena(), 2u);
  dropped_->add(KnownHeader::other, arena().copy(name), arena().copy(value));
}

bool HeadReader::finish(bool has_body) {
  head_.version_major = 2;
  head_.version_minor = 0;
  head_.protocol = "HTTP/2.0";
  head_.framing.keep_alive = true;
  bool good = fault_.status == 0 && finish_pseudo() && finish_target() && finish_host() && finish_websocket() && finish_framing(has_body);
  name_request_line();
  return good;
}

// HTTP/2 has none; logs and $request show what it would be.
void HeadReader::name_request_line() {
  const std::string_view target = head_.method == Method::connect && protocol_.empty() ? authority_ : head_.target;
  if (head_.method_text.empty() || target.empty()) return;
  head_.request_line = arena().join({head_.method_text, " ", target, " HTTP/2.0"});
}

bool HeadReader::finish_pseudo() {
  bool is_plain_connect = head_.method == Method::connect && !(seen_ & seen_protocol);
  for (const Pseudo& pseudo : pseudos) {
    bool needed = pseudo.missing && (!is_plain_connect || pseudo.which == seen_method);
    if (needed && !(seen_ & pseudo.which)) return fail_malformed(pseudo.missing);
  }
  if (is_plain_connect && (seen_ & (seen_scheme | seen_path))) return fail_malformed("client sent CONNECT method with :scheme or :path");
  if ((seen_ & seen_protocol) && head_.method != Method::connect) return fail_malformed("client sent :protocol without CONNECT method");
  return true;
}

bool HeadReader::finish_target() {
  if (head_.method == Method::connect && protocol_.empty()) {
    head_.form = TargetForm::authority;
    head_.target = head_.request_uri = authority_;
    return true;
  }
  const std::string_view target = head_.target;
  if (target == "*" && head_.method == Method::options) head_.form = TargetForm::asterisk;
  else if (target[0] != '/') return fail_malformed("client sent invalid :path header", target);
  const char* end = target.data() + target.size();
  if (scan::find_blank_or_control(target.data(), target.data(), end) != end) {
    return fail_malformed("client sent invalid :path header", target);
  }
  head_.request_uri = target;
  size_t query = target.find('?');
  head_.path = target.substr(0, query);
  if (query != std::string_view::npos) head_.args = target.substr(query + 1);
  return true;
}

bool HeadReader::finish_host() {
  const Headers::Field* field = head_.headers.find(KnownHeader::host);
  if (!field) return fail(400, "client sent neither \":authority\" nor \"Host\" header");
  std::optional<Authority> authority = parse_authority(field->value, arena());
  if (!authority) return fail(400, "client sent invalid host header", field->value);
  head_.host = authority->host;
  head_.port = authority->port;
  return true;
}

// RFC 8441 section 5: what asks for a WebSocket here is the request that asks for it in HTTP/1.1, so that one configuration serves both.
bool HeadReader::finish_websocket() {
  if (protocol_.empty()) return true;
  if (protocol_ != "websocket") return fail(501, "client sent unknown :protocol header", protocol_);
  static Random random = Random::from_system();
  uint64_t words[2] = {random.next(), random.next()};
  head_.method = Method::get;
  head_.method_text = method_name(Method::get);
  head_.is_extended_connect = true;
  head_.upgrade = "websocket";
  head_.headers.add(KnownHeader::upgrade, head_.upgrade);
  head_.headers.add(KnownHeader::connection, "upgrade");
  std::string key = base64({reinterpret_cast<const char*>(words), sizeof words});
  head_.headers.set(KnownHeader::sec_websocket_key, arena().copy(key));
  return true;
}

bool HeadReader::finish_framing(bool has_body) {
  Headers& headers = head_.headers;
  bool opens_tunnel = head_.is_extended_connect || head_.method == Method::connect;  // what follows is no body
  if (const Headers::Field* length = headers.find(KnownHeader::content_length)) {
    std::optional<uint64_t> bytes = parse_decimal(length->value);
    if (!bytes || *bytes > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return fail(400, "client sent invalid \"Content-Length\" header", length->value);
    if (opens_tunnel) headers.remove(KnownHeader::content_length);
    else head_.framing.content_length = static_cast<int64_t>(*bytes);
    if (*bytes > 0 && !has_body && !opens_tunnel) return fail_malformed("client prematurely closed stream");
  } else {
    head_.framing.chunked = has_body && !opens_tunnel;
  }
  if (const Headers::Field* expect = headers.find(KnownHeader::expect)) head_.expect_continue = equal_nocase(expect->value, "100-continue");
  // RFC 9113 section 8.2.3: what the compression split belongs together.
  if (headers.count(KnownHeader::cookie) > 1) headers.set(KnownHeader::cookie, headers.joined(KnownHeader::cookie));
  return true;
}

}  // namespace fairlead::http::h2
