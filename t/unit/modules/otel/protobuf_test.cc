// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/otel/protobuf.h"

#include <gtest/gtest.h>

namespace fairlead::http::otel {
namespace {

using namespace std::string_literals;

std::string text_of(std::string_view value, size_t most = 100) {
  std::string out;
  ProtoWriter(out).text(1, value, most);
  return out.substr(2);
}

// The samples of protobuf.dev, "Encoding".
TEST(ProtoWriter, WritesTheSamplesOfItsSpecification) {
  std::string out;
  ProtoWriter writer(out);
  writer.number(1, 150);
  EXPECT_EQ(out, "\x08\x96\x01");
  out.clear();
  writer.bytes(2, "testing");
  EXPECT_EQ(out, "\x12\x07testing");
  out.clear();
  writer.message(3, [&] { writer.number(1, 150); });
  EXPECT_EQ(out, "\x1a\x03\x08\x96\x01");
  out.clear();
  writer.fixed64(7, 0x0102030405060708);
  EXPECT_EQ(out, "\x39\x08\x07\x06\x05\x04\x03\x02\x01");
  out.clear();
  writer.number(15, 0);
  EXPECT_EQ(out, "\x78\0"s);
}

TEST(ProtoWriter, LongMessagesWithinMessages) {
  std::string inner(300, 'x'), out;
  ProtoWriter writer(out);
  writer.message(1, [&] { writer.message(2, [&] { writer.bytes(3, inner); }); });
  EXPECT_EQ(out, "\x0a\xb2\x02\x12\xaf\x02\x1a\xac\x02" + inner);
}

TEST(ProtoWriter, TextIsUtf8) {
  EXPECT_EQ(text_of("plain \u00e9 \u20ac \U0001f600"), "plain \u00e9 \u20ac \U0001f600");
  EXPECT_EQ(text_of("\xff\xc3"), "??");
  EXPECT_EQ(text_of("\xc0\x80"), "??") << "overlong";
  EXPECT_EQ(text_of("\xe0\x80\x80"), "???");
  EXPECT_EQ(text_of("\xed\xa0\x80"), "???") << "a surrogate";
  EXPECT_EQ(text_of("\xf4\x90\x80\x80"), "????") << "beyond the last character";
  EXPECT_EQ(text_of("\xe2\x82"), "??") << "cut short";
}

TEST(ProtoWriter, TextIsCutBetweenCharacters) {
  EXPECT_EQ(text_of("abc", 2), "ab");
  EXPECT_EQ(text_of("a\u20ac", 3), "a");
  EXPECT_EQ(text_of("a\u20ac", 4), "a\u20ac");
}

}  // namespace
}  // namespace fairlead::http::otel
