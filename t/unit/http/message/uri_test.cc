// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The wanted paths were taken from nginx's $uri and $args for the same targets.
#include "http/message/uri.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "http/message/authority.h"

namespace fairlead::http {
namespace {

struct Case {
  std::string_view target, merged, kept;  // "-": refused
};

std::string path_of(std::string_view target, bool merge) {
  Arena::Owner arena = Arena::open(1024);
  Result<Uri> uri = normalise_uri(target, merge, *arena);
  return uri ? std::string(uri->path) : "-";
}

TEST(NormaliseUri, paths) {
  const Case cases[] = {
      {"/", "/", "/"},
      {"/a/b", "/a/b", "/a/b"},
      {"/a//b", "/a/b", "/a//b"},
      {"/a//../b", "/b", "/a/b"},
      {"/a/b/..", "/a/", "/a/"},
      {"/a/b/.", "/a/b/", "/a/b/"},
      {"/a/./b", "/a/b", "/a/b"},
      {"/a/b/../c", "/a/c", "/a/c"},
      {"/..", "-", "-"},
      {"/a/../..", "-", "-"},
      {"/a/b/../../..", "-", "-"},
      {"/../a", "-", "-"},
      {"/...", "/...", "/..."},
      {"/a/..b/c", "/a/..b/c", "/a/..b/c"},
      {"/.a/b.", "/.a/b.", "/.a/b."},
      {"/a#f", "/a", "/a"},
      {"/#", "/", "/"},
      {"/a/..#q", "/", "/"},
      {"/a/..?q", "/", "/"},
      {"/a/.?", "/a/", "/a/"},
      {"/a%3fb", "/a?b", "/a?b"},
      {"/a%23b", "/a#b", "/a#b"},
      {"/%2e%2e/a", "-", "-"},
      {"/a/%2E%2e", "/", "/"},
      {"/a/.%2e/b", "/b", "/b"},
      {"/a/%2e", "/a/", "/a/"},
      {"/a%2f..%2fb", "/b", "/b"},
      {"/a%2f%2fb", "/a/b", "/a//b"},
      {"/%", "-", "-"},
      {"/%4", "-", "-"},
      {"/a%", "-", "-"},
      {"/%zz", "-", "-"},
      {"/%00", "-", "-"},
      {"/a%25b", "/a%b", "/a%b"},
      {"/a%2541", "/a%41", "/a%41"},
      {"/x%0ay", "/x\ny", "/x\ny"},
      {"/+", "/+", "/+"},
      {"//", "/", "//"},
      {"//..", "-", "/"},
      {"/a//..", "/", "/a/"},
      {"/./", "/", "/"},
      {"/.", "/", "/"},
      {"//a/../..", "-", "/"},
      {"", "-", "-"},
      {"a", "-", "-"},
      {"*", "-", "-"},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(path_of(one.target, true), one.merged) << one.target;
    EXPECT_EQ(path_of(one.target, false), one.kept) << one.target;
  }
}

// A path that is looked at sixteen bytes at a time comes to what it comes to byte by byte, which a '?' behind it makes of it.
TEST(NormaliseUri, long_steps_and_short_ones_agree) {
  std::mt19937 random(1);
  constexpr std::string_view bytes("//..abcdefghijkl%?#\0", 20);
  for (int round = 0; round < 200000; ++round) {
    std::string target = "/";
    size_t common = round % 3 == 0 ? 0 : 4;  // mostly without what ends the plain way at once
    for (size_t size = random() % 40; size > 0; --size) target += bytes[random() % (bytes.size() - common)];
    std::string with_query = target.substr(0, target.find_first_of("?#")) + "?";
    for (bool merge : {true, false}) ASSERT_EQ(path_of(target, merge), path_of(with_query, merge)) << target;
  }
}

TEST(NormaliseUri, args_and_flags) {
  Arena::Owner arena = Arena::open(1024);
  auto args = [&](std::string_view target) { return normalise_uri(target, true, *arena)->args; };
  EXPECT_EQ(args("/a?x#f"), "x");
  EXPECT_EQ(args("/a??b"), "?b");
  EXPECT_EQ(args("/a?"), "");
  EXPECT_EQ(args("/a#f?x"), "");
  EXPECT_EQ(args("/a?%zz/../"), "%zz/../");
  EXPECT_TRUE(normalise_uri("/a%20b", true, *arena)->percent_encoded);
  EXPECT_FALSE(normalise_uri("/a//b", true, *arena)->percent_encoded);
  std::string_view plain = "/plain?x";
  EXPECT_EQ(normalise_uri(plain, true, *arena)->path.data(), plain.data());
}

TEST(Uri, extension) {
  EXPECT_EQ(uri_extension("/a/b.html"), "html");
  EXPECT_EQ(uri_extension("/a.b/c"), "");
  EXPECT_EQ(uri_extension("/a.tar.gz"), "gz");
  EXPECT_EQ(uri_extension("/.htaccess"), "");
  EXPECT_EQ(uri_extension("/a."), "");
  EXPECT_EQ(uri_extension("/"), "");
  EXPECT_EQ(uri_extension(""), "");
  EXPECT_EQ(uri_extension("/a.html/"), "");
  EXPECT_EQ(uri_extension("/a/b..c"), "c");
}

TEST(Uri, internal_uris_of_upstreams) {
  Arena::Owner arena = Arena::open(1024);
  Result<InternalUri> good = parse_internal_uri("/a%20b/..c?x=%2e%2e", *arena);
  ASSERT_TRUE(good);
  EXPECT_EQ(good->path, "/a b/..c");
  EXPECT_EQ(good->args, "x=%2e%2e");
  for (const char* text : {"", "?a", "..", "../a", "/a/..", "/a/../b",
                           "/a/%2e%2e/b", "/a/.%2E", "/a%2f..%2fb", "%2e%2e/a", "/a%00", "/%.%.", "/%4z..", "/.%."}) {
    EXPECT_FALSE(parse_internal_uri(text, *arena)) << text;
  }
  EXPECT_FALSE(is_safe_path(std::string_view("/a\0b", 4)));
}

// As nginx reads them.
TEST(Uri, what_is_no_escape_of_an_internal_uri_is_left_out) {
  Arena::Owner arena = Arena::open(1024);
  constexpr std::pair<const char*, const char*> read[] = {
      {"/a%zzb", "/azzb"}, {"/a%4zb", "/ab"}, {"/a%", "/a"}, {"/a%4", "/a"}, {"/a%%41", "/a%41"}, {"/a%2541", "/a%41"}};
  for (auto [text, path] : read) {
    Result<InternalUri> uri = parse_internal_uri(text, *arena);
    ASSERT_TRUE(uri) << text;
    EXPECT_EQ(uri->path, path);
  }
}

TEST(Uri, escaping_gives_the_text_itself_where_it_can) {
  Arena::Owner arena = Arena::open(1024);
  std::string_view plain = "/a/b";
  EXPECT_EQ(escaped(Escape::uri, plain, *arena).data(), plain.data());
  EXPECT_EQ(escaped(Escape::uri, "/a b?c#d%", *arena), "/a%20b%3Fc%23d%25");
}

TEST(Authority, normal_form) {
  Arena::Owner arena = Arena::open(1024);
  auto authority = parse_authority("Www.Example.Com.:8080", *arena);
  ASSERT_TRUE(authority);
  EXPECT_EQ(authority->host, "www.example.com");
  EXPECT_EQ(authority->port, 8080);
  EXPECT_TRUE(authority->has_port);
  EXPECT_FALSE(parse_authority("a:", *arena)->has_port);
  EXPECT_EQ(parse_authority("[::A]", *arena)->host, "[::a]");
}

// A name without a port may be looked at as a whole; with the colon of an empty port it is read byte by byte.
TEST(Authority, names_are_read_the_same_as_a_whole) {
  Arena::Owner arena = Arena::open(1024);
  for (size_t size = 1; size <= 50; ++size) {
    for (size_t at = 0; at < size; ++at) {
      for (std::string_view odd : {"a", "z", "0", "9", "-", ".", "..", "%", "_", "A", "Z", "[", " ", "`", "{", "/", "\x80", "\xff", "!"}) {
        std::string text(size, 'a');
        text.replace(at, std::min(odd.size(), size - at), odd);
        std::string with_port = text + ':';
        auto whole = parse_authority(text, *arena), by_byte = parse_authority(with_port, *arena);
        ASSERT_EQ(whole.has_value(), by_byte.has_value()) << text;
        if (!whole) continue;
        EXPECT_EQ(whole->host, by_byte->host);
        EXPECT_EQ(whole->port, 0);
        EXPECT_FALSE(whole->has_port);
      }
    }
  }
}

}  // namespace
}  // namespace fairlead::http
