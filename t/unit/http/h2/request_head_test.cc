// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h2/request_head.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace fairlead::http::h2 {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Reading {
  explicit Reading(const Fields& fields, bool has_body = false, HeadRules head_rules = {})
      : rules(head_rules), arena(Arena::open(4096)), head(*arena), reader(head, rules) {
    for (const auto& [name, value] : fields) reader.take(name, value);
    good = reader.finish(has_body);
  }
  HeadRules rules;
  Arena::Owner arena;
  RequestHead head;
  HeadReader reader;
  bool good = false;
};

Fields with(const Fields& more) {
  Fields fields = {{":method", "GET"}, {":scheme", "http"}, {":authority", "Www.Example:80"}, {":path", "/a?b=c"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

TEST(HeadReader, TakesAWholeRequest) {
  Reading r(with({{"user-agent", "u"}, {"x-own", "1"}}));
  ASSERT_TRUE(r.good);
  EXPECT_EQ(r.head.method, Method::get);
  EXPECT_EQ(r.head.request_line, "GET /a?b=c HTTP/2.0");
  EXPECT_EQ(r.head.path, "/a");
  EXPECT_EQ(r.head.args, "b=c");
  EXPECT_EQ(r.head.host, "www.example");
  EXPECT_EQ(r.head.port, 80);
  EXPECT_EQ(r.head.version_major, 2);
  EXPECT_EQ(r.head.headers.value(KnownHeader::host), "Www.Example:80");
  EXPECT_EQ(r.head.headers.value(KnownHeader::user_agent), "u");
  EXPECT_FALSE(r.head.has_body());
}

TEST(HeadReader, ABodyWithoutLengthIsOfUnknownLength) {
  EXPECT_TRUE(Reading(with({}), true).head.framing.chunked);
  Reading sized(with({{"content-length", "12"}}), true);
  EXPECT_FALSE(sized.head.framing.chunked);
  EXPECT_EQ(sized.head.framing.content_length, 12);
}

TEST(HeadReader, JoinsCookies) {
  Reading r(with({{"cookie", "a=1"}, {"x-between", "1"}, {"cookie", "b=2"}}));
  EXPECT_EQ(r.head.headers.count(KnownHeader::cookie), 1u);
  EXPECT_EQ(r.head.headers.value(KnownHeader::cookie), "a=1; b=2");
}

uint16_t fault_of(const Fields& more, HeadRules rules = {}) { return Reading(with(more), false, rules).reader.fault().status; }

TEST(HeadReader, RefusesWhatHttp1Refuses) {
  EXPECT_EQ(fault_of({{"host", "other"}}), 400);
  EXPECT_EQ(fault_of({{"host", "www.example:80"}}), 0);
  EXPECT_EQ(fault_of({{"authorization", "a"}, {"authorization", "b"}}), 400);
  EXPECT_EQ(fault_of({{"content-length", "1x"}}), 400);
  EXPECT_EQ(fault_of({{"x-long", std::string(9000, 'x')}}), 494);
  EXPECT_EQ(Reading({{":method", "get"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}}).reader.fault().status, 400);
  EXPECT_EQ(Reading({{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "a"}}).reader.fault().status, 400);
  const std::string long_path = "/" + std::string(9000, 'x');
  EXPECT_EQ(Reading({{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", long_path}}).reader.fault().status, 414);
  EXPECT_EQ(Reading({{":method", "GET"}, {":scheme", "http"}, {":path", "/"}}).reader.fault().status, 400);
  EXPECT_EQ(Reading({{":method", "GET"}, {":scheme", "http"}, {":authority", "a:99999"}, {":path", "/"}}).reader.fault().status, 400);
}

TEST(HeadReader, CountsLinesAndBytes) {
  Fields lines, bytes;
  for (int i = 0; i < 11; ++i) lines.push_back({"x-" + std::to_string(i), "v"});
  HeadRules ten;
  ten.headers_max = 10;
  EXPECT_EQ(fault_of(lines, ten), 400);
  for (int i = 0; i < 5; ++i) bytes.push_back({"x-" + std::to_string(i), std::string(8000, 'v')});
  EXPECT_EQ(fault_of(bytes), 494);
}

TEST(HeadReader, DropsOrRefusesInvalidNamesAsConfigured) {
  Reading dropped(with({{"a_b", "1"}}));
  EXPECT_TRUE(dropped.good);
  EXPECT_EQ(dropped.head.headers.find("a_b"), nullptr);
  HeadRules underscores;
  underscores.underscores = true;
  EXPECT_NE(Reading(with({{"a_b", "1"}}), false, underscores).head.headers.find("a_b"), nullptr);
  HeadRules strict;
  strict.ignore_invalid_headers = false;
  EXPECT_EQ(fault_of({{"b@d", "1"}}, strict), 400);
  EXPECT_EQ(fault_of({{"b@d", "1"}}), 0);
}

TEST(HeadReader, KnowsWhichRequestsAreMalformed) {
  auto is_malformed_with = [](const std::string& name, const std::string& value) {
    Reading reading(with({{name, value}}));
    EXPECT_EQ(reading.good, reading.reader.fault().status == 0);
    return reading.reader.is_malformed();
  };
  const std::pair<std::string, std::string> wrong[] = {
      {"x", "a\nb"}, {"x", " padded"}, {"x", "padded\t"}, {"x", "a\x01"}, {"x", std::string("a\0b", 3)}, {"x\r\ny", "1"},
      {std::string("x\0", 2), "1"}, {"x:y", "1"}, {"", "1"}, {"x y", "1"}, {"x\xe9", "1"}, {"X-Upper", "1"}, {"Host", "h"},
      {"connection", "close"}, {"keep-alive", "1"}, {"proxy-connection", "1"}, {"transfer-encoding", "chunked"}, {"upgrade", "x"},
      {"te", "gzip"}, {"te", "trailers, gzip"}, {":path", "/"}, {":method", "GET"}, {":status", "200"}, {":own", "1"}, {":", "1"},
      {"content-length", "1"}};
  for (const auto& [name, value] : wrong) EXPECT_TRUE(is_malformed_with(name, value)) << name << ": " << value;
  const std::pair<std::string, std::string> right[] = {{"x", ""}, {"x", "a \t b"}, {"x", "\xe9"}, {"te", "trailers"}, {"x@y", "1"},
                                                      {"x_y", "1"}, {"content-length", "0"}, {"host", "other"}, {"content-length", "x"}};
  for (const auto& [name, value] : right) EXPECT_FALSE(is_malformed_with(name, value)) << name << ": " << value;
}

TEST(HeadReader, WantsItsPseudoHeadersOnceAndFirst) {
  const Fields whole = with({});
  for (size_t left_out : {0u, 1u, 3u}) {
    Fields fields = whole;
    fields.erase(fields.begin() + static_cast<ptrdiff_t>(left_out));
    EXPECT_TRUE(Reading(fields).reader.is_malformed()) << whole[left_out].first;
    fields.push_back(whole[left_out]);
    EXPECT_TRUE(Reading(fields).good);
    fields.insert(fields.begin(), {"x", "1"});
    EXPECT_TRUE(Reading(fields).reader.is_malformed());
    fields = whole;
    fields[left_out].second = "";
    EXPECT_TRUE(Reading(fields).reader.is_malformed()) << whole[left_out].first;
  }
  auto get = [](std::string scheme, std::string path) {
    Reading reading({{":method", "GET"}, {":scheme", std::move(scheme)}, {":authority", "h"}, {":path", std::move(path)}});
    return reading.reader.is_malformed();
  };
  EXPECT_FALSE(get("my+own-2.x", "/"));
  EXPECT_TRUE(get("2x", "/"));
  EXPECT_TRUE(get("a$", "/"));
  EXPECT_TRUE(get("http", "*"));
  EXPECT_TRUE(get("http", "http://h/"));
  EXPECT_TRUE(get("http", "/a b"));
}

TEST(HeadReader, KnowsBothKindsOfConnect) {
  Reading plain({{":method", "CONNECT"}, {":authority", "h:443"}});
  ASSERT_TRUE(plain.good);
  EXPECT_EQ(plain.head.form, TargetForm::authority);
  EXPECT_EQ(plain.head.request_line, "CONNECT h:443 HTTP/2.0");
  Reading extended({{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/chat"}});
  ASSERT_TRUE(extended.good);
  EXPECT_TRUE(extended.head.is_extended_connect);
  EXPECT_EQ(extended.head.method, Method::get);
  EXPECT_EQ(extended.head.upgrade, "websocket");
  EXPECT_EQ(extended.head.headers.value(KnownHeader::sec_websocket_key).size(), 24u);
  EXPECT_EQ(extended.head.path, "/chat");
  Reading unknown({{":method", "CONNECT"}, {":protocol", "tcp"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}});
  EXPECT_EQ(unknown.reader.fault().status, 501);
  EXPECT_TRUE(Reading({{":method", "CONNECT"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}}).reader.is_malformed());
  EXPECT_TRUE(Reading(with({{":protocol", "websocket"}})).reader.is_malformed());
}

}  // namespace
}  // namespace fairlead::http::h2
