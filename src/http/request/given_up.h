// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Requests that their client gave up before they could begin, or before they waited for the first time, so that no script has begun. Of
// their log phase runs only what tells of requests (lines, metrics, spans): what settles there what earlier phases began, as scripts do,
// asks here first.
#pragma once

#include "http/request/request.h"

namespace fairlead::http {

struct GivenUp {};

inline bool is_given_up(Request& request) { return request.find_slot<GivenUp>() != nullptr; }

}  // namespace fairlead::http
