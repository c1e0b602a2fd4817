// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_grpc/status.h"

#include <gtest/gtest.h>

namespace fairlead::http::grpc {
namespace {

TEST(GrpcStatus, StandsForHttpErrors) {
  EXPECT_EQ(code_of_status(400), Code::internal);
  EXPECT_EQ(code_of_status(401), Code::unauthenticated);
  EXPECT_EQ(code_of_status(403), Code::permission_denied);
  EXPECT_EQ(code_of_status(404), Code::unimplemented);
  for (unsigned status : {429u, 502u, 503u, 504u}) EXPECT_EQ(code_of_status(status), Code::unavailable);
  for (unsigned status : {402u, 413u, 499u, 500u}) EXPECT_EQ(code_of_status(status), Code::unknown);
}

TEST(GrpcStatus, MeetsConditions) {
  EXPECT_EQ(condition_of("1"), Next::grpc_cancelled);
  EXPECT_EQ(condition_of("4"), Next::grpc_deadline);
  EXPECT_EQ(condition_of("8"), Next::grpc_resource_exhausted);
  EXPECT_EQ(condition_of("13"), Next::grpc_internal);
  EXPECT_EQ(condition_of("14"), Next::grpc_unavailable);
  for (const char* text : {"0", "2", "5", "16", "", "x", "1x", "-1", "99999999999999999999"})
    EXPECT_EQ(condition_of(text), Next::none) << text;
}

TEST(GrpcTimeout, IsReadInAllUnits) {
  EXPECT_EQ(parse_timeout_ms("2H"), 7'200'000u);
  EXPECT_EQ(parse_timeout_ms("3M"), 180'000u);
  EXPECT_EQ(parse_timeout_ms("4S"), 4000u);
  EXPECT_EQ(parse_timeout_ms("250m"), 250u);
  EXPECT_EQ(parse_timeout_ms("1500u"), 2u);
  EXPECT_EQ(parse_timeout_ms("1n"), 1u);
  EXPECT_EQ(parse_timeout_ms("0S"), 1u);
  EXPECT_EQ(parse_timeout_ms("99999999H"), 99'999'999u * uint64_t{3'600'000});
}

TEST(GrpcTimeout, RefusesOtherTexts) {
  for (const char* text : {"", "S", "5", "5s", "5x", "123456789S", "-1S", "1.5S", " 1S", "1 S"})
    EXPECT_FALSE(parse_timeout_ms(text).has_value()) << text;
}

TEST(GrpcTimeout, IsWrittenInAtMostEightDigits) {
  EXPECT_EQ(write_timeout(1), "1m");
  EXPECT_EQ(write_timeout(99'999'999), "99999999m");
  EXPECT_EQ(write_timeout(100'000'000), "100000S");
  EXPECT_EQ(write_timeout(UINT64_MAX), "99999999S");
}

TEST(GrpcMessage, IsPercentEncoded) {
  EXPECT_EQ(encode_message("Bad Gateway"), "Bad Gateway");
  EXPECT_EQ(encode_message("100%\n\xc3\xa4"), "100%25%0A%C3%A4");
}

TEST(GrpcType, IsToldFromOthers) {
  for (const char* text : {"application/grpc", "application/grpc+proto", "Application/GRPC;v=1"}) EXPECT_TRUE(is_grpc_type(text)) << text;
  for (const char* text : {"", "application/grpc-web", "application/grpc-web+proto", "application/json"})
    EXPECT_FALSE(is_grpc_type(text)) << text;
}

}  // namespace
}  // namespace fairlead::http::grpc
