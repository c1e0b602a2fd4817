// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What slices need to know of Range and Content-Range (RFC 9110 section 14). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fairlead::http_slice {

// "bytes 0-99/1000": [begin, end) of `length` bytes. Nothing for any other form, an unknown length, or a range outside of it.
struct ContentRange {
  uint64_t begin = 0, end = 0, length = 0;
};
std::optional<ContentRange> parse_content_range(std::string_view value);

// Where the only range of a Range field begins; 0 for several, one from the end, or anything else.
uint64_t range_start(std::string_view value);

}  // namespace fairlead::http_slice
