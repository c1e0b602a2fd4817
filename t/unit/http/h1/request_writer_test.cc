// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h1/request_writer.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead::http::h1 {
namespace {

TEST(RequestWriter, WritesInTheOrderOfItsCalls) {
  Arena::Owner arena = Arena::open(1024);
  Chain head;
  RequestWriter to(*arena, head, "POST", "/x?y", "HTTP/1.1");
  to.field("Host", "a");
  to.literals("X-One: 1\r\nX-Two: 2\r\n", {});
  to.field("Content-Length", uint64_t{18446744073709551615u});
  to.field("X-Empty", "");
  to.end();
  ASSERT_EQ(head.count(), 1u);
  EXPECT_EQ(head[0].view(),
            "POST /x?y HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nX-Two: 2\r\nContent-Length: 18446744073709551615\r\nX-Empty: \r\n\r\n");
}

// Whatever it grows to, a head is one piece, and the arena has what was not needed of the room for it.
TEST(RequestWriter, GrowsByAsMuchAsIsNeeded) {
  for (size_t fields : {0u, 1u, 20u, 23u, 24u, 25u, 300u}) {
    Arena::Owner arena = Arena::open(8192);
    Chain head;
    RequestWriter to(*arena, head, "GET", "/", "HTTP/1.0");
    std::string want = "GET / HTTP/1.0\r\n";
    for (size_t i = 0; i < fields; ++i) {
      to.field("X-Field", "0123456789");
      want += "X-Field: 0123456789\r\n";
    }
    std::string long_value(fields * 10, 'v');
    to.field("X-Long", long_value);
    to.end();
    want += "X-Long: " + long_value + "\r\n\r\n";
    ASSERT_EQ(head.count(), 1u);
    EXPECT_EQ(head[0].view(), want);
    bool is_last = fields < 100;  // of the arena's first block; more needs one of its own
    if (is_last) { EXPECT_EQ(static_cast<const char*>(arena->allocate(1, 1)), head[0].data + head[0].size); }
  }
}

}  // namespace
}  // namespace fairlead::http::h1
