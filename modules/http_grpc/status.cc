// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_grpc/status.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"

namespace fairlead::http::grpc {

Code code_of_status(unsigned http_status) {
  switch (http_status) {
    case 400: return Code::internal;
    case 401: return Code::unauthenticated;
    case 403: return Code::permission_denied;
    case 404: return Code::unimplemented;
    case 429: case 502: case 503: case 504: return Code::unavailable;
    default: return Code::unknown;
  }
}

Next condition_of(std::string_view grpc_status) {
  auto number = parse_decimal(grpc_status);
  if (!number) return Next::none;
  switch (*number) {
    case static_cast<uint64_t>(Code::cancelled): return Next::grpc_cancelled;
    case static_cast<uint64_t>(Code::deadline_exceeded): return Next::grpc_deadline;
    case static_cast<uint64_t>(Code::resource_exhausted): return Next::grpc_resource_exhausted;
    case static_cast<uint64_t>(Code::internal): return Next::grpc_internal;
    case static_cast<uint64_t>(Code::unavailable): return Next::grpc_unavailable;
    default: return Next::none;
  }
}

std::optional<uint64_t> parse_timeout_ms(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  auto number = parse_decimal(text.substr(0, text.size() - 1));
  if (!number) return std::nullopt;
  uint64_t ms = 0;
  switch (text.back()) {
    case 'H': ms = *number * 3'600'000; break;
    case 'M': ms = *number * 60'000; break;
    case 'S': ms = *number * 1000; break;
    case 'm': ms = *number; break;
    case 'u': ms = (*number + 999) / 1000; break;
    case 'n': ms = (*number + 999'999) / 1'000'000; break;
    default: return std::nullopt;
  }
  return std::max<uint64_t>(ms, 1);
}

std::string write_timeout(uint64_t ms) {
  constexpr uint64_t digits_max = 99'999'999;
  if (ms <= digits_max) return format("{}m", ms);
  return format("{}S", std::min(ms / 1000, digits_max));
}

std::string encode_message(std::string_view text) {
  std::string out;
  for (char byte : text) {
    if (byte >= 0x20 && byte <= 0x7e && byte != '%') out += byte;
    else out += format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(byte)));
  }
  return out;
}

bool is_grpc_type(std::string_view content_type) {
  constexpr std::string_view name = "application/grpc";
  if (!starts_with_nocase(content_type, name)) return false;
  return content_type.size() == name.size() || content_type[name.size()] == '+' || content_type[name.size()] == ';';
}

}  // namespace fairlead::http::grpc
