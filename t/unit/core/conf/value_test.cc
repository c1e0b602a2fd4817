// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/value.h"

#include "t/unit/core/conf/loaded.h"

namespace fairlead {

enum class Satisfy { all, any };
template <>
struct EnumWords<Satisfy> {
  static constexpr EnumWord<Satisfy> all[] = {{"all", Satisfy::all}, {"any", Satisfy::any}};
};
enum class Next : uint32_t { off = 0, error = 1, timeout = 2 };
template <>
struct EnumWords<Next> {
  static constexpr EnumWord<Next> all[] = {{"error", Next::error}, {"timeout", Next::timeout}, {"off", Next::off}};
};

namespace {

struct Conf {
  bool sendfile = false;
  uint64_t requests = 1000;
  Msec timeout{60'000};
  Seconds valid{10};
  Size buffer{1024};
  Offset body{1 << 20};
  Buffers large{4, 8192};
  std::string_view name = "unset";
  Satisfy satisfy = Satisfy::all;
  Flags<Next> next{1};
};
constexpr std::array directives = {
    slot<Conf, &Conf::sendfile>("sendfile", in_main),  slot<Conf, &Conf::requests>("requests", in_main),
    slot<Conf, &Conf::timeout>("timeout", in_main),    slot<Conf, &Conf::valid>("valid", in_main),
    slot<Conf, &Conf::buffer>("buffer", in_main),      slot<Conf, &Conf::body>("body", in_main),
    slot<Conf, &Conf::large>("large", in_main),        slot<Conf, &Conf::name>("name", in_main),
    slot<Conf, &Conf::satisfy>("satisfy", in_main),    slot<Conf, &Conf::next>("next", in_main),
};
constinit const Module module = {.name = "values", .conf = conf_of<Conf>, .directives = directives};

class ConfValues : public testing::Test {
 protected:
  const Conf& read(std::string_view text) {
    EXPECT_EQ(loaded_.load(text), "") << text;
    return conf<Conf>(loaded_.generation().root());
  }
  std::string error(std::string_view text) { return loaded_.load(text); }
  test::Loaded loaded_{{&module}};
};

TEST_F(ConfValues, Defaults) {
  const Conf& c = read("");
  EXPECT_EQ(c.requests, 1000u);
  EXPECT_EQ(c.name, "unset");
}

TEST_F(ConfValues, Switches) {
  EXPECT_TRUE(read("sendfile on;").sendfile);
  EXPECT_TRUE(read("sendfile ON;").sendfile);
  EXPECT_FALSE(read("sendfile off;").sendfile);
  EXPECT_EQ(error("sendfile yes;"), "invalid value \"yes\" in \"sendfile\" directive, it must be \"on\" or \"off\" in CONF:1");
  EXPECT_EQ(error("sendfile;"), "invalid number of arguments in \"sendfile\" directive in CONF:1");
}

TEST_F(ConfValues, Numbers) {
  EXPECT_EQ(read("requests 7;").requests, 7u);
  EXPECT_EQ(error("requests x;"), "\"requests\" directive invalid number in CONF:1");
  EXPECT_EQ(error("requests -1;"), "\"requests\" directive invalid number in CONF:1");
}

TEST_F(ConfValues, Times) {
  EXPECT_EQ(read("timeout 1m30s;").timeout, 90'000u);
  EXPECT_EQ(read("timeout 500ms;").timeout, 500u);
  EXPECT_EQ(read("timeout 5;").timeout, 5000u);
  EXPECT_EQ(read("timeout \"1d 12h\";").timeout, 36u * 3600 * 1000);
  EXPECT_EQ(error("timeout 1y;"), "\"timeout\" directive invalid value in CONF:1");
  EXPECT_EQ(read("valid 1y;").valid, 365u * 86400);
  EXPECT_EQ(error("valid 5ms;"), "\"valid\" directive invalid value in CONF:1");
}

TEST_F(ConfValues, Sizes) {
  EXPECT_EQ(read("buffer 8k;").buffer.bytes, 8192u);
  EXPECT_EQ(error("buffer 1g;"), "\"buffer\" directive invalid value in CONF:1");
  EXPECT_EQ(read("body 1g;").body.bytes, uint64_t{1} << 30);
  const Conf& c = read("large 4 16k;");
  EXPECT_EQ(c.large.count, 4u);
  EXPECT_EQ(c.large.bytes, 16384u);
  EXPECT_EQ(error("large 0 4k;"), "\"large\" directive invalid value in CONF:1");
  EXPECT_EQ(error("large 4;"), "invalid number of arguments in \"large\" directive in CONF:1");
}

TEST_F(ConfValues, Words) {
  EXPECT_EQ(read("name \"a b\";").name, "a b");
  EXPECT_EQ(read("satisfy any;").satisfy, Satisfy::any);
  EXPECT_EQ(error("satisfy x;"), "invalid value \"x\" in CONF:1");
  EXPECT_EQ(read("next timeout error;").next.bits, 3u);
  EXPECT_EQ(read("next off;").next.bits, 0u);
  EXPECT_EQ(error("next error bad;"), "invalid value \"bad\" in CONF:1");
  EXPECT_EQ(read("next error error;").next.bits, 1u);
  EXPECT_EQ(loaded_.logged(), "warn: duplicate value \"error\" in CONF:1\n");
  EXPECT_EQ(read("next error;\nnext timeout;").next.bits, 3u);
  EXPECT_EQ(read("next off; next error;").next.bits, 0u);
  EXPECT_EQ(read("next error off;").next.bits, 0u);
}

}  // namespace
}  // namespace fairlead
