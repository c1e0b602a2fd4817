// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/headers.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead::http {
namespace {

class HeadersTest : public testing::Test {
 protected:
  std::string text() const {
    std::string out;
    for (const Headers::Field& field : headers) out += std::string(field.name) + "=" + std::string(field.value) + " ";
    return out;
  }
  // The index must agree with the list after any change.
  void check() const {
    size_t bytes = 0;
    for (unsigned i = 1; i < known_header_count; ++i) {
      auto known = static_cast<KnownHeader>(i);
      const Headers::Field* first = nullptr;
      for (const Headers::Field& field : headers) {
        if (!first && field.known == known) first = &field;
      }
      EXPECT_EQ(headers.find(known), first);
      EXPECT_EQ(headers.has(known), first != nullptr);
    }
    for (const Headers::Field& field : headers) bytes += field.name.size() + field.value.size() + 4;
    EXPECT_EQ(headers.bytes(), bytes);
  }
  Arena::Owner arena = Arena::open(1024);
  Headers headers{*arena, 2};
};

TEST_F(HeadersTest, keeps_order_and_finds_in_any_case) {
  headers.add("X-B", "1");
  headers.add("HOST", "h");
  headers.add("x-a", "2");
  headers.add("X-b", "3");
  EXPECT_EQ(text(), "X-B=1 HOST=h x-a=2 X-b=3 ");
  EXPECT_EQ(headers.value(KnownHeader::host), "h");
  EXPECT_EQ(headers.find("x-b")->value, "1");
  EXPECT_EQ(headers.next_same(*headers.find("x-b"))->value, "3");
  EXPECT_EQ(headers.next_same(*headers.find("host")), nullptr);
  EXPECT_EQ(headers.find("x-c"), nullptr);
  EXPECT_EQ(headers.value(KnownHeader::cookie), "");
  check();
}

TEST_F(HeadersTest, adding_many_is_adding_each) {
  headers.add("X-A", "0");
  {
    Headers::Adding adding(headers);
    EXPECT_FALSE(adding.has(KnownHeader::host));
    adding.add(KnownHeader::host, "Host", "h");
    EXPECT_TRUE(adding.has(KnownHeader::host));
    for (int i = 0; i < 5; ++i) adding.add(KnownHeader::accept, "Accept", "a");  // the list has to move
  }
  EXPECT_EQ(text(), "X-A=0 Host=h Accept=a Accept=a Accept=a Accept=a Accept=a ");
  check();
}

TEST_F(HeadersTest, joins_values) {
  headers.add("Accept", "a");
  EXPECT_EQ(headers.joined(KnownHeader::accept), "a");
  headers.add("accept", "");
  headers.add("ACCEPT", "c");
  EXPECT_EQ(headers.joined(KnownHeader::accept), "a, , c");
  headers.add(KnownHeader::cookie, "a=1");
  headers.add(KnownHeader::cookie, "b=2");
  EXPECT_EQ(headers.joined("Cookie"), "a=1; b=2");
  EXPECT_EQ(headers.joined("nothing"), "");
  EXPECT_EQ(headers.count(KnownHeader::accept), 3u);
}

TEST_F(HeadersTest, set_replaces_the_first_and_removes_the_rest) {
  headers.add("Server", "a");
  headers.add("X", "1");
  headers.add("server", "b");
  headers.add("x", "2");
  headers.add("Y", "3");
  headers.set(KnownHeader::server, "c");
  headers.set("X", "4");
  headers.set("Z", "5");
  EXPECT_EQ(text(), "Server=c X=4 Y=3 Z=5 ");
  check();
}

TEST_F(HeadersTest, remove) {
  for (int i = 0; i < 4; ++i) {
    headers.add("Via", "v");
    headers.add("X-Y", "w");
    headers.add("Date", "d");
  }
  EXPECT_EQ(headers.remove("x-y"), 4u);
  EXPECT_EQ(headers.remove(KnownHeader::via), 4u);
  EXPECT_EQ(headers.remove("via"), 0u);
  EXPECT_EQ(text(), "Date=d Date=d Date=d Date=d ");
  check();
  headers.clear();
  EXPECT_TRUE(headers.empty());
  check();
}

TEST_F(HeadersTest, known_names_behind_the_reach_of_the_index) {
  std::string name;
  for (int i = 0; i < 300; ++i) headers.add("Other", "x");
  headers.add(KnownHeader::etag, "e");
  headers.add(KnownHeader::etag, "f");
  EXPECT_EQ(headers.value(KnownHeader::etag), "e");
  EXPECT_EQ(headers.count(KnownHeader::etag), 2u);
  check();
  headers.remove("Other");
  check();
}

TEST_F(HeadersTest, takes_over_what_is_not_dropped_in_front_of_its_own) {
  auto is_server = [](const Headers::Field& field) { return field.known == KnownHeader::server; };
  Headers reply(*arena, 4);
  for (const char* name : {"Server", "Date", "X-A", "Server"}) reply.add(name, "theirs");
  headers.take_over(reply, is_server);
  EXPECT_EQ(text(), "Date=theirs X-A=theirs ");
  EXPECT_TRUE(reply.empty() && !reply.has(KnownHeader::date));
  check();
  reply.add("Via", "other");
  headers.take_over(reply, is_server);
  EXPECT_EQ(text(), "Via=other Date=theirs X-A=theirs ");
  check();
}

TEST_F(HeadersTest, rebase_moves_all_views) {
  std::string before = "NameValue", after = "nAMEvALUE";
  headers.add(KnownHeader::other, std::string_view(before).substr(0, 4), std::string_view(before).substr(4));
  headers.rebase(before.data(), after.data());
  EXPECT_EQ(text(), "nAME=vALUE ");
}

TEST(KnownHeader, every_name_is_found_in_any_case_and_no_other) {
  for (unsigned i = 1; i < known_header_count; ++i) {
    auto known = static_cast<KnownHeader>(i);
    std::string name(header_name(known)), upper = name, lower = name;
    for (char& byte : upper) byte = static_cast<char>(toupper(byte));
    for (char& byte : lower) byte = static_cast<char>(tolower(byte));
    EXPECT_EQ(find_known_header(name), known);
    EXPECT_EQ(find_known_header(upper), known);
    EXPECT_EQ(find_known_header(lower), known);
    // Each single changed byte makes another name, unless it only changes the case of a letter.
    for (size_t at = 0; at < name.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string other = name;
        other[at] = static_cast<char>(byte);
        bool same = strcasecmp(std::string(other.c_str()).c_str(), name.c_str()) == 0;
        if (!same) { EXPECT_NE(find_known_header(other), known) << name << at << byte; }
      }
    }
  }
  EXPECT_EQ(find_known_header(""), KnownHeader::other);
  EXPECT_EQ(find_known_header("X-Nothing"), KnownHeader::other);
  EXPECT_EQ(find_known_header(std::string(100, 'a')), KnownHeader::other);
}

TEST(FieldText, predicates) {
  EXPECT_TRUE(is_token("a!#$%&'*+-.^_`|~9Z"));
  for (const char* bad : {"", "a b", "a:", "a\"", "a\x80", "a(", "a/"}) EXPECT_FALSE(is_token(bad)) << bad;
  EXPECT_TRUE(is_field_value("a\tb \xff"));
  EXPECT_TRUE(is_field_value(""));
  EXPECT_FALSE(is_field_value("a\r\nb"));
  EXPECT_FALSE(is_field_value("0123456789abcdef0123456789\x7f"));
  EXPECT_FALSE(is_field_value(std::string_view("a\0", 2)));
  EXPECT_TRUE(list_names("a, Upgrade ;q=1", "upgrade"));
  EXPECT_TRUE(list_names("close", "close"));
  EXPECT_FALSE(list_names("closed, xclose", "close"));
  EXPECT_FALSE(list_names("", "close"));
}

TEST_F(HeadersTest, AListMadeWithoutRoomTakesItsOwn) {
  Headers later(*arena, 0);
  later.add("a", "1");
  char* next = static_cast<char*>(arena->allocate(256, 8));
  std::fill_n(next, 256, 'x');
  EXPECT_EQ(later.begin()->name, "a");
  EXPECT_EQ(later.find("a")->value, "1");
}

}  // namespace
}  // namespace fairlead::http
