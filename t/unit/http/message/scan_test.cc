// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/scan.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead::http::scan {
namespace {

using Find = const char* (*)(const char*, const char*, const char*);

size_t found(Find find, const std::string& text, size_t from) {
  return static_cast<size_t>(find(text.data(), text.data() + from, text.data() + text.size()) - text.data());
}

// A byte at each place of texts of each length, sought from each place: steps of sixteen, the last step that looks back, single bytes.
void expect_found(Find find, char sought) {
  for (size_t size = 0; size < 40; ++size) {
    for (size_t from = 0; from <= size; ++from) {
      EXPECT_EQ(found(find, std::string(size, 'a'), from), size);
      for (size_t at = 0; at < size; ++at) {
        std::string text(size, 'a');
        text[at] = sought;
        EXPECT_EQ(found(find, text, from), at >= from ? at : size) << size << ' ' << from;
      }
    }
  }
}

bool is_found(Find find, char byte) {
  std::string alone(1, byte), many(20, 'a');
  many[7] = byte;
  EXPECT_EQ(found(find, alone, 0) == 0, found(find, many, 0) == 7) << static_cast<int>(byte);
  return found(find, alone, 0) == 0;
}

TEST(Scan, finds_the_first_byte_wherever_it_stands) {
  expect_found(find_control, '\n');
  expect_found(find_blank_or_control, ' ');
  expect_found(find_name_end, ':');
  expect_found(find_colon, ':');
  expect_found(find_unprintable, '\r');
}

TEST(Scan, gives_the_first_of_several) {
  EXPECT_EQ(found(find_control, "abc\rdef\nghijklmnopqrst\r", 0), 3u);
  EXPECT_EQ(found(find_control, "abc\rdef\nghijklmnopqrst\r", 4), 7u);
  EXPECT_EQ(found(find_name_end, "Host: a:b", 0), 4u);
}

TEST(Scan, sees_a_control_wherever_it_stands) {
  for (size_t size = 0; size < 40; ++size) {
    std::string text(size, '\t');
    EXPECT_FALSE(has_control(text)) << size;
    for (size_t at = 0; at < size; ++at) {
      text.assign(size, 'x');
      text[at] = '\n';
      EXPECT_TRUE(has_control(text)) << size << ' ' << at;
    }
  }
}

#if defined(__SSE2__)
// What is plain, and one byte that is not, or two that are not next to each other, at each place of texts of each length.
template <class IsPlain>
void expect_plain(IsPlain is_plain, const std::string& good, const std::string& bad) {
  for (size_t size = 4; size < 40; ++size) {
    std::string text;
    for (size_t at = 0; at < size; ++at) text += good[at % good.size()];
    EXPECT_TRUE(is_plain(text)) << text;
    for (size_t at = 0; at + bad.size() <= size; ++at) {
      std::string other = text;
      other.replace(at, bad.size(), bad);
      EXPECT_FALSE(is_plain(other)) << other;
    }
  }
}

TEST(Scan, sees_what_is_plain_wherever_it_stands) {
  for (const char* bad : {"A", "_", "/", "..", "%", "\x80", "`", "{", ":"}) expect_plain(is_plain_host, "az-09b", bad);
  for (const char* bad : {"_", " ", "@", "[", "`", "{", "/", ":", "\x80", "\xe1", "\x0d"}) expect_plain(is_plain_name, "azAZ-09", bad);
  auto merging = [](std::string_view text) { return is_plain_path(text, true); };
  auto keeping = [](std::string_view text) { return is_plain_path(text, false); };
  for (const char* bad : {"//", "/.", "%", "?", "#"}) expect_plain(merging, "ab.c\x80 _", bad);
  expect_plain(merging, "ab.c", std::string(1, '\0'));
  for (const char* bad : {"/.", "%"}) expect_plain(keeping, "ab.c", bad);
  EXPECT_TRUE(keeping("/a//b/c"));
  EXPECT_TRUE(merging("/a/b/c.d/"));
}
#endif

TEST(Scan, knows_each_byte) {
  for (int i = 0; i < 256; ++i) {
    char byte = static_cast<char>(i);
    EXPECT_EQ(is_found(find_control, byte), is_control(byte) && byte != '\t') << i;
    EXPECT_EQ(is_found(find_blank_or_control, byte), is_control(byte) || byte == ' ') << i;
    EXPECT_EQ(is_found(find_name_end, byte), is_control(byte) || byte == ' ' || byte == ':') << i;
    EXPECT_EQ(is_found(find_colon, byte), byte == ':') << i;
    EXPECT_EQ(is_found(find_unprintable, byte), i < 0x20 || i > 0x7e) << i;
  }
}

}  // namespace
}  // namespace fairlead::http::scan
