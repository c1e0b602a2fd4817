// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// SHA-1 where a protocol asks for it (RFC 6455 section 4.2.2); it protects nothing. A pure function over libcrypto.
#pragma once

#include <array>
#include <string_view>

namespace fairlead {

using Sha1 = std::array<unsigned char, 20>;
Sha1 sha1(std::string_view bytes);

}  // namespace fairlead
