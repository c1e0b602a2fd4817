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
  EXPECT_EQ(Reading({{":method", "get"}, {":authority", "h"}, {":path", "/"}}).reader.fault().status, 400);
  EXPECT_EQ(Reading({{":method", "GET"}, {":authority", "h"}, {":path", "a"}}).reader.fault().status, 400);
  EXPECT_EQ(Reading({{":method", "GET"}, {":authority", "h"}, {":path", "/" + std::string(9000, 'x')}}).reader.fault().status, 414);
  EXPECT_EQ(Reading({{":method", "GET"}, {":path", "/"}}).reader.fault().status, 400);
  EXPECT_EQ(Reading({{":method", "GET"}, {":authority", "a:99999"}, {":path", "/"}}).reader.fault().status, 400);
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
  Reading refused({{":method", "GET"}, {":authority", "h"}, {":path", "/"}}, false, strict);
  refused.reader.take_invalid("b@d", "1");
  EXPECT_EQ(refused.reader.fault().status, 400);
}

TEST(HeadReader, RefusesFieldsThatNoMessageMayHave) {
  auto fault_of_invalid = [](std::string_view name, std::string_view value) {
    Reading reading({{":method", "GET"}, {":authority", "h"}, {":path", "/"}});
    reading.reader.take_invalid(name, value);
    return reading.reader.fault().status;
  };
  EXPECT_EQ(fault_of_invalid("x", "a\nb"), 400);
  EXPECT_EQ(fault_of_invalid("x", " padded"), 400);
  EXPECT_EQ(fault_of_invalid("x\r\ny", "1"), 400);
  EXPECT_EQ(fault_of_invalid(std::string_view("x\0", 2), "1"), 400);
  EXPECT_EQ(fault_of_invalid("x:y", "1"), 400);
  EXPECT_EQ(fault_of_invalid("", "1"), 400);
  EXPECT_EQ(fault_of_invalid("x y", "1"), 400);
  EXPECT_EQ(fault_of_invalid("x\xe9", "1"), 400);
  EXPECT_EQ(fault_of_invalid("x@y", "1"), 0);  // as in HTTP/1: left out
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
}

}  // namespace
}  // namespace fairlead::http::h2
