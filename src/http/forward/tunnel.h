// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// After a 101, or once the peer of a CONNECT stands: bytes both ways until both sides are done or one is idle for too long. Bytes that came
// early on either side go first.
#pragma once

#include "http/forward/forward.h"

namespace fairlead::http {

Task<Verdict> run_tunnel(Request& request, const ForwardPlan& plan, Attempt& attempt);

}  // namespace fairlead::http
