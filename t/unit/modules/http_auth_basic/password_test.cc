// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_auth_basic/password.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead::http::auth_basic {
namespace {

// Made with openssl passwd, Python's hashlib and libxcrypt.
constexpr const char* hashes[] = {
    "$apr1$abcdefgh$wffxXOXPRaGUTc6.1rJJW0",
    "{PLAIN}sec ret",
    "{SHA}k4jPuZgIyyuhMqZOekyNpm6xgUs=",
    "{SSHA}B4QnIoH55DW+KOpvW+LZOytNOa5zYWx0",
    "$2b$05$abcdefghijklmnopqrstuuEJC9iW6N95/q83ewSJrne6lpLyWNS46",
    "$6$rounds=1000$salt$3Jmsy1qozGRwlY1sZn4hUtvFVn9bZwtWGMqMefsnFg/3BZmAkBEjVQm.wAyuyutFBqzRVjwgIZt6ZsM6UoVUj0",
    "aboVOYJaplOYs",
    "$1$salt$bNDiZ2VVijsedlBrsgxiD/",
};

TEST(Password, EveryScheme) {
  for (const char* stored : hashes) {
    EXPECT_TRUE(password_matches("sec ret", stored)) << stored;
    EXPECT_FALSE(password_matches("sec reT", stored)) << stored;
    EXPECT_FALSE(password_matches("", stored)) << stored;
    EXPECT_FALSE(password_matches(std::string_view("sec ret\0x", 9), stored)) << stored;
  }
}

TEST(Password, Apr1LongerThanADigestAndShortSalt) {
  EXPECT_TRUE(password_matches("a password of more than sixteen characters", "$apr1$x$thjJi.MWgq5J783kbHHJF/"));
}

TEST(Password, WhatNoSchemeKnowsMatchesNothing) {
  for (const char* stored : {"", "*", "x", "$apr1$", "$apr1$abcdefgh", "$apr1$abcdefgh$", "{SHA}", "{SHA}!!", "{SSHA}c2hvcnQ=", "$9$a$b"}) {
    EXPECT_FALSE(password_matches("", stored)) << stored;
    EXPECT_FALSE(password_matches("x", stored)) << stored;
  }
}

}  // namespace
}  // namespace fairlead::http::auth_basic
