// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `return`: a status, a text or a redirect, in the rewrite script. Statements lie in the generation's arena.
#pragma once

#include "core/conf/line.h"

namespace fairlead {

// return CODE [TEXT | URL] | return URL
ConfResult<Unit> add_return(Line& line);

}  // namespace fairlead
