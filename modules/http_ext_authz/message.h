// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// envoy.service.auth.v3 Check as bytes: the request of a call and its reply, with gRPC's framing. Behind it is the runtime of Protocol
// Buffers, which only message.cc knows. Pure functions. Private to this folder.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/addr.h"
#include "modules/http_ext_authz/answer.h"

namespace fairlead::http::ext_authz {

constexpr std::string_view check_method = "/envoy.service.auth.v3.Authorization/Check";

// What the service is told. Views; names of fields in any case, one entry per field of the request.
struct Asked {
  Addr source, destination;
  std::string_view source_principal, destination_principal, source_certificate;
  int64_t wall_ms = 0;
  std::string_view id, method, path, host, scheme, protocol;
  int64_t body_bytes = -1;  // of the client's body; -1: unknown
  std::string_view body;    // what is told of it
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  std::vector<std::pair<std::string_view, std::string_view>> context;
};

// The framed message of the call.
std::string encode_check(const Asked& asked);

// The framed message of a reply whose grpc-status is 0.
Answer decode_check(std::string_view framed);

}  // namespace fairlead::http::ext_authz
