// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/code_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace fairlead {
namespace {

// Of pages that belong to files, in KiB.
long resident_of_files() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("RssFile:")) return std::stol(line.substr(8));
  }
  return -1;
}

TEST(CodePages, leave_the_process) {
  long before = resident_of_files();
  if (before < 0) GTEST_SKIP() << "no RssFile here";
  release_code_pages();
  long after = resident_of_files();
  EXPECT_LT(after, before * 3 / 4);
}

// A constant in the binary: as a page of code in which a debugger has set a breakpoint.
constexpr size_t page_max = 65536;
alignas(page_max) extern const volatile char constants[2 * page_max] = {1};

TEST(CodePages, that_were_written_to_stay) {
  size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  ASSERT_LE(page, page_max);
  void* at = const_cast<char*>(constants);
  ASSERT_EQ(mprotect(at, page, PROT_READ | PROT_WRITE), 0);
  const_cast<volatile char&>(constants[7]) = 42;
  ASSERT_EQ(mprotect(at, page, PROT_READ), 0);
  EXPECT_EQ(constants[page + 7], 0);
  release_code_pages();
  EXPECT_EQ(constants[0], 1);
  EXPECT_EQ(constants[7], 42);
  EXPECT_EQ(constants[page + 7], 0);
}

}  // namespace
}  // namespace fairlead
