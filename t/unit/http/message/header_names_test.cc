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

TEST(KeepFields, GivesTheListItselfWhereAllAreKept) {
  Arena::Owner arena = Arena::open(1024);
  Headers fields(*arena);
  fields.add("X-One", "1");
  EXPECT_EQ(keep_fields(fields, *arena, [](const Headers::Field&) { return true; }), &fields);
  Headers none(*arena);
  EXPECT_EQ(keep_fields(none, *arena, [](const Headers::Field&) { return false; }), &none);
}

TEST(KeepFields, KeepsOrderTextsAndKnownOnes) {
  Arena::Owner arena = Arena::open(1024);
  Headers fields(*arena);
  for (std::string_view name : {"X-One", "date", "X-Two", "Server"}) fields.add(name, "v");
  HeaderNames dropped(KnownHeaderSet(KnownHeader::server));
  dropped.add("x-one");
  const Headers* kept = keep_fields(fields, *arena, [&](const Headers::Field& each) { return !dropped.holds(each); });
  ASSERT_EQ(kept->size(), 2u);
  EXPECT_EQ(kept->begin()->value, "v");
  EXPECT_EQ(kept->find(KnownHeader::date), kept->begin());
  EXPECT_EQ(kept->find("x-two"), kept->begin() + 1);
  EXPECT_EQ(fields.size(), 4u);
  EXPECT_TRUE(keep_fields(fields, *arena, [](const Headers::Field&) { return false; })->empty());
}

}  // namespace
}  // namespace fairlead::http
