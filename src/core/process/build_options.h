// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What the binary was built with, in the words of nginx's ./configure.
#pragma once

#include <string>

namespace fairlead {

// Behind "configure arguments:" of -V: the options that were given, and nginx's names of what is there and what is not.
std::string configure_options();

}  // namespace fairlead
