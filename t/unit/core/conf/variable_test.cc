// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/variable.h"

#include "core/conf/value.h"
#include "t/unit/core/conf/loaded.h"

namespace fairlead {
namespace {

int asked = 0;
std::string changed;
struct Conf {};

// `define NAME TEXT;` makes a variable that counts how often it is evaluated; `counted` as its text is volatile.
ConfResult<Unit> set_define(Line& line, Conf&) {
  VariableDef def;
  def.name = line.word(1);
  def.flags = static_cast<uint8_t>(variable_changeable | (line.word(2) == "volatile" ? variable_volatile : 0));
  def.datum = reinterpret_cast<uintptr_t>(line.arena().copy_z(line.word(2)));
  def.get = [](Session&, uintptr_t datum) {
    ++asked;
    return Value{reinterpret_cast<const char*>(datum), true};
  };
  auto index = variables_of(line).define(def, line.place());
  if (!index) return index.error();
  return Unit();
}
// `set NAME;` as the rewrite module's: no value of its own.
ConfResult<Unit> set_set(Line& line, Conf&) {
  VariableDef def;
  def.name = line.word(1);
  auto index = variables_of(line).define(def, line.place());
  if (!index) return index.error();
  return Unit();
}
// `cycle NAME;`: a variable that is worth itself.
ConfResult<Unit> set_cycle(Line& line, Conf&) {
  VariableDef def;
  def.name = line.word(1);
  def.flags = variable_volatile;
  def.datum = variables_of(line).use(line.word(1), line.place());
  def.get = [](Session& session, uintptr_t datum) { return session.variable(static_cast<uint32_t>(datum)); };
  auto index = variables_of(line).define(def, line.place());
  if (!index) return index.error();
  return Unit();
}

constexpr std::array directives = {
    custom<set_define, Conf>("define", in_http | in_stream, words(2)).many(),
    custom<set_set, Conf>("set", in_http | in_stream, words(1)).many(),
    custom<set_cycle, Conf>("cycle", in_http, words(1)).many(),
};
constexpr std::array variables = {
    VariableDef{.name = "pre_long_", .get = [](Session&, uintptr_t d) { return Value{*reinterpret_cast<std::string_view*>(d), true}; },
                .flags = variable_prefix},
    VariableDef{.name = "pre_", .get = [](Session&, uintptr_t) { return Value{"short", true}; }, .flags = variable_prefix},
    VariableDef{.name = "limit", .get = [](Session&, uintptr_t d) { return d == 7 ? Value{"7", true} : Value::missing(); },
                .flags = variable_changeable, .set = [](Session&, std::string_view text, uintptr_t) { changed = text; }, .datum = 7},
    VariableDef{.name = "only_stream", .get = [](Session&, uintptr_t) { return Value{"s", true}; }, .engines = stream_variable},
};
constinit const Module module = {.name = "variable_test", .conf = conf_of<Conf>, .directives = directives, .variables = variables};

class VariableTest : public testing::Test {
 protected:
  VariableTest() { asked = 0; }
  std::string evaluated(std::string_view text) {
    EXPECT_EQ(loaded_.load("http { text \"" + std::string(text) +
                           "\"; define mine value; define vol volatile; set late; cycle round; }"), "");
    return loaded_.evaluate(conf<test::texts::Conf>(loaded_.block({0})).text);
  }
  test::Loaded loaded_{{&module, &test::texts::module}};
};

TEST_F(VariableTest, BuiltIn) {
  test::inputs = {{"a", "1"}, {"long_name", "2"}};
  EXPECT_EQ(evaluated("$uri $arg_a $arg_long_name $arg_none."), "/uri 1 2 .");
  EXPECT_EQ(evaluated("$URI"), "/uri");
  EXPECT_EQ(evaluated("$limit"), "7");
}

TEST_F(VariableTest, LongestPrefixWins) { EXPECT_EQ(evaluated("$pre_long_tail $pre_lo $pre_long_"), "tail short "); }

TEST_F(VariableTest, DefinedBelowItsUse) { EXPECT_EQ(evaluated("$mine $late."), "value ."); }

TEST_F(VariableTest, EvaluatedOnceUnlessVolatile) {
  evaluated("$mine $mine ${mine}");
  EXPECT_EQ(asked, 1);
  evaluated("$vol $vol");
  EXPECT_EQ(asked, 3);
}

TEST_F(VariableTest, Unknown) {
  EXPECT_EQ(loaded_.load("http {\n text $nosuch;\n server { text $nosuch; } }"), "unknown \"nosuch\" variable in CONF:2");
  EXPECT_EQ(loaded_.load("http { text $only_stream; }"), "unknown \"only_stream\" variable in CONF:1");
  EXPECT_EQ(loaded_.load("http { text $pre; } "), "unknown \"pre\" variable in CONF:1");
  // The engines have tables of their own.
  EXPECT_EQ(loaded_.load("http { define x y; }\nstream { text $x; }"), "unknown \"x\" variable in CONF:2");
  EXPECT_EQ(loaded_.load("stream { text $only_stream; }"), "");
  EXPECT_EQ(loaded_.evaluate(conf<test::texts::Conf>(loaded_.block({0})).text, "127.0.0.1", stream_variable), "s");
}

TEST_F(VariableTest, Duplicates) {
  EXPECT_EQ(loaded_.load("http { define uri x; }"), "the duplicate \"uri\" variable in CONF:1");
  EXPECT_EQ(loaded_.load("http { set uri; }"), "the duplicate \"uri\" variable in CONF:1");
  EXPECT_EQ(loaded_.load("http { cycle mine; cycle mine; }"), "the duplicate \"mine\" variable in CONF:1");
  // As in nginx the later of two maps of one variable holds, and a map may take a prefix variable's or a changeable one's name.
  ASSERT_EQ(loaded_.load("http { define x 1; define X 2; set x; define http_y 3; define args 4; text \"$x $http_y $args\"; }"), "");
  EXPECT_EQ(loaded_.evaluate(conf<test::texts::Conf>(loaded_.block({0})).text), "2 3 4");
  ASSERT_EQ(loaded_.load("http { set args; text $args; }"), "");
  EXPECT_EQ(loaded_.evaluate(conf<test::texts::Conf>(loaded_.block({0})).text), "/uri");
}

TEST_F(VariableTest, CycleEnds) {
  EXPECT_EQ(evaluated("$round."), ".");
  EXPECT_EQ(loaded_.logged(), "error: cycle while evaluating variable \"round\"\n");
}

TEST_F(VariableTest, Set) {
  ASSERT_EQ(loaded_.load("http { text \"$mine $limit\"; define mine value; }"), "");
  const VariableTable& table = loaded_.generation().variables(http_variable);
  Arena::Owner arena = Arena::open(4096);
  Session session(*arena, loaded_.generation(), table);
  uint32_t mine = *table.find("Mine"), limit = *table.find("limit");
  EXPECT_FALSE(table.find("nosuch"));
  session.set_variable(mine, "other");
  EXPECT_EQ(session.variable(mine).text, "other");
  session.forget_variable(mine);
  EXPECT_EQ(session.variable(mine).text, "value");
  session.set_variable(limit, "9");
  EXPECT_EQ(changed, "9");
  EXPECT_EQ(session.variable(limit).text, "7");
}

}  // namespace
}  // namespace fairlead
