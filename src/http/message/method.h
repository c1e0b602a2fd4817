// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Request methods: names and the properties that decide about retries. Methods are case-sensitive (RFC 9110 section 9.1).
#pragma once

#include <cstdint>
#include <string_view>

namespace fairlead::http {

enum class Method : uint8_t {
  other,
  get, head, post, put, delete_, mkcol, copy, move, options, propfind, proppatch, lock, unlock, patch, trace, connect,
};
constexpr unsigned method_count = static_cast<unsigned>(Method::connect) + 1;

namespace detail {
inline constexpr std::string_view method_names[method_count] = {
    "",        "GET",      "HEAD",      "POST", "PUT",    "DELETE", "MKCOL", "COPY",   "MOVE",
    "OPTIONS", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK", "PATCH",  "TRACE", "CONNECT"};
}

// The name on the wire; empty for Method::other.
constexpr std::string_view method_name(Method method) { return detail::method_names[static_cast<unsigned>(method)]; }

constexpr Method parse_method(std::string_view text) {
  if (text == "GET") return Method::get;
  if (text.size() < 3 || text.size() > 9) return Method::other;
  for (unsigned i = 2; i < method_count; ++i) {
    if (text == detail::method_names[i]) return static_cast<Method>(i);
  }
  return Method::other;
}

// Whether a request that was already sent may be sent again without `non_idempotent`. PUT, DELETE and unknown methods may, as
// in nginx; RFC 9110 section 9.2.2 would not repeat unknown ones.
constexpr bool is_idempotent(Method method) { return method != Method::post && method != Method::lock && method != Method::patch; }

}  // namespace fairlead::http
