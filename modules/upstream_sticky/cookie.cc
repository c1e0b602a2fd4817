// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/upstream_sticky/cookie.h"

#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/upstream/peer.h"
#include "http/conf/variables.h"

namespace fairlead::upstream_sticky {
namespace {

// The end of what 32 bits can say: no client of any age takes it for a date in the past.
constexpr int64_t last_date_s = 2'145'916'555, ten_years_s = 10ll * 365 * 24 * 3600;

// One per group that a request was forwarded to. In the request's arena.
struct MadeCookie {
  const CookieBinder* by;
  std::string_view text;  // empty: the client has it already
  MadeCookie* next;
};
struct MadeCookies {
  MadeCookie* first = nullptr;
};

std::string_view samesite_of(http::Request& request, const Template& samesite) {
  if (!samesite.is_set()) return {};
  std::string_view text = samesite.evaluate(request);
  return text.empty() || is_samesite(text) ? text : "strict";
}

}  // namespace

bool is_samesite(std::string_view text) { return equal_nocase(text, "strict") || equal_nocase(text, "lax") || equal_nocase(text, "none"); }

std::string_view cookie_text(http::Request& request, const CookieAttributes& attributes, std::string_view name, std::string_view route,
                             int64_t now_s) {
  std::string text = format("{}={}", name, route);
  if (attributes.expires_s) {
    char date[http_date_size];
    bool is_endless = *attributes.expires_s == CookieAttributes::expires_max;
    format_http_date(is_endless ? last_date_s : now_s + *attributes.expires_s, date);
    text += format("; expires={}; max-age={}", std::string_view(date, sizeof date),
                   is_endless ? ten_years_s : *attributes.expires_s);
  }
  std::string_view domain = attributes.domain.is_set() ? attributes.domain.evaluate(request) : std::string_view();
  if (!domain.empty()) text += format("; domain={}", domain);
  if (attributes.httponly) text += "; httponly";
  if (attributes.secure) text += "; secure";
  std::string_view samesite = samesite_of(request, attributes.samesite);
  if (!samesite.empty()) text += format("; samesite={}", samesite);
  if (!attributes.path.empty()) text += format("; path={}", attributes.path);
  return request.arena().copy(text);
}

// By the name as it is: `-` and `.` may stand in a cookie's, though not in a variable's.
std::string_view CookieBinder::bound_route(Session& session) const {
  return http::find_cookie(http::as_request(session).head.headers, name_).text;
}

// A cookie with a lifetime is made anew with each answer: a session that is in use does not end.
void CookieBinder::picked(Session& session, const Peer& peer) const {
  http::Request& request = http::as_request(session);
  MadeCookies& made = request.slot<MadeCookies>();
  MadeCookie* own = made.first;
  while (own && own->by != this) own = own->next;
  if (!own) own = made.first = request.arena().make<MadeCookie>(MadeCookie{this, {}, made.first});
  bool is_known = bound_route(session) == peer.spec.route && !attributes_.expires_s;
  own->text = is_known ? std::string_view() : cookie_text(request, attributes_, name_, peer.spec.route, process_clock.seconds());
}

void add_cookies(http::Request& request) {
  const MadeCookies* made = request.find_slot<MadeCookies>();
  if (!made) return;
  for (const MadeCookie* each = made->first; each; each = each->next)
    if (!each->text.empty() && http::is_field_value(each->text)) request.response.head.headers.add("Set-Cookie", each->text);
}

}  // namespace fairlead::upstream_sticky
