// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/otel/protobuf.h"

#include <gtest/gtest.h>

namespace fairlead {
namespace {

using namespace std::string_literals;

std::string text_of(std::string_view value, size_t most = 100) {
  std::string out;
  ProtoWriter(out).text(1, value, '?', most);
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

TEST(ProtoReader, ReadsWhatWasWritten) {
  std::string out;
  ProtoWriter writer(out);
  writer.number(1, UINT64_MAX);
  writer.fixed64(2, 0x0102030405060708);
  writer.bytes(300, "text");
  out += "\x25\x01\x02\x03\x04";  // field 4, four bytes
  ProtoReader in(out);
  ASSERT_TRUE(in.next());
  EXPECT_TRUE(in.field() == 1 && in.is_number() && in.number() == UINT64_MAX && in.bytes().empty());
  ASSERT_TRUE(in.next());
  EXPECT_TRUE(in.field() == 2 && in.number() == 0x0102030405060708);
  ASSERT_TRUE(in.next());
  EXPECT_TRUE(in.field() == 300 && !in.is_number() && in.number() == 0 && in.bytes() == "text");
  ASSERT_TRUE(in.next());
  EXPECT_TRUE(in.field() == 4 && in.number() == 0x04030201);
  EXPECT_FALSE(in.next());
  EXPECT_FALSE(in.is_broken());
}

TEST(ProtoReader, BrokenMessages) {
  for (const std::string& message : {"\x08"s, "\x80"s, "\x0a\x02x"s, "\x09\x01\x02"s, "\x0d\x01"s, "\x0b"s, "\x0c"s, "\x0e\x01"s,
                                     "\x00\x01"s,
                                     "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s, "\x80\x80\x80\x80\x80\x01\x01"s,
                                     "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"s}) {
    ProtoReader in(message);
    EXPECT_FALSE(in.next()) << message.size();
    EXPECT_TRUE(in.is_broken());
    EXPECT_FALSE(in.next()) << "it stays so";
  }
}

TEST(GrpcFrame, OneWholeMessage) {
  EXPECT_EQ(grpc_framed("abc"), "\0\0\0\0\3abc"s);
  EXPECT_EQ(grpc_unframed("\0\0\0\0\3abc"s).message, "abc");
  EXPECT_EQ(grpc_unframed("\0\0\0\0\0"s).wrong, nullptr);
  for (const std::string& frame :
       {""s, "\0\0\0\0"s, "\1\0\0\0\0"s, "\0\0\0\0\1"s, "\0\0\0\0\0x"s}) EXPECT_NE(grpc_unframed(frame).wrong, nullptr);
}

}  // namespace
}  // namespace fairlead
