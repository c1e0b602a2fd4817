// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// sticky cookie: a cookie of our own names the peer. What goes into Set-Cookie is kept with the request until its response is made.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/conf/template.h"
#include "core/upstream/binder.h"
#include "http/request/request.h"

namespace fairlead::upstream_sticky {

struct CookieAttributes {
  std::optional<int64_t> expires_s;  // expires_max: for ever
  Template domain, samesite;
  std::string_view path;
  bool httponly = false, secure = false;

  static constexpr int64_t expires_max = INT64_MAX;
};
// strict, lax or none, in any case.
bool is_samesite(std::string_view text);
// The value of a Set-Cookie field, in the arena of the request. `now_s`: since 1970.
std::string_view cookie_text(http::Request& request, const CookieAttributes& attributes, std::string_view name, std::string_view route,
                             int64_t now_s);

class CookieBinder final : public PeerBinder {
 public:
  CookieBinder(std::string_view name, CookieAttributes attributes) : name_(name), attributes_(std::move(attributes)) {}
  std::string_view bound_route(Session& session) const override;
  void picked(Session& session, const Peer& peer) const override;

 private:
  std::string_view name_;
  CookieAttributes attributes_;
};

// The cookies that were made for this request become fields of its response.
void add_cookies(http::Request& request);

}  // namespace fairlead::upstream_sticky
