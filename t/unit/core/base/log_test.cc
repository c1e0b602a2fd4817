// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/log.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/log_sinks.h"

namespace fairlead {
namespace {

struct Recorder final : LogSink {
  std::vector<std::string> lines;
  void write(LogLevel, std::string_view line) override { lines.emplace_back(line); }
};

struct Client final : LogContext {
  std::string text;
  explicit Client(std::string name) : text(std::move(name)) {}
  void append(LogText& to) const override { to.append_format(", client: {}", text); }
};

class LogTest : public testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC0", 1);
    clock().set_virtual(784111777000);
  }
  void TearDown() override { clock().set_real(); }
  // The line without its time, level and process.
  static std::string head(const char* level) { return format("1994/11/06 08:49:37 [{}] {}#{}: ", level, getpid(), gettid()); }
  Recorder sink;
  Log log;
};

TEST_F(LogTest, LineFormat) {
  log.add(sink, LogLevel::debug);
  Client client("192.0.2.1");
  Logger(log).error("plain {}", 1);
  Logger(log, 42, &client).crit(Errno{ECONNREFUSED}, "connect() to {} failed", "[::1]:80");
  Logger(log, 42).alert("a");
  ASSERT_EQ(sink.lines.size(), 3u);
  EXPECT_EQ(sink.lines[0], head("error") + "plain 1\n");
  EXPECT_EQ(sink.lines[1], head("crit") + "*42 connect() to [::1]:80 failed (111: Connection refused), client: 192.0.2.1\n");
  EXPECT_EQ(sink.lines[2], head("alert") + "*42 a\n");
}

TEST_F(LogTest, LevelsGate) {
  Recorder errors;
  EXPECT_FALSE(Logger(log).enabled(LogLevel::emerg));  // no sink, nothing to do
  log.add(errors, LogLevel::error);
  log.add(sink, LogLevel::notice);
  Logger logger(log);
  EXPECT_TRUE(logger.enabled(LogLevel::notice));
  EXPECT_FALSE(logger.enabled(LogLevel::info));
  logger.emerg("1");
  logger.error("2");
  logger.warn("3");
  logger.notice("4");
  logger.info("5");
  logger.debug("6");
  EXPECT_EQ(errors.lines.size(), 2u);
  EXPECT_EQ(sink.lines.size(), 4u);
  logger.force();
  logger.with(nullptr).info("7");
  EXPECT_EQ(errors.lines.size(), 3u);
  EXPECT_EQ(errors.lines.back(), head("info") + "7\n");
  log.clear();
  EXPECT_EQ(log.level(), LogLevel{0});
}

TEST_F(LogTest, ForeignTextStaysOneLine) {
  log.add(sink, LogLevel::info);
  Client client("a\nb");
  Logger(log, 1, &client).info("x{}y", "\r\n\x7f\x1b[0m\xc3\xa9");
  ASSERT_EQ(sink.lines.size(), 1u);
  EXPECT_EQ(sink.lines[0], head("info") + "*1 x\\x0D\\x0A\\x7F\\x1B[0m\xc3\xa9y, client: a\\x0Ab\n");
}

TEST_F(LogTest, LongLinesAreCut) {
  log.add(sink, LogLevel::info);
  Client client("192.0.2.1");
  Logger(log, 1, &client).info("{}", std::string(5000, 'x'));
  Logger(log).info("{}", std::string(5000, '\n'));
  ASSERT_EQ(sink.lines.size(), 2u);
  EXPECT_EQ(sink.lines[0].size(), log_line_max);
  EXPECT_EQ(sink.lines[0].substr(log_line_max - 3), "xx\n");
  EXPECT_LE(sink.lines[1].size(), log_line_max);
  EXPECT_GT(sink.lines[1].size(), log_line_max - 4);
  EXPECT_TRUE(sink.lines[1].ends_with("\\x0A\n"));  // no escape is cut in two
}

TEST_F(LogTest, LevelNames) {
  for (int i = 1; i <= 8; ++i) EXPECT_EQ(parse_log_level(log_level_name(static_cast<LogLevel>(i))), static_cast<LogLevel>(i));
  EXPECT_EQ(parse_log_level("warn"), LogLevel::warn);
  for (const char* bad : {"", "WARN", "warning", "stderr"}) EXPECT_FALSE(parse_log_level(bad)) << bad;
}

TEST_F(LogTest, ConsoleCopy) {
  log.add(sink, LogLevel::notice);
  copy_log_to_console(true);
  testing::internal::CaptureStderr();
  Logger(log, 7).warn("a: b");
  Logger(log).notice("not on the console");
  Log console;
  console.add(standard_error(), LogLevel::notice);
  Logger(console).emerg("once");
  copy_log_to_console(false);
  Logger(log).emerg("not any more");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "fairlead: [warn] *7 a: b\n" + head("emerg") + "once\n");
}

std::string content(const std::string& path) {
  std::ostringstream all;
  all << std::ifstream(path).rdbuf();
  return all.str();
}

TEST_F(LogTest, FileReopens) {
  char folder[] = "/tmp/fairlead-log-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  std::string path = std::string(folder) + "/error.log", old = path + ".1";
  {
    FileSink file(path);
    file.write(LogLevel::info, "lost\n");  // not open yet
    ASSERT_TRUE(file.open());
    file.write(LogLevel::info, "one\n");
    ASSERT_EQ(rename(path.c_str(), old.c_str()), 0);
    file.write(LogLevel::info, "two\n");
    ASSERT_TRUE(file.open());
    file.write(LogLevel::info, "three\n");
    EXPECT_EQ(content(old), "one\ntwo\n");
    EXPECT_EQ(content(path), "three\n");
  }
  FileSink again(path);
  ASSERT_TRUE(again.open());
  again.write(LogLevel::info, "four\n");
  EXPECT_EQ(content(path), "three\nfour\n");
  unlink(path.c_str());
  unlink(old.c_str());
  rmdir(folder);
  FileSink nowhere(path);
  ConfResult<> opened = nowhere.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error(), "open() \"" + path + "\" failed (2: No such file or directory)");
}

TEST_F(LogTest, FullDisk) {
  FileSink full("/dev/full");
  if (!full.open()) GTEST_SKIP() << "no /dev/full";
  full.write(LogLevel::info, "x\n");
  EXPECT_EQ(errno, ENOSPC);
  errno = 0;
  full.write(LogLevel::info, "x\n");  // not tried
  EXPECT_EQ(errno, 0);
  clock().set_virtual(784111778000);
  full.write(LogLevel::info, "x\n");
  EXPECT_EQ(errno, ENOSPC);
}

TEST_F(LogTest, MemoryRing) {
  MemorySink ring(20);
  EXPECT_EQ(ring.text(), "");
  ring.write(LogLevel::info, "line 1\n");
  ring.write(LogLevel::info, "line 2\n");
  EXPECT_EQ(ring.text(), "line 1\nline 2\n");
  ring.write(LogLevel::info, "line 3\n");  // 21 bytes: the oldest line goes
  EXPECT_EQ(ring.text(), "line 2\nline 3\n");
  ring.write(LogLevel::info, "a line longer than the ring\n");
  ring.write(LogLevel::info, "z\n");
  EXPECT_EQ(ring.text(), "z\n");
}

}  // namespace
}  // namespace fairlead
