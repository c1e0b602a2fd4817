// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Request heads. Every case is fed whole, byte by byte and in random pieces; the answers must agree (t/fuzz/feed.h).
#include <gtest/gtest.h>

#include "t/fuzz/feed.h"

namespace fairlead::http::h1 {
namespace {

std::string answer(std::string_view input, const HeadRules& rules = {}) {
  return fuzz::same_in_pieces(input.size(), [&](const fuzz::Cuts& cuts) { return fuzz::feed_request(input, cuts, rules); });
}

// "status what" of a failure, else "done" or "more".
std::string verdict(std::string_view input, const HeadRules& rules = {}) {
  std::string said = answer(input, rules);
  return said.compare(0, 4, "done") == 0 ? "done" : said.substr(0, said.find(" ["));
}

std::string with(std::string_view fields) { return fairlead::format("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields); }

struct Parsed {
  explicit Parsed(std::string text, HeadRules head_rules = {}) : input(std::move(text)), rules(head_rules) { result = parser.parse(input); }
  std::string input;
  HeadRules rules;
  Arena::Owner arena = Arena::open(1024);
  RequestHead head{*arena};
  RequestParser parser{head, rules};
  ParseResult result;
};

struct Case {
  std::string input;
  const char* wanted;
};

constexpr char bad_line[] = "400 client sent invalid header line";
constexpr char bad_request[] = "400 client sent invalid request";
constexpr char bad_method[] = "400 client sent invalid method";
constexpr char bad_host[] = "400 client sent invalid host header";
constexpr char bad_target_host[] = "400 client sent invalid host in request line";
constexpr char bad_length[] = "400 client sent invalid \"Content-Length\" header";
constexpr char unknown_coding[] = "501 client sent unknown \"Transfer-Encoding\"";
constexpr char duplicate[] = "400 client sent duplicate header line";
constexpr char both[] = "400 client sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time";

TEST(RequestParser, gives_all_facts_of_an_ordinary_head) {
  std::string input = "POST /a/b?c=d?e HTTP/1.1\r\nHost: Example.ORG:8080\r\nContent-Length: 12\r\nx-one:\t two \t\r\nEmpty:\r\n\r\nbody";
  Parsed p(input);
  ASSERT_EQ(p.result, ParseResult::done) << p.parser.error().what;
  EXPECT_EQ(input.substr(p.parser.consumed()), "body");
  EXPECT_EQ(p.head.bytes, p.parser.consumed());
  EXPECT_EQ(p.head.method, Method::post);
  EXPECT_EQ(p.head.request_line, "POST /a/b?c=d?e HTTP/1.1");
  EXPECT_EQ(p.head.protocol, "HTTP/1.1");
  EXPECT_EQ(p.head.path, "/a/b");
  EXPECT_EQ(p.head.args, "c=d?e");
  EXPECT_EQ(p.head.host, "example.org");
  EXPECT_EQ(p.head.port, 8080);
  EXPECT_EQ(p.head.framing.content_length, 12);
  EXPECT_TRUE(p.head.framing.keep_alive);
  EXPECT_EQ(p.head.headers.size(), 4u);
  EXPECT_EQ(p.head.headers.joined("X-ONE"), "two");
  ASSERT_NE(p.head.headers.find("empty"), nullptr);
  answer(input);
}

TEST(RequestParser, waits_for_more_until_the_empty_line) {
  std::string input = with("A: b\r\n");
  for (size_t size = 0; size < input.size(); ++size) EXPECT_EQ(verdict(input.substr(0, size)), "more") << size;
  EXPECT_EQ(verdict(input), "done");
}

TEST(RequestParser, request_lines) {
  auto line = [](std::string_view text) { return fairlead::format("{}\r\nHost: a\r\n\r\n", text); };
  const Case cases[] = {
      {line("GET / HTTP/1.1"), "done"},
      {line("\r\n\n\r\nGET / HTTP/1.1"), "done"},
      {line("GET  /  HTTP/1.1  "), "done"},
      {line("A-_Z / HTTP/1.1"), "done"},
      {line("GET /\xff HTTP/1.1"), "done"},
      {line("GET / HTTP/1.10"), "done"},
      {line("\rGET / HTTP/1.1"), bad_method},
      {line("get / HTTP/1.1"), bad_method},
      {line("G1 / HTTP/1.1"), bad_method},
      {line("\x16\x03\x01"), bad_method},
      {line(" GET / HTTP/1.1"), bad_method},
      {line("GET\t/ HTTP/1.1"), bad_method},
      {line("GET"), bad_method},
      {line("GET /a b HTTP/1.1"), bad_request},
      {line("GET /a\tb HTTP/1.1"), bad_request},
      {line("GET /a\x7f HTTP/1.1"), bad_request},
      {line("GET a HTTP/1.1"), bad_request},
      {line("GET * HTTP/1.1"), bad_request},
      {line("OPTIONS *x HTTP/1.1"), bad_request},
      {line("GET / http/1.1"), bad_request},
      {line("GET / HTTP/1."), bad_request},
      {line("GET / HTTP/1.x"), bad_request},
      {line("GET / HTTP/0.9"), bad_request},
      {line("GET / HTTP/01.1"), bad_request},
      {line("GET / HTTP/1.1000"), bad_request},
      {line("GET / HTTP/1.1x"), bad_request},
      {line("GET / HTTP/1.1\r"), bad_request},
      {line("GET / HTTP/2.0"), "505 client sent invalid version"},
      {line("PRI * HTTP/2.0"), bad_request},
      {line("GET / HTTP/10.1"), "505 client sent invalid version"},
  };
  for (const Case& one : cases) EXPECT_EQ(verdict(one.input), one.wanted) << one.input;
}

TEST(RequestParser, target_forms) {
  Parsed absolute("GET http://U.v:80?a=b HTTP/1.1\r\nHost: other\r\n\r\n");
  ASSERT_EQ(absolute.result, ParseResult::done);
  EXPECT_EQ(absolute.head.form, TargetForm::absolute);
  EXPECT_EQ(absolute.head.scheme, "http");
  EXPECT_EQ(absolute.head.host, "u.v");
  EXPECT_EQ(absolute.head.port, 80);
  EXPECT_EQ(absolute.head.request_uri, "/?a=b");
  EXPECT_EQ(absolute.head.args, "a=b");
  Parsed bare("GET http://u HTTP/1.1\r\nHost: u\r\n\r\n");
  EXPECT_EQ(bare.head.request_uri, "/");
  Parsed asterisk("OPTIONS * HTTP/1.1\r\nHost: u\r\n\r\n");
  EXPECT_EQ(asterisk.head.form, TargetForm::asterisk);
  EXPECT_EQ(asterisk.head.host, "u");
  Parsed authority("CONNECT [::1]:443 HTTP/1.1\r\nHost: u\r\n\r\n");
  EXPECT_EQ(authority.head.form, TargetForm::authority);
  EXPECT_EQ(authority.head.host, "[::1]");
  EXPECT_EQ(authority.head.port, 443);
  for (const char* target : {"http:///x", "http://u@h/", "http://h:x/", "http://h:65536/", "http://a..b/", "http://[::1/"}) {
    EXPECT_EQ(verdict(fairlead::format("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", target)), bad_target_host) << target;
  }
  EXPECT_EQ(verdict("GET http:/x HTTP/1.1\r\nHost: a\r\n\r\n"), bad_request);
  EXPECT_EQ(verdict("GET http://a#f HTTP/1.1\r\nHost: a\r\n\r\n"), bad_request);
  EXPECT_EQ(verdict("GET http://a:80#/f HTTP/1.1\r\nHost: a\r\n\r\n"), bad_request);
  EXPECT_EQ(verdict("CONNECT host HTTP/1.1\r\nHost: a\r\n\r\n"), bad_target_host);
  Parsed path("CONNECT /p HTTP/1.1\r\nHost: a:1\r\n\r\n");
  EXPECT_EQ(path.result, ParseResult::done);
  EXPECT_EQ(path.head.form, TargetForm::origin);
}

TEST(RequestParser, a_method_is_known_of_a_head_that_is_malformed_behind_it) {
  Parsed head("HEAD / HTTP/1.1\r\nBad Name: x\r\n\r\n");
  EXPECT_EQ(head.result, ParseResult::failed);
  EXPECT_EQ(head.head.method, Method::head);
}

TEST(RequestParser, versions_before_1_1) {
  Parsed simple("GET /x?y\r\nHost: not a header");
  ASSERT_EQ(simple.result, ParseResult::done);
  EXPECT_EQ(simple.head.version_major, 0);
  EXPECT_EQ(simple.head.version_minor, 9);
  EXPECT_EQ(simple.parser.consumed(), 10u);
  EXPECT_FALSE(simple.head.framing.keep_alive);
  EXPECT_EQ(verdict("GET / \n"), "done");
  EXPECT_EQ(verdict("POST /\r\n"), "400 client sent invalid method in HTTP/0.9 request");
  EXPECT_EQ(verdict("GET / HTTP/1.0\n\n"), "done");
  EXPECT_TRUE(Parsed("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").head.framing.keep_alive);
  EXPECT_FALSE(Parsed("GET / HTTP/1.0\r\n\r\n").head.framing.keep_alive);
  EXPECT_FALSE(Parsed("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n").head.framing.keep_alive);
  EXPECT_EQ(verdict("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "400 client sent HTTP/1.0 request with \"Transfer-Encoding\" header");
}

// Anything here that were accepted could be read in two ways by two servers in a row.
TEST(RequestParser, refuses_what_smuggling_needs) {
  const Case cases[] = {
      {with("Content-Length: 5\r\nContent-Length: 5\r\n"), duplicate},
      {with("Content-Length: 5\r\nContent-Length: 6\r\n"), duplicate},
      {with("Content-Length: 5\r\ncontent-length: 6\r\n"), duplicate},
      {with("Content-Length: 5, 5\r\n"), bad_length},
      {with("Content-Length: +5\r\n"), bad_length},
      {with("Content-Length: -5\r\n"), bad_length},
      {with("Content-Length: 0x5\r\n"), bad_length},
      {with("Content-Length: 5 5\r\n"), bad_length},
      {with("Content-Length:\r\n"), bad_length},
      {with("Content-Length: 9223372036854775807\r\n"), "done"},
      {with("Content-Length: 9223372036854775808\r\n"), bad_length},
      {with("Content-Length: 99999999999999999999999\r\n"), bad_length},
      {with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), both},
      {with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), both},
      {with("Transfer-Encoding: CHUNKED\r\n"), "done"},
      {with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), duplicate},
      {with("Transfer-Encoding: chunked, chunked\r\n"), unknown_coding},
      {with("Transfer-Encoding: gzip, chunked\r\n"), unknown_coding},
      {with("Transfer-Encoding: identity\r\n"), unknown_coding},
      {with("Transfer-Encoding: identity\r\nContent-Length: 5\r\n"), unknown_coding},
      {with("Transfer-Encoding: xchunked\r\n"), unknown_coding},
      {with("Transfer-Encoding: chunked;q=1\r\n"), unknown_coding},
      {with("Transfer-Encoding: \"chunked\"\r\n"), unknown_coding},
      {with("Transfer-Encoding:\r\n"), unknown_coding},
      {with("Transfer-Encoding: chu\r\n nked\r\n"), bad_line},
      {with("Transfer-Encoding:\x0b" "chunked\r\n"), bad_line},
      {with("Transfer-Encoding : chunked\r\n"), bad_line},
      {with("Transfer-Encoding\t: chunked\r\n"), bad_line},
      {with(" Transfer-Encoding: chunked\r\n"), bad_line},
      {with("X: y\rTransfer-Encoding: chunked\r\n"), bad_line},
      {with("X: y\r\rTransfer-Encoding: chunked\r\n"), bad_line},
      {with("X: a\r\n b\r\n"), bad_line},
      {with("X: a\r\n\tb\r\n"), bad_line},
      {with(std::string("X: a\0b\r\n", 8)), bad_line},
      {with(std::string("X\0Y: b\r\n", 8)), bad_line},
      {with("X: a\x01\r\n"), bad_line},
      {with("X: a\x7f\r\n"), bad_line},
      {with("X\x01: a\r\n"), bad_line},
      {with("X Y: a\r\n"), bad_line},
      {with(": a\r\n"), bad_line},
      {with("novalue\r\n"), bad_line},
      {with("\rX: a\r\n"), bad_line},
      {with("Host: a\r\n"), "400 client sent duplicate host header"},
      {"GET http://a/ HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", "400 client sent duplicate host header"},
      {"GET / HTTP/1.1\r\n\r\n", "400 client sent HTTP/1.1 request without \"Host\" header"},
      {"GET http://a/ HTTP/1.1\r\n\r\n", "400 client sent HTTP/1.1 request without \"Host\" header"},
      {"GET / HTTP/1.1\nHost: a\nX: y\n\n", "done"},
      {with("X: tab\there, high \xff\r\n"), "done"},
  };
  for (const Case& one : cases) EXPECT_EQ(verdict(one.input), one.wanted) << one.input;
}

TEST(RequestParser, host_header_syntax) {
  const Case cases[] = {
      {"a", "done"}, {"A.b-c_d", "done"}, {"a.", "done"}, {"a:", "done"}, {"a:80", "done"}, {"[::1]:8", "done"}, {"[::1]", "done"},
      {"a%20b", "done"}, {"a:65535", "done"}, {"1.2.3.4", "done"},
      {"", bad_host}, {".", bad_host}, {":80", bad_host}, {"a..b", bad_host}, {"a:b", bad_host}, {"a:65536", bad_host},
      {"a:80:80", bad_host}, {"a/b", bad_host}, {"a b", bad_host}, {"a@b", bad_host}, {"a?b", bad_host}, {"[::1", bad_host},
      {"[]", bad_host}, {"[::1]x", bad_host}, {"[g::1]", bad_host}, {"a[::1]", bad_host}, {"a%2", bad_host}, {"\xc3\xa4", bad_host},
      {"a\\b", bad_host}, {"a,b@c", bad_host}, {"a:-1", bad_host},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(verdict(fairlead::format("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", one.input)), one.wanted) << one.input;
  }
  EXPECT_EQ(Parsed("GET / HTTP/1.1\r\nHost: WWW.A.:1\r\n\r\n").head.host, "www.a");
}

TEST(RequestParser, repeated_headers) {
  for (const char* name : {"If-Match", "If-None-Match", "If-Range", "If-Modified-Since", "If-Unmodified-Since", "Authorization",
                           "Content-Type", "Content-Encoding", "Content-Range", "Expect"}) {
    EXPECT_EQ(verdict(with(fairlead::format("{0}: x\r\n{0}: x\r\n", name))), duplicate) << name;
  }
  Parsed p(with("Cookie: a=b\r\nX-A: 1\r\ncookie: c=d\r\nx-a: 2\r\nAccept: t\r\nAccept: u\r\n"));
  ASSERT_EQ(p.result, ParseResult::done);
  EXPECT_EQ(p.head.headers.joined(KnownHeader::cookie), "a=b; c=d");
  EXPECT_EQ(p.head.headers.joined("X-A"), "1, 2");
  EXPECT_EQ(p.head.headers.joined(KnownHeader::accept), "t, u");
}

TEST(RequestParser, names_of_headers) {
  std::string odd = with("a_b: 1\r\na.b: 2\r\na@b: 3\r\na\x80: 4\r\nab: 5\r\n");
  Parsed dropping(odd);
  ASSERT_EQ(dropping.result, ParseResult::done);
  ASSERT_TRUE(dropping.head.dropped);
  EXPECT_EQ(dropping.head.dropped->size(), 4u);
  EXPECT_EQ(dropping.head.dropped->begin()->name, "a_b");
  EXPECT_EQ(dropping.head.dropped->begin()->value, "1");
  EXPECT_EQ(dropping.head.headers.size(), 2u);
  HeadRules underscores;
  underscores.underscores = true;
  Parsed with_underscores(odd, underscores);
  ASSERT_TRUE(with_underscores.head.dropped);
  EXPECT_EQ(with_underscores.head.dropped->size(), 3u);
  HeadRules keep;
  keep.ignore_invalid_headers = false;
  EXPECT_EQ(Parsed(with("a_b: 1\r\na.b: 2\r\n"), keep).head.headers.size(), 3u);
  EXPECT_EQ(verdict(with("a@b: 1\r\n"), keep), bad_line);
}

TEST(RequestParser, limits) {
  HeadRules rules;
  rules.line_bytes_max = 40;
  rules.head_bytes_max = 100;
  rules.headers_max = 3;
  std::string line = "GET /" + std::string(40 - 16, 'x') + " HTTP/1.1\r\n";
  ASSERT_EQ(line.size(), 40u);
  EXPECT_EQ(verdict(line + "Host: a\r\n\r\n", rules), "done");
  EXPECT_EQ(verdict("GET /" + std::string(40 - 15, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", rules), "414 client sent too long URI");
  EXPECT_EQ(verdict("GET /" + std::string(100, 'x'), rules), "414 client sent too long URI");
  EXPECT_EQ(verdict(with("X: " + std::string(35, 'x') + "\r\n"), rules), "done");
  EXPECT_EQ(verdict(with("X: " + std::string(36, 'x') + "\r\n"), rules), "494 client sent too long header line");
  EXPECT_EQ(verdict(with(std::string(41, 'x')), rules), "494 client sent too long header line");
  EXPECT_EQ(verdict(with("X: " + std::string(35, 'x') + "\r\nY: " + std::string(35, 'x') + "\r\n"), rules),
            "494 client sent too large request");
  EXPECT_EQ(verdict(with("a:\r\nb:\r\n"), rules), "done");
  EXPECT_EQ(verdict(with("a:\r\nb:\r\nc:\r\n"), rules), "400 client sent too many header lines");
  EXPECT_EQ(verdict(with("a:\r\nb_:\r\nc:\r\n"), rules), "400 client sent too many header lines");
  EXPECT_EQ(verdict(with("a: 1\r\nb: 2\r\n"), rules), "done");
  EXPECT_EQ(verdict(with("a: 1\r\nb: 2\r\nc: 3\r\n"), rules), "400 client sent too many header lines");
  EXPECT_EQ(verdict(with("a: 1\r\nb_: 2\r\nc: 3\r\n"), rules), "400 client sent too many header lines");
  EXPECT_EQ(verdict(std::string(101, '\n'), rules), bad_request);
}

// As if the server of host "b" had other rules.
class OfHostB final : public HostRules {
 public:
  explicit OfHostB(const HeadRules& rules) : rules_(rules) {}
  const HeadRules& rules_for(std::string_view host) const override { return host == "b" ? rules_ : others_; }

 private:
  const HeadRules& rules_;
  HeadRules others_;
};

size_t fields_kept(std::string_view input, const HeadRules& of_b, size_t piece) {
  HeadRules first;
  OfHostB hosts(of_b);
  Arena::Owner arena = Arena::open(1024);
  RequestHead head(*arena);
  RequestParser parser(head, first, &hosts);
  ParseResult result = ParseResult::need_more;
  for (size_t end = std::min(piece, input.size()); result == ParseResult::need_more; end = std::min(end + piece, input.size())) {
    result = parser.parse(input.substr(0, end));
    if (end == input.size()) break;
  }
  return result == ParseResult::done ? head.headers.size() : 0;
}

TEST(RequestParser, rules_of_the_host_hold_behind_it) {
  HeadRules of_b;
  of_b.underscores = true;
  of_b.line_bytes_max = 30;
  const std::string line = "GET / HTTP/1.1\r\n", odd = "x_y: 1\r\n", end = "\r\n", longer = "Long: " + std::string(30, 'x') + "\r\n";
  struct {
    std::string input;
    size_t kept;
  } cases[] = {
      {line + "Host: a\r\n" + odd + end, 1},
      {line + "Host: b\r\n" + odd + end, 2},
      {line + "Host: B.:80\r\n" + odd + end, 2},
      {line + odd + "Host: b\r\n" + end, 1},
      {line + "Host: a\r\n" + longer + end, 2},
      {line + "Host: b\r\n" + longer + end, 0},
      {line + longer + "Host: b\r\n" + end, 2},
      {"GET http://b/ HTTP/1.1\r\nHost: a\r\n" + odd + end, 2},
      {"GET http://a?b HTTP/1.1\r\nHost: b\r\n" + odd + end, 1},
      {"CONNECT b:1 HTTP/1.1\r\nHost: a\r\n" + odd + end, 2},
      {"GET /http://b/ HTTP/1.1\r\nHost: a\r\n" + odd + end, 1},
      {"GET / HTTP/1.0\r\n" + odd + "A: 1\r\n" + end, 1},
  };
  for (const auto& one : cases)
    for (size_t piece : {size_t{1}, size_t{7}, one.input.size()})
      EXPECT_EQ(fields_kept(one.input, of_b, piece), one.kept) << one.input << piece;
}

// What a log says of a request that was refused.
TEST(RequestParser, tells_what_is_known_of_a_head_that_failed) {
  std::string line = "GET /a?b HTTP/1.1\r\n", host = "Host: x.y\r\n";
  EXPECT_EQ(answer(line + host + "Bad name: 1\r\n"), "400 client sent invalid header line [Bad ] uri=[/a?b] args=[b] host=[x.y] bytes=30");
  EXPECT_EQ(answer(line + "Bad name: 1\r\n" + host), "400 client sent invalid header line [Bad ] uri=[/a?b] args=[b] host=[] bytes=19");
  EXPECT_EQ(answer(line + host + "Content-Length: x\r\n\r\n"),
            "400 client sent invalid \"Content-Length\" header [x] uri=[/a?b] args=[b] host=[x.y] bytes=51");
  EXPECT_EQ(answer("get / HTTP/1.1\r\n"), "400 client sent invalid method [] uri=[] args=[] host=[] bytes=0");

  std::string part = "\r\nPOST /a HTTP/1.1\r\nHost: x\r\nCont";
  Parsed cut_off(part);
  ASSERT_EQ(cut_off.result, ParseResult::need_more);
  cut_off.parser.describe(cut_off.input);
  EXPECT_EQ(cut_off.head.request_line, "POST /a HTTP/1.1");
  EXPECT_EQ(cut_off.head.path, "/a");
  EXPECT_EQ(cut_off.head.host, "x");
  EXPECT_EQ(cut_off.head.bytes, 27u);
  Parsed no_line("GET /a");
  no_line.parser.describe(no_line.input);
  EXPECT_EQ(no_line.head.request_line, "GET /a");
  EXPECT_TRUE(no_line.head.request_uri.empty());
}

// Fields behind the length of a line, counted from the first, are read as those before it.
TEST(RequestParser, a_section_may_be_longer_than_a_line) {
  HeadRules rules;
  rules.line_bytes_max = 40;
  std::string fields;
  for (char name = 'a'; name <= 'f'; ++name) fields += std::string(1, name) + ": " + std::string(20, name) + "\r\n";
  EXPECT_EQ(verdict(with(fields), rules), "done");
  EXPECT_EQ(verdict(with(fields + "Host: b\r\n"), rules), "400 client sent duplicate host header");
  EXPECT_EQ(verdict(with(fields + "z: " + std::string(35, 'x') + "\r\n"), rules), "done");
  EXPECT_EQ(verdict(with(fields + "z: " + std::string(36, 'x') + "\r\n"), rules), "494 client sent too long header line");
}

TEST(RequestParser, connection_facts) {
  EXPECT_FALSE(Parsed(with("Connection: Close\r\n")).head.framing.keep_alive);
  EXPECT_FALSE(Parsed(with("Connection: x\r\nConnection: y , close\r\n")).head.framing.keep_alive);
  EXPECT_TRUE(Parsed(with("Connection: closed\r\n")).head.framing.keep_alive);
  EXPECT_EQ(Parsed(with("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n")).head.upgrade, "websocket");
  EXPECT_EQ(Parsed(with("Upgrade: websocket\r\n")).head.upgrade, "");
  EXPECT_TRUE(Parsed(with("Expect: 100-Continue\r\n")).head.expect_continue);
  EXPECT_FALSE(Parsed(with("Expect: 200-ok\r\n")).head.expect_continue);
}

TEST(RequestParser, stage_is_visible) {
  Arena::Owner arena = Arena::open(1024);
  RequestHead head(*arena);
  HeadRules rules;
  RequestParser parser(head, rules);
  std::string text = "\r\n";
  EXPECT_EQ(parser.parse(text), ParseResult::need_more);
  EXPECT_FALSE(parser.started());
  text += "GET";
  EXPECT_EQ(parser.parse(text), ParseResult::need_more);
  EXPECT_TRUE(parser.started());
  EXPECT_FALSE(parser.has_request_line());
  text += " / HTTP/1.1\r\n";
  EXPECT_EQ(parser.parse(text), ParseResult::need_more);
  EXPECT_TRUE(parser.has_request_line());
}

}  // namespace
}  // namespace fairlead::http::h1
