// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// gRPC's own vocabulary in HTTP: status codes, time-outs, messages. Plain functions over texts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/forward/conf.h"

namespace fairlead::http::grpc {

// The codes that something here decides about; others pass as numbers.
enum class Code : uint8_t {
  ok = 0, cancelled = 1, unknown = 2, deadline_exceeded = 4, permission_denied = 7, resource_exhausted = 8, unimplemented = 12,
  internal = 13, unavailable = 14, unauthenticated = 16,
};

// What an answer of ours stands for (Envoy's map).
Code code_of_status(unsigned http_status);
// The condition of grpc_next_upstream that a "grpc-status" value meets; none if it meets none.
Next condition_of(std::string_view grpc_status);

// "100m": at most eight digits and one of H M S m u n. Milliseconds, rounded up; at least 1. Nothing: malformed.
std::optional<uint64_t> parse_timeout_ms(std::string_view text);
// The reverse, for what is left.
std::string write_timeout(uint64_t ms);

// Percent-encoded as "grpc-message" wants it.
std::string encode_message(std::string_view text);

// "application/grpc", "application/grpc+proto" and the like, not "application/grpc-web".
bool is_grpc_type(std::string_view content_type);

}  // namespace fairlead::http::grpc
