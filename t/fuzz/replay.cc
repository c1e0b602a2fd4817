// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// main() for a fuzz target that is built without libFuzzer: gives it every file of the named folders, then of each file every prefix
// of up to 64 bytes, so that what fuzzing once found is found again by every test run.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

namespace {

constexpr size_t prefix_bytes_max = 64;

bool replay(const std::filesystem::path& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) return false;
  std::vector<uint8_t> bytes(static_cast<size_t>(std::filesystem::file_size(path)));
  const bool whole = std::fread(bytes.data(), 1, bytes.size(), file) == bytes.size();
  std::fclose(file);
  for (size_t size = 0; whole && size < bytes.size() && size <= prefix_bytes_max; ++size) {
    // A copy of exactly that size lets the address sanitizer see a read beyond the end.
    std::vector<uint8_t> prefix(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    LLVMFuzzerTestOneInput(prefix.data(), prefix.size());
  }
  if (whole) LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  return whole;
}

}  // namespace

int main(int argc, char** argv) {
  size_t inputs = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      if (!replay(entry.path())) {
        std::fprintf(stderr, "cannot read %s\n", entry.path().c_str());
        return 1;
      }
      ++inputs;
    }
  }
  std::printf("replayed %zu inputs\n", inputs);
  return inputs > 0 ? 0 : 1;
}
