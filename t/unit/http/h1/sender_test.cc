// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Sender: framings, portions that the peer takes, bodies that are late, short, long or in a file.
#include "http/h1/sender.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "core/base/clock.h"
#include "event/net/memory.h"
#include "http/message/headers.h"
#include "t/unit/event/loop/open_loop.h"

using namespace fairlead;
using namespace fairlead::http;
using fairlead::http::h1::Sender;
using fairlead::http::h1::SendFraming;

namespace {

// Gives its parts one by one; pending before each but the first until let_go().
class PartsBody final : public Body {
 public:
  explicit PartsBody(std::vector<std::string> parts) : parts_(std::move(parts)) {}
  void let_go() { ++allowed_; }
  void set_trailers(const Headers* trailers) { trailers_ = trailers; }
  void fail_at_end() { fails_ = true; }
  Poll poll(Chunk& chunk) override {
    if (next_ == parts_.size()) return fails_ ? Poll::failed : Poll::end;
    if (next_ >= allowed_) return Poll::pending;
    chunk.clear();
    chunk.bytes = Slice::copy_of(parts_[next_++]);
    return Poll::ready;
  }
  Task<Result<Unit>> ready() override { co_return Unit(); }
  Error error() const override { return Error{Fault::reset, Side::upstream, 0, "scripted"}; }
  const Headers* trailers() const override { return trailers_; }

 private:
  std::vector<std::string> parts_;
  size_t next_ = 0, allowed_ = 1;
  bool fails_ = false;
  const Headers* trailers_ = nullptr;
};

struct SenderTest : testing::Test {
  SenderTest() {
    process_clock.set_virtual(1'000);
    loop = open_loop();
  }
  ~SenderTest() override {
    connection.reset();
    pair = {};
    process_clock.set_real();
  }
  void make(size_t buffer_bytes = 65536) {
    connection.reset();
    pair = MemoryPair::make(*loop, nullptr, nullptr, buffer_bytes);
    connection = std::make_unique<Connection>(*pair.a, Side::client);
    received.clear();
  }
  void receive() {
    process_clock.set_virtual(process_clock.now_ms() + 1);
    loop->turn(0);
    char block[1000];
    for (;;) {
      IoResult got = pair.b->read(block, sizeof block);
      if (got.status != IoStatus::ok) break;
      received.append(block, got.bytes);
    }
    loop->turn(0);
  }
  // As a frame does that waits for the peer only.
  Progress pump_while_peer_is_slow(Sender& sender, Body& body) {
    Progress progress;
    int rounds = 0;
    while ((progress = sender.pump(body)) == Progress::need_write && ++rounds < 1000) receive();
    receive();
    return progress;
  }
  std::unique_ptr<Loop> loop;
  MemoryPair pair;
  std::unique_ptr<Connection> connection;
  std::string received;
};

// An unlinked file with `text`.
FileRef file_with(std::string_view text) {
  char name[] = "/tmp/fairlead_sender_XXXXXX";
  int fd = mkstemp(name);
  unlink(name);
  FL_ASSERT(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  return FileRef::adopt(fd);
}

}  // namespace

TEST_F(SenderTest, HeadAndBodyOfKnownLengthLeaveTogether) {
  make();
  Sender sender(*connection);
  sender.out().push_back(Slice("HEAD "));
  sender.begin(SendFraming::length, 4);
  BytesBody body(Slice("body"));
  EXPECT_EQ(sender.pump(body), Progress::done);
  receive();
  EXPECT_EQ(received, "HEAD body");
  EXPECT_EQ(sender.sent_body_bytes(), 4u);
}

TEST_F(SenderTest, ASmallBodyIsCopiedIntoTheRoomBehindTheHead) {
  make();
  char room[] = "HEAD ....";
  Sender sender(*connection);
  sender.out().push_back(Slice({room, 5}));
  sender.set_room_behind(4);
  sender.begin(SendFraming::length, 6);
  PartsBody body({"bod", "y", "!!"});
  body.let_go();
  body.let_go();
  EXPECT_EQ(sender.pump(body), Progress::done);
  receive();
  EXPECT_EQ(received, "HEAD body!!");
  EXPECT_EQ(std::string_view(room), "HEAD body");  // as far as it fits
}

TEST_F(SenderTest, ABodyIsNotCopiedWhereItDoesNotFitOrTheHeadHasLeft) {
  for (bool is_late : {false, true}) {
    make();
    char room[] = "HEAD ....";
    Sender sender(*connection);
    sender.out().push_back(Slice({room, 5}));
    sender.set_room_behind(is_late ? 4 : 3);
    sender.begin(SendFraming::length, 4);
    if (is_late) {
      struct LateBody final : Body {
        Poll poll(Chunk& chunk) override {
          if (polls++ == 0) return Poll::pending;
          if (polls > 2) return Poll::end;
          chunk.bytes = Slice("body");
          return Poll::ready;
        }
        Task<Result<Unit>> ready() override { co_return Unit(); }
        Error error() const override { return {}; }
        int polls = 0;
      } body;
      EXPECT_EQ(sender.pump(body), Progress::need_body);
      EXPECT_EQ(sender.pump(body), Progress::done);
    } else {
      BytesBody body(Slice("body"));
      EXPECT_EQ(sender.pump(body), Progress::done);
    }
    receive();
    EXPECT_EQ(received, "HEAD body");
    EXPECT_EQ(std::string_view(room), "HEAD ....");
  }
}

TEST_F(SenderTest, ChunksWithTrailers) {
  make();
  Arena::Owner arena = Arena::open(256);
  Headers trailers(*arena);
  trailers.add("X-Sum", "1");
  PartsBody body({"abc", "0123456789abcdef!"});
  body.set_trailers(&trailers);
  Sender sender(*connection);
  sender.begin(SendFraming::chunked);
  EXPECT_EQ(sender.pump(body), Progress::need_body);
  receive();
  EXPECT_EQ(received, "3\r\nabc\r\n");
  body.let_go();
  EXPECT_EQ(sender.pump(body), Progress::done);
  receive();
  EXPECT_EQ(received, "3\r\nabc\r\n11\r\n0123456789abcdef!\r\n0\r\nX-Sum: 1\r\n\r\n");
}

// One behind the other without a wait: the line end of a chunk leaves with what follows it.
TEST_F(SenderTest, ChunksThatAreThereTogether) {
  make();
  PartsBody body({"abc", "de"});
  body.let_go();
  Sender sender(*connection);
  sender.begin(SendFraming::chunked);
  EXPECT_EQ(sender.pump(body), Progress::done);
  receive();
  EXPECT_EQ(received, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
}

TEST_F(SenderTest, AFileBehindBytesIsAChunkOfItsOwn) {
  make();
  struct Both final : Body {
    explicit Both(FileRef of) : file(std::move(of)) {}
    Poll poll(Chunk& chunk) override {
      chunk.clear();
      if (++calls == 1) chunk.bytes = Slice("abc");
      if (calls == 2) {
        chunk.file = file;
        chunk.file_bytes = 5;
      }
      return calls > 2 ? Poll::end : Poll::ready;
    }
    Task<Result<Unit>> ready() override { co_return Unit(); }
    FileRef file;
    int calls = 0;
  } body(file_with("12345"));
  Sender sender(*connection);
  sender.begin(SendFraming::chunked);
  EXPECT_EQ(pump_while_peer_is_slow(sender, body), Progress::done);
  EXPECT_EQ(received, "3\r\nabc\r\n5\r\n12345\r\n0\r\n\r\n");
}

TEST_F(SenderTest, ASlowPeerGetsItInPortions) {
  make(7);
  Sender sender(*connection);
  sender.out().push_back(Slice("HEAD "));
  sender.begin(SendFraming::chunked);
  PartsBody body({std::string(100, 'x')});
  EXPECT_EQ(pump_while_peer_is_slow(sender, body), Progress::done);
  EXPECT_EQ(received, "HEAD 64\r\n" + std::string(100, 'x') + "\r\n0\r\n\r\n");
}

TEST_F(SenderTest, ABodyThatIsTooShortFails) {
  make();
  Sender sender(*connection);
  sender.begin(SendFraming::length, 10);
  BytesBody body(Slice("short"));
  EXPECT_EQ(sender.pump(body), Progress::failed);
  EXPECT_EQ(sender.error().fault, Fault::closed);
}

TEST_F(SenderTest, ABodyThatIsTooLongIsCut) {
  make();
  Sender sender(*connection);
  sender.begin(SendFraming::length, 4);
  BytesBody body(Slice("too long"));
  EXPECT_EQ(sender.pump(body), Progress::done);
  receive();
  EXPECT_EQ(received, "too ");
}

// The peer may use what came before the failure, and a head that is ready must not be lost with it.
TEST_F(SenderTest, ABodyThatFailsSendsWhatCameBefore) {
  make();
  Sender sender(*connection);
  sender.out().push_back(Slice("HEAD "));
  sender.begin(SendFraming::until_close);
  PartsBody body({"before"});
  body.fail_at_end();
  EXPECT_EQ(pump_while_peer_is_slow(sender, body), Progress::failed);
  EXPECT_EQ(sender.error().fault, Fault::reset);
  EXPECT_TRUE(sender.has_pulled());
  EXPECT_EQ(received, "HEAD before");
}

TEST_F(SenderTest, ARangeOfAFileInEachFraming) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += std::to_string(i) + ",";
  FileRef file = file_with(text);
  std::string want = text.substr(100, 12000);
  for (SendFraming framing : {SendFraming::length, SendFraming::chunked, SendFraming::until_close}) {
    make(1000);
    Sender sender(*connection);
    sender.out().push_back(Slice("HEAD "));
    sender.begin(framing, 12000);
    FileBody body(file, 100, 12000);
    EXPECT_EQ(pump_while_peer_is_slow(sender, body), Progress::done);
    EXPECT_EQ(received, framing == SendFraming::chunked ? "HEAD 2ee0\r\n" + want + "\r\n0\r\n\r\n" : "HEAD " + want);
  }
}

TEST_F(SenderTest, AFileThatWasTruncatedBreaksTheConnection) {
  make();
  Sender sender(*connection);
  sender.begin(SendFraming::length, 20);
  FileBody body(file_with("0123456789"), 0, 20);
  EXPECT_EQ(sender.pump(body), Progress::failed);
  EXPECT_TRUE(connection->is_broken());
}

TEST_F(SenderTest, AResetPeerFailsAndBreaksTheConnection) {
  make();
  pair.b->reset();
  Sender sender(*connection);
  sender.begin(SendFraming::length, 4);
  BytesBody body(Slice("body"));
  EXPECT_EQ(sender.pump(body), Progress::failed);
  EXPECT_EQ(sender.error().sys, ECONNRESET);
  EXPECT_TRUE(connection->is_broken());
}
