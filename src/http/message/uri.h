// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The path of a request as locations see it: decoded, without dot segments, slashes merged; and its way back to an escaped form. Texts are
// made in the arena only where they differ from what came in. Authorities are in authority.h.
#pragma once

#include <string_view>

#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/base/escape.h"

namespace fairlead::http {

struct Uri {
  std::string_view path;         // begins with '/', never holds NUL or a segment `.` or `..`; otherwise any bytes
  std::string_view args;         // behind the first '?', as sent, without a fragment
  bool percent_encoded = false;  // the path held %XX: sent on, the new path must be escaped again
};

// Needs a target in origin form (RequestHead::request_uri). Malformed: not beginning with '/', a bad % sequence, %00, above the root.
// With `merge_slashes` off an empty segment is a segment, also one that `..` removes. Decoded dots and slashes count as such.
Result<Uri> normalise_uri(std::string_view target, bool merge_slashes, Arena& arena);

// What stands behind the last dot of the last segment; nothing if that dot begins the segment.
std::string_view uri_extension(std::string_view path);

// `text` itself if nothing in it needs escaping.
std::string_view escaped(Escape set, std::string_view text, Arena& arena);

// Whether a path can be joined to a folder without leaving it: no segment `..`, no NUL, not empty. Not decoded here.
bool is_safe_path(std::string_view path);

struct InternalUri {
  std::string_view path;  // decoded
  std::string_view args;
};
// A URI named by an upstream (X-Accel-Redirect) or a script: splits off the args and decodes the path, which must be safe before and after.
// A '%' that begins no escape is left out.
Result<InternalUri> parse_internal_uri(std::string_view text, Arena& arena);

}  // namespace fairlead::http
