// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/random.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

namespace fairlead {

Random Random::from_system() {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) {
    timespec now = {};
    clock_gettime(CLOCK_MONOTONIC, &now);
    seed = static_cast<uint64_t>(now.tv_nsec) << 32 ^ static_cast<uint64_t>(now.tv_sec) ^ static_cast<uint64_t>(getpid()) << 16;
  }
  return Random(seed);
}

}  // namespace fairlead
