// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Which content codings a client takes (RFC 9110 section 12.5.3). Pure.
#pragma once

#include <string_view>

namespace fairlead::http {

// Whether an Accept-Encoding value names gzip with a quality above zero. As in nginx `*` is not gzip, and a quality that is none refuses.
bool accepts_gzip(std::string_view accept_encoding);

}  // namespace fairlead::http
