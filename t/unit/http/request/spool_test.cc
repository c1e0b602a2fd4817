// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Spool: order, limits, backpressure, the temporary file and its failures, replay; at random against the plain sequence of bytes.
#include "http/request/spool.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <iterator>
#include <random>

#include "event/loop/nursery.h"
#include "http/message/headers.h"
#include "t/unit/event/loop/open_loop.h"

using namespace fairlead;
using namespace fairlead::http;

namespace {

// A body that does what a script says: gives bytes, has nothing for some turns, fails, ends.
class ScriptedBody final : public Body {
 public:
  struct Step {
    enum class Kind { bytes, pending, fail } kind;
    size_t count = 0;  // bytes; turns
  };
  explicit ScriptedBody(Loop& loop) : loop_(loop) {}
  void give(size_t bytes) { steps_.push_back({Step::Kind::bytes, bytes}); }
  void wait(size_t turns) { steps_.push_back({Step::Kind::pending, turns}); }
  void fail() { steps_.push_back({Step::Kind::fail}); }
  void announce(uint64_t bytes) { announced_ = bytes; }
  void set_trailers(const Headers* trailers) { trailers_ = trailers; }
  static char byte_at(uint64_t offset) { return static_cast<char>('!' + (offset * 7 + offset / 90) % 90); }
  uint64_t given() const { return given_; }

  Poll poll(Chunk& chunk) override {
    EXPECT_FALSE(in_ready_) << "polled while somebody waits";
    if (steps_.empty()) return Poll::end;
    Step& step = steps_.front();
    switch (step.kind) {
      case Step::Kind::fail: return Poll::failed;
      case Step::Kind::pending:
        if (step.count > 0) return Poll::pending;
        steps_.pop_front();
        return poll(chunk);
      case Step::Kind::bytes: break;
    }
    std::string text(step.count, ' ');
    for (char& c : text) c = byte_at(given_++);
    steps_.pop_front();
    chunk.clear();
    chunk.bytes = Slice::copy_of(text);
    last_data = chunk.bytes.data;
    return Poll::ready;
  }
  Task<Result<Unit>> ready() override { return wait_turns(); }
  std::optional<uint64_t> size() const override {
    if (!announced_) return std::nullopt;
    return *announced_ - given_;
  }
  Error error() const override { return Error{Fault::reset, Side::client, 0, "scripted"}; }
  const Headers* trailers() const override { return trailers_; }
  const char* last_data = nullptr;

 private:
  struct InReady {
    bool& flag;
    explicit InReady(bool& f) : flag(f) {
      EXPECT_FALSE(f) << "two waiters";
      f = true;
    }
    ~InReady() { flag = false; }
  };
  Task<Result<Unit>> wait_turns() {
    InReady guard(in_ready_);
    while (!steps_.empty() && steps_.front().kind == Step::Kind::pending && steps_.front().count-- > 1) co_await Yield(loop_);
    if (!steps_.empty() && steps_.front().kind == Step::Kind::pending) steps_.pop_front();
    co_return Unit();
  }
  Loop& loop_;
  std::deque<Step> steps_;
  std::optional<uint64_t> announced_;
  uint64_t given_ = 0;
  bool in_ready_ = false;
  const Headers* trailers_ = nullptr;
};

std::string text_of(const Chunk& chunk) {
  if (!chunk.is_file()) return std::string(chunk.bytes.view());
  std::string text(chunk.file_bytes, ' ');
  EXPECT_EQ(pread(chunk.file.fd(), text.data(), text.size(), static_cast<off_t>(chunk.file_offset)), static_cast<ssize_t>(text.size()));
  return text;
}

std::string expected_text(uint64_t bytes) {
  std::string text(bytes, ' ');
  for (uint64_t i = 0; i < bytes; ++i) text[i] = ScriptedBody::byte_at(i);
  return text;
}

struct SpoolTest : testing::Test {
  SpoolTest() {
    char name[] = "/tmp/fairlead_spool_XXXXXX";
    path.directory = mkdtemp(name);
    loop = open_loop();
    pool = std::make_unique<BlockingPool>(*loop);
    file = std::make_unique<SpoolFile>(*pool, path);
    source = std::make_unique<ScriptedBody>(*loop);
  }
  ~SpoolTest() override {
    pool.reset();
    rmdir(path.directory.c_str());
  }
  void run(Task<Unit> task) {
    Nursery nursery(*loop);
    nursery.spawn(std::move(task));
    for (int i = 0; i < 20000 && nursery.count() > 0; ++i) loop->turn(50);
    EXPECT_EQ(nursery.count(), 0u) << "it hangs";
  }
  void turns(int count) {
    for (int i = 0; i < count; ++i) loop->turn(1);
  }
  SpoolPath path;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<BlockingPool> pool;
  std::unique_ptr<SpoolFile> file;
  std::unique_ptr<ScriptedBody> source;
};

Task<Unit> pull_all(Body& body, std::string& text, Poll& ended) {
  Chunk chunk;
  while ((ended = co_await next(body, chunk)) == Poll::ready) {
    EXPECT_GT(chunk.size(), 0u);
    text += text_of(chunk);
  }
  co_return Unit();
}

Task<Unit> fill(Spool& spool, Result<Unit>& result) {
  result = co_await spool.fill_all();
  co_return Unit();
}

// A frame that reads ahead, as a relay does, and then waits for nothing.
Task<Unit> start_ahead(Spool& spool) {
  spool.read_ahead();
  co_return Unit();
}

}  // namespace

TEST_F(SpoolTest, PassesThroughWithoutBufferingUntilToldToReadAhead) {
  source->give(10);
  source->wait(3);
  source->give(20);
  Spool spool(*loop, *source, SpoolLimits{100, 0}, nullptr);
  Chunk chunk;
  ASSERT_EQ(spool.poll(chunk), Poll::ready);
  EXPECT_EQ(chunk.bytes.data, source->last_data);
  EXPECT_EQ(spool.poll(chunk), Poll::pending);
  EXPECT_EQ(spool.buffered_bytes(), 0u);
  std::string text;
  Poll ended;
  run(pull_all(spool, text, ended));
  EXPECT_EQ(text, expected_text(30).substr(10));
  EXPECT_EQ(ended, Poll::end);
}

TEST_F(SpoolTest, ReadsAheadUpToItsMemoryAndGoesOnWhenThatIsGiven) {
  for (int i = 0; i < 10; ++i) source->give(40);
  Spool spool(*loop, *source, SpoolLimits{100, 0}, nullptr);
  run(start_ahead(spool));
  turns(5);
  EXPECT_EQ(source->given(), 120u);  // the chunk that reached the limit
  EXPECT_EQ(spool.buffered_bytes(), 120u);
  Chunk chunk;
  ASSERT_EQ(spool.poll(chunk), Poll::ready);
  turns(2);
  EXPECT_EQ(source->given(), 160u);
  EXPECT_EQ(spool.buffered_bytes(), 120u);
  std::string text = text_of(chunk);
  Poll ended;
  run(pull_all(spool, text, ended));
  EXPECT_EQ(text, expected_text(400));
  EXPECT_EQ(ended, Poll::end);
}

TEST_F(SpoolTest, SpillsToTheFileAndStopsWhenBothAreFull) {
  for (int i = 0; i < 50; ++i) source->give(40);
  source->announce(2000);
  Spool spool(*loop, *source, SpoolLimits{100, 400, 80}, file.get());
  run(start_ahead(spool));
  for (int i = 0; i < 2000 && (source->given() < 520 || file->size() < 400); ++i) loop->turn(10);
  turns(20);
  EXPECT_EQ(file->size(), 400u);
  EXPECT_EQ(source->given(), 80u + 400u + 40u);
  EXPECT_EQ(spool.size(), 2000u);
  std::string text;
  Poll ended;
  run(pull_all(spool, text, ended));
  EXPECT_EQ(text, expected_text(2000));
  EXPECT_EQ(file->size(), 400u);  // its limit holds for the whole body, as nginx's
  EXPECT_EQ(spool.size(), 0u);
}

TEST_F(SpoolTest, FillAllKeepsEverythingForAnotherTry) {
  Arena::Owner arena = Arena::open(512);
  Headers trailers(*arena);
  trailers.add("x-check", "1");
  source->set_trailers(&trailers);
  for (int i = 0; i < 20; ++i) {
    source->give(30);
    if (i % 3 == 0) source->wait(2);
  }
  Spool spool(*loop, *source, SpoolLimits{100, 100000}, file.get());
  EXPECT_FALSE(spool.size());
  Result<Unit> result = Unit();
  run(fill(spool, result));
  ASSERT_TRUE(result);
  EXPECT_EQ(spool.size(), 600u);
  EXPECT_EQ(spool.trailers(), nullptr);
  for (int again = 0; again < 3; ++again) {
    std::string text;
    Poll ended;
    if (again == 1) {  // a try that ended in the middle
      Chunk chunk;
      ASSERT_EQ(spool.poll(chunk), Poll::ready);
    } else {
      run(pull_all(spool, text, ended));
      EXPECT_EQ(text, expected_text(600));
      EXPECT_EQ(ended, Poll::end);
      EXPECT_EQ(spool.trailers(), &trailers);
    }
    spool.rewind();
    EXPECT_EQ(spool.size(), 600u);
  }
}

TEST_F(SpoolTest, ABodyThatJustFitsIsNoError) {
  source->give(60);
  source->give(40);
  Spool spool(*loop, *source, SpoolLimits{100, 0}, nullptr);
  Result<Unit> result = Unit();
  run(fill(spool, result));
  EXPECT_TRUE(result);
}

TEST_F(SpoolTest, ABodyThatDoesNotFitIsTooLarge) {
  source->give(60);
  source->give(40);
  source->give(1);
  Spool spool(*loop, *source, SpoolLimits{100, 0}, nullptr);
  Result<Unit> result = Unit();
  run(fill(spool, result));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().fault, Fault::too_large);
}

TEST_F(SpoolTest, AFailureComesAfterTheBytesBeforeIt) {
  source->give(60);
  source->give(70);
  source->wait(2);
  source->give(80);
  source->fail();
  Spool spool(*loop, *source, SpoolLimits{100, 1000}, file.get());
  run(start_ahead(spool));
  for (int i = 0; i < 2000 && source->given() < 210; ++i) loop->turn(10);
  turns(10);
  std::string text;
  Poll ended;
  run(pull_all(spool, text, ended));
  EXPECT_EQ(text, expected_text(210));
  EXPECT_EQ(ended, Poll::failed);
  EXPECT_EQ(spool.error().fault, Fault::reset);
  EXPECT_EQ(spool.trailers(), nullptr);
}

TEST_F(SpoolTest, ADiskThatFailsOnlySlowsAReplyDown) {
  path.directory += "/none";
  for (int i = 0; i < 30; ++i) {
    source->give(40);
    if (i % 5 == 4) source->wait(1);
  }
  Spool spool(*loop, *source, SpoolLimits{100, 10000, 80}, file.get());
  run(start_ahead(spool));
  for (int i = 0; i < 2000 && spool.file_error().fault == Fault::none; ++i) loop->turn(10);
  EXPECT_EQ(spool.file_error().sys, ENOENT);
  turns(10);
  EXPECT_LE(source->given(), 240u);
  std::string text;
  Poll ended;
  run(pull_all(spool, text, ended));
  EXPECT_EQ(text, expected_text(1200));
  EXPECT_EQ(ended, Poll::end);
  path.directory.resize(path.directory.size() - 5);
}

TEST_F(SpoolTest, ADiskThatFailsEndsRequestBuffering) {
  path.directory += "/none";
  for (int i = 0; i < 10; ++i) source->give(40);
  Spool spool(*loop, *source, SpoolLimits{0, 10000}, file.get());
  Result<Unit> result = Unit();
  run(fill(spool, result));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().sys, ENOENT);
  path.directory.resize(path.directory.size() - 5);
}

TEST_F(SpoolTest, WithoutMemoryTheWholeBodyIsInTheFile) {
  for (int i = 0; i < 10; ++i) source->give(40);
  Spool spool(*loop, *source, SpoolLimits{0, UINT64_MAX}, file.get());
  Result<Unit> result = Unit();
  run(fill(spool, result));
  ASSERT_TRUE(result);
  EXPECT_EQ(spool.file_bytes(), 400u);
}

TEST_F(SpoolTest, ItsTextIsTheWholeAndMovesNothing) {
  Arena::Owner arena = Arena::open(512);
  for (int i = 0; i < 3; ++i) source->give(40);
  Spool spool(*loop, *source, SpoolLimits{1000, 0}, nullptr);
  Result<Unit> result = Unit();
  run(fill(spool, result));
  Chunk chunk;
  ASSERT_EQ(spool.poll(chunk), Poll::ready);
  std::string text = text_of(chunk);
  std::string_view whole = spool.text(*arena);
  EXPECT_EQ(whole, expected_text(120));
  EXPECT_EQ(spool.text(*arena).data(), whole.data());
  Poll ended;
  run(pull_all(spool, text, ended));
  EXPECT_EQ(text, expected_text(120));
  EXPECT_EQ(spool.text(*arena), expected_text(120));
}

namespace {
size_t entries_in(const std::string& directory) {
  auto entries = std::filesystem::directory_iterator(directory);
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}
}  // namespace

TEST_F(SpoolTest, CancelledInTheMiddleItLeavesNothing) {
  const size_t descriptors = entries_in("/proc/self/fd");
  for (int turn_count = 0; turn_count < 8; ++turn_count) {
    SpoolFile own(*pool, path);
    ScriptedBody body(*loop);
    for (int i = 0; i < 50; ++i) {
      body.give(40);
      if (i % 4 == 0) body.wait(1);
    }
    Spool spool(*loop, body, SpoolLimits{100, 100000, 80}, &own);
    run(start_ahead(spool));
    turns(turn_count);
  }
  pool.reset();  // what was under way on its threads has ended, and is closed
  EXPECT_EQ(entries_in("/proc/self/fd"), descriptors);
  EXPECT_EQ(entries_in(path.directory), 0u);
}

namespace {
// A consumer that now polls, now waits for bytes, now does nothing for some turns, and begins to read ahead somewhere.
Task<Unit> consume_at_random(Loop& loop, Spool& spool, unsigned seed, std::string& text, Poll& ended) {
  std::mt19937 random(seed);
  Chunk chunk;
  for (;;) {
    unsigned what = random() % 8;
    if (what == 0) spool.read_ahead();
    if (what <= 2) {
      for (unsigned turns = random() % 4; turns > 0; --turns) co_await Yield(loop);
      continue;
    }
    ended = spool.poll(chunk);
    if (ended == Poll::ready) text += text_of(chunk);
    else if (ended != Poll::pending) co_return Unit();
    else {
      auto waited = co_await spool.ready();
      EXPECT_TRUE(waited);
    }
  }
}
}  // namespace

TEST_F(SpoolTest, AtRandomTheBytesAreTheSourcesInOrder) {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    std::mt19937 random(seed);
    ScriptedBody body(*loop);
    uint64_t total = 0;
    for (size_t steps = random() % 60; steps > 0; --steps) {
      if (random() % 3 == 0) body.wait(1 + random() % 3);
      size_t bytes = 1 + random() % (random() % 4 == 0 ? 500 : 40);
      body.give(bytes);
      total += bytes;
    }
    bool fails = random() % 4 == 0;
    if (fails) body.fail();
    bool with_file = random() % 2 == 0;
    SpoolFile own(*pool, path);
    Spool spool(*loop, body, SpoolLimits{random() % 300, with_file ? random() % 2000 : 0, 1 + random() % 300}, with_file ? &own : nullptr);
    std::string text;
    Poll ended = Poll::ready;
    run(consume_at_random(*loop, spool, seed, text, ended));
    ASSERT_EQ(text, expected_text(total)) << "seed " << seed;
    ASSERT_EQ(ended, fails ? Poll::failed : Poll::end) << "seed " << seed;
  }
}

TEST_F(SpoolTest, AtRandomAFilledBodyCanBeReplayed) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    ScriptedBody body(*loop);
    uint64_t total = 0;
    for (size_t steps = random() % 40; steps > 0; --steps) {
      if (random() % 3 == 0) body.wait(1 + random() % 3);
      size_t bytes = 1 + random() % 200;
      body.give(bytes);
      total += bytes;
    }
    SpoolFile own(*pool, path);
    Spool spool(*loop, body, SpoolLimits{random() % 1000, UINT64_MAX, 1 + random() % 1000}, &own);
    Result<Unit> result = Unit();
    run(fill(spool, result));
    ASSERT_TRUE(result);
    for (int tries = 0; tries < 2; ++tries) {
      std::string text;
      Poll ended = Poll::ready;
      run(pull_all(spool, text, ended));
      ASSERT_EQ(text, expected_text(total)) << "seed " << seed;
      spool.rewind();
    }
  }
}
