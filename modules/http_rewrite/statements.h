// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The small statements of the rewrite script: `break`, `set`, and `if` with its block. They lie in the generation's arena.
#pragma once

#include "core/conf/line.h"

namespace fairlead {

ConfResult<Unit> add_break(Line& line);
// set $VARIABLE VALUE
ConfResult<Unit> add_set(Line& line);
// if (CONDITION) { ... }: within a location it is a location of its own that takes over the outer one's values and content.
ConfResult<Unit> add_if(Line& line);

}  // namespace fairlead
