// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/code_pages.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>

#if defined(__linux__)
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include <algorithm>
#include <iterator>
#endif

namespace fairlead {

#if defined(__linux__)

namespace {

// Documentation/admin-guide/mm/pagemap.rst of the kernel.
constexpr uint64_t is_present = uint64_t{1} << 63;
constexpr uint64_t is_of_file = uint64_t{1} << 61;  // not a copy that this process made

class Releaser {
 public:
  Releaser() : map_(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)), page_(static_cast<uintptr_t>(sysconf(_SC_PAGESIZE))) {}
  ~Releaser() {
    if (map_ >= 0) close(map_);
  }
  Releaser(const Releaser&) = delete;
  Releaser& operator=(const Releaser&) = delete;

  bool is_open() const { return map_ >= 0; }
  // Whole pages of [begin, end).
  void release(uintptr_t begin, uintptr_t end) {
    begin = (begin + page_ - 1) / page_ * page_;
    while (begin + page_ <= end) {
      uint64_t entries[512];
      size_t wanted = std::min<size_t>((end - begin) / page_, std::size(entries));
      ssize_t got = pread(map_, entries, wanted * sizeof entries[0], static_cast<off_t>(begin / page_ * sizeof entries[0]));
      size_t count = got > 0 ? static_cast<size_t>(got) / sizeof entries[0] : 0;
      if (count == 0) return;
      release_runs(begin, entries, count);
      begin += count * page_;
    }
  }

 private:
  void release_runs(uintptr_t begin, const uint64_t* entries, size_t count) {
    auto can_go = [&](size_t i) { return (entries[i] & (is_present | is_of_file)) == (is_present | is_of_file); };
    for (size_t i = 0; i < count;) {
      size_t from = i;
      while (i < count && can_go(i)) ++i;
      if (i > from) madvise(reinterpret_cast<void*>(begin + from * page_), (i - from) * page_, MADV_DONTNEED);
      else ++i;
    }
  }

  int map_;
  uintptr_t page_;
};

int release_object(dl_phdr_info* object, size_t, void* releaser) {
  bool is_of_kernel = false;  // the vDSO
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = object->dlpi_phdr[i];
    uintptr_t begin = object->dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_LOAD && part.p_offset == 0) is_of_kernel = begin == getauxval(AT_SYSINFO_EHDR);
    if (part.p_type != PT_LOAD || (part.p_flags & PF_W) || is_of_kernel) continue;
    static_cast<Releaser*>(releaser)->release(begin, begin + part.p_memsz);
  }
  return 0;
}

}  // namespace

void release_code_pages() {
  Releaser releaser;
  if (releaser.is_open()) dl_iterate_phdr(release_object, &releaser);
}

#else

void release_code_pages() {}

#endif

}  // namespace fairlead
