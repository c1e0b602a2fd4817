// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/peer_edits.h"

#include <gtest/gtest.h>

namespace fairlead {
namespace {

PeerSpec peer(const char* address, const char* server = nullptr) {
  PeerSpec made;
  made.address = parse_addr(address, 80, AddrUse::connect)->addr;
  made.name = made.address.text();
  made.server = server ? server : address;
  return made;
}

class PeerEditsTest : public ::testing::Test {
 protected:
  std::vector<PeerSpec> applied(const char* group = "app") {
    std::vector<PeerSpec> peers = configured;
    edits.apply(group, peers);
    return peers;
  }
  std::vector<std::string> names() {
    std::vector<std::string> all;
    for (const PeerSpec& one : applied()) all.push_back(one.name);
    return all;
  }
  alignas(16) unsigned char memory[sizeof(PeerEdits) + 3 * sizeof(PeerEdit)];
  PeerEdits& edits = *PeerEdits::create(memory, sizeof memory);
  std::vector<PeerSpec> configured = {peer("127.0.0.1:80"), peer("127.0.0.2:80", "name.test"), peer("127.0.0.3:80", "name.test")};
};

using Names = std::vector<std::string>;

TEST_F(PeerEditsTest, nothing_changes_without_edits) { EXPECT_EQ(names(), (Names{"127.0.0.1:80", "127.0.0.2:80", "127.0.0.3:80"})); }

TEST_F(PeerEditsTest, a_server_is_removed_with_all_its_addresses) {
  edits.use("app", "name.test")->is_removed = true;
  EXPECT_EQ(names(), (Names{"127.0.0.1:80"}));
  EXPECT_EQ(applied("other").size(), 3u);
}

TEST_F(PeerEditsTest, what_was_removed_can_be_added_with_other_values) {
  PeerEdit& edit = *edits.use("app", "127.0.0.1:80");
  edit.is_removed = edit.is_added = true;
  edit.change.fields = PeerChange::weight_field;
  edit.change.weight = 5;
  EXPECT_EQ(names(), (Names{"127.0.0.2:80", "127.0.0.3:80", "127.0.0.1:80"}));
  EXPECT_EQ(applied().back().weight, 5u);
}

TEST_F(PeerEditsTest, changes_add_up_and_leave_the_rest) {
  configured[0].max_fails = 9;
  PeerChange& change = edits.use("app", "127.0.0.1:80")->change;
  PeerChange weight, down;
  weight.fields = PeerChange::weight_field;
  weight.weight = 3;
  down.fields = PeerChange::down_field;
  down.down = true;
  change.add(weight);
  change.add(down);
  PeerSpec made = applied()[0];
  EXPECT_EQ(made.weight, 3u);
  EXPECT_TRUE(made.down);
  EXPECT_EQ(made.max_fails, 9u);
  EXPECT_EQ(applied()[1].weight, 1u);
}

TEST_F(PeerEditsTest, a_full_table_and_long_names_are_refused) {
  for (const char* name : {"a", "b", "c"}) EXPECT_NE(edits.use("app", name), nullptr);
  EXPECT_EQ(edits.use("app", "d"), nullptr);
  EXPECT_NE(edits.use("app", "b"), nullptr);
  edits.find("app", "b")->is_used = false;
  EXPECT_EQ(edits.use("app", std::string(200, 'x')), nullptr);
  EXPECT_NE(edits.use("app", "d"), nullptr);
}

TEST_F(PeerEditsTest, an_address_that_cannot_be_read_adds_nothing) {
  edits.use("app", "no address")->is_added = true;
  EXPECT_EQ(applied().size(), 3u);
}

}  // namespace
}  // namespace fairlead
