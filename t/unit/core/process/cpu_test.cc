// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/cpu.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/base/format.h"
#include "core/process/small_file.h"

namespace fairlead {
namespace {

using Words = std::vector<std::string_view>;

// A root folder with the files of a machine.
class Cgroups : public testing::Test {
 protected:
  Cgroups() {
    char name[] = "/tmp/fairlead-cpu-XXXXXX";
    root_ = mkdtemp(name);
  }
  ~Cgroups() override { EXPECT_EQ(system(("rm -rf " + root_).c_str()), 0); }

  void file(const std::string& path, const std::string& content) {
    EXPECT_EQ(system(format("mkdir -p {}{}", root_, path.substr(0, path.rfind('/'))).c_str()), 0);
    ASSERT_TRUE(replace_file(root_ + path, content));
  }
  std::string root_;
};

TEST_F(Cgroups, NoLimitWithoutFiles) { EXPECT_EQ(cgroup_cpus(root_), 0u); }

TEST_F(Cgroups, VersionTwoRoundsUpAndTakesTheTightest) {
  file("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
  file("/proc/self/cgroup", "0::/pods/one/box\n");
  file("/sys/fs/cgroup/pods/one/box/cpu.max", "max 100000\n");
  EXPECT_EQ(cgroup_cpus(root_), 0u);
  file("/sys/fs/cgroup/pods/one/cpu.max", "250000 100000\n");
  EXPECT_EQ(cgroup_cpus(root_), 3u);
  file("/sys/fs/cgroup/pods/cpu.max", "150000 100000\n");
  EXPECT_EQ(cgroup_cpus(root_), 2u);
  file("/sys/fs/cgroup/pods/one/box/cpu.max", "10000 100000\n");
  EXPECT_EQ(cgroup_cpus(root_), 1u);
}

TEST_F(Cgroups, AContainerSeesItsOwnTop) {
  file("/proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
  file("/proc/self/cgroup", "0::/\n");
  file("/sys/fs/cgroup/cpu.max", "400000 100000\n");
  EXPECT_EQ(cgroup_cpus(root_), 4u);
}

TEST_F(Cgroups, VersionOneWithABoundTop) {
  file("/proc/self/mountinfo",
       "25 30 0:23 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
       "26 30 0:23 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  file("/proc/self/cgroup", "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n");
  file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_cpus(root_), 0u);
  file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "120000\n");
  EXPECT_EQ(cgroup_cpus(root_), 2u);
}

TEST(Cpu, AtLeastOneIsUsable) {
  EXPECT_GE(usable_cpus(), 1u);
  EXPECT_LE(usable_cpus(), allowed_cpus().count());
}

TEST(Affinity, MasksAreReadFromTheRight) {
  auto affinity = parse_cpu_affinity(Words{"01", "1000"});
  ASSERT_TRUE(affinity.ok());
  EXPECT_EQ(affinity->of(0).to_ulong(), 1u);
  EXPECT_EQ(affinity->of(1).to_ulong(), 8u);
  EXPECT_EQ(affinity->of(7).to_ulong(), 8u);  // the last for all further ones
  EXPECT_TRUE(CpuAffinity().of(0).none());
}

TEST(Affinity, AutoGivesOneEach) {
  CpuAffinity affinity;
  affinity.automatic = true;
  affinity.masks = {CpuMask(0b1101)};
  EXPECT_EQ(affinity.of(0).to_ulong(), 1u);
  EXPECT_EQ(affinity.of(1).to_ulong(), 4u);
  EXPECT_EQ(affinity.of(2).to_ulong(), 8u);
  EXPECT_EQ(affinity.of(3).to_ulong(), 1u);
  auto parsed = parse_cpu_affinity(Words{"auto"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->masks[0], allowed_cpus());
}

TEST(Affinity, ErrorsAreWordedAsNginxWordsThem) {
  EXPECT_EQ(parse_cpu_affinity(Words{"01x"}).error(), "invalid character \"x\" in \"worker_cpu_affinity\"");
  std::string wide(cpus_max + 1, '0');
  EXPECT_EQ(parse_cpu_affinity(Words{wide}).error(), "\"worker_cpu_affinity\" supports up to 1024 CPUs only");
  EXPECT_FALSE(parse_cpu_affinity(Words{"auto", "00"}).ok());
}

}  // namespace
}  // namespace fairlead
