// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The names in upstream groups at run time: asked for anew when their answers expire, and the peers of the group replaced if the addresses
// changed. One worker asks for a group in a zone, the others take what it learnt from there; without a zone each asks for itself. A name
// that cannot be resolved keeps the addresses it had (of one family, if only its question failed), unless its line says `resolve` and the
// name server says that there is no such name.
#pragma once

#include "core/conf/module.h"

namespace fairlead {

extern const Module upstream_names_module;

}  // namespace fairlead
