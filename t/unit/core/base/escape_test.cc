// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/escape.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead {
namespace {

std::string escaped(Escape set, std::string_view text) {
  std::string to = "<";
  escape_append(set, to, text);
  EXPECT_EQ(to.size() - 1, escaped_size(set, text));
  return to.substr(1);
}

std::string unescaped(std::string_view text, BadPercent bad = BadPercent::drop) {
  std::string in_place(text);
  char* end = unescape_to(in_place.data(), in_place, bad);
  in_place.resize(static_cast<size_t>(end - in_place.data()));
  return in_place;
}

std::string all_bytes() {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  return bytes;
}

// The printable characters that a set escapes, in order.
std::string escaped_characters(Escape set) {
  std::string found;
  for (char c = 0x20; c < 0x7f; ++c) {
    if (escaped_size(set, std::string_view(&c, 1)) > 1) found.push_back(c);
  }
  return found;
}

TEST(Escape, PercentSets) {
  EXPECT_EQ(escaped_characters(Escape::uri), " \"#%<>?\\^`{|}");
  EXPECT_EQ(escaped_characters(Escape::args), " \"#%&+;<>?\\^`{|}");
  EXPECT_EQ(escaped_characters(Escape::uri_in_html), " \"#%'<>\\^`{|}");
  EXPECT_EQ(escaped_characters(Escape::uri_in_refresh), " \"'<>\\^`{|}");
  EXPECT_EQ(escaped_characters(Escape::memcached), " %");
  EXPECT_EQ(escaped_characters(Escape::uri_component), " !\"#$%&'()*+,/:;<=>?@[\\]^`{|}");
  EXPECT_EQ(escaped(Escape::uri, "/a b?c%\x7f\xc3\xa9\n"), "/a%20b%3Fc%25%7F%C3%A9%0A");
  EXPECT_EQ(escaped(Escape::memcached, "k\x7f\xff\t"), "k\x7f\xff%09");
  EXPECT_EQ(escaped(Escape::target, "/a b%20?c\r\n\x7f\xff"), "/a%20b%20?c%0D%0A%7F\xff");
  EXPECT_EQ(escaped(Escape::target, std::string_view("\0", 1)), "%00");
  EXPECT_EQ(escaped(Escape::controls, "/a b%20?c\r\n\x7f\xff"), "/a b%20?c%0D%0A%7F\xff");
}

TEST(Escape, PercentRoundTrip) {
  for (Escape set : {Escape::uri, Escape::args, Escape::uri_component, Escape::uri_in_html, Escape::memcached}) {
    EXPECT_EQ(unescaped(escaped(set, all_bytes())), all_bytes());
  }
}

TEST(Escape, Html) {
  EXPECT_EQ(escaped(Escape::html, "<a href=\"x\">'&amp;</a>"), "&lt;a href=&quot;x&quot;&gt;'&amp;amp;&lt;/a&gt;");
  EXPECT_EQ(escaped(Escape::html, "\xc3\xa9\n"), "\xc3\xa9\n");
}

TEST(Escape, Json) {
  EXPECT_EQ(escaped(Escape::json, "a\"b\\c\n\r\t\b\f/"), "a\\\"b\\\\c\\n\\r\\t\\b\\f/");
  EXPECT_EQ(escaped(Escape::json, std::string_view("\0\x1f\x7f\xc3\xa9", 5)), "\\u0000\\u001F\x7f\xc3\xa9");
}

TEST(Escape, Logs) {
  EXPECT_EQ(escaped_characters(Escape::log), "\"\\");
  EXPECT_EQ(escaped(Escape::log, "\"a\\\x1b\x7f\xff~ "), "\\x22a\\x5C\\x1B\\x7F\\xFF~ ");
  EXPECT_EQ(escaped_characters(Escape::error_log), "");
  EXPECT_EQ(escaped(Escape::error_log, "a\"\n\x7f\xff"), "a\"\\x0A\\x7F\xff");
}

TEST(Escape, NothingToDo) {
  EXPECT_EQ(escaped(Escape::uri, ""), "");
  EXPECT_EQ(escaped(Escape::uri, "/plain-path_1.html;v=1&x"), "/plain-path_1.html;v=1&x");
}

TEST(Escape, UnescapeBad) {
  EXPECT_EQ(unescaped("%41%6a%6A%4a+"), "AjjJ+");
  EXPECT_EQ(unescaped("%zz%4zb%"), "zzb");
  EXPECT_EQ(unescaped("%4"), "");
  EXPECT_EQ(unescaped("a%%41"), "a%41");
  EXPECT_EQ(unescaped("%zz%4zb%", BadPercent::keep), "%zz%4zb%");
  EXPECT_EQ(unescaped("%%41%4", BadPercent::keep), "%A%4");
  EXPECT_EQ(unescaped("%00"), std::string(1, '\0'));
}

}  // namespace
}  // namespace fairlead
