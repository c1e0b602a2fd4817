// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/byte_socket.h"

#include <gtest/gtest.h>

namespace fairlead::lua {
namespace {

// What one read makes of bytes that arrive in pieces of `piece`, and what is left unread; "..." behind a result that is not complete.
struct Made {
  std::string result, left;
  bool operator==(const Made&) const = default;
};

Made read(const Reading& what, std::string_view arrives, size_t piece = 1000, UntilState* until = nullptr) {
  ReadStep step(what, until);
  std::string unread;
  for (;;) {
    size_t consumed = 0;
    bool complete = step.feed(unread, consumed);
    unread.erase(0, consumed);
    if (complete) return {step.result, unread + std::string(arrives)};
    if (arrives.empty()) return {step.result + "...", unread};
    unread.append(arrives.substr(0, piece));
    arrives.remove_prefix(std::min(piece, arrives.size()));
  }
}

Reading until(std::string pattern, size_t bytes = 0, bool inclusive = false) {
  return Reading{Reading::Kind::until, bytes, std::move(pattern), inclusive};
}

TEST(ReadStep, TakesExactlySoManyBytes) {
  Reading five{Reading::Kind::bytes, 5, {}, false};
  for (size_t piece : {1u, 2u, 100u}) EXPECT_EQ(read(five, "hello, world", piece), (Made{"hello", ", world"}));
  EXPECT_EQ(read(five, "hel"), (Made{"hel...", ""}));
}

TEST(ReadStep, ALineHasNoCarriageReturns) {
  Reading line{Reading::Kind::line, 0, {}, false};
  for (size_t piece : {1u, 3u, 100u}) EXPECT_EQ(read(line, "a\rb\r\nnext\n", piece), (Made{"ab", "next\n"}));
  EXPECT_EQ(read(line, "no end"), (Made{"no end...", ""}));
}

TEST(ReadStep, AnyTakesWhatIsThere) {
  Reading any{Reading::Kind::any, 4, {}, false};
  EXPECT_EQ(read(any, "abcdef"), (Made{"abcd", "ef"}));
  EXPECT_EQ(read(any, "abcdef", 2), (Made{"ab", "cdef"}));
}

TEST(ReadStep, UntilFindsItsPatternHoweverItArrives) {
  for (size_t piece : {1u, 2u, 3u, 100u}) {
    EXPECT_EQ(read(until("--abc"), "x---abcrest", piece), (Made{"x-", "rest"})) << piece;
    EXPECT_EQ(read(until("aab"), "aaaab", piece), (Made{"aa", ""})) << piece;
    EXPECT_EQ(read(until("\r\n", 0, true), "one\r\ntwo", piece), (Made{"one\r\n", "two"})) << piece;
  }
}

TEST(ReadStep, UntilHoldsBackOnlyWhatMayBeginThePattern) {
  EXPECT_EQ(read(until("---X"), "abc"), (Made{"abc...", ""}));
  EXPECT_EQ(read(until("---X"), "abc--"), (Made{"abc...", "--"}));
  EXPECT_EQ(read(until("---X"), "abc-----"), (Made{"abc--...", "---"}));
  EXPECT_EQ(read(until("abab"), "xababa-aba"), (Made{"x", "a-aba"}));
  EXPECT_EQ(read(until("abab"), "xaba-aba"), (Made{"xaba-...", "aba"}));
  EXPECT_EQ(read(until("x"), "abc"), (Made{"abc...", ""}));
  EXPECT_EQ(read(until("---X", 3), "abc"), (Made{"abc", ""}));
  EXPECT_EQ(read(until("---X", 4), "abc-"), (Made{"abc...", "-"}));
}

TEST(ReadStep, UntilWithASizeGivesPieces) {
  UntilState state;
  EXPECT_EQ(read(until("--", 3), "abcdef--x", 1, &state), (Made{"abc", "def--x"}));
  EXPECT_EQ(read(until("--", 3), "def--x", 1, &state), (Made{"def", "--x"}));
  EXPECT_FALSE(state.met);
  EXPECT_EQ(read(until("--", 3), "--x", 1, &state), (Made{"", "x"}));
  EXPECT_TRUE(state.met);
  state.met = false;
  EXPECT_EQ(read(until("--", 3), "de--x", 1, &state), (Made{"de", "x"}));
  EXPECT_TRUE(state.met);
}

}  // namespace
}  // namespace fairlead::lua
