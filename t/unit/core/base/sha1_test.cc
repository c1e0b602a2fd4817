// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/sha1.h"

#include <gtest/gtest.h>

#include <string>

#include "core/base/encoding.h"

namespace fairlead {
namespace {

std::string hex_sha1(std::string_view bytes) {
  Sha1 digest = sha1(bytes);
  return hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

TEST(Sha1, VectorsOfFips180) {
  EXPECT_EQ(hex_sha1(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(hex_sha1("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

}  // namespace
}  // namespace fairlead
