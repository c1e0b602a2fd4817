// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Fast random numbers for choices that need no secrecy (balancing, jitter, sampling): xoshiro256**. Keys, tokens and anything an attacker
// must not guess come from libcrypto. Owned by the worker: a generator made before the fork would give all workers the same numbers.
#pragma once

#include <cstdint>

namespace fairlead {

class Random {
 public:
  // The same seed gives the same numbers.
  explicit Random(uint64_t seed) {
    for (uint64_t& word : state_) word = mix(seed += 0x9E3779B97F4A7C15u);
  }
  // Seeded by the kernel.
  static Random from_system();

  uint64_t next() {
    uint64_t result = rotate(state_[1] * 5, 7) * 9;
    uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate(state_[3], 45);
    return result;
  }
  // Uniform in [0, bound); `bound` is at least 1. The bias is below 2^-32.
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>((next() >> 32) * bound >> 32); }

 private:
  static uint64_t rotate(uint64_t word, int bits) { return word << bits | word >> (64 - bits); }
  // splitmix64's finisher: spreads a small seed over the state.
  static uint64_t mix(uint64_t z) {
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
  }
  uint64_t state_[4];
};

}  // namespace fairlead
