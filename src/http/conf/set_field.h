// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Fields that lines like add_header and proxy_set_header set: what of a name and a value as somebody wrote them goes into a head.
#pragma once

#include <string_view>

#include "core/base/arena.h"
#include "core/conf/template.h"

namespace fairlead::http {

// A value for a head, of whatever text. A line break, with the blanks around it, becomes one space, so that a value written over several
// lines is one and none begins another field (RFC 9112 section 5.2). Empty if there is nothing to send, or another control character.
std::string_view sendable_value(std::string_view text, Arena& arena);

// The name in a word of `line`: without a colon at its end, as that was meant. Empty if it is no token, and no field is to be sent.
// Either is warned of, since nginx takes such lines and existing files have them.
std::string_view set_field_name(const Line& line, size_t index);
// The value in a word of `line`. A text without variables has gone through sendable_value(), with a warning if that left nothing of it.
ConfResult<Template> set_field_value(const Line& line, size_t index);

}  // namespace fairlead::http
