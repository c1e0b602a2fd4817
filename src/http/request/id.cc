// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/id.h"

#include "core/base/encoding.h"
#include "core/base/random.h"
#include "http/request/request.h"

namespace fairlead::http {

// Of the client's request.
struct RequestId {
  std::string_view text;  // empty: nobody asked yet
};

static std::string_view make_id(Arena& arena) {
  static Random random = Random::from_system();
  uint64_t words[2] = {random.next(), random.next()};
  char* to = static_cast<char*>(arena.allocate(2 * sizeof words, 1));
  hex_to(to, {reinterpret_cast<const char*>(words), sizeof words});
  return {to, 2 * sizeof words};
}

std::string_view request_id(Request& request) {
  Request& origin = request.origin();
  RequestId& id = origin.slot<RequestId>();
  if (id.text.empty()) id.text = make_id(origin.arena());
  return id.text;
}

void set_request_id(Request& request, std::string_view id) { request.slot<RequestId>().text = id; }

}  // namespace fairlead::http
