// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/regex.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace fairlead {
namespace {

Regex compiled(std::string_view pattern, const RegexOptions& options = {}) {
  ConfResult<Regex> regex = Regex::compile(pattern, options);
  EXPECT_TRUE(regex) << regex.error();
  return std::move(*regex);
}

TEST(Regex, Groups) {
  Regex regex = compiled("^/(?<user>[a-z]+)/(x)?(\\d*)(y)?$");
  EXPECT_EQ(regex.capture_count(), 4u);
  EXPECT_TRUE(regex.jit());
  RegexMatch found;
  std::string subject = "/bob/12";
  ASSERT_EQ(regex.match(subject, found), Regex::Outcome::match);
  EXPECT_EQ(found[0], subject);
  EXPECT_EQ(found[1], "bob");
  EXPECT_FALSE(found.took_part(2));
  EXPECT_EQ(found[2], "");
  EXPECT_EQ(found[3], "12");
  EXPECT_EQ(found.count(), 4u);  // the last group took no part
  EXPECT_FALSE(found.took_part(4));
  EXPECT_EQ(found[99], "");
  EXPECT_EQ(found.offsets()[2], 1u);
  EXPECT_EQ(found.offsets()[3], 4u);
  ASSERT_EQ(regex.match("/bob/", found), Regex::Outcome::match);
  EXPECT_TRUE(found.took_part(3));  // matched the empty text
  EXPECT_EQ(found[3], "");
  EXPECT_EQ(regex.match("/Bob/", found), Regex::Outcome::no_match);
}

TEST(Regex, Names) {
  Regex regex = compiled("(?<b>x)(y)(?P<a>z)");
  ASSERT_EQ(regex.names().size(), 2u);
  EXPECT_EQ(regex.names()[0].name, "a");
  EXPECT_EQ(regex.names()[0].group, 3u);
  EXPECT_EQ(regex.names()[1].name, "b");
  EXPECT_EQ(regex.names()[1].group, 1u);
  EXPECT_TRUE(compiled("x").names().empty());
}

TEST(Regex, Options) {
  EXPECT_TRUE(compiled("abc", {.caseless = true}).matches("xABCx"));
  EXPECT_FALSE(compiled("abc").matches("xABCx"));
  EXPECT_TRUE(compiled("^b$", {.multiline = true}).matches("a\nb\nc"));
  EXPECT_FALSE(compiled("^b$").matches("a\nb\nc"));
  EXPECT_TRUE(compiled("a.b", {.dot_all = true}).matches("a\nb"));
  EXPECT_TRUE(compiled("a$").matches("a\n"));
  EXPECT_FALSE(compiled("a$", {.dollar_end_only = true}).matches("a\n"));
  EXPECT_TRUE(compiled("a b # c", {.extended = true}).matches("ab"));
  EXPECT_TRUE(compiled("^.$", {.utf = true}).matches("\xc3\xa9"));
  EXPECT_FALSE(compiled("^.$").matches("\xc3\xa9"));
  EXPECT_EQ(compiled("(?<n>a)|(?<n>b)", {.duplicate_names = true}).names().size(), 2u);
  Regex interpreted = compiled("(a+)b", {.jit = false});
  EXPECT_FALSE(interpreted.jit());
  EXPECT_TRUE(interpreted.matches("xaab"));
}

TEST(Regex, FromAndEmptySubjects) {
  Regex regex = compiled("a");
  RegexMatch found;
  ASSERT_EQ(regex.match("a-a", found, 1), Regex::Outcome::match);
  EXPECT_EQ(found.offsets()[0], 2u);
  EXPECT_EQ(regex.match("a-a", found, 3), Regex::Outcome::no_match);
  EXPECT_TRUE(compiled("").matches(""));
  EXPECT_TRUE(compiled("^$").matches(std::string_view()));
  EXPECT_TRUE(compiled("a\\x00b").matches(std::string_view("a\0b", 3)));
  ASSERT_EQ(compiled("a\\Kb").match("ab", found), Regex::Outcome::match);
  EXPECT_EQ(found[0], "b");
}

// The texts of nginx 1.22 -t.
TEST(Regex, CompileErrors) {
  const char* cases[][2] = {
      {"a(b", "pcre2_compile() failed: missing closing parenthesis in \"a(b\""},
      {"a)b", "pcre2_compile() failed: unmatched closing parenthesis in \"a)b\" at \")b\""},
      {"*", "pcre2_compile() failed: quantifier does not follow a repeatable item in \"*\" at \"*\""},
      {"(?<1a>x)", "pcre2_compile() failed: subpattern name must start with a non-digit in \"(?<1a>x)\" at \"1a>x)\""},
      {"a\\", "pcre2_compile() failed: \\ at end of pattern in \"a\\\""},
  };
  for (const auto& c : cases) {
    ConfResult<Regex> regex = Regex::compile(c[0]);
    ASSERT_FALSE(regex) << c[0];
    EXPECT_EQ(regex.error(), c[1]);
  }
}

TEST(Regex, MoreGroupsThanBefore) {
  EXPECT_TRUE(compiled("a").matches("a"));
  std::string pattern, subject;
  for (int i = 0; i < 60; ++i) pattern += "(x)", subject += 'x';
  Regex regex = compiled(pattern);
  RegexMatch found;
  ASSERT_EQ(regex.match(subject, found), Regex::Outcome::match);
  EXPECT_EQ(found.count(), 61u);
  EXPECT_EQ(found.offsets()[2 * 60], 59u);
}

TEST(Regex, Moves) {
  Regex first = compiled("a(?<n>b)");
  Regex second = std::move(first);
  Regex third = compiled("z");
  third = std::move(second);
  EXPECT_TRUE(third.matches("ab"));
  EXPECT_EQ(third.names()[0].name, "n");
  EXPECT_EQ(third.pattern(), "a(?<n>b)");
}

// Exponential in the subject: without a limit this would take longer than the universe has.
TEST(Regex, HostileSubjectIsBounded) {
  std::string subject(200, 'a');
  subject += 'b';
  for (bool jit : {true, false}) {
    Regex regex = compiled("^(a+)+$", {.jit = jit});
    RegexMatch found;
    auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(regex.match(subject, found), Regex::Outcome::error);
    auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(took, std::chrono::seconds(20));
    RecordProperty(jit ? "jit_us" : "interpreter_us", std::to_string(took / std::chrono::microseconds(1)));
    EXPECT_EQ(Regex::last_error_text(), "pcre2_match() failed: -47 (match limit exceeded)");
  }
  EXPECT_TRUE(compiled("^(a+)+b$").matches(subject));  // and the workspace is good for the next
}

TEST(Regex, LongSubjectsNeedNoLimit) {
  std::string subject(64'000, 'a');  // a head of the largest buffers that people set
  for (bool jit : {true, false}) {
    RegexMatch found;
    for (const char* pattern : {"^(?:a|b)*$", "^/?[^?]*$", "^(.|\n)*a$", "((select)|(union)|(insert)|(update)|(delete)|(drop)|(.))*a"})
      EXPECT_EQ(compiled(pattern, {.jit = jit}).match(subject, found), Regex::Outcome::match) << pattern;
    EXPECT_EQ(compiled("\\.(?:jpg|png)$", {.jit = jit}).match(subject, found), Regex::Outcome::no_match);
  }
}

TEST(Regex, BadUtfIsAnError) {
  Regex regex = compiled("a", {.utf = true});
  RegexMatch found;
  EXPECT_EQ(regex.match("\xff" "a", found), Regex::Outcome::error);
  EXPECT_NE(Regex::last_error_text().find("UTF-8 error"), std::string::npos);
}

}  // namespace
}  // namespace fairlead
