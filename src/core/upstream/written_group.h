// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a name in a ..._pass means: a group that is written somewhere in the configuration, perhaps below, before anything else.
#pragma once

#include "core/upstream/group.h"

namespace fairlead {

// When the configuration is complete: the written group that has the name of `named`, an implicit one; `named` itself if there is none. The
// error: it was given a port (`has_port`) though such a group exists.
ConfResult<const GroupSpec*> written_group(Generation& generation, const GroupSpec& named, bool has_port);

}  // namespace fairlead
