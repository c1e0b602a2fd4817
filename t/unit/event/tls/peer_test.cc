// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// SPIFFE IDs: what the specification allows and what it does not.
#include "event/tls/peer.h"

#include <gtest/gtest.h>

#include <string>

using namespace fairlead;

TEST(SpiffeId, WhatIsOne) {
  for (const char* id : {"spiffe://td", "spiffe://example.org/ns/a/sa/b", "spiffe://t_d-1.x/A.b_c-9/..x"})
    EXPECT_TRUE(is_spiffe_id(id)) << id;
}

TEST(SpiffeId, WhatIsNone) {
  for (const char* id : {"", "spiffe:/", "spiffe://", "spiffe:///a", "https://td/a", "SPIFFE://td/a", "spiffe://TD/a", "spiffe://td/",
                         "spiffe://td//a", "spiffe://td/./a", "spiffe://td/..", "spiffe://td/a?b", "spiffe://td/a#b", "spiffe://td:8/a",
                         "spiffe://u@td/a",
                         "spiffe://td/a%20b", "spiffe://td/a b"})
    EXPECT_FALSE(is_spiffe_id(id)) << id;
  EXPECT_FALSE(is_spiffe_id("spiffe://td/" + std::string(2048, 'a')));
  EXPECT_FALSE(is_spiffe_id("spiffe://" + std::string(256, 'a')));
}
