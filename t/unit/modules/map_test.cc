// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Values and wordings were taken from nginx 1.22 with the same configuration.
#include "t/unit/core/conf/loaded.h"

namespace fairlead {

extern const Module map_module;

namespace {

class MapTest : public testing::Test {
 protected:
  // $arg_* are test::inputs.
  std::string text(std::string_view client = "127.0.0.1") {
    return loaded_.evaluate(conf<test::texts::Conf>(loaded_.block({0})).text, client);
  }
  std::string error(std::string_view block) { return loaded_.load("http {\n" + std::string(block) + "\n}"); }
  test::Loaded loaded_{{&map_module, &test::texts::module}};
};

constexpr std::string_view maps = R"CONF(
  map $arg_k $plain { default d; a 1; Bee 2; \~x tilde; \default def; "" empty; ~^r(.)(?<n>.)$ "$1-$n-$arg_k"; ~*^RR i; *.star lit;
                      \hostnames hn; \\back bs; v $arg_v; c "x${arg_v}y"; }
  map $arg_k $nodef { a 1; }
  map $arg_k $host { hostnames; default d; a.com exact; *.a.com front; .b.com dot; c.* tail; *.x.a.com longer; c.d.* longtail;
                     ~^re\.(.+)$ $1; .com com; com.* ctail; }
  map "$arg_k:$arg_v" $two { a:b 1; ~^(\w+):(\w+)$ $2:$1; }
  map $arg_k $order { ~a 1; ~b 2; ab 3; }
  text "$plain|$nodef|$host|$two|$order|";)CONF";

TEST_F(MapTest, Values) {
  struct Case {
    std::string key, other;
    std::string_view want;
  };
  static const Case cases[] = {
      {"", "", "empty||d|||"},
      {"a", "", "1|1|d||1|"},
      {"A", "", "1|1|d|||"},
      {"bee", "", "2||d||2|"},
      {"BEE", "", "2||d|||"},
      {"~x", "", "tilde||d|||"},
      {"default", "", "def||d||1|"},
      {"rxy", "", "x-y-rxy||d|||"},
      {"Rxy", "", "d||d|||"},
      {"rrq", "", "r-q-rrq||d|||"},
      {"RRq", "", "i||d|||"},
      {"*.star", "", "lit||d||1|"},
      {"x.star", "", "d||d||1|"},
      {"hostnames", "", "hn||d||1|"},
      {"v", "val", "val||d|val:v||"},
      {"c", "val", "xvaly||d|val:c||"},
      {"v", "", "||d|||"},
      {"a.com", "", "d||exact||1|"},
      {"A.COM", "", "d||exact|||"},
      {"a.com.", "", "d||exact||1|"},
      {"www.a.com", "", "d||front||1|"},
      {"w.x.a.com", "", "d||longer||1|"},
      {"x.a.com", "", "d||front||1|"},
      {".a.com", "", "d||front||1|"},
      {"b.com", "", "d||dot||2|"},
      {"w.b.com", "", "d||dot||2|"},
      {"c.org", "", "d||tail|||"},
      {"c.d.org", "", "d||longtail|||"},
      {"c.", "", "d||d|||"},
      {"c", "", "xy||d|||"},
      {"re.foo", "", "d||foo|||"},
      {"re.foo.", "", "d||foo|||"},
      {"RE.foo", "", "d||d|||"},
      {"z.com", "", "d||com|||"},
      {"com", "", "d||com|||"},
      {"com.x", "", "d||ctail|||"},
      {"com.com", "", "d||com|||"},
      {"a", "b", "1|1|d|1|1|"},
      {"abc", "def", "d||d|def:abc|1|"},
      {"ab", "", "d||d||3|"},
      {"b", "", "d||d||2|"},
      {"xa.com", "", "d||com||1|"},
      {"..a.com", "", "d||front||1|"},
      {"w.a.com.", "", "d||front||1|"},
      {"a.b.com", "", "d||dot||1|"},
      {".", "", "d||d|||"},
      {"c.d.", "", "d||tail|||"},
      {"c.d", "", "d||tail|||"},
      {"c.dd.x", "", "d||tail|||"},
      {".com", "", "d||com|||"},
      {"*.a.com", "", "d||front||1|"},
      {"c.*", "", "d||tail|||"},
  };
  ASSERT_EQ(error(maps), "");
  for (const Case& c : cases) {
    test::inputs = {{"k", c.key}, {"v", c.other}};
    EXPECT_EQ(text(), c.want) << c.key << " " << c.other;
  }
}

TEST_F(MapTest, VolatileIsLookedUpAgain) {
  // $late is evaluated before and after the match that sets $1.
  ASSERT_EQ(error("map x $late { volatile; default $1; } map $arg_k $sets { ~(.+) -; } text $late$sets$late;"), "");
  test::inputs = {{"k", "value"}};
  EXPECT_EQ(text(), "-value");
  ASSERT_EQ(error("map x $late { default $1; } map $arg_k $sets { ~(.+) -; } text $late$sets$late;"), "");
  EXPECT_EQ(text(), "-");
}

TEST_F(MapTest, Include) {
  loaded_.file("m/1", "a 1;\n").file("m/2", "default 2; ~^c$ 3;");
  ASSERT_EQ(error("map $arg_k $x { include m/*; include n/*; } text $x;"), "");
  for (auto [key, want] : {std::pair("a", "1"), {"b", "2"}, {"c", "3"}}) {
    test::inputs = {{"k", key}};
    EXPECT_EQ(text(), want);
  }
}

TEST_F(MapTest, Stream) {
  ASSERT_EQ(loaded_.load("stream { map $arg_k $x { ~(?<z>1) $z$1; } text $x; }"), "");
  test::inputs = {{"k", "1"}};
  EXPECT_EQ(loaded_.evaluate(conf<test::texts::Conf>(loaded_.block({0})).text, "::1", stream_variable), "11");
}

TEST_F(MapTest, Wording) {
  struct Case {
    std::string_view block, want;
  };
  static constexpr Case cases[] = {
      {"map $uri x {}", "invalid variable name \"x\""},
      {"map $uri $ {}", "invalid variable name \"$\""},
      {"map $uri {}", "invalid number of arguments in \"map\" directive"},
      {"map $uri $x;", "directive \"map\" has no opening \"{\""},
      {"map $uri $x { default a; default b; }", "duplicate default map parameter"},
      {"map $uri $x { a 1; A 2; }", "conflicting parameter \"a\""},
      {"map $uri $x { \"\" 1; \"\" 2; }", "conflicting parameter \"\""},
      {"map $uri $x { hostnames; *.a 1; *.a 2; }", "conflicting parameter \"*.a\""},
      {"map $uri $x { hostnames; .a 1; *.a 2; }", "conflicting parameter \"*.a\""},
      {"map $uri $x { hostnames; .a 1; a 2; }", "conflicting parameter \"a\""},
      {"map $uri $x { hostnames; *a 1; }", "invalid hostname or wildcard \"*a\""},
      {"map $uri $x { hostnames; a.*b 1; }", "invalid hostname or wildcard \"a.*b\""},
      {"map $uri $x { hostnames; a..b 1; }", "invalid hostname or wildcard \"a..b\""},
      {"map $uri $x { hostnames; *.a.* 1; }", "invalid hostname or wildcard \"*.a.*\""},
      {"map $uri $x { ~( 1; }", "pcre2_compile() failed: missing closing parenthesis in \"(\""},
      {"map $uri $x { a $nosuch; }", "unknown \"nosuch\" variable"},
      {"map $uri $x { a; }", "invalid number of the map parameters"},
      {"map $uri $x { include; }", "invalid number of the map parameters"},
      {"map $uri $x { a b c; }", "invalid number of the map parameters"},
      {"map $uri $uri {}", "the duplicate \"uri\" variable"},
      {"map $uri $x { ~(?<uri>a) 1; }", "the duplicate \"uri\" variable"},
      {"map $uri $x { a \"$1${uri\"; }", "the closing bracket in \"uri\" variable is missing"},
      {"map_hash_max_size x;", "\"map_hash_max_size\" directive invalid number"},
  };
  for (const Case& c : cases) EXPECT_EQ(error(c.block), std::string(c.want) + " in CONF:2") << c.block;
  for (std::string_view block :
       {"map uri $x {}", "map $uri $x { *a 1; }", "map $uri $x { hostnames on; }", "map $uri $args {}", "map $uri $http_foo {}",
        "map $uri $x {} map $uri $x {}", "map $uri $x { ~a 1; ~a 2; }", "map $uri $x { ~(?<args>a) 1; }", "map $uri $x { ~ 1; ~* 2; }",
        "map $uri $x { default 1; DEFAULT 2; }", "map_hash_max_size 10; map_hash_bucket_size 64;"})
    EXPECT_EQ(error(block), "") << block;
}

}  // namespace
}  // namespace fairlead
