// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The header names that the engine or a module looks up often, as small numbers. Any other header is KnownHeader::other and is found
// by its text. Recognition costs one table probe and one compare of the name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace fairlead::http {

// X(identifier, spelling on the wire). The order has no meaning. The longest spelling has at most 32 bytes.
#define FL_KNOWN_HEADERS(X)                                                                                        \
  X(host, "Host") X(connection, "Connection") X(content_length, "Content-Length")                                  \
  X(transfer_encoding, "Transfer-Encoding") X(te, "TE") X(trailer, "Trailer") X(upgrade, "Upgrade")                \
  X(expect, "Expect") X(keep_alive, "Keep-Alive") X(proxy_connection, "Proxy-Connection")                          \
  X(user_agent, "User-Agent") X(referer, "Referer") X(cookie, "Cookie") X(authorization, "Authorization")          \
  X(proxy_authorization, "Proxy-Authorization") X(proxy_authenticate, "Proxy-Authenticate")                        \
  X(accept, "Accept") X(accept_encoding, "Accept-Encoding") X(accept_language, "Accept-Language")                  \
  X(accept_charset, "Accept-Charset") X(range, "Range") X(if_range, "If-Range")                                    \
  X(if_modified_since, "If-Modified-Since") X(if_unmodified_since, "If-Unmodified-Since")                          \
  X(if_match, "If-Match") X(if_none_match, "If-None-Match") X(x_forwarded_for, "X-Forwarded-For")                  \
  X(x_forwarded_proto, "X-Forwarded-Proto") X(x_forwarded_host, "X-Forwarded-Host") X(forwarded, "Forwarded")      \
  X(x_real_ip, "X-Real-IP") X(x_request_id, "X-Request-ID") X(origin, "Origin") X(content_type, "Content-Type")    \
  X(content_encoding, "Content-Encoding") X(content_language, "Content-Language")                                  \
  X(content_location, "Content-Location") X(content_disposition, "Content-Disposition")                            \
  X(content_range, "Content-Range") X(location, "Location") X(refresh, "Refresh")                                  \
  X(last_modified, "Last-Modified") X(etag, "ETag") X(date, "Date") X(server, "Server") X(age, "Age")              \
  X(allow, "Allow") X(set_cookie, "Set-Cookie") X(cache_control, "Cache-Control") X(pragma, "Pragma")              \
  X(expires, "Expires") X(vary, "Vary") X(accept_ranges, "Accept-Ranges")                                          \
  X(www_authenticate, "WWW-Authenticate") X(retry_after, "Retry-After")                                            \
  X(x_accel_redirect, "X-Accel-Redirect") X(x_accel_expires, "X-Accel-Expires")                                    \
  X(x_accel_limit_rate, "X-Accel-Limit-Rate") X(x_accel_buffering, "X-Accel-Buffering")                            \
  X(x_accel_charset, "X-Accel-Charset") X(x_powered_by, "X-Powered-By") X(x_pad, "X-Pad") X(via, "Via")            \
  X(link, "Link") X(status, "Status") X(http2_settings, "HTTP2-Settings") X(destination, "Destination")            \
  X(depth, "Depth") X(overwrite, "Overwrite") X(grpc_status, "grpc-status") X(grpc_message, "grpc-message")        \
  X(grpc_timeout, "grpc-timeout") X(sec_websocket_key, "Sec-WebSocket-Key")                                        \
  X(sec_websocket_version, "Sec-WebSocket-Version") X(sec_websocket_protocol, "Sec-WebSocket-Protocol")            \
  X(sec_websocket_accept, "Sec-WebSocket-Accept") X(sec_websocket_extensions, "Sec-WebSocket-Extensions")          \
  X(traceparent, "traceparent") X(tracestate, "tracestate") X(alt_svc, "Alt-Svc")                                  \
  X(strict_transport_security, "Strict-Transport-Security") X(early_data, "Early-Data") X(priority, "Priority")

enum class KnownHeader : uint8_t {
  other,
#define FL_HEADER_NAME(identifier, spelling) identifier,
  FL_KNOWN_HEADERS(FL_HEADER_NAME)
#undef FL_HEADER_NAME
};

#define FL_HEADER_ONE(identifier, spelling) +1
constexpr unsigned known_header_count = 1 FL_KNOWN_HEADERS(FL_HEADER_ONE);  // with `other`
#undef FL_HEADER_ONE

// Compares without regard to case; KnownHeader::other for a name not in the list.
KnownHeader find_known_header(std::string_view name);

// The spelling for the wire; empty for `other`.
std::string_view header_name(KnownHeader known);

// A set of known headers, usable as a constant.
class KnownHeaderSet {
 public:
  template <class... Known>
  constexpr explicit KnownHeaderSet(Known... known) { (add(known), ...); }
  constexpr bool holds(KnownHeader known) const {
    unsigned bit = static_cast<unsigned>(known);
    return (words_[bit / 64] >> (bit % 64)) & 1;
  }
  constexpr void add(KnownHeader known) {
    unsigned bit = static_cast<unsigned>(known);
    words_[bit / 64] |= uint64_t{1} << (bit % 64);
  }
  constexpr void add(const KnownHeaderSet& other) {
    for (size_t i = 0; i < std::size(words_); ++i) words_[i] |= other.words_[i];
  }
  constexpr void remove(KnownHeader known) {
    unsigned bit = static_cast<unsigned>(known);
    words_[bit / 64] &= ~(uint64_t{1} << (bit % 64));
  }

 private:
  uint64_t words_[(known_header_count + 63) / 64] = {};
};

}  // namespace fairlead::http
