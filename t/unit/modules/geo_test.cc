// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Values and wordings were taken from nginx 1.22 with the same configuration.
#include "t/unit/core/conf/loaded.h"

namespace fairlead {

extern const Module geo_module;

namespace {

class GeoTest : public testing::Test {
 protected:
  // $arg_* are test::inputs.
  std::string text(std::string_view client = "127.0.0.1") {
    return loaded_.evaluate(conf<test::texts::Conf>(loaded_.block({0})).text, client);
  }
  std::string error(std::string_view block) { return loaded_.load("http {\n" + std::string(block) + "\n}"); }
  test::Loaded loaded_{{&geo_module, &test::texts::module}};
};

TEST_F(GeoTest, Values) {
  struct Case {
    std::string key;
    std::string_view want;
  };
  static const Case cases[] = {
      {"", "none||d||b|"},
      {"x", "none||d||b|"},
      {"1.2.3", "none||d||b|"},
      {"10.0.0.1", "ten|ten|start|all|2|"},
      {"10.1.0.1", "ten1|ten|d||2|"},
      {"10.1.2.3", "host|ten|d||2|"},
      {"10.2.0.1", "two|ten|d||2|"},
      {"10.3.0.1", "ten|ten|d||2|"},
      {"127.0.0.1", "lo||d||b|"},
      {"128.0.0.1", "d||d||b|"},
      {"1.1.1.1", "low||d||b|"},
      {"255.255.255.255", "none||d||b|"},
      {"2001:db8::1", "v6||d||c|"},
      {"2001:db8:1::5", "v6b||d||c|"},
      {"::1", "lo6||d||c|"},
      {"::2", "d||d||c|"},
      {"::ffff:10.9.0.1", "ten|ten|d||2|"},
      {"::ffff:10.1.2.3", "host|ten|d||2|"},
      {"10.9.0.1", "ten|ten|d||2|"},
      {"[::1]", "none||d||b|"},
      {"10.1.2.3:80", "none||d||b|"},
      {"10.0.0.0", "ten|ten|start|all|2|"},
      {"10.0.0.2", "ten|ten|start|all|2|"},
      {"10.0.0.3", "ten|ten|all|all|2|"},
      {"10.0.0.9", "ten|ten|all|all|2|"},
      {"10.0.0.10", "ten|ten|in|all|2|"},
      {"10.0.0.14", "ten|ten|in|all|2|"},
      {"10.0.0.15", "ten|ten|d|all|2|"},
      {"10.0.0.16", "ten|ten|in|all|2|"},
      {"10.0.0.20", "ten|ten|in|all|2|"},
      {"10.0.0.21", "ten|ten|all|all|2|"},
      {"10.0.0.249", "ten|ten|all|all|2|"},
      {"10.0.0.250", "ten|ten|end|all|2|"},
      {"10.0.0.255", "ten|ten|end|all|2|"},
      {"10.0.1.0", "ten|ten|d||2|"},
      {"9.255.255.255", "low||nine||b|"},
      {"9.254.255.255", "low||d||b|"},
      {"11.0.0.0", "low||eleven||b|"},
      {"11.3.255.255", "low||eleven||b|"},
      {"11.4.0.0", "low||d||b|"},
      {"::10.0.0.1", "d||d||c|"},
      {"unix:", "none||d||b|"},
  };
  ASSERT_EQ(error(R"CONF(
    geo $arg_k $g { default d; 10.0.0.0/8 ten; 10.1.0.0/16 ten1; 10.1.2.3 host; 127.0.0.0/8 lo; 0.0.0.0/1 low; 255.255.255.255 none;
                    2001:db8::/32 v6; 2001:db8:1::/48 v6b; ::1 lo6; ::ffff:10.9.0.0/112 mapped; delete 10.2.0.0/16; 10.2.0.0/16 two;
                    10.3.0.0/16 three; delete 10.3.0.0/16; }
    geo $arg_k $nodef { 10.0.0.0/8 ten; }
    geo $arg_k $r { ranges; default d; 10.0.0.0-10.0.0.255 all; 10.0.0.10-10.0.0.20 in; 10.0.0.15-10.0.0.15 one; 10.0.0.0-10.0.0.2 start;
                    10.0.0.250-10.0.0.255 end; 9.255.0.0-9.255.255.255 nine; 11.0.0.0-11.3.255.255 eleven; delete 10.0.0.15-10.0.0.15; }
    geo $arg_k $rn { ranges; 10.0.0.0-10.0.0.255 all; }
    geo $arg_k $dup { default a; 0.0.0.0/0 b; ::/0 c; 10.0.0.0/8 1; 10.0.0.0/8 2; }
    text "$g|$nodef|$r|$rn|$dup|";)CONF"),
            "");
  for (const Case& c : cases) {
    test::inputs = {{"k", c.key}};
    EXPECT_EQ(text(), c.want) << c.key;
  }
}

TEST_F(GeoTest, Proxies) {
  struct Case {
    const char* forwarded;
    std::string_view want;
  };
  static constexpr Case cases[] = {
      {nullptr, "lo|lo|lo|lo|$uri|"},
      {"", "lo|lo|lo|lo|$uri|"},
      {"10.0.0.1", "ten|ten|lo|ten|$uri|"},
      {"1.1.1.1, 10.0.0.1", "ten|ten|lo|ten|$uri|"},
      {"10.0.0.1, 127.0.0.1", "lo|ten|lo|lo|$uri|"},
      {"10.0.0.1, 11.0.0.1, 127.0.0.1", "lo|ten|lo|lo|$uri|"},
      {"x", "lo|lo|lo|lo|$uri|"},
      {"10.0.0.1, x", "lo|lo|lo|lo|$uri|"},
      {"10.0.0.1 127.0.0.1", "lo|ten|lo|lo|$uri|"},
      {"10.0.0.1:80", "ten|ten|lo|ten|$uri|"},
      {"10.0.0.1,", "ten|ten|lo|ten|$uri|"},
      {"10.0.0.1, ,", "ten|ten|lo|ten|$uri|"},
      {"2001:db8::1", "v6|v6|lo|d|$uri|"},
      {"[2001:db8::1]:80", "v6|v6|lo|d|$uri|"},
      {"[2001:db8::1]", "lo|lo|lo|lo|$uri|"},
      {"127.0.0.1, 127.0.0.1", "lo|lo|lo|lo|$uri|"},
      {"unix:", "lo|lo|lo|lo|$uri|"},
      {"11.0.0.1", "eleven|eleven|lo|d|$uri|"},
      {"10.0.0.1;127.0.0.1", "lo|lo|lo|lo|$uri|"},
      {"10.0.0.1,11.0.0.1,x,11.0.0.1", "eleven|eleven|lo|d|$uri|"},
      {" 10.0.0.1 ", "ten|ten|lo|ten|$uri|"},
      {"x 10.0.0.1", "ten|ten|lo|ten|$uri|"},
      {"10.0.0.1:x", "lo|lo|lo|lo|$uri|"},
      {"10.0.0.1, 11.0.0.1:99", "eleven|ten|lo|d|$uri|"},
      {"10.0.0.1, 11.0.0.1", "eleven|ten|lo|d|$uri|"},
  };
  ASSERT_EQ(error(R"CONF(
    geo $p { default d; proxy 127.0.0.0/8; proxy ::1; 10.0.0.0/8 ten; 127.0.0.1 lo; 11.0.0.0/8 eleven; 255.255.255.255 none;
             2001:db8::/32 v6; }
    geo $pr { default d; proxy 127.0.0.0/8; proxy 11.0.0.0/8; proxy_recursive; 10.0.0.0/8 ten; 127.0.0.1 lo; 11.0.0.0/8 eleven;
              2001:db8::/32 v6; }
    geo $np { default d; 10.0.0.0/8 ten; 127.0.0.1 lo; }
    geo $arg_k $pa { default d; proxy 127.0.0.0/8; 10.0.0.0/8 ten; 127.0.0.1 lo; }
    geo $lit { default $uri; }
    text "$p|$pr|$np|$pa|$lit|";)CONF"),
            "");
  for (const Case& c : cases) {
    test::inputs = {{"k", "127.0.0.1"}};
    if (c.forwarded) test::inputs["x_forwarded_for"] = c.forwarded;
    EXPECT_EQ(text(), c.want) << (c.forwarded ? c.forwarded : "none");
  }
}

TEST_F(GeoTest, ClientWithoutAnAddress) {
  ASSERT_EQ(error("geo $x { default d; 255.255.255.255 none; } text $x;"), "");
  EXPECT_EQ(text("unix:"), "none");
  EXPECT_EQ(text("::ffff:255.255.255.255"), "none");
  EXPECT_EQ(text("1.2.3.4"), "d");
}

TEST_F(GeoTest, Errors) {
  struct Case {
    std::string_view block, want;
  };
  static constexpr Case cases[] = {
      {"geo x {}", "invalid variable name \"x\""},
      {"geo uri $x {}", "invalid variable name \"uri\""},
      {"geo $uri x {}", "invalid variable name \"x\""},
      {"geo {}", "invalid number of arguments in \"geo\" directive"},
      {"geo $a $b $c {}", "invalid number of arguments in \"geo\" directive"},
      {"geo $x { a 1; }", "invalid network \"a\""},
      {"geo $x { 10.0.0.0/33 1; }", "invalid network \"10.0.0.0/33\""},
      {"geo $x { unix: 1; }", "invalid network \"unix:\""},
      {"geo $x { 10.0.0.0/8; }", "invalid number of the geo parameters"},
      {"geo $x { a b c; }", "invalid number of the geo parameters"},
      {"geo $x { default; }", "invalid number of the geo parameters"},
      {"geo $x { proxy; }", "invalid number of the geo parameters"},
      {"geo $x { proxy a; }", "invalid network \"a\""},
      {"geo $x { delete x; }", "invalid network \"x\""},
      {"geo $x { ranges a; }", "invalid network \"ranges\""},
      {"geo $x { ranges; 10.0.0.0/8 1; }", "invalid range \"10.0.0.0/8\""},
      {"geo $x { ranges; 10.0.0.5-10.0.0.1 1; }", "invalid range \"10.0.0.5-10.0.0.1\""},
      {"geo $x { ranges; ::1-::2 1; }", "invalid range \"::1-::2\""},
      {"geo $x { ranges; 1.2.3.4 2; }", "invalid range \"1.2.3.4\""},
      {"geo $x { ranges; delete a; }", "invalid range \"a\""},
      {"geo $x { ranges; 10.0.0.0-10.0.0.5 1; 10.0.0.3-10.0.0.9 2; }", "range \"10.0.0.3-10.0.0.9\" overlaps \"10.0.0.0-10.0.0.5\""},
      {"geo $x { 10.0.0.0/8 1; ranges; }", "the \"ranges\" directive must be the first directive inside \"geo\" block"},
      {"geo $x { include nope; }", "open() \"nope\" failed (2: No such file or directory)"},
      {"geo $nosuch $x {}", "unknown \"nosuch\" variable"},
  };
  for (const Case& c : cases) EXPECT_EQ(error(c.block), std::string(c.want) + " in CONF:2") << c.block;
  EXPECT_EQ(loaded_.load("stream { geo $x { proxy 1.2.3.4; } }"), "invalid network \"proxy\" in CONF:1");
}

TEST_F(GeoTest, Warnings) {
  struct Case {
    std::string_view block, want;
  };
  static constexpr Case cases[] = {
      {"geo $x { 10.0.0.0/8 1; 10.0.0.0/8 2; }", "duplicate network \"10.0.0.0/8\", value: \"2\", old value: \"1\""},
      {"geo $x { 127.0.0.1 a; 127.0.0.1/32 b; }", "duplicate network \"127.0.0.1/32\", value: \"b\", old value: \"a\""},
      {"geo $x { 10.0.0.1/8 1; }", "low address bits of 10.0.0.1/8 are meaningless"},
      {"geo $x { proxy 10.0.0.1/8; }", "low address bits of 10.0.0.1/8 are meaningless"},
      {"geo $x { delete 10.0.0.0/8; }", "no network \"10.0.0.0/8\" to delete"},
      {"geo $x { ranges; 10.0.0.0-10.0.0.5 1; 10.0.0.0-10.0.0.5 2; }",
       "duplicate range \"10.0.0.0-10.0.0.5\", value: \"2\", old value: \"1\""},
      {"geo $x { ranges; default 1; default 2; }", "duplicate default geo range value: \"2\", old value: \"1\""},
      {"geo $x { ranges; delete 1.2.3.4-1.2.3.5; }", "no address range \"1.2.3.4-1.2.3.5\" to delete"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(error(c.block), "") << c.block;
    EXPECT_EQ(loaded_.logged(), "warn: " + std::string(c.want) + " in CONF:2\n") << c.block;
  }
}

}  // namespace
}  // namespace fairlead
