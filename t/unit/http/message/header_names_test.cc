// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/header_names.h"

#include <gtest/gtest.h>

namespace fairlead::http {
namespace {

Headers::Field field(std::string_view name) { return {name, "value", find_known_header(name)}; }

TEST(HeaderNames, HoldsNothingAtFirst) {
  HeaderNames names;
  EXPECT_FALSE(names.holds("Host"));
  EXPECT_FALSE(names.holds("X-Unknown"));
  EXPECT_FALSE(names.holds(field("X-Unknown")));
}

TEST(HeaderNames, KnownAndOtherNamesWhateverTheirCase) {
  HeaderNames names;
  names.add("content-type");
  names.add("X-Own");
  for (std::string_view name : {"Content-Type", "CONTENT-TYPE", "x-own", "X-OWN"}) {
    EXPECT_TRUE(names.holds(name)) << name;
    EXPECT_TRUE(names.holds(field(name))) << name;
  }
  for (std::string_view name : {"Content-Length", "X-Ow", "X-Owns", "Host"}) {
    EXPECT_FALSE(names.holds(name)) << name;
    EXPECT_FALSE(names.holds(field(name))) << name;
  }
}

TEST(HeaderNames, RemovedNamesAreGone) {
  HeaderNames names(KnownHeaderSet(KnownHeader::date, KnownHeader::server));
  names.add("X-Own");
  names.add("x-OWN");  // once is enough
  names.remove("DATE");
  names.remove("X-own");
  names.remove("X-Never-Added");
  EXPECT_FALSE(names.holds("Date"));
  EXPECT_FALSE(names.holds("X-Own"));
  EXPECT_TRUE(names.holds("Server"));
}

TEST(HeaderNames, TakesASetOfKnownOnes) {
  HeaderNames names;
  names.add(KnownHeaderSet(KnownHeader::te, KnownHeader::priority));  // of both ends of the list
  EXPECT_TRUE(names.holds("TE"));
  EXPECT_TRUE(names.holds("priority"));
  names.clear();
  EXPECT_FALSE(names.holds("TE"));
}

}  // namespace
}  // namespace fairlead::http
