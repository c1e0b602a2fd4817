// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The Range header to byte ranges of a known length (RFC 9110 section 14.1.2). Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace fairlead::http_range {

struct Range {
  uint64_t begin = 0;
  uint64_t end = 0;  // behind the last byte
  bool operator==(const Range&) const = default;
};

enum class Outcome : uint8_t {
  ok,             // one range or more
  whole,          // send everything, as if nobody had asked: more ranges than allowed, or more bytes than there are
  unsatisfiable,  // 416: no range touches the content, or the header makes no sense
};

// `text`: what stands behind "bytes=". Ranges come in the order asked for. As in nginx a malformed header is unsatisfiable, where RFC 9110
// would ignore it.
Outcome parse_ranges(std::string_view text, uint64_t length, uint64_t most, std::vector<Range>& ranges);

}  // namespace fairlead::http_range
