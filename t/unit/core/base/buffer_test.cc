// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/buffer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fairlead {
namespace {

std::string text_of(const Chain& chain) {
  std::string text;
  for (size_t i = 0; i < chain.count(); ++i) text += chain[i].view();
  EXPECT_EQ(text.size(), chain.size());
  EXPECT_EQ(chain.empty(), text.empty());
  return text;
}

Chain chain_of(int slices) {
  Chain chain;
  for (int i = 0; i < slices; ++i) chain.push_back(Slice::copy_of(std::to_string(i % 10)));
  return chain;
}

TEST(Segment, References) {
  SegmentRef first = SegmentRef::make(100);
  EXPECT_GE(first->capacity, 100u);
  EXPECT_EQ(first->references, 1u);
  SegmentRef second = first;
  EXPECT_EQ(first->references, 2u);
  SegmentRef third = std::move(second);
  EXPECT_FALSE(second);
  EXPECT_EQ(first->references, 2u);
  third = first;
  EXPECT_EQ(first->references, 2u);
  SegmentRef fourth = SegmentRef::share(first.get());
  EXPECT_EQ(first->references, 3u);
  fourth.reset();
  third.reset();
  EXPECT_EQ(first->references, 1u);
  EXPECT_FALSE(SegmentRef::share(nullptr));
}

TEST(Slice, SharesItsSegment) {
  Slice slice = Slice::copy_of("hello world");
  EXPECT_EQ(slice.owner->references, 1u);
  Slice front = slice.cut_front(5);
  EXPECT_EQ(front.view(), "hello");
  EXPECT_EQ(slice.view(), " world");
  EXPECT_EQ(slice.owner->references, 2u);
  slice = Slice();
  EXPECT_EQ(front.owner->references, 1u);
  EXPECT_EQ(front.view(), "hello");
  EXPECT_FALSE(Slice::copy_of("").owner);
  EXPECT_FALSE(Slice("literal").owner);
}

TEST(Chain, GrowsAndKeepsOrder) {
  Chain chain;
  std::string expected;
  chain.push_back(Slice());  // not kept
  EXPECT_EQ(chain.count(), 0u);
  for (int i = 0; i < 100; ++i) {
    std::string part = std::to_string(i);
    chain.push_back(Slice::copy_of(part));
    expected += part;
    ASSERT_EQ(text_of(chain), expected);
  }
  EXPECT_EQ(chain.count(), 100u);
}

TEST(Chain, DropFrontAcrossSlices) {
  std::string all = "0123456789";
  for (size_t drop = 0; drop <= 10; ++drop) {
    Chain chain = chain_of(10);
    chain.drop_front(drop);
    EXPECT_EQ(text_of(chain), all.substr(drop));
  }
  Chain chain;
  chain.push_back(Slice("hello "));
  chain.push_back(Slice("world"));
  chain.drop_front(8);
  EXPECT_EQ(text_of(chain), "rld");
  EXPECT_EQ(chain.count(), 1u);
}

TEST(Chain, DroppedSlicesLetTheirSegmentGo) {
  Slice slice = Slice::copy_of("abc");
  Segment* segment = slice.owner.get();
  Chain chain;
  chain.push_back(slice);
  chain.push_back(Slice("x"));
  EXPECT_EQ(segment->references, 2u);
  chain.drop_front(3);
  EXPECT_EQ(segment->references, 1u);
}

// A queue: much goes through, little is in it. Moves down instead of growing, and never loses a byte.
TEST(Chain, AsQueue) {
  Chain chain;
  std::string in, out;
  for (int i = 0; i < 1000; ++i) {
    std::string part(static_cast<size_t>(i % 7 + 1), static_cast<char>('a' + i % 26));
    in += part;
    chain.push_back(Slice::copy_of(part));
    if (i % 3 != 0) {
      size_t take = std::min<size_t>(chain.size(), static_cast<size_t>(i % 11));
      out += text_of(chain).substr(0, take);
      chain.drop_front(take);
    }
  }
  EXPECT_EQ(out + text_of(chain), in);
}

TEST(Chain, Moves) {
  for (int slices : {0, 3, 4, 5, 20}) {
    Chain from = chain_of(slices);
    std::string expected = text_of(from);
    if (slices > 2) {
      from.drop_front(1);
      expected.erase(0, 1);
    }
    Chain to = std::move(from);
    EXPECT_EQ(text_of(to), expected);
    EXPECT_EQ(text_of(from), "");
    from.push_back(Slice("again"));
    EXPECT_EQ(text_of(from), "again");
    from = std::move(to);
    EXPECT_EQ(text_of(from), expected);
    from.append(chain_of(10));
    EXPECT_EQ(text_of(from), expected + "0123456789");
    from.clear();
    EXPECT_EQ(text_of(from), "");
  }
}

TEST(Chain, Fill) {
  Chain chain = chain_of(6);
  chain.drop_front(1);
  iovec vectors[8];
  ASSERT_EQ(chain.fill(vectors, 8), 5);
  EXPECT_EQ(std::string(static_cast<char*>(vectors[0].iov_base), vectors[0].iov_len), "1");
  EXPECT_EQ(std::string(static_cast<char*>(vectors[4].iov_base), vectors[4].iov_len), "5");
  EXPECT_EQ(chain.fill(vectors, 2), 2);
  EXPECT_EQ(Chain().fill(vectors, 8), 0);
}

TEST(ChainWriter, WritesAllKinds) {
  Chain chain;
  {
    ChainWriter writer(chain, 64);
    writer.write("");  // before there is any memory
    writer.write("HTTP/1.1 ");
    writer.write("200");
    writer.write(' ');
    char* at = writer.reserve(3);
    at[0] = 'x';
    writer.advance(1);
    EXPECT_EQ(chain.size(), 0u);  // not handed over yet
  }
  EXPECT_EQ(text_of(chain), "HTTP/1.1 200 x");
}

TEST(ChainWriter, SegmentsFollowOneAnother) {
  Chain chain;
  std::string expected;
  ChainWriter writer(chain, 32);
  for (size_t i = 0; i < 200; ++i) {
    std::string part(i * 13 % 100, static_cast<char>('a' + i % 26));
    writer.write(part);
    writer.write('|');
    expected += part + '|';
  }
  writer.flush();
  writer.flush();  // without effect
  EXPECT_EQ(text_of(chain), expected);
  writer.write("more");
  writer.flush();
  EXPECT_EQ(text_of(chain), expected + "more");
}

TEST(AppendBytes, CopiesEachSizeAndNothingMore) {
  std::string from;
  for (int i = 0; i < 64; ++i) from += static_cast<char>('0' + i);
  for (size_t size = 0; size <= from.size(); ++size) {
    std::string to(size + 2, '.');
    EXPECT_EQ(append_bytes(to.data() + 1, std::string_view(from).substr(0, size)), to.data() + 1 + size);
    EXPECT_EQ(to, "." + from.substr(0, size) + ".");
  }
}

TEST(ChainWriter, NothingWritten) {
  Chain chain;
  { ChainWriter writer(chain); }
  EXPECT_EQ(chain.count(), 0u);
}

}  // namespace
}  // namespace fairlead
