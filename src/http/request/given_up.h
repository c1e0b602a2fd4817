// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Requests that their client gave up before they could begin: they run no phase but that of the log, and of it only what tells of requests
// (lines, metrics, spans). What settles in the log phase what earlier phases began, as scripts do, asks here first.
#pragma once

#include "http/request/request.h"

namespace fairlead::http {

struct GivenUp {};

inline bool is_given_up(Request& request) { return request.find_slot<GivenUp>() != nullptr; }

}  // namespace fairlead::http
