// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The reference of all directives, written from the tables of the modules: what man/directives.md holds. A pure function of the list.
#pragma once

#include <string>

#include "core/conf/module.h"

namespace fairlead {

// Markdown: per module, by name, its directives in the order of their rows (syntax, default where it can be derived, contexts, what it
// does), then its variables.
std::string directive_reference(const ModuleList& list);

// What of nginx is not there, as another section of it.
std::string left_out_reference();

}  // namespace fairlead
