// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Temporary files: nginx's names and levels, private modes, no name unless kept, ranges as written, failures that leave the file usable.
#include "event/file/spool_file.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdlib>

#include "event/loop/nursery.h"
#include "t/unit/event/loop/open_loop.h"

using namespace fairlead;

namespace {

struct SpoolFileTest : testing::Test {
  SpoolFileTest() {
    char name[] = "/tmp/fairlead_spool_XXXXXX";
    path.directory = mkdtemp(name);
    loop = open_loop();
    pool = std::make_unique<BlockingPool>(*loop);
  }
  ~SpoolFileTest() override {
    pool.reset();
    std::string command = "rm -rf '" + path.directory + "'";
    EXPECT_EQ(system(command.c_str()), 0);
  }
  void run(Task<Unit> task) {
    Nursery nursery(*loop);
    nursery.spawn(std::move(task));
    for (int i = 0; i < 1000 && nursery.count() > 0; ++i) loop->turn(100);
    EXPECT_EQ(nursery.count(), 0u);
  }
  SpoolPath path;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<BlockingPool> pool;
};

Task<Unit> append_text(SpoolFile& file, std::string_view text, Result<Unit>& result) {
  Chain chain;
  chain.push_back(Slice(text));
  result = co_await file.append(chain);
  EXPECT_EQ(chain.size(), text.size());
  co_return Unit();
}

Task<Unit> append_pieces(SpoolFile& file, const std::vector<std::string>& pieces, Result<Unit>& result) {
  Chain chain;
  for (const std::string& piece : pieces) chain.push_back(Slice::copy_of(piece));
  result = co_await file.append(chain);
  co_return Unit();
}

Task<Unit> read_back(BlockingPool& pool, const SpoolFile& file, uint64_t offset, size_t bytes, std::string& text) {
  auto slice = co_await read_file(pool, file.file(), offset, bytes);
  text = slice ? std::string(slice->view()) : "failed";
  co_return Unit();
}

int count_entries(const std::string& directory) {
  DIR* listing = opendir(directory.c_str());
  int count = 0;
  while (dirent* entry = readdir(listing)) count += entry->d_name[0] != '.';
  closedir(listing);
  return count;
}

}  // namespace

// As observed with nginx 1.22 for its third file and levels 1 2: DIRECTORY/3/00/0000000003.
TEST(SpoolFilePath, HasTenDigitsAndLevelsFromTheirEnd) {
  EXPECT_EQ(spool_file_path({"d", {0, 0, 0}}, 3), "d/0000000003");
  EXPECT_EQ(spool_file_path({"d", {1, 2, 0}}, 3), "d/3/00/0000000003");
  EXPECT_EQ(spool_file_path({"d", {1, 2, 0}}, 12345), "d/5/34/0000012345");
  EXPECT_EQ(spool_file_path({"d", {2, 1, 3}}, 4294967295u), "d/95/2/967/4294967295");
}

TEST_F(SpoolFileTest, ANamelessFileHoldsWhatWasWritten) {
  SpoolFile file(*pool, path);
  Result<Unit> result = Unit();
  run(append_text(file, "hello ", result));
  ASSERT_TRUE(result);
  run(append_text(file, "world", result));
  ASSERT_TRUE(result);
  EXPECT_EQ(file.size(), 11u);
  EXPECT_EQ(count_entries(path.directory), 0);
  std::string text;
  run(read_back(*pool, file, 3, 5, text));
  EXPECT_EQ(text, "lo wo");
  run(read_back(*pool, file, 8, 100, text));
  EXPECT_EQ(text, "rld");
  run(read_back(*pool, file, 11, 100, text));
  EXPECT_EQ(text, "");
}

TEST_F(SpoolFileTest, ManyPiecesKeepTheirOrder) {
  SpoolFile file(*pool, path);
  std::vector<std::string> pieces;
  std::string all;
  for (int i = 0; i < 500; ++i) {
    pieces.push_back(std::string(1 + static_cast<size_t>(i) % 300, static_cast<char>('a' + i % 26)));
    all += pieces.back();
  }
  Result<Unit> result = Unit();
  run(append_pieces(file, pieces, result));
  ASSERT_TRUE(result);
  std::string text;
  run(read_back(*pool, file, 0, all.size(), text));
  EXPECT_EQ(text, all);
}

TEST_F(SpoolFileTest, AKeptFileIsPrivateAndLiesBelowItsLevels) {
  path.level_digits[0] = 1;
  path.level_digits[1] = 2;
  std::string name;
  {
    SpoolFile file(*pool, path, SpoolKeep::always);
    Result<Unit> result = Unit();
    run(append_text(file, "kept", result));
    ASSERT_TRUE(result);
    name = file.name();
  }
  struct stat facts;
  ASSERT_EQ(stat(name.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  EXPECT_EQ(facts.st_size, 4);
  std::string level = name.substr(0, path.directory.size() + 2);
  ASSERT_EQ(stat(level.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0700u);
  EXPECT_EQ(level.back(), name.back());
}

TEST_F(SpoolFileTest, AFileKeptUntilItIsClosedIsGoneThen) {
  {
    SpoolFile file(*pool, path, SpoolKeep::until_closed);
    Result<Unit> result = Unit();
    run(append_text(file, "x", result));
    ASSERT_TRUE(result);
    EXPECT_EQ(count_entries(path.directory), 1);
  }
  EXPECT_EQ(count_entries(path.directory), 0);
}

TEST_F(SpoolFileTest, AnOpenThatNobodyWaitsForLeavesNoFile) {
  for (int i = 0; i < 50; ++i) {
    SpoolFile file(*pool, path, SpoolKeep::always);
    Result<Unit> result = Unit();
    {
      Nursery nursery(*loop);
      nursery.spawn(append_text(file, "x", result));
      if (i % 2) loop->turn(0);
      if (file.is_open()) unlink(file.name().c_str());
    }
  }
  pool->stop();
  EXPECT_EQ(count_entries(path.directory), 0);
}

TEST_F(SpoolFileTest, AMissingDirectoryIsAnError) {
  path.directory += "/none";
  SpoolFile file(*pool, path);
  Result<Unit> result = Unit();
  run(append_text(file, "x", result));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().sys, ENOENT);
  EXPECT_FALSE(file.is_open());
  path.directory.resize(path.directory.size() - 5);
}

TEST_F(SpoolFileTest, AFailedWriteLeavesTheFileAsItWas) {
  SpoolFile file(*pool, path);
  Result<Unit> result = Unit();
  run(append_text(file, "before", result));
  ASSERT_TRUE(result);
  signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit, limit;
  getrlimit(RLIMIT_FSIZE, &old_limit);
  limit = old_limit;
  limit.rlim_cur = 8;
  setrlimit(RLIMIT_FSIZE, &limit);
  run(append_text(file, "too long", result));
  EXPECT_FALSE(result);
  EXPECT_EQ(result.error().sys, EFBIG);
  EXPECT_EQ(file.size(), 6u);
  setrlimit(RLIMIT_FSIZE, &old_limit);
  run(append_text(file, "+after", result));
  ASSERT_TRUE(result);
  std::string text;
  run(read_back(*pool, file, 0, 100, text));
  EXPECT_EQ(text, "before+after");
}

Task<Unit> move(SpoolFile& file, FilePlace place, Result<Unit>& result) {
  result = co_await file.move_to(std::move(place));
  co_return Unit();
}

TEST_F(SpoolFileTest, MovesTheFileToItsPlaceWithItsModeAndTime) {
  std::string place = path.directory + "/a/b/stored";
  Result<Unit> result = Unit();
  for (int round = 0; round < 2; ++round) {  // the second one takes the place of the first
    SpoolFile file(*pool, path, SpoolKeep::until_closed);
    run(append_text(file, "whole", result));
    std::string temporary = file.name();
    run(move(file, FilePlace{place, 0644, 1'000'000}, result));
    ASSERT_TRUE(result);
    EXPECT_NE(access(temporary.c_str(), F_OK), 0);
  }
  struct stat facts;
  ASSERT_EQ(stat(place.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0644u);
  EXPECT_EQ(facts.st_mtime, 1'000'000);
  EXPECT_EQ(facts.st_size, 5);
  ASSERT_EQ(stat((path.directory + "/a").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0111, 0111u);
}

TEST_F(SpoolFileTest, AFileThatCannotBeMovedGoesWithItsOwner) {
  std::string temporary;
  {
    SpoolFile file(*pool, path, SpoolKeep::until_closed);
    Result<Unit> result = Unit();
    run(append_text(file, "whole", result));
    temporary = file.name();
    run(move(file, FilePlace{temporary + "/below/a/file", 0600, -1}, result));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().sys, ENOTDIR);
    EXPECT_EQ(access(temporary.c_str(), F_OK), 0);
  }
  EXPECT_NE(access(temporary.c_str(), F_OK), 0);
}
