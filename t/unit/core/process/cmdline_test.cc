// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/cmdline.h"

#include <gtest/gtest.h>

#include <vector>

#include "build_config.h"

namespace fairlead {
namespace {

ConfResult<CommandLine> parse(std::vector<const char*> args) { return parse_command_line(args); }
std::string error_of(std::vector<const char*> args) {
  auto line = parse(std::move(args));
  return line ? "" : line.error();
}

TEST(CommandLine, EmptyIsTheDefault) {
  auto line = parse({});
  ASSERT_TRUE(line.ok());
  EXPECT_FALSE(line->test);
  EXPECT_TRUE(line->wait);
  EXPECT_EQ(line->wait_ms, 90'000u);
  EXPECT_TRUE(parse({"-"}).ok());  // as nginx
}

TEST(CommandLine, ShortOptionsStandTogether) {
  auto line = parse({"-qtc", "file.conf", "-p/prefix", "-sreload"});
  ASSERT_TRUE(line.ok());
  EXPECT_TRUE(line->quiet && line->test);
  EXPECT_EQ(line->conf, "file.conf");
  EXPECT_EQ(line->prefix, "/prefix");
  EXPECT_EQ(line->signal, "reload");
}

TEST(CommandLine, TheLastValueWins) {
  EXPECT_EQ(parse({"-c", "a", "-c", "b"})->conf, "b");
  EXPECT_EQ(parse({"-g", ""})->directives, "");
}

TEST(CommandLine, FlagsThatImplyOthers) {
  EXPECT_TRUE(parse({"-T"})->test);
  EXPECT_TRUE(parse({"-V"})->show_version);
  EXPECT_TRUE(parse({"-?"})->show_help);
  EXPECT_TRUE(parse({"-h"})->show_version);
  EXPECT_FALSE(parse({"-v"})->show_build);
}

TEST(CommandLine, OwnOptions) {
  EXPECT_EQ(parse({"--wait=5s"})->wait_ms, 5000u);
  EXPECT_FALSE(parse({"-s", "reload", "--no-wait"})->wait);
  EXPECT_TRUE(parse({"--list-directives"})->list_directives);
  EXPECT_TRUE(parse({"--version"})->show_version);
  EXPECT_TRUE(parse({"--help"})->show_help);
}

TEST(CommandLine, ErrorsAreWordedAsNginxWordsThem) {
  EXPECT_EQ(error_of({"-x"}), "invalid option: \"x\"");
  EXPECT_EQ(error_of({"-tx"}), "invalid option: \"x\"");
  EXPECT_EQ(error_of({"x"}), "invalid option: \"x\"");
  EXPECT_EQ(error_of({""}), "invalid option: \"\"");
  EXPECT_EQ(error_of({"--"}), "invalid option: \"-\"");
  EXPECT_EQ(error_of({"-c"}), "option \"-c\" requires file name");
  EXPECT_EQ(error_of({"-tc"}), "option \"-c\" requires file name");
  EXPECT_EQ(error_of({"-p"}), "option \"-p\" requires directory name");
  EXPECT_EQ(error_of({"-e"}), "option \"-e\" requires file name");
  EXPECT_EQ(error_of({"-g"}), "option \"-g\" requires parameter");
  EXPECT_EQ(error_of({"-s"}), "option \"-s\" requires parameter");
  EXPECT_EQ(error_of({"-s", "x"}), "invalid option: \"-s x\"");
  EXPECT_EQ(error_of({"-sx"}), "invalid option: \"-s x\"");
  EXPECT_EQ(error_of({"--bogus"}), "invalid option: \"--bogus\"");
  EXPECT_EQ(error_of({"--wait=soon"}), "invalid value \"soon\" of option \"--wait\"");
}

TEST(StartPaths, BuiltInPathsFollowThePrefix) {
  CommandLine line;
  StartPaths paths = start_paths(line, "/here");
  EXPECT_EQ(paths.conf, build_config::conf_path);
  std::string prefix = build_config::prefix;
  prefix += '/';
  EXPECT_EQ(paths.prefix, prefix);
  line.prefix = "there";
  paths = start_paths(line, "/here");
  EXPECT_EQ(paths.prefix, "/here/there/");
  EXPECT_EQ(paths.conf, "/here/there/conf/fairlead.conf");
  EXPECT_EQ(paths.error_log, "/here/there/logs/error.log");
}

TEST(StartPaths, GivenPathsAreBelowThePrefixUnlessAbsolute) {
  CommandLine line;
  line.prefix = "/p/";
  line.conf = "x.conf";
  line.error_log = "/var/e.log";
  StartPaths paths = start_paths(line, "/here");
  EXPECT_EQ(paths.conf, "/p/x.conf");
  EXPECT_EQ(paths.error_log, "/var/e.log");
  line.error_log = "stderr";
  EXPECT_EQ(start_paths(line, "/here").error_log, "");
  line.error_log = "";
  EXPECT_EQ(start_paths(line, "/here").error_log, "");
  line.conf = line.prefix = "";  // given, though empty: as nginx, not as if they were not
  EXPECT_EQ(start_paths(line, "/here").prefix, "/here/");
  EXPECT_EQ(start_paths(line, "/here").conf, "/here/");
}

}  // namespace
}  // namespace fairlead
