// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/encoding.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead {
namespace {

TEST(Encoding, Hex) {
  EXPECT_EQ(hex(std::string_view("\x00\x0f\xff\xa5", 4)), "000fffa5");
  EXPECT_EQ(hex(""), "");
  EXPECT_EQ(hex_decode("000FffA5"), std::string("\x00\x0f\xff\xa5", 4));
  EXPECT_EQ(hex_decode(""), "");
  EXPECT_FALSE(hex_decode("abc"));
  EXPECT_FALSE(hex_decode("0g"));
  EXPECT_FALSE(hex_decode("g0"));
}

// RFC 4648 section 10.
TEST(Encoding, Base64Vectors) {
  const char* pairs[][2] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& pair : pairs) {
    EXPECT_EQ(base64(pair[0]), pair[1]);
    EXPECT_EQ(base64_decode(pair[1]), pair[0]);
    std::string bare = pair[1];
    while (!bare.empty() && bare.back() == '=') bare.pop_back();
    EXPECT_EQ(base64(pair[0], Base64::url), bare);
    EXPECT_EQ(base64_decode(bare), pair[0]);
    EXPECT_EQ(base64_decode(bare, Base64::url), pair[0]);
  }
}

TEST(Encoding, Base64Alphabets) {
  EXPECT_EQ(base64("\xfb\xff\xfe"), "+//+");
  EXPECT_EQ(base64("\xfb\xff\xfe", Base64::url), "-__-");
  EXPECT_FALSE(base64_decode("-__-"));
  EXPECT_FALSE(base64_decode("+//+", Base64::url));
}

TEST(Encoding, Base64RoundTripOfAllLengths) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    for (Base64 alphabet : {Base64::standard, Base64::url}) {
      EXPECT_EQ(base64(bytes, alphabet).size(), base64_size(bytes.size(), alphabet));
      EXPECT_EQ(base64_decode(base64(bytes, alphabet), alphabet), bytes);
    }
    bytes.push_back(static_cast<char>(i * 37));
  }
}

TEST(Encoding, Base64Refused) {
  for (const char* bad :
       {"Z", "Zg=", "Zg=x", "Zg==Zg==", "====", "=", "Zm9v=", "Zm9v====", "Zm 9v", "Zm9vY", "Zg===", "Z===", "\xff\xff\xff\xff"}) {
    EXPECT_FALSE(base64_decode(bad)) << bad;
  }
  EXPECT_EQ(base64_decode("Zh=="), "f");  // stray bits in the last character
}

}  // namespace
}  // namespace fairlead
