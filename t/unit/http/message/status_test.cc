// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/status.h"

#include <gtest/gtest.h>

#include "http/message/method.h"

namespace fairlead::http {
namespace {

TEST(Status, phrases_and_lines) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(302), "Moved Temporarily");
  EXPECT_EQ(reason_phrase(408), "Request Time-out");
  EXPECT_EQ(reason_phrase(503), "Service Temporarily Unavailable");
  EXPECT_EQ(reason_phrase(418), "");
  EXPECT_EQ(reason_phrase(0), "");
  EXPECT_EQ(reason_phrase(99), "");
  EXPECT_EQ(reason_phrase(1000), "");
  for (unsigned status = 100; status < 600; ++status) {
    std::string_view line = status_line(status);
    if (line.empty()) continue;
    EXPECT_EQ(line, "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason_phrase(status)) + "\r\n");
  }
}

TEST(Status, properties) {
  EXPECT_TRUE(has_body(200));
  for (unsigned status : {100u, 101u, 204u, 304u}) EXPECT_FALSE(has_body(status));
  EXPECT_EQ(wire_status(494), 400u);
  EXPECT_EQ(wire_status(497), 400u);
  EXPECT_EQ(wire_status(404), 404u);
  EXPECT_TRUE(is_interim(103));
  EXPECT_FALSE(is_interim(101));
}

TEST(Method, names_round_trip) {
  for (unsigned i = 1; i < method_count; ++i) {
    auto method = static_cast<Method>(i);
    EXPECT_EQ(parse_method(method_name(method)), method);
  }
  for (const char* text : {"", "get", "GETS", "GE", "PROPPATCHX", "BREW"}) EXPECT_EQ(parse_method(text), Method::other);
  for (Method method : {Method::post, Method::lock, Method::patch}) EXPECT_FALSE(is_idempotent(method));
  for (Method method : {Method::get, Method::put, Method::delete_, Method::other}) EXPECT_TRUE(is_idempotent(method));
}

}  // namespace
}  // namespace fairlead::http
