// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/access_list.h"

#include <gtest/gtest.h>

namespace fairlead {
namespace {

using Answer = AccessList::Answer;
using Added = AccessList::Added;

Answer check(const AccessList& list, std::string_view ip) { return list.check(*Addr::parse_ip(ip)); }

TEST(AccessList, FirstMatchDecides) {
  AccessList list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(check(list, "10.0.0.1"), Answer::none);
  EXPECT_EQ(list.add(Answer::deny, "192.168.1.1"), Added::ok);
  EXPECT_EQ(list.add(Answer::allow, "192.168.1.0/24"), Added::ok);
  EXPECT_EQ(list.add(Answer::allow, "2001:db8::/32"), Added::ok);
  EXPECT_EQ(list.add(Answer::deny, "10.0.0.0/8"), Added::ok);
  EXPECT_EQ(check(list, "192.168.1.1"), Answer::deny);
  EXPECT_EQ(check(list, "192.168.1.2"), Answer::allow);
  EXPECT_EQ(check(list, "::ffff:192.168.1.2"), Answer::allow);
  EXPECT_EQ(check(list, "2001:db8:ffff::1"), Answer::allow);
  EXPECT_EQ(check(list, "10.255.0.1"), Answer::deny);
  EXPECT_EQ(check(list, "192.168.2.1"), Answer::none);
  EXPECT_EQ(list.check(Addr::local("/x")), Answer::none);
}

TEST(AccessList, AllAndUnixSockets) {
  AccessList list;
  list.add(Answer::allow, "unix:");
  list.add(Answer::deny, "all");
  EXPECT_EQ(list.check(Addr::local("/x")), Answer::allow);
  EXPECT_EQ(list.check(Addr::local("")), Answer::allow);
  EXPECT_EQ(check(list, "127.0.0.1"), Answer::deny);
  EXPECT_EQ(check(list, "::1"), Answer::deny);
}

TEST(AccessList, Texts) {
  AccessList list;
  for (std::string_view text : {"x", "unix", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/255.0.0.0", "localhost", "ALL", ""})
    EXPECT_EQ(list.add(Answer::allow, text), Added::malformed) << text;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.add(Answer::allow, "10.0.0.1/8"), Added::low_bits_set);
  EXPECT_EQ(check(list, "10.9.9.9"), Answer::allow);
}

}  // namespace
}  // namespace fairlead
