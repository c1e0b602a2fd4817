// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/file/open_file_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

using namespace fairlead;

namespace {

struct OpenFileCacheTest : testing::Test {
  void SetUp() override {
    char name[] = "/tmp/fairlead-cache-XXXXXX";
    folder = mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  std::string path(const std::string& name) const { return folder + "/" + name; }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(path(name + ".new")) << text;
    std::filesystem::rename(path(name + ".new"), path(name));
  }
  std::string folder;
  OpenFileCache::Use use;
};

}  // namespace

TEST_F(OpenFileCacheTest, KeepsAFileUntilItIsOld) {
  OpenFileCache cache({10, 60'000});
  write("a", "one");
  OpenedFile first = cache.find(path("a"), use, 1000);
  ASSERT_EQ(first.err, 0);
  EXPECT_EQ(first.facts.size, 3u);
  write("a", "longer");
  EXPECT_EQ(cache.find(path("a"), use, 1000 + use.valid_ms - 1).file.fd(), first.file.fd());
  EXPECT_EQ(cache.find(path("a"), use, 1000 + use.valid_ms).facts.size, 6u);
}

TEST_F(OpenFileCacheTest, AnUnchangedFileIsNotOpenedAgain) {
  OpenFileCache cache({10, 600'000});
  write("a", "one");
  int fd = cache.find(path("a"), use, 0).file.fd();
  EXPECT_EQ(cache.find(path("a"), use, 2 * use.valid_ms).file.fd(), fd);
}

TEST_F(OpenFileCacheTest, DropsTheLongestUnusedAndTheInactive) {
  OpenFileCache cache({2, 5000});
  for (const char* name : {"a", "b", "c"}) write(name, name);
  cache.find(path("a"), use, 0);
  cache.find(path("b"), use, 1);
  cache.find(path("a"), use, 2);
  cache.find(path("c"), use, 3);
  EXPECT_EQ(cache.size(), 2u);
  write("a", "changed");
  EXPECT_EQ(cache.find(path("a"), use, 4).facts.size, 1u) << "a was used after b, so b went";
  cache.find(path("none"), use, 20'000);
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(OpenFileCacheTest, ErrorsAreKeptIfWanted) {
  OpenFileCache cache({10, 60'000});
  EXPECT_EQ(cache.find(path("a"), use, 0).err, ENOENT);
  EXPECT_EQ(cache.size(), 0u);
  use.errors = true;
  EXPECT_EQ(cache.find(path("a"), use, 0).err, ENOENT);
  write("a", "now");
  EXPECT_EQ(cache.find(path("a"), use, 1).err, ENOENT);
  EXPECT_EQ(cache.find(path("a"), use, use.valid_ms).err, 0);
}

TEST_F(OpenFileCacheTest, LookingDoesNotStandForOpening) {
  OpenFileCache cache({10, 60'000});
  write("a", "one");
  OpenFileCache::Use look = use;
  look.rules.wants_bytes = false;
  EXPECT_FALSE(cache.find(path("a"), look, 0).file);
  EXPECT_TRUE(cache.find(path("a"), use, 0).file);
  EXPECT_EQ(cache.find(path("a"), look, 0).err, 0);
  EXPECT_TRUE(cache.find(folder, use, 0).facts.is_folder);
}

TEST_F(OpenFileCacheTest, OtherRulesForLinksAreAnotherQuestion) {
  OpenFileCache cache({10, 60'000});
  write("a", "one");
  ASSERT_EQ(symlink("a", path("link").c_str()), 0);
  EXPECT_EQ(cache.find(path("link"), use, 0).err, 0);
  use.rules.symlinks = Symlinks::refused;
  use.rules.trusted_bytes = folder.size();
  EXPECT_EQ(cache.find(path("link"), use, 0).err, ELOOP);
  EXPECT_EQ(cache.find(path("a"), use, 0).err, 0);
}
