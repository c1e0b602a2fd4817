// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Where a block of Lua inside the configuration ends: at the brace that matches, as Lua's own lexer sees it. Nothing of Lua's
// grammar beyond
// strings, long brackets and comments is known here; what stands in the block is Lua's to judge.
#pragma once

#include <string_view>

#include "core/base/error.h"

namespace fairlead::lua {

// `rest` begins right behind the opening brace. The bytes up to and with the closing one; the error is the reason, in nginx's words.
ConfResult<size_t> block_end(std::string_view rest);

}  // namespace fairlead::lua
