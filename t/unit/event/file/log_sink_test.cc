// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Access log files: when lines reach the file, gzip members, reopening, a full disk, the cache of files with variable paths.
#include "event/file/log_sink.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "core/base/clock.h"
#include "t/unit/event/loop/open_loop.h"

using namespace fairlead;

namespace {

struct LogFileTest : testing::Test, LogFileWatcher {
  LogFileTest() {
    char name[] = "/tmp/fairlead_log_XXXXXX";
    directory = mkdtemp(name);
    process_clock.set_virtual(1'000'000'000);
    loop = open_loop();
  }
  ~LogFileTest() override {
    process_clock.set_real();
    std::string command = "rm -rf '" + directory + "'";
    EXPECT_EQ(system(command.c_str()), 0);
  }
  void log_write_failed(const std::string&, int sys, uint64_t dropped) override {
    complaints += std::to_string(sys) + ":" + std::to_string(dropped) + " ";
  }
  void advance(uint64_t ms) {
    process_clock.set_virtual(process_clock.now_ms() + ms);
    loop->turn(0);
  }
  std::string path(const char* name = "a.log") { return directory + "/" + name; }
  static std::string content(const std::string& path) {
    std::string text;
    FILE* file = fopen(path.c_str(), "r");
    if (!file) return "none";
    for (int c; (c = fgetc(file)) != EOF;) text += static_cast<char>(c);
    fclose(file);
    return text;
  }
  static std::string unzipped(const std::string& path) {
    std::string text(1 << 20, '\0');
    gzFile file = gzopen(path.c_str(), "r");
    EXPECT_EQ(gzdirect(file), 0);
    int got = gzread(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
    text.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return text;
  }
  std::string directory, complaints;
  std::unique_ptr<Loop> loop;
};

}  // namespace

TEST_F(LogFileTest, UnbufferedLinesAreThereAtOnce) {
  LogFile log(*loop, path(), {}, *this);
  ASSERT_TRUE(log.open());
  log.write("one\n");
  EXPECT_EQ(content(path()), "one\n");
  log.write("two\n");
  EXPECT_EQ(content(path()), "one\ntwo\n");
  struct stat facts;
  stat(path().c_str(), &facts);
  EXPECT_EQ(facts.st_mode & 0777 & ~022u, 0644u & ~022u);
}

TEST_F(LogFileTest, BufferedLinesGoWhenTheNextDoesNotFitOrIsLarge) {
  LogFile log(*loop, path(), {10, 0, 0}, *this);
  ASSERT_TRUE(log.open());
  log.write("aaaa\n");
  log.write("bbbb\n");  // exactly full
  EXPECT_EQ(content(path()), "");
  log.write("c\n");
  EXPECT_EQ(content(path()), "aaaa\nbbbb\n");
  log.write("a line longer than the buffer\n");
  EXPECT_EQ(content(path()), "aaaa\nbbbb\nc\na line longer than the buffer\n");
  EXPECT_EQ(log.buffered_bytes(), 0u);
}

TEST_F(LogFileTest, TheOldestLineWaitsNoLongerThanFlush) {
  LogFile log(*loop, path(), {1000, 500, 0}, *this);
  ASSERT_TRUE(log.open());
  log.write("one\n");
  advance(499);
  log.write("two\n");
  EXPECT_EQ(content(path()), "");
  advance(1);
  EXPECT_EQ(content(path()), "one\ntwo\n");
  advance(10'000);
  log.write("three\n");
  advance(500);
  EXPECT_EQ(content(path()), "one\ntwo\nthree\n");
}

TEST_F(LogFileTest, EndAndReopenFlushToTheOldFile) {
  {
    LogFile log(*loop, path(), {1000, 0, 0}, *this);
    ASSERT_TRUE(log.open());
    log.write("one\n");
    rename(path().c_str(), path("old").c_str());
    ASSERT_TRUE(log.open());
    EXPECT_EQ(content(path("old")), "one\n");
    log.write("two\n");
  }
  EXPECT_EQ(content(path()), "two\n");
}

TEST_F(LogFileTest, AReopenThatFailsKeepsTheOldFile) {
  ASSERT_EQ(mkdir(path("d").c_str(), 0700), 0);
  LogFile log(*loop, path("d/a.log"), {}, *this);
  ASSERT_TRUE(log.open());
  rename(path("d").c_str(), path("e").c_str());
  EXPECT_FALSE(log.open());
  log.write("still\n");
  EXPECT_EQ(content(path("e/a.log")), "still\n");
}

TEST_F(LogFileTest, GzipMembersFollowOneAnother) {
  std::string all;
  {
    LogFile log(*loop, path("a.gz"), {1000, 0, 6}, *this);
    ASSERT_TRUE(log.open());
    for (int i = 0; i < 500; ++i) {
      std::string line = "line " + std::to_string(i) + (i == 250 ? std::string(3000, 'x') : "") + "\n";
      log.write(line);
      all += line;
    }
  }
  EXPECT_EQ(unzipped(path("a.gz")), all);
}

// /dev/full answers ENOSPC.
TEST_F(LogFileTest, AFullDiskIsTriedOncePerSecondAndReportedOncePerMinute) {
  LogFile log(*loop, "/dev/full", {}, *this);
  ASSERT_TRUE(log.open());
  for (int i = 0; i < 5; ++i) log.write("x\n");
  EXPECT_EQ(complaints, std::to_string(ENOSPC) + ":1 ");
  EXPECT_EQ(log.dropped_count(), 5u);
  advance(59'000);
  log.write("x\n");
  EXPECT_EQ(complaints, std::to_string(ENOSPC) + ":1 ");
  advance(1'000);
  log.write("x\n");
  EXPECT_EQ(complaints, std::to_string(ENOSPC) + ":1 " + std::to_string(ENOSPC) + ":6 ");
}

TEST_F(LogFileTest, ADiskThatHasRoomAgainGetsLinesInTheNextSecond) {
  LogWriter writer(*this);
  ASSERT_TRUE(writer.open("/dev/full"));
  writer.write(path(), "lost\n");
  FILE* roomy = fopen(path().c_str(), "w");
  ASSERT_EQ(dup2(fileno(roomy), writer.fd()), writer.fd());
  fclose(roomy);
  writer.write(path(), "too early\n");
  advance(1'000);
  writer.write(path(), "kept\n");
  EXPECT_EQ(content(path()), "kept\n");
  EXPECT_EQ(writer.dropped_count(), 2u);
}

TEST_F(LogFileTest, WithoutCacheEveryLineOpensItsFile) {
  LogFileCache cache(*loop, {}, *this);
  ASSERT_TRUE(cache.write(path("x"), "1\n"));
  unlink(path("x").c_str());
  ASSERT_TRUE(cache.write(path("x"), "2\n"));
  EXPECT_EQ(content(path("x")), "2\n");
  EXPECT_EQ(cache.open_count(), 0u);
  EXPECT_FALSE(cache.write(path("none/x"), "3\n"));
}

TEST_F(LogFileTest, TheCacheKeepsTheMostRecentlyUsed) {
  LogFileCache cache(*loop, {2, 10'000, 1, 60'000}, *this);
  ASSERT_TRUE(cache.write(path("x"), "1\n"));
  ASSERT_TRUE(cache.write(path("y"), "1\n"));
  ASSERT_TRUE(cache.write(path("x"), "2\n"));
  ASSERT_TRUE(cache.write(path("z"), "1\n"));  // y goes
  EXPECT_EQ(cache.open_count(), 2u);
  unlink(path("x").c_str());
  unlink(path("y").c_str());
  ASSERT_TRUE(cache.write(path("x"), "3\n"));  // to the unlinked file: still cached and valid
  ASSERT_TRUE(cache.write(path("y"), "2\n"));
  EXPECT_EQ(content(path("x")), "none");
  EXPECT_EQ(content(path("y")), "2\n");
}

TEST_F(LogFileTest, TheCacheLooksAgainWhenValidIsOver) {
  LogFileCache cache(*loop, {8, 10'000, 1, 3'000}, *this);
  ASSERT_TRUE(cache.write(path("x"), "1\n"));
  unlink(path("x").c_str());
  advance(2'999);
  ASSERT_TRUE(cache.write(path("x"), "2\n"));
  EXPECT_EQ(content(path("x")), "none");
  advance(1);
  ASSERT_TRUE(cache.write(path("x"), "3\n"));
  EXPECT_EQ(content(path("x")), "3\n");
}

TEST_F(LogFileTest, TheCacheClosesWhatIsSeldomUsed) {
  LogFileCache cache(*loop, {8, 10'000, 3, 60'000}, *this);
  ASSERT_TRUE(cache.write(path("often"), "1\n"));
  ASSERT_TRUE(cache.write(path("once"), "1\n"));
  for (int i = 0; i < 3; ++i) {
    advance(3'000);
    ASSERT_TRUE(cache.write(path("often"), "1\n"));
  }
  advance(1'000);
  ASSERT_TRUE(cache.write(path("often"), "1\n"));
  EXPECT_EQ(cache.open_count(), 1u);
  cache.clear();
  EXPECT_EQ(cache.open_count(), 0u);
}
