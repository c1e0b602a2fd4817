// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/block.h"

#include "core/conf/value.h"
#include "t/unit/core/conf/loaded.h"

namespace fairlead {
namespace {

struct Conf {
  uint64_t scalar = 1;
  std::string_view local = "none";
  std::vector<std::string> list;    // `item`
  std::vector<std::string> rules;   // `allow` and `deny`
  uint64_t pair_a = 0, pair_b = 0;  // `pair`
  uint64_t derived = 0;
};

ConfResult<Unit> add_item(Line& line, Conf& conf) {
  conf.list.push_back(std::string(line.word(1)));
  return Unit();
}
ConfResult<Unit> add_rule(Line& line, Conf& conf) {
  conf.rules.push_back(std::string(line.name()) + " " + std::string(line.word(1)));
  return Unit();
}
ConfResult<Unit> set_pair(Line& line, Conf& conf) {
  conf.pair_a = static_cast<uint64_t>(line.word(1)[0] - '0');
  conf.pair_b = static_cast<uint64_t>(line.word(2)[0] - '0');
  return Unit();
}
int finished = 0;
ConfResult<Unit> finish(Block& block, Conf& conf) {
  ++finished;
  conf.derived = conf.scalar * 2;
  if (conf.scalar == 13) return std::string("13 brings bad luck") + at_place(block.place());
  return Unit();
}

constexpr std::array directives = {
    slot<Conf, &Conf::scalar>("scalar", in_http_any),
    local_slot<Conf, &Conf::local>("local", in_http_any),
    custom<add_item, Conf, &Conf::list>("item", in_http_any, words(1)).many(),
    custom<add_rule, Conf, &Conf::rules>("allow", in_http_any, words(1)).many(),
    custom<add_rule, Conf, &Conf::rules>("deny", in_http_any, words(1)).many(),
    custom<set_pair, Conf, &Conf::pair_a, &Conf::pair_b>("pair", in_http_any, words(2)),
};
constinit const Module module = {
    .name = "block_test", .conf = conf_of<Conf>, .directives = directives, .finish = finish_of<finish, Conf>};

using Texts = std::vector<std::string>;

class BlockTest : public testing::Test {
 protected:
  void load(std::string_view text) {
    finished = 0;
    ASSERT_EQ(loaded_.load(text), "");
  }
  const Conf& at(std::initializer_list<size_t> path) { return conf<Conf>(loaded_.block(path)); }
  test::Loaded loaded_{{&module}};
};

TEST_F(BlockTest, Scalars) {
  load("http { scalar 2; server { location a { scalar 3; location b {} } location c {} } server { scalar 4; } }");
  EXPECT_EQ(at({}).scalar, 1u);
  EXPECT_EQ(at({0}).scalar, 2u);
  EXPECT_EQ(at({0, 0}).scalar, 2u);
  EXPECT_EQ(at({0, 0, 0}).scalar, 3u);
  EXPECT_EQ(at({0, 0, 0, 0}).scalar, 3u);
  EXPECT_EQ(at({0, 0, 1}).scalar, 2u);
  EXPECT_EQ(at({0, 1}).scalar, 4u);
}

TEST_F(BlockTest, ValuesBelowANestedBlockApplyInIt) {
  load("http { server { location a {} scalar 3; item x; } item y; pair 1 2; }");
  EXPECT_EQ(at({0, 0, 0}).scalar, 3u);
  EXPECT_EQ(at({0, 0, 0}).list, Texts{"x"});
  EXPECT_EQ(at({0, 0, 0}).pair_a, 1u);
  EXPECT_EQ(at({0, 0, 0}).pair_b, 2u);
}

TEST_F(BlockTest, ListsAreAllOrNothing) {
  load("http { item a; item b; server { location x { item c; } location y { scalar 5; } } }");
  EXPECT_EQ(at({0, 0, 0}).list, Texts{"c"});
  EXPECT_EQ(at({0, 0, 1}).list, (Texts{"a", "b"}));
}

TEST_F(BlockTest, RowsThatShareAFieldAreInheritedAsOne) {
  load("http { allow a; deny b; server { deny c; } server { allow d; } server { scalar 3; } server { deny e; allow f; } }");
  EXPECT_EQ(at({0}).rules, (Texts{"allow a", "deny b"}));
  EXPECT_EQ(at({0, 0}).rules, Texts{"deny c"});
  EXPECT_EQ(at({0, 1}).rules, Texts{"allow d"});
  EXPECT_EQ(at({0, 2}).rules, (Texts{"allow a", "deny b"}));
  EXPECT_EQ(at({0, 3}).rules, (Texts{"deny e", "allow f"}));
}

TEST_F(BlockTest, LocalValuesStay) {
  load("http { local h; server { local s; location a { location b { scalar 2; } } } server {} }");
  EXPECT_EQ(at({0}).local, "h");
  EXPECT_EQ(at({0, 0}).local, "s");
  EXPECT_EQ(at({0, 0, 0}).local, "none");
  EXPECT_EQ(at({0, 0, 0, 0}).local, "none");
  EXPECT_EQ(at({0, 1}).local, "none");
}

TEST_F(BlockTest, BlocksWithNothingSetShare) {
  load(
      "http { scalar 2; server { location a { location b {} } location c { scalar 2; } } server { local l; "
      "location d {} location e {} } }");
  EXPECT_EQ(&at({0, 0}), &at({0}));
  EXPECT_EQ(&at({0, 0, 0}), &at({0}));
  EXPECT_EQ(&at({0, 0, 0, 0}), &at({0}));
  EXPECT_NE(&at({0, 0, 1}), &at({0}));
  // Below a block with values of its own alone nothing can be shared with it.
  EXPECT_NE(&at({0, 1, 0}), &at({0, 1}));
  EXPECT_FALSE(loaded_.block({0, 0}).is_set("scalar"));
  EXPECT_TRUE(loaded_.block({0, 0, 1}).is_set("scalar"));
}

TEST_F(BlockTest, FinishRunsOncePerConfOutsideFirst) {
  load("http { scalar 2; server { location a {} location b { scalar 3; } } server { item x; } }");
  EXPECT_EQ(finished, 4);  // main, http, b, the second server
  EXPECT_EQ(at({0, 0, 0}).derived, 4u);
  EXPECT_EQ(at({0, 0, 1}).derived, 6u);
  EXPECT_EQ(at({0, 1}).derived, 4u);
  EXPECT_EQ(loaded_.load("http {\n server {\n location a {\n scalar 13; } } }"), "13 brings bad luck in CONF:3");
}

TEST_F(BlockTest, Tree) {
  load("http { server { location /a { if (x) {} } } }");
  Block& location = loaded_.block({0, 0, 0});
  EXPECT_STREQ(location.object<char>(), "/a");
  EXPECT_EQ(location.parent(), &loaded_.block({0, 0}));
  EXPECT_EQ(loaded_.block({0, 0, 0, 0}).enclosing(in_location), &location);
  EXPECT_EQ(location.enclosing(in_http | in_main), &loaded_.block({0}));
  EXPECT_EQ(location.enclosing(in_stream), nullptr);
  EXPECT_EQ(location.place().line, 1u);
}

}  // namespace
}  // namespace fairlead
