// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What sockets of scripts read, by lines, counts and patterns: the pieces in which bytes arrive do not matter, nothing is lost, and a
// pattern is found where it is. The first byte chooses the kind, the second a size, the third the length of the pattern, which follows.
#include <cstdint>
#include <string>

#include "modules/lua/byte_socket.h"
#include "t/fuzz/feed.h"
#include "t/fuzz/require.h"

namespace {

using namespace fairlead;
using namespace fairlead::lua;

using fairlead::fuzz::require;

// Reads until the bytes are used up; what each read gave, and the rest, in brackets. `joined`: all of it, the patterns put back.
std::string read_all(std::string_view input, const fuzz::Cuts& cuts, const Reading& what, std::string& joined) {
  std::string said, unread;
  UntilState until;
  auto step = std::make_unique<ReadStep>(what, &until);
  size_t from = 0;
  joined.clear();
  for (size_t cut : cuts) {
    unread += input.substr(from, cut - from);
    from = cut;
    for (bool complete = true; complete && !unread.empty();) {
      fuzz::Copy copy(unread);
      size_t consumed;
      complete = step->feed(copy.view(), consumed);
      require(consumed <= unread.size(), "more than there was");
      unread.erase(0, consumed);
      if (!complete) break;
      require(what.kind != Reading::Kind::bytes || step->result.size() == what.bytes, "another count");
      require(what.kind != Reading::Kind::until || what.bytes == 0 || what.inclusive || step->result.size() <= what.bytes, "too long");
      said += '[' + step->result + (until.met ? "]!" : "]");
      joined += step->result;
      if (until.met && !what.inclusive) joined += what.pattern;
      until.met = false;
      step = std::make_unique<ReadStep>(what, &until);
    }
  }
  joined += step->result + unread;
  return said + step->result + unread;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size < 4) return 0;
  std::string_view input(reinterpret_cast<const char*>(bytes) + 3, size - 3);
  Reading what;
  constexpr Reading::Kind kinds[] = {Reading::Kind::bytes, Reading::Kind::line, Reading::Kind::all, Reading::Kind::until};
  what.kind = kinds[bytes[0] % 4];
  what.inclusive = bytes[0] & 4;
  what.bytes = what.kind == Reading::Kind::bytes ? 1 + bytes[1] : bytes[0] & 8 ? bytes[1] : 0;
  if (what.kind == Reading::Kind::until) {
    what.pattern = input.substr(0, 1 + bytes[2] % 16);
    input.remove_prefix(what.pattern.size());
  }
  std::string joined;
  fuzz::same_in_pieces(input.size(), [&](const fuzz::Cuts& cuts) { return read_all(input, cuts, what, joined); });
  if (what.kind != Reading::Kind::line) require(joined == input, "bytes were lost");
  return 0;
}
