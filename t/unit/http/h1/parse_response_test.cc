// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Response heads of upstreams, each fed whole, byte by byte and in random pieces; and trailers.
#include <gtest/gtest.h>

#include "t/fuzz/feed.h"

namespace fairlead::http::h1 {
namespace {

std::string verdict(std::string_view input) {
  std::string said = fuzz::same_in_pieces(input.size(), [&](const fuzz::Cuts& cuts) { return fuzz::feed_response(input, cuts); });
  return said.compare(0, 4, "done") == 0 ? "done" : said.substr(0, said.find(" ["));
}

struct Parsed {
  explicit Parsed(std::string text) : input(std::move(text)) { result = parser.parse(input); }
  std::string input;
  Arena::Owner arena = Arena::open(1024);
  ResponseHead head{*arena};
  ResponseParser parser{head};
  ParseResult result;
};

constexpr char no_header[] = "200 upstream sent no valid HTTP/1.0 header";
constexpr char bad_header[] = "502 upstream sent invalid header";

TEST(ResponseParser, gives_all_facts_of_an_ordinary_head) {
  std::string input = "HTTP/1.1 200 Very OK\r\nContent-Length: 3\r\nX_y.z: 1\r\n\r\nabc";
  Parsed p(input);
  ASSERT_EQ(p.result, ParseResult::done);
  EXPECT_EQ(p.head.status, 200);
  EXPECT_EQ(p.head.reason, "Very OK");
  EXPECT_EQ(p.head.status_line, "HTTP/1.1 200 Very OK");
  EXPECT_EQ(p.head.framing.content_length, 3);
  EXPECT_TRUE(p.head.framing.keep_alive);
  EXPECT_EQ(p.head.headers.size(), 2u);
  EXPECT_EQ(input.substr(p.parser.consumed()), "abc");
}

TEST(ResponseParser, status_lines) {
  const std::pair<std::string, const char*> cases[] = {
      {"HTTP/1.1 200 OK\r\n\r\n", "done"},
      {"HTTP/1.1 200 \r\n\r\n", "done"},
      {"HTTP/1.1 200\r\n\r\n", "done"},
      {"HTTP/1.0 200 OK\n\n", "done"},
      {"HTTP/1.1  200 OK\r\n\r\n", "done"},
      {"HTTP/1.1 403.1 IIS\r\n\r\n", "done"},
      {"HTTP/1.1 200 O\xc3\x9f\x01K\r\n\r\n", "done"},
      {"HTTP/1.1 99 x\r\n\r\n", no_header},
      {"HTTP/1.1 2000 x\r\n\r\n", no_header},
      {"HTTP/1.1 20 x\r\n\r\n", no_header},
      {"HTTP/1.1 099 x\r\n\r\n", no_header},
      {"HTTP/1 200 OK\r\n\r\n", no_header},
      {"HTTP/x.1 200 OK\r\n\r\n", no_header},
      {"http/1.1 200 OK\r\n\r\n", no_header},
      {" HTTP/1.1 200 OK\r\n\r\n", no_header},
      {"<html>", no_header},
      {"HTTP/1.1 200 O\rK\r\n\r\n", "502 upstream sent invalid status line"},
      {"HTTP/1.", "more"},
  };
  for (const auto& [input, wanted] : cases) EXPECT_EQ(verdict(input), wanted) << input;
}

TEST(ResponseParser, framing) {
  auto fields = [](std::string_view text) { return fairlead::format("HTTP/1.1 200 OK\r\n{}\r\n", text); };
  const std::pair<std::string, const char*> cases[] = {
      {fields("Transfer-Encoding: Chunked\r\n"), "done"},
      {fields("X: a\x01\tb\r\n"), "done"},
      {fields("Content-Length: 5\r\nContent-Length: 5\r\n"), "502 upstream sent duplicate header line"},
      {fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "502 upstream sent duplicate header line"},
      {fields("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
       "502 upstream sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time"},
      {fields("Content-Length: x\r\n"), "502 upstream sent invalid \"Content-Length\" header"},
      {fields("Content-Length: 5, 5\r\n"), "502 upstream sent invalid \"Content-Length\" header"},
      {fields("Content-Length: -1\r\n"), "502 upstream sent invalid \"Content-Length\" header"},
      {fields("Content-Length: 9223372036854775808\r\n"), "502 upstream sent invalid \"Content-Length\" header"},
      {fields("Transfer-Encoding: gzip\r\n"), "502 upstream sent unknown \"Transfer-Encoding\""},
      {fields("X: a\r\n b\r\n"), bad_header},
      {fields("X : a\r\n"), bad_header},
      {fields("X: a\rb\r\n"), bad_header},
      {fields(std::string("X: a\0b\r\n", 8)), bad_header},
      {fields("no colon\r\n"), bad_header},
  };
  for (const auto& [input, wanted] : cases) EXPECT_EQ(verdict(input), wanted) << input;
  EXPECT_FALSE(Parsed("HTTP/1.0 200 OK\r\n\r\n").head.framing.keep_alive);
  EXPECT_TRUE(Parsed("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n").head.framing.keep_alive);
  EXPECT_FALSE(Parsed("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").head.framing.keep_alive);
  Parsed old("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_TRUE(old.head.framing.chunked);
  EXPECT_FALSE(old.head.framing.keep_alive);
  EXPECT_EQ(Parsed("HTTP/1.1 200 OK\r\na@b: 1\r\nc: 2\r\n\r\n").head.headers.size(), 1u);
}

TEST(Trailers, leave_out_what_would_change_the_message) {
  Arena::Owner arena = Arena::open(1024);
  Trailers trailers(*arena);
  EXPECT_TRUE(parse_trailers("grpc-status: 0\r\nContent-Length: 5\r\nHost: x\r\nX-Sum: y\r\n\r\n", trailers, 10));
  EXPECT_EQ(trailers.size(), 2u);
  EXPECT_EQ(trailers.value(KnownHeader::grpc_status), "0");
  EXPECT_FALSE(parse_trailers("a: b\n\r\n", trailers, 10));
  EXPECT_FALSE(parse_trailers("a: b\r\n\n", trailers, 10));
  EXPECT_FALSE(parse_trailers("a: b\r\n", trailers, 10));
  EXPECT_FALSE(parse_trailers("a@: b\r\n\r\n", trailers, 10));
  EXPECT_FALSE(parse_trailers("a: b\r\nc: d\r\n\r\n", trailers, 1));
}

}  // namespace
}  // namespace fairlead::http::h1
