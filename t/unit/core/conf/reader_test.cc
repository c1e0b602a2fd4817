// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The wordings were taken from nginx 1.22 with `nginx -t` on the same texts.
#include "core/conf/reader.h"

#include <sys/stat.h>

#include "core/conf/value.h"
#include "t/unit/core/conf/loaded.h"

namespace fairlead {
namespace {

struct Conf {
  bool daemon = true;
  uint64_t connections = 0;
  uint64_t requests = 0;
  std::vector<std::string> lines;  // of `lines` blocks, "FILE:LINE word word"
  std::string_view script;
};

ConfResult<Unit> set_lines(Line& line, Conf& conf) {
  return line.read_lines([&](std::span<const std::string_view> words, Place place) -> ConfResult<Unit> {
    if (words[0] == "bad") return std::string("invalid number of the map parameters");
    std::string all = std::string(place.file.substr(place.file.rfind('/') + 1)) + ":" + std::to_string(place.line);
    for (std::string_view word : words) all.append(" ").append(word);
    conf.lines.push_back(all);
    return Unit();
  });
}

// A language in which a brace in <> does not count.
ConfResult<size_t> script_end(std::string_view rest) {
  bool quoted = false;
  for (size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] == '<' || rest[i] == '>') quoted = rest[i] == '<';
    if (rest[i] == '}' && !quoted) return i + 1;
  }
  return std::string("unexpected end of file, expecting the end of the script");
}
ConfResult<Unit> set_script(Line& line, Conf& conf) {
  conf.script = line.word(1);
  return Unit();
}

constexpr std::array directives = {
    slot<Conf, &Conf::daemon>("daemon", in_main),
    slot<Conf, &Conf::connections>("worker_connections", in_events),
    slot<Conf, &Conf::requests>("keepalive_requests", in_http_any),
    custom<set_lines, Conf>("lines", in_http, words(0)).block().many(),
    custom<set_script, Conf>("script", in_http, words(0)).raw(&script_end),
};
constinit const Module module = {.name = "reader_test", .conf = conf_of<Conf>, .directives = directives};

class ReaderTest : public testing::Test {
 protected:
  std::string error(std::string_view text) { return loaded_.load(text); }
  const Conf& http() { return conf<Conf>(loaded_.block({0})); }
  test::Loaded loaded_{{&module}};
};

TEST_F(ReaderTest, Wording) {
  struct Case {
    std::string_view text, want;
  };
  static constexpr Case cases[] = {
      {"daemon", "unexpected end of file, expecting \";\" or \"}\" in CONF:1"},
      {"daemon on\n\n#x\n", "unexpected end of file, expecting \";\" or \"}\" in CONF:4"},
      {"daemon \"on\"x;", "unexpected \"x\" in CONF:1"},
      {"daemon \"on\" x;", "invalid number of arguments in \"daemon\" directive in CONF:1"},
      {"daemon \"on\"{", "directive \"daemon\" is not terminated by \";\" in CONF:1"},
      {"daemon (\"on\")x;", "invalid value \"(\"on\")x\" in \"daemon\" directive, it must be \"on\" or \"off\" in CONF:1"},
      {"daemon \"on\"#x;", "unexpected \"#\" in CONF:1"},
      {"daemon \"on\"}", "unexpected \"}\" in CONF:1"},
      {";", "unexpected \";\" in CONF:1"},
      {"{", "unexpected \"{\" in CONF:1"},
      {"}", "unexpected \"}\" in CONF:1"},
      {"events {\n", "unexpected end of file, expecting \"}\" in CONF:2"},
      {"events {}\n}", "unexpected \"}\" in CONF:2"},
      {"events {\n worker_connections 10;\n", "unexpected end of file, expecting \"}\" in CONF:3"},
      {"events {\n worker_connections 10 }\n", "unexpected \"}\" in CONF:2"},
      {"events\n{\n  ;}", "unexpected \";\" in CONF:3"},
      {"\n\ndaemon 'on\n", "unexpected end of file, expecting \";\" or \"}\" in CONF:4, the ' of line 3 has no counterpart"},
      {"daemon on;\\", "unexpected end of file, expecting \";\" or \"}\" in CONF:1"},
      {"daemon;", "invalid number of arguments in \"daemon\" directive in CONF:1"},
      {"daemon {}", "directive \"daemon\" is not terminated by \";\" in CONF:1"},
      {"events;", "directive \"events\" has no opening \"{\" in CONF:1"},
      {"events x {}", "invalid number of arguments in \"events\" directive in CONF:1"},
      {"events {} events {}", "\"events\" directive is duplicate in CONF:1"},
      {"daemon on;\ndaemon off;\n", "\"daemon\" directive is duplicate in CONF:2"},
      {"foo;", "unknown directive \"foo\" in CONF:1"},
      {"foo {}", "unknown directive \"foo\" in CONF:1"},
      {"\"\" ;", "unknown directive \"\" in CONF:1"},
      {"worker_connections 10;", "\"worker_connections\" directive is not allowed here in CONF:1"},
      {"http { events {} }", "\"events\" directive is not allowed here in CONF:1"},
      {"http {\n server {\n  foo 1; } }", "unknown directive \"foo\" in CONF:3"},
      {"http { server { server {} } }", "\"server\" directive is not allowed here in CONF:1"},
      {"http { keepalive_requests 1; keepalive_requests 2; }", "\"keepalive_requests\" directive is duplicate in CONF:1"},
      {"\ndaemon\n\non\n\nextra\n;\n", "invalid number of arguments in \"daemon\" directive in CONF:7"},
      {"daemon \"a\nb\";", "invalid value \"a\nb\" in \"daemon\" directive, it must be \"on\" or \"off\" in CONF:2"},
      {"daemon on;}", "unexpected \"}\" in CONF:1"},
      {"include nope.conf;", "open() \"nope.conf\" failed (2: No such file or directory) in CONF:1"},
      {"include;", "invalid number of arguments in \"include\" directive in CONF:1"},
      {"include a b;", "invalid number of arguments in \"include\" directive in CONF:1"},
      {"include a {}", "directive \"include\" is not terminated by \";\" in CONF:1"},
      {"http { lines { a } }", "unexpected \"}\" in CONF:1"},
      {"http { lines { a\n{ } }", "unexpected \"{\" in CONF:2"},
      {"http {\n lines {\n a;\n bad;\n} }", "invalid number of the map parameters in CONF:4"},
      {"http { lines { include nope.inc; } }", "open() \"nope.inc\" failed (2: No such file or directory) in CONF:1"},
      {"http {\n lines {\n", "unexpected end of file, expecting \"}\" in CONF:3"},
  };
  for (const Case& c : cases) EXPECT_EQ(error(c.text), c.want) << c.text;
}

TEST_F(ReaderTest, Accepted) {
  EXPECT_EQ(error("daemon on; # c\n#"), "");
  EXPECT_EQ(error("events{}http{server{}server{}}daemon\n'off'\n;"), "");
  EXPECT_FALSE(conf<Conf>(loaded_.generation().root()).daemon);
  EXPECT_EQ(loaded_.block({1}).children().size(), 2u);
}

TEST_F(ReaderTest, DidYouMean) {
  EXPECT_EQ(error("deamon on;"), "unknown directive \"deamon\" in CONF:1, did you mean \"daemon\"?");
  EXPECT_EQ(error("http { keep_alive_requests 3; }"),
            "unknown directive \"keep_alive_requests\" in CONF:1, did you mean \"keepalive_requests\"?");
  // Only what may stand there is proposed.
  EXPECT_EQ(error("keepalive_request 3;"), "unknown directive \"keepalive_request\" in CONF:1");
}

TEST_F(ReaderTest, Includes) {
  loaded_.file("inc/b.inc", "server { keepalive_requests 2; }").file("inc/a.inc", "server { keepalive_requests 1; }\n");
  loaded_.file("inc/c.inc", "include inc/x;").file("inc/x", "server { keepalive_requests 3; }");
  ASSERT_EQ(error("http { include inc/*.inc; include inc/*.none; include " + loaded_.folder() + "inc/x; }"), "");
  std::string order;
  for (Block* server : loaded_.block({0}).children()) order += std::to_string(conf<Conf>(*server).requests);
  EXPECT_EQ(order, "1233");
  // Each file once, as -T shows them.
  std::string files;
  for (const ConfFile& file : loaded_.generation().files()) files += file.path.substr(loaded_.folder().size()) + " ";
  EXPECT_EQ(files, "CONF inc/a.inc inc/b.inc inc/c.inc inc/x ");
  EXPECT_EQ(loaded_.generation().files()[2].text, "server { keepalive_requests 2; }");
}

TEST_F(ReaderTest, IncludeErrors) {
  loaded_.file("bad", "\nfoo;\n").file("open", "server {\n").file("brace", "}\n").file("half", "daemon on\n");
  EXPECT_EQ(error("\n\ninclude bad;"), "unknown directive \"foo\" in bad:2");
  EXPECT_EQ(error("http { include open;\n }"), "unexpected end of file, expecting \"}\" in open:2");
  EXPECT_EQ(error("http { include brace; }"), "unexpected \"}\" in brace:1");
  EXPECT_EQ(error("include brace;"), "unexpected \"}\" in brace:1");
  EXPECT_EQ(error("include half;"), "unexpected end of file, expecting \";\" or \"}\" in half:2");
  EXPECT_EQ(error("http { lines { include brace; } }"), "unexpected \"}\" in brace:1");
  loaded_.file("self", "include self;");
  EXPECT_EQ(error("include self;"), "too many levels of \"include\" at \"self\" in self:1");
  mkdir((loaded_.folder() + "folder").c_str(), 0700);
  EXPECT_EQ(error("include folder;"), "read() \"folder\" failed (21: Is a directory) in CONF:1");
  // After an included file the places are those of the outer one again.
  loaded_.file("good", "\n\n\n\n");
  EXPECT_EQ(error("include good;\nfoo;"), "unknown directive \"foo\" in CONF:2");
}

TEST_F(ReaderTest, Lines) {
  loaded_.file("more/1", "\nc \"d e\";").file("more/2", "f;include more/3;").file("more/3", "g;");
  ASSERT_EQ(error("http { lines {\na b;\ninclude more/[12];\ninclude more/none*;\n\"include\" x y; } lines { h; } }"), "");
  EXPECT_EQ(http().lines, (std::vector<std::string>{"CONF:2 a b", "1:2 c d e", "2:1 f", "3:1 g", "CONF:5 include x y", "CONF:5 h"}));
}

TEST_F(ReaderTest, BlocksInAnotherLanguage) {
  ASSERT_EQ(error("http {\n script { a; <}> \n }\n keepalive_requests 3; }"), "");
  EXPECT_EQ(http().script, " a; <}> \n ");
  EXPECT_EQ(error("http {\n script { a; <}> \n }\n foo; }"), "unknown directive \"foo\" in CONF:4");
  EXPECT_EQ(error("http {\n script { a; <} \n "), "unexpected end of file, expecting the end of the script in CONF:2");
  EXPECT_EQ(error("http { script x { } }"), "invalid number of arguments in \"script\" directive in CONF:1");
}

TEST_F(ReaderTest, CommandLine) {
  EXPECT_EQ(loaded_.load("", "daemon off;"), "");
  EXPECT_FALSE(conf<Conf>(loaded_.generation().root()).daemon);
  EXPECT_EQ(loaded_.load("", "daemon offx;"),
            "invalid value \"offx\" in \"daemon\" directive, it must be \"on\" or \"off\" in command line");
  EXPECT_EQ(loaded_.load("daemon on;", "daemon off;"), "\"daemon\" directive is duplicate in CONF:1");
  EXPECT_EQ(loaded_.load("", "daemon off; }"), "unexpected \"}\" in command line");
  EXPECT_EQ(loaded_.load("", "daemon off"), "unexpected end of parameter, expecting \";\" in command line");
  EXPECT_EQ(loaded_.load("", "events {"), "block directives are not supported in -g option in command line");
}

TEST_F(ReaderTest, Depth) {
  std::string nested = "http { server {";
  for (size_t i = 2; i < Reader::block_depth_max; ++i) nested += " location / {";
  EXPECT_EQ(error(nested + std::string(Reader::block_depth_max, '}')), "");
  EXPECT_EQ(error(nested + "\nlocation / {" + std::string(Reader::block_depth_max + 1, '}')), "too many levels of blocks in CONF:2");
  for (int i = 0; i < 100'000; ++i) nested += "location / {";
  EXPECT_EQ(error(nested), "too many levels of blocks in CONF:1");
  EXPECT_EQ(error(std::string(100'000, '{')), "unexpected \"{\" in CONF:1");
}

}  // namespace
}  // namespace fairlead
