// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Check's messages by their bytes: what is written is what the published definitions say, what is read is judged strictly.
#include "modules/http_ext_authz/message.h"

#include <gtest/gtest.h>

namespace fairlead::http::ext_authz {
namespace {

using namespace std::string_literals;

std::string framed(std::string_view message) {
  std::string frame("\0\0\0", 3);
  frame += static_cast<char>(message.size() >> 8);
  frame += static_cast<char>(message.size() & 0xff);
  return frame.append(message);
}

// A field of length-delimited type.
std::string field(int number, std::string_view content) {
  std::string out;
  out += static_cast<char>(number << 3 | 2);
  out += static_cast<char>(content.size());
  return out.append(content);
}

std::string number(int field_number, int value) {
  std::string out;
  out += static_cast<char>(field_number << 3);
  for (; value >= 128; value >>= 7) out += static_cast<char>((value & 127) | 128);
  return out += static_cast<char>(value);
}

Answer decode(std::string_view message) { return decode_check(framed(message)); }

TEST(ExtAuthzMessage, TheCallAsBytes) {
  Asked asked;
  asked.source = Addr::inet(0x7f000001, 80);
  asked.destination = Addr::local("/run/x");
  asked.method = "GET";
  asked.path = "/p";
  asked.host = "h";
  asked.scheme = "http";
  asked.protocol = "HTTP/1.1";
  asked.fields = {{"X-A", "1"}, {"x-a", "2"}, {"Host", "ignored"}};
  asked.context = {{"k", "v"}};
  asked.body_bytes = 0;
  std::string call = encode_check(asked);
  EXPECT_NE(call.find(field(2, "127.0.0.1") + number(3, 80)), std::string::npos);  // SocketAddress
  EXPECT_NE(call.find(field(1, field(2, field(1, "/run/x")))), std::string::npos);  // Peer.address, Address.pipe, Pipe.path
  EXPECT_NE(call.find(field(3, field(1, "x-a") + field(2, "1,2"))), std::string::npos);  // headers
  EXPECT_NE(call.find(field(3, field(1, ":authority") + field(2, "h"))), std::string::npos);
  EXPECT_EQ(call.find("ignored"), std::string::npos);
  EXPECT_NE(call.find(field(10, field(1, "k") + field(2, "v"))), std::string::npos);  // context_extensions
  EXPECT_NE(call.find(field(10, "HTTP/1.1")), std::string::npos);
  ASSERT_GT(call.size(), 5u);
  EXPECT_EQ(call.substr(0, 3), "\0\0\0"s);
  EXPECT_EQ(static_cast<unsigned char>(call[3]) * 256u + static_cast<unsigned char>(call[4]), call.size() - 5);
}

TEST(ExtAuthzMessage, Consent) {
  std::string set = field(2, field(1, field(1, "x-user") + field(2, "alice")));
  std::string appended = field(2, field(1, field(1, "x-b") + field(2, "2")) + field(2, number(1, 1)));
  std::string absent = field(2, field(1, field(1, "x-c") + field(3, "raw")) + number(3, 1));
  std::string client = field(6, field(1, field(1, "x-d") + field(2, "4")));
  Answer answer = decode(field(1, "") + field(3, set + appended + absent + client + field(5, "cookie")));
  ASSERT_EQ(answer.kind, Answer::Kind::allowed);
  ASSERT_EQ(answer.to_upstream.size(), 3u);
  EXPECT_EQ(answer.to_upstream[0].how, FieldChange::How::set);
  EXPECT_EQ(answer.to_upstream[1].how, FieldChange::How::append);
  EXPECT_EQ(answer.to_upstream[2].how, FieldChange::How::if_absent);
  EXPECT_EQ(answer.to_upstream[2].value, "raw");
  ASSERT_EQ(answer.to_client.size(), 1u);
  EXPECT_EQ(answer.removed, std::vector<std::string>{"cookie"});
}

TEST(ExtAuthzMessage, DenialsAndWhatIsNoAnswer) {
  Answer denied = decode(field(1, number(1, 7)) + field(2, field(1, number(1, 429)) + field(3, "busy")));
  EXPECT_EQ(denied.kind, Answer::Kind::denied);
  EXPECT_EQ(denied.status, 429);
  EXPECT_EQ(denied.body, "busy");
  EXPECT_EQ(decode(field(1, number(1, 7))).status, 403);
  EXPECT_EQ(decode(field(1, number(1, 7)) + field(2, field(1, number(1, 200)))).status, 403);
  EXPECT_EQ(decode(field(1, number(1, 7)) + field(3, "")).kind, Answer::Kind::denied) << "the status decides";
  EXPECT_EQ(decode(field(3, "")).kind, Answer::Kind::allowed);
  EXPECT_EQ(decode(field(1, "")).kind, Answer::Kind::allowed);
  for (std::string message : {""s, "\xff"s, field(1, "") + field(2, ""), field(2, "")})
    EXPECT_EQ(decode(message).kind, Answer::Kind::failed);
  EXPECT_EQ(decode_check("").kind, Answer::Kind::failed);
  EXPECT_EQ(decode_check("\0\0\0\0"s).kind, Answer::Kind::failed);
  EXPECT_EQ(decode_check("\1\0\0\0\2\x0a\0"s).kind, Answer::Kind::failed) << "compressed";
  EXPECT_EQ(decode_check("\0\0\0\0\2\x0a\0x"s).kind, Answer::Kind::failed) << "longer";
  EXPECT_EQ(decode_check("\0\xff\xff\xff\xff\x0a\0"s).kind, Answer::Kind::failed) << "shorter";
}

}  // namespace
}  // namespace fairlead::http::ext_authz
