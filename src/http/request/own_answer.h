// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// A whole response out of a text: what a module answers by itself, or in the name of a service that it asked.
#pragma once

#include "http/request/request.h"

namespace fairlead::http {

// The fields that are in request.response stay. The texts are copied. Gives respond().
Verdict answer_with(Request& request, unsigned status, std::string_view content_type, std::string_view body);

}  // namespace fairlead::http
