// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/websocket.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead::http {
namespace {

std::string frame(unsigned char first, size_t bytes, bool masked) {
  std::string out(1, static_cast<char>(first));
  unsigned mask = masked ? 0x80 : 0;
  if (bytes < 126) {
    out += static_cast<char>(mask | bytes);
  } else {
    unsigned width = bytes < 65536 ? 2 : 8;
    out += static_cast<char>(mask | (width == 2 ? 126 : 127));
    for (unsigned i = width; i-- > 0;) out += static_cast<char>(bytes >> (8 * i));
  }
  if (masked) out += "mask";
  return out + std::string(bytes, '\x88');  // a payload that looks like Close frames
}

TEST(WebSocketFrames, EndsAreFoundWhateverTheLengthAndThePieces) {
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{125}, size_t{126}, size_t{65535}, size_t{65536}}) {
    for (bool masked : {false, true}) {
      std::string one = frame(0x82, bytes, masked);
      WebSocketFrames whole;
      EXPECT_EQ(whole.take(one + one, true), one.size());
      EXPECT_TRUE(whole.is_between());
      EXPECT_EQ(whole.take(one + one, false), 2 * one.size());
      EXPECT_TRUE(whole.is_between());
      EXPECT_FALSE(whole.has_closed());
      WebSocketFrames pieces;
      for (size_t at = 0; at < one.size(); ++at) {
        EXPECT_EQ(pieces.take(std::string_view(one).substr(at, 1), true), 1u);
        EXPECT_EQ(pieces.is_between(), at + 1 == one.size());
      }
    }
  }
}

TEST(WebSocketFrames, ACloseFrameIsNoticed) {
  WebSocketFrames frames;
  frames.take(frame(0x89, 3, false), false);
  EXPECT_FALSE(frames.has_closed());
  frames.take(frame(0x88, 2, false).substr(0, 2), false);
  EXPECT_TRUE(frames.has_closed());
}

TEST(WebSocketDrain, TheSpreadLeavesPeersTheirTimeBeforeTheWorkerEnds) {
  WebSocketDrain rules{true, 30'000, 5'000};
  EXPECT_EQ(spread_within(rules, 0), 30'000u);
  EXPECT_EQ(spread_within(rules, 60'000), 30'000u);
  EXPECT_EQ(spread_within(rules, 35'000), 30'000u);
  EXPECT_EQ(spread_within(rules, 20'000), 15'000u);
  EXPECT_EQ(spread_within(rules, 8'000), 4'000u);
  EXPECT_EQ(spread_within(rules, 4'000), 2'000u);
  EXPECT_EQ(spread_within(rules, 1), 0u);
  rules.spread_ms = 0;
  EXPECT_EQ(spread_within(rules, 20'000), 0u);
}

TEST(WebSocketAccept, IsTheDigestOfTheKey) {  // RFC 6455 section 1.3
  EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

}  // namespace
}  // namespace fairlead::http
