// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What is UTF-8 and what is not (RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fairlead {

// The bytes of the character at the front of `text`; 0: there is none, or `text` is empty.
size_t utf8_character(std::string_view text);
bool is_utf8(std::string_view text);
// At most `bytes_max` of it, whole characters; each byte that is part of none becomes `replacement`, a character of one byte.
std::string as_utf8(std::string_view text, char replacement, size_t bytes_max = std::string_view::npos);

}  // namespace fairlead
