// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The argument of `expires`, and what it makes of Expires and Cache-Control. Pure but for the local time of day.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace fairlead::http_headers {

enum class ExpiresKind : uint8_t { off, epoch, max, access, modified, daily };

struct Expires {
  ExpiresKind kind = ExpiresKind::off;
  int64_t seconds = 0;  // behind the access or the last modification, or of the day
};

// "off", "epoch", "max", "[+|-]time", "@time"; with `modified` only the time. The error is the reason.
ConfResult<Expires> parse_expires(std::string_view text, bool modified);

struct Freshness {
  int64_t expires = 0;  // since 1970
  int64_t max_age = 0;
  bool no_cache = false;  // in place of max-age
};
// For kinds other than off. `last_modified`: -1 if unknown.
Freshness freshness_of(const Expires& setting, int64_t now, int64_t last_modified);

}  // namespace fairlead::http_headers
