// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/template.h"

#include "core/conf/regex_rule.h"
#include "t/unit/core/conf/loaded.h"

namespace fairlead {
namespace {

struct Conf {
  std::unique_ptr<RegexRule> rule;
};
ConfResult<Unit> set_rule(Line& line, Conf& conf) {
  auto rule = RegexRule::compile(line, line.word(1), false);
  if (!rule) return rule.error();
  conf.rule = std::move(*rule);
  return Unit();
}
constexpr std::array directives = {custom<set_rule, Conf>("rule", in_http, words(1))};
constinit const Module module = {.name = "template_test", .conf = conf_of<Conf>, .directives = directives};

class TemplateTest : public testing::Test {
 protected:
  TemplateTest() { test::inputs = {{"a", "AA"}, {"b", "B"}, {"empty", ""}}; }
  const Template& compiled(std::string_view text) {
    EXPECT_EQ(loaded_.load("http { text '" + std::string(text) + "'; }"), "") << text;
    return conf<test::texts::Conf>(loaded_.block({0})).text;
  }
  std::string evaluated(std::string_view text) { return loaded_.evaluate(compiled(text)); }
  std::string error(std::string_view text) { return loaded_.load("http {\ntext '" + std::string(text) + "'; }"); }
  test::Loaded loaded_{{&module, &test::texts::module}};
};

TEST_F(TemplateTest, Literals) {
  EXPECT_FALSE(Template().is_set());
  EXPECT_TRUE(compiled("").is_set());
  EXPECT_TRUE(compiled("").is_empty_literal());
  EXPECT_TRUE(compiled("text").is_literal());
  EXPECT_EQ(compiled("text").literal(), "text");
  EXPECT_FALSE(compiled("$arg_a").is_literal());
  EXPECT_EQ(compiled("x$arg_a").source(), "x$arg_a");
}

TEST_F(TemplateTest, Variables) {
  EXPECT_EQ(evaluated("$arg_a"), "AA");
  EXPECT_EQ(evaluated("x${arg_a}y$arg_b-z"), "xAAyB-z");
  EXPECT_EQ(evaluated("$arg_a$arg_b$arg_empty$arg_none"), "AAB");
  EXPECT_EQ(evaluated("$arg_empty"), "");
  EXPECT_EQ(evaluated("{$arg_a}"), "{AA}");
  std::string many, want;
  for (int i = 0; i < 40; ++i) many += "-$arg_a", want += "-AA";
  EXPECT_EQ(evaluated(many), want);
}

TEST_F(TemplateTest, Errors) {
  EXPECT_EQ(error("${uri"), "the closing bracket in \"uri\" variable is missing in CONF:2");
  EXPECT_EQ(error("${uri x}"), "the closing bracket in \"uri\" variable is missing in CONF:2");
  for (std::string_view text : {"$", "$ x", "${}", "a$-b", "$uri$"})
    EXPECT_EQ(error(text), "invalid variable name in CONF:2") << text;
  EXPECT_EQ(error("$nosuch"), "unknown \"nosuch\" variable in CONF:2");
  EXPECT_EQ(error("$0"), "unknown \"0\" variable in CONF:2");
  EXPECT_EQ(error("${1}"), "unknown \"1\" variable in CONF:2");
}

TEST_F(TemplateTest, Captures) {
  ASSERT_EQ(loaded_.load("http { text '$1-$2|$12|$name|$9'; rule '^(?<name>a+)(b)?'; }"), "");
  const Template& text = conf<test::texts::Conf>(loaded_.block({0})).text;
  EXPECT_TRUE(text.uses_captures());
  EXPECT_EQ(loaded_.evaluate(text), "-|2||");
  Arena::Owner arena = Arena::open(4096);
  Session session(*arena, loaded_.generation(), loaded_.generation().variables(http_variable));
  const RegexRule& rule = *conf<Conf>(loaded_.block({0})).rule;
  EXPECT_EQ(rule.match(session, "aab"), Regex::Outcome::match);
  EXPECT_EQ(text.evaluate(session), "aa-b|aa2|aa|");
  EXPECT_EQ(rule.match(session, "ac"), Regex::Outcome::match);
  EXPECT_EQ(text.evaluate(session), "a-|a2|a|");
  EXPECT_EQ(rule.match(session, "c"), Regex::Outcome::no_match);
  EXPECT_EQ(text.evaluate(session), "a-|a2|a|");
  EXPECT_EQ(session.capture(0), "a");
}

TEST_F(TemplateTest, RegexErrors) {
  EXPECT_EQ(loaded_.load("http {\nrule '(';}"), "pcre2_compile() failed: missing closing parenthesis in \"(\" in CONF:2");
  EXPECT_EQ(loaded_.load("http { rule '(?<uri>x)'; }"), "the duplicate \"uri\" variable in CONF:1");
}

}  // namespace
}  // namespace fairlead
