// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Symbols of the program that scripts look up by name.
#pragma once

namespace fairlead::lua {

// Called from somewhere, so that the linker takes their object out of the library.
void keep_exported_symbols();

}  // namespace fairlead::lua
