// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a process read of the binary and its libraries while it started stays mapped for as long as it lives, though it is not looked at
// again. This gives it back.
#pragma once

namespace fairlead {

// Unmaps the pages of code and constants of all loaded objects from this process; what is needed again comes from the page cache, by a
// fault without input. Pages that somebody wrote to (relocations, breakpoints, probes) stay. Without /proc nothing happens.
void release_code_pages();

}  // namespace fairlead
