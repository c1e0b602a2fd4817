// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_headers/expires.h"

#include <time.h>

#include "core/base/text.h"

namespace fairlead::http_headers {

static constexpr int64_t day_s = 86'400;

ConfResult<Expires> parse_expires(std::string_view text, bool modified) {
  if (!modified) {
    if (text == "epoch") return Expires{ExpiresKind::epoch, 0};
    if (text == "max") return Expires{ExpiresKind::max, 0};
    if (text == "off") return Expires{ExpiresKind::off, 0};
  }
  Expires result{modified ? ExpiresKind::modified : ExpiresKind::access, 0};
  bool minus = false;
  if (text.starts_with('@')) {
    if (modified) return std::string("daily time cannot be used with \"modified\" parameter");
    result.kind = ExpiresKind::daily;
    text.remove_prefix(1);
  } else if (text.starts_with('+') || text.starts_with('-')) {
    minus = text[0] == '-';
    text.remove_prefix(1);
  }
  auto time_ms = parse_time_ms(text, TimeGrain::seconds);
  if (!time_ms) return std::string("invalid value");
  result.seconds = static_cast<int64_t>(*time_ms / 1000);
  if (result.kind == ExpiresKind::daily && result.seconds > day_s) return std::string("daily time value must be less than 24 hours");
  if (minus) result.seconds = -result.seconds;
  return result;
}

// The next time that it is so many seconds after local midnight.
static int64_t next_time_of_day(int64_t now, int64_t seconds) {
  tm local;
  time_t clock_time = now;
  ::localtime_r(&clock_time, &local);
  local.tm_hour = static_cast<int>(seconds / 3600);
  local.tm_min = static_cast<int>(seconds / 60 % 60);
  local.tm_sec = static_cast<int>(seconds % 60);
  local.tm_isdst = -1;
  time_t next = ::mktime(&local);
  if (next > now) return next;
  ++local.tm_mday;
  local.tm_isdst = -1;
  next = ::mktime(&local);
  return next > now ? next : now + day_s;
}

Freshness freshness_of(const Expires& setting, int64_t now, int64_t last_modified) {
  Freshness fresh;
  switch (setting.kind) {
    case ExpiresKind::off: break;
    case ExpiresKind::epoch: return {1, 0, true};
    case ExpiresKind::max: return {2145916555, 315360000, false};  // Thu, 31 Dec 2037 23:55:55 GMT; ten years
    case ExpiresKind::daily: fresh.expires = next_time_of_day(now, setting.seconds); break;
    case ExpiresKind::access: fresh.expires = now + setting.seconds; break;
    case ExpiresKind::modified: fresh.expires = (last_modified < 0 ? now : last_modified) + setting.seconds; break;
  }
  // As in nginx: no time at all means now, whatever it would count from.
  if (setting.seconds == 0 && setting.kind != ExpiresKind::daily) fresh.expires = now;
  fresh.max_age = fresh.expires - now;
  fresh.no_cache = setting.seconds < 0 || fresh.max_age < 0;
  return fresh;
}

}  // namespace fairlead::http_headers
