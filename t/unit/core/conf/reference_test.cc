// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/reference.h"

#include <gtest/gtest.h>

#include "core/conf/template.h"
#include "core/conf/value.h"

namespace fairlead {

enum class Mode { first, second };
template <>
struct EnumWords<Mode> {
  static constexpr EnumWord<Mode> all[] = {{"first", Mode::first}, {"second", Mode::second}};
};
enum class When : uint32_t { never = 0, error = 1, timeout = 2 };
template <>
struct EnumWords<When> {
  static constexpr EnumWord<When> all[] = {{"error", When::error}, {"timeout", When::timeout}, {"off", When::never}};
};

namespace {

struct Conf {
  bool on = true;
  uint64_t number = 0;
  uint64_t unset = UINT64_MAX;
  Msec ms{500}, s{75'000}, h{7'200'000};
  Seconds day{86'400};
  Size size{8192};
  Offset offset{1 << 20};
  Offset odd{1000};
  Buffers buffers{4, 8192};
  Mode mode = Mode::second;
  Flags<When> when{3}, none{0};
  Template text{"a"}, no_text;
};
template <auto Member>
std::string shown() {
  Conf conf;
  return slot<Conf, Member>("x", in_main).show(&conf);
}

TEST(Reference, Values) {
  EXPECT_EQ(shown<&Conf::on>(), "on");
  EXPECT_EQ(shown<&Conf::number>(), "0");
  EXPECT_EQ(shown<&Conf::unset>(), "");
  EXPECT_EQ(shown<&Conf::ms>(), "500ms");
  EXPECT_EQ(shown<&Conf::s>(), "75s");
  EXPECT_EQ(shown<&Conf::h>(), "2h");
  EXPECT_EQ(shown<&Conf::day>(), "1d");
  EXPECT_EQ(shown<&Conf::size>(), "8k");
  EXPECT_EQ(shown<&Conf::offset>(), "1m");
  EXPECT_EQ(shown<&Conf::odd>(), "1000");
  EXPECT_EQ(shown<&Conf::buffers>(), "4 8k");
  EXPECT_EQ(shown<&Conf::mode>(), "second");
  EXPECT_EQ(shown<&Conf::when>(), "error timeout");
  EXPECT_EQ(shown<&Conf::none>(), "off");
  EXPECT_EQ(shown<&Conf::text>(), "a");
  EXPECT_EQ(shown<&Conf::no_text>(), "");
}

ConfResult<Unit> ignore(Line&, Conf&) { return Unit(); }
constexpr std::array rows = {
    slot<Conf, &Conf::on>("switch", in_http | in_server, "Turns it on."),
    custom<ignore, Conf>("plain", in_main, words(1, 2)).doc("Does things."),
    custom<ignore, Conf>("block", in_http | in_stream, words(1)).block().many().takes("$variable"),
    custom<ignore, Conf>("list", in_stream_upstream, words_from(1)),
    custom<ignore, Conf>("own", in_own_block, words_from(1)),
    custom<ignore, Conf>("http", in_main, words(0)).block(),
    custom<ignore, Conf>("server", in_http, words(0)).block(),
};
constexpr std::array variables = {VariableDef{.name = "b"}, VariableDef{.name = "a_", .flags = variable_prefix}, VariableDef{.name = "b"}};
constinit const Module module = {.name = "second", .conf = conf_of<Conf>, .directives = rows, .variables = variables};
constinit const Module only_variables = {.name = "first", .variables = variables};
constinit const Module empty = {.name = "empty"};

TEST(Reference, Text) {
  ModuleList list;
  ASSERT_TRUE(list.assign({&module, &only_variables, &empty}));
  EXPECT_EQ(directive_reference(list), R"(# Directives

Written by the binary from the tables of its modules; do not edit.

## first

Variables: `$a_NAME`, `$b`

## second

### switch

- Syntax: `switch on | off;`
- Default: `switch on;`
- Context: http, server

Turns it on.

### plain

- Syntax: `plain value [value];`
- Context: main

Does things.

### block

- Syntax: `block $variable { ... }`
- Context: http
- May stand more than once in a block.

### own

- Syntax: `own value ...;`
- Context: blocks of this module

### http

- Syntax: `http { ... }`
- Context: main

### server

- Syntax: `server { ... }`
- Context: http

Variables: `$a_NAME`, `$b`
)");
}

}  // namespace
}  // namespace fairlead
