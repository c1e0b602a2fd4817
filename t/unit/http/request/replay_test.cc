// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/replay.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead::http {
namespace {

std::string pull(Body& body, int chunks = 100) {
  std::string all;
  Chunk chunk;
  while (chunks-- > 0 && body.poll(chunk) == Poll::ready) all += chunk.bytes.view();
  return all;
}

Chain pieces(std::initializer_list<const char*> texts) {
  Chain chain;
  for (const char* text : texts) chain.push_back(Slice(std::string_view(text)));
  return chain;
}

TEST(ReplayBody, GivesItAllAgain) {
  BytesBody source(pieces({"one", "two", "three"}));
  ReplayBody body(source, 100);
  EXPECT_EQ(body.size(), 11u);
  EXPECT_EQ(pull(body), "onetwothree");
  EXPECT_TRUE(body.can_rewind());
  body.rewind();
  EXPECT_EQ(body.size(), 11u);
  EXPECT_EQ(pull(body), "onetwothree");
}

TEST(ReplayBody, GoesOnBehindWhatItGivesAgain) {
  BytesBody source(pieces({"one", "two", "three"}));
  ReplayBody body(source, 100);
  EXPECT_EQ(pull(body, 2), "onetwo");
  body.rewind();
  EXPECT_EQ(pull(body, 1), "one");
  body.rewind();
  EXPECT_EQ(body.size(), 11u);
  EXPECT_EQ(pull(body), "onetwothree");
  body.rewind();
  EXPECT_EQ(pull(body), "onetwothree");
}

TEST(ReplayBody, ForgetsWhatIsTooMuch) {
  BytesBody source(pieces({"one", "two", "three"}));
  ReplayBody body(source, 6);
  EXPECT_EQ(pull(body, 2), "onetwo");
  EXPECT_TRUE(body.can_rewind());
  EXPECT_EQ(pull(body), "three");
  EXPECT_FALSE(body.can_rewind());
}

TEST(ReplayBody, FailsWhoeverWouldGetTheRest) {
  BytesBody source(pieces({"one", "two", "three"}));
  ReplayBody body(source, 6);
  EXPECT_EQ(pull(body, 3), "onetwothree");
  body.rewind();
  Chunk chunk;
  EXPECT_EQ(body.poll(chunk), Poll::failed);
  EXPECT_EQ(body.error().fault, Fault::unavailable);
  EXPECT_EQ(body.error().side, Side::upstream);
}

TEST(ReplayBody, KeepsMoreIfItIsToldInTime) {
  BytesBody source(pieces({"one", "two", "three"}));
  ReplayBody body(source, 3);
  EXPECT_EQ(pull(body, 1), "one");
  body.keep(11);
  body.rewind();
  EXPECT_EQ(pull(body), "onetwothree");
  EXPECT_TRUE(body.can_rewind());
}

TEST(ReplayBody, SaysWhyItWasLost) {
  BytesBody source(pieces({"one"}));
  ReplayBody body(source, 100);
  body.lose(Error{Fault::timeout, Side::client, 0, "late"});
  body.rewind();
  Chunk chunk;
  EXPECT_EQ(body.poll(chunk), Poll::failed);
  EXPECT_EQ(body.error().fault, Fault::timeout);
}

}  // namespace
}  // namespace fairlead::http
