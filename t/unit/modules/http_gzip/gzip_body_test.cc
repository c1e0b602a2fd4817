// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_gzip/gzip_body.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace fairlead::http_gzip {
namespace {

using http::Chunk;
using http::Poll;

struct Given {
  Poll polled;
  std::string_view bytes = {};
};

// Gives what it was told, one after another, and its last for ever.
class ScriptedBody final : public http::Body {
 public:
  explicit ScriptedBody(std::vector<Given> script) : script_(std::move(script)) {}
  Poll poll(Chunk& chunk) override {
    if (++polls > 1000) std::abort();  // it is polled for ever
    const Given& given = script_[at_];
    if (at_ + 1 < script_.size()) ++at_;
    chunk.clear();
    chunk.bytes = Slice(given.bytes);
    return given.polled;
  }
  Task<Result<Unit>> ready() override { co_return Unit(); }

  int polls = 0;

 private:
  std::vector<Given> script_;
  size_t at_ = 0;
};

Strength postponing(uint64_t bytes) {
  Strength strength;
  strength.postpone_bytes = bytes;
  return strength;
}

std::string unpacked(std::string packed, size_t room = 1000) {
  z_stream stream = {};
  std::string text(room, '\0');
  EXPECT_EQ(::inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(room);
  ::inflate(&stream, Z_SYNC_FLUSH);
  text.resize(room - stream.avail_out);
  ::inflateEnd(&stream);
  return text;
}

TEST(GzipBody, SaysWhatItsSourceSaysBehindAChunkOfNothing) {
  for (Poll last : {Poll::pending, Poll::failed}) {
    ScriptedBody source({{Poll::ready}, {last}});
    Counts counts;
    GzipBody body(source, postponing(100), counts);
    Chunk chunk;
    EXPECT_EQ(body.poll(chunk), last);
    EXPECT_EQ(body.poll(chunk), last);
  }
}

TEST(GzipBody, WhatIsPostponedLeavesAheadOfTheWaitAndOfTheFailure) {
  for (Poll last : {Poll::pending, Poll::failed}) {
    ScriptedBody source({{Poll::ready, "some "}, {Poll::ready, "text"}, {last}});
    Counts counts;
    GzipBody body(source, postponing(100), counts);
    Chunk chunk;
    ASSERT_EQ(body.poll(chunk), Poll::ready);
    EXPECT_EQ(unpacked(std::string(chunk.bytes.view())), "some text");
    EXPECT_EQ(body.poll(chunk), last);
  }
}

TEST(GzipBody, PostponesUntilThereIsEnough) {
  ScriptedBody source({{Poll::ready, "some "}, {Poll::ready, "text"}, {Poll::ready, ", more"}, {Poll::end}});
  Counts counts;
  GzipBody body(source, postponing(9), counts);
  std::string packed;
  Chunk chunk;
  while (body.poll(chunk) == Poll::ready) packed += chunk.bytes.view();
  EXPECT_EQ(unpacked(packed), "some text, more");
  EXPECT_TRUE(counts.complete);
}

}  // namespace
}  // namespace fairlead::http_gzip
