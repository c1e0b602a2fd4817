// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The memory transport behaves like a TCP connection: order, portions, delays, backpressure, half-close, reset.
#include "event/net/memory.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "core/base/clock.h"
#include "t/unit/event/loop/open_loop.h"

using namespace fairlead;

namespace {

struct Portions final : MemoryScript {
  size_t accept_bytes(size_t offered) override { return std::min(offered, accept); }
  size_t give_bytes(size_t present) override { return std::min(present, give); }
  uint64_t delay_ms() override { return delay; }
  size_t accept = SIZE_MAX, give = SIZE_MAX;
  uint64_t delay = 0;
};

struct MemoryTest : testing::Test {
  MemoryTest() {
    process_clock.set_virtual(5'000);
    loop = open_loop();
  }
  ~MemoryTest() override {
    pair = {};
    process_clock.set_real();
  }
  void make(size_t buffer_bytes = 65536) { pair = MemoryPair::make(*loop, &script, nullptr, buffer_bytes); }
  void pass(uint64_t ms = 0) {
    process_clock.set_virtual(process_clock.now_ms() + ms);
    loop->turn(0);
  }
  static IoResult write(Transport& to, std::string_view text) {
    iovec vector{const_cast<char*>(text.data()), text.size()};
    return to.write(&vector, 1);
  }
  static std::string read(Transport& from, size_t room = 100) {
    std::string text(room, ' ');
    IoResult got = from.read(text.data(), room);
    switch (got.status) {
      case IoStatus::ok: return text.substr(0, got.bytes);
      case IoStatus::again: return "again";
      case IoStatus::end: return "end";
      case IoStatus::failed: return got.sys == ECONNRESET ? "reset" : "failed";
    }
    return "";
  }
  std::unique_ptr<Loop> loop;
  Portions script;
  MemoryPair pair;
};

}  // namespace

TEST_F(MemoryTest, BytesArriveInOrderAfterTheirDelay) {
  make();
  script.delay = 10;
  write(*pair.a, "slow ");
  script.delay = 0;
  write(*pair.a, "fast");  // does not overtake
  pass(9);
  EXPECT_EQ(read(*pair.b), "again");
  EXPECT_FALSE(pair.b->watch().is_ready(Direction::read));
  pass(1);
  EXPECT_TRUE(pair.b->watch().is_ready(Direction::read));
  EXPECT_EQ(read(*pair.b), "slow fast");
}

TEST_F(MemoryTest, PortionsOfReadsAndWrites) {
  make();
  script.accept = 3;
  script.give = 2;
  EXPECT_EQ(write(*pair.a, "abcdef").bytes, 3u);
  EXPECT_FALSE(pair.a->watch().is_ready(Direction::write));
  EXPECT_EQ(write(*pair.a, "def").status, IoStatus::again);
  pass(1);
  EXPECT_TRUE(pair.a->watch().is_ready(Direction::write));
  EXPECT_EQ(write(*pair.a, "def").bytes, 3u);
  pass();
  EXPECT_EQ(read(*pair.b), "ab");
  EXPECT_EQ(read(*pair.b), "cd");
  EXPECT_EQ(read(*pair.b, 1), "e");
  EXPECT_EQ(read(*pair.b), "f");
  EXPECT_EQ(read(*pair.b), "again");
}

TEST_F(MemoryTest, AFullBufferStopsTheWriterUntilItIsRead) {
  make(4);
  EXPECT_EQ(write(*pair.a, "abcdef").bytes, 4u);
  EXPECT_EQ(write(*pair.a, "ef").status, IoStatus::again);
  pass();
  EXPECT_FALSE(pair.a->watch().is_ready(Direction::write));
  EXPECT_EQ(read(*pair.b, 1), "a");
  EXPECT_TRUE(pair.a->watch().is_ready(Direction::write));
  EXPECT_EQ(write(*pair.a, "ef").bytes, 1u);
}

TEST_F(MemoryTest, AHalfCloseEndsOneDirection) {
  make();
  write(*pair.a, "last");
  pair.a->shutdown_write();
  EXPECT_EQ(write(*pair.a, "x").sys, EPIPE);
  pass();
  EXPECT_TRUE(pair.b->watch().has_hung_up());
  EXPECT_EQ(read(*pair.b), "last");
  EXPECT_EQ(read(*pair.b), "end");
  EXPECT_TRUE(pair.b->watch().is_ready(Direction::read));
  write(*pair.b, "answer");
  pass();
  EXPECT_EQ(read(*pair.a), "answer");
}

TEST_F(MemoryTest, AnOrderlyCloseEndsAResetDoesNot) {
  make();
  write(*pair.a, "bye");
  pair.a.reset();
  pass();
  EXPECT_EQ(read(*pair.b), "bye");
  EXPECT_EQ(read(*pair.b), "end");
  EXPECT_EQ(write(*pair.b, "nobody reads this").status, IoStatus::ok);
  pass();
  EXPECT_EQ(write(*pair.b, "x").sys, ECONNRESET);
}

TEST_F(MemoryTest, ClosingWithUnreadBytesResets) {
  make();
  write(*pair.b, "unread");
  pass();
  write(*pair.a, "lost");
  pair.a.reset();
  EXPECT_EQ(read(*pair.b), "reset");
  EXPECT_TRUE(pair.b->watch().has_hung_up());
}

TEST_F(MemoryTest, AResetReachesBothAtOnce) {
  make();
  write(*pair.a, "lost");
  pair.a->reset();
  EXPECT_EQ(read(*pair.b), "reset");
  EXPECT_EQ(read(*pair.a), "reset");
}
