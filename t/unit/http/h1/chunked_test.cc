// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The chunked coding and bodies of known length; every chunked case is fed whole, byte by byte and in random pieces.
#include <gtest/gtest.h>

#include "t/fuzz/feed.h"

namespace fairlead::http::h1 {
namespace {

std::string answer(std::string_view input, const ChunkLimits& limits = {}) {
  return fuzz::same_in_pieces(input.size(), [&](const fuzz::Cuts& cuts) { return fuzz::feed_chunked(input, cuts, limits); });
}

TEST(ChunkedDecoder, finds_body_end_and_trailers) {
  EXPECT_EQ(answer("0\r\n\r\n"), "done 5 body=[] what= fault=0\n");
  EXPECT_EQ(answer("2\r\nab\r\n3\r\ncde\r\n0\r\n\r\nGET /"), "done 20 body=[abcde] what= fault=0\n");
  EXPECT_EQ(answer("000a\r\n0123456789\r\n00\r\n\r\n"), "done 24 body=[0123456789] what= fault=0\n");
  std::string said = answer("1\r\nx\r\n0\r\nX-A: b\r\nGrpc-Status: 1\r\nHost: c\r\n\r\nrest");
  EXPECT_NE(said.find("X-A|b"), std::string::npos) << said;
  EXPECT_NE(said.find("Grpc-Status|1"), std::string::npos) << said;
  EXPECT_EQ(said.find("Host"), std::string::npos) << said;
}

TEST(ChunkedDecoder, waits_for_more) {
  std::string input = "3;a=\"b\"\r\nabc\r\n0\r\nT: v\r\n\r\n";
  for (size_t size = 0; size < input.size(); ++size) EXPECT_EQ(answer(input.substr(0, size)).compare(0, 4, "more"), 0) << size;
}

TEST(ChunkedDecoder, extensions) {
  for (const char* line : {"1;a", "1;a=b", "1 ;a", "1; a = b ; c", "1;a=\"b c\"", "1;a=\"\\\"\"", "1;a=\"\";b", "1 ", "1\t"}) {
    EXPECT_EQ(answer(fairlead::format("{}\r\nx\r\n0\r\n\r\n", line)).compare(0, 4, "done"), 0) << line;
  }
  for (const char* line : {"1;", "1;;", "1;=b", "1;a=", "1;a b", "1;a=\"b", "1;a=\"b\"c", "1;a=\x01", "1;a=\"\n\"", "1 x", "1;a\n"}) {
    EXPECT_NE(answer(fairlead::format("{}\r\nx\r\n0\r\n\r\n", line)).find("failed"), std::string::npos) << line;
  }
}

TEST(ChunkedDecoder, refuses_other_framing) {
  for (const char* body : {"\r\n", "x\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", "1\nx\r\n", "1\rx", "1\r\nx\n", "1\r\nxx\r\n",
                           "1\r\nx0\r\n", "0\r\n\n", "0\n", "0\r\nA: b\n", "0\r\nA: b\r\n\n", "0\r\nA b\r\n\r\n", "0\r\nA: b\r\n c\r\n\r\n",
                           "0\r\nA: b\rc\r\n\r\n", "8000000000000000\r\n", "ffffffffffffffffff\r\n", ";a\r\n"}) {
    std::string said = answer(body);
    EXPECT_EQ(said.compare(0, 6, "failed"), 0) << body << said;
    EXPECT_NE(said.find("fault=6"), std::string::npos) << said;
  }
  static_assert(static_cast<int>(Fault::malformed) == 6 && static_cast<int>(Fault::too_large) == 7);
  ChunkedDecoder decoder(nullptr);
  decoder.step("7fffffffffffffff\r\n");
  EXPECT_EQ(decoder.chunk_left_bytes(), 0x7fffffffffffffffu);
}

TEST(ChunkedDecoder, limits) {
  ChunkLimits limits{.extension_bytes_max = 4, .trailer_bytes_max = 10, .trailer_fields_max = 1};
  auto state = [&](std::string_view body) { return answer(body, limits).substr(0, 4); };
  EXPECT_EQ(state("1;ab\r\nx\r\n0\r\n\r\n"), "done");
  EXPECT_EQ(state("1;abcd\r\nx\r\n0\r\n\r\n"), "fail");
  EXPECT_EQ(state("1;a\r\nx\r\n1;b\r\nx\r\n0\r\n\r\n"), "fail");  // the limit is one of all chunks together
  EXPECT_EQ(state("000000001\r\nx\r\n0\r\n\r\n"), "fail");
  EXPECT_EQ(state("0\r\nA: bcde\r\n\r\n"), "fail");
  EXPECT_EQ(state("0\r\nA: b\r\n\r\n"), "done");
  EXPECT_EQ(state("0\r\nA:\r\nB:\r\n\r\n"), "fail");
}

TEST(LengthDecoder, takes_exactly_its_bytes) {
  LengthDecoder decoder(5);
  EXPECT_EQ(decoder.step("abc").state, BodyStep::State::more);
  BodyStep step = decoder.step("defg");
  EXPECT_EQ(step.state, BodyStep::State::done);
  EXPECT_EQ(step.body("defg"), "de");
  EXPECT_EQ(LengthDecoder(0).step("x").state, BodyStep::State::done);
}

}  // namespace
}  // namespace fairlead::http::h1
