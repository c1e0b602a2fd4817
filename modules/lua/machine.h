// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Which machine a request's scripts run in: the one of its configuration, or, with lua_code_cache off, one of its own that ends with it
// (and with the timers that it left).
#pragma once

#include "modules/lua/vm.h"

namespace fairlead::lua {

// Opens a machine and runs init_by_lua in it.
ConfResult<Unit> start_machine(Vm& vm);

// The machine of a request where it is now; made at the first use if it is to have one of its own.
Vm& vm_of(http::Request& request);
// A subrequest whose ngx.ctx is its parent's runs in its parent's.
void share_machine(http::Request& with, http::Request& of);

}  // namespace fairlead::lua
