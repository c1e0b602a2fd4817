// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h1/write.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead::http::h1 {
namespace {

class Write : public testing::Test {
 protected:
  std::string written() {
    writer.flush();
    std::string text;
    for (size_t i = 0; i < chain.count(); ++i) text += chain[i].view();
    chain.clear();
    return text;
  }
  Arena::Owner arena = Arena::open(1024);
  Headers headers{*arena};
  Chain chain;
  ChainWriter writer{chain, 64};
};

TEST_F(Write, request_head) {
  headers.add(KnownHeader::host, "a");
  headers.add("X-Empty", "");
  write_request_head(writer, {"GET", "/x?y", 1}, headers);
  EXPECT_EQ(written(), "GET /x?y HTTP/1.1\r\nHost: a\r\nX-Empty: \r\n\r\n");
  write_request_head(writer, {"POST", "/", 0}, headers, {Length::known, ConnectionOption::close, 5});
  EXPECT_EQ(written(), "POST / HTTP/1.0\r\nHost: a\r\nX-Empty: \r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
}

TEST_F(Write, status_lines) {
  write_response_head(writer, {200, "", 1}, headers);
  EXPECT_EQ(written(), "HTTP/1.1 200 OK\r\n\r\n");
  write_response_head(writer, {404, "", 0}, headers);
  EXPECT_EQ(written(), "HTTP/1.0 404 Not Found\r\n\r\n");
  write_response_head(writer, {418, "", 1}, headers);
  EXPECT_EQ(written(), "HTTP/1.1 418 \r\n\r\n");
  write_response_head(writer, {200, "Fine", 0}, headers);
  EXPECT_EQ(written(), "HTTP/1.0 200 Fine\r\n\r\n");
  write_response_head(writer, {999, "", 1}, headers);
  EXPECT_EQ(written(), "HTTP/1.1 999 \r\n\r\n");
}

TEST_F(Write, never_frames_twice) {
  headers.add(KnownHeader::content_length, "7");
  headers.add(KnownHeader::transfer_encoding, "gzip");
  headers.add(KnownHeader::connection, "x");
  headers.add("A", "b");
  write_response_head(writer, {200, "", 1}, headers, {Length::chunked, ConnectionOption::keep_alive, 0});
  EXPECT_EQ(written(), "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n");
  write_response_head(writer, {200, "", 1}, headers, {Length::none, ConnectionOption::none, 0});
  EXPECT_EQ(written(), "HTTP/1.1 200 OK\r\nA: b\r\n\r\n");
  write_response_head(writer, {200, "", 1}, headers, {Length::known, ConnectionOption::upgrade, 18446744073709551615u});
  EXPECT_EQ(written(), "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 18446744073709551615\r\nConnection: upgrade\r\n\r\n");
}

TEST_F(Write, a_head_larger_than_a_segment_stays_whole) {
  std::string value(5000, 'v');
  for (int i = 0; i < 50; ++i) headers.add("Name", value);
  write_response_head(writer, {200, "", 1}, headers);
  EXPECT_EQ(written().size(), 17 + headers.bytes() + 2);
}

}  // namespace
}  // namespace fairlead::http::h1
