// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `rewrite`: a new URI, or a redirect, where a regular expression matches. Statements lie in the generation's arena.
#pragma once

#include "core/conf/line.h"

namespace fairlead {

// rewrite REGEX REPLACEMENT [last | break | redirect | permanent]
ConfResult<Unit> add_rewrite(Line& line);

}  // namespace fairlead
