// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a fuzz target holds to be true of each input.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace fairlead::fuzz {

// Ends the process, with `what` on stderr, unless `good`.
inline void require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace fairlead::fuzz
