// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The names in upstream groups at run time: each worker resolves them anew when their answers expire and replaces the peers of the group if
// the addresses changed. A name that does not resolve keeps the addresses it had.
#pragma once

#include "core/conf/module.h"

namespace fairlead {

extern const Module upstream_names_module;

}  // namespace fairlead
