// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Texts of gRPC and gRPC-Web clients: base64 decodes alike whole and in pieces, and what was encoded comes back; a deadline that is read is
// written as one that is no longer; types translate there and back. The first byte chooses where the pieces part.
#include "core/base/encoding.h"
#include "modules/http_grpc/status.h"
#include "modules/http_grpc/web.h"
#include "t/fuzz/require.h"

using fairlead::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace fairlead;
  using namespace fairlead::http::grpc;
  if (size == 0) return 0;
  std::string_view input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  size_t cut = input.empty() ? 0 : bytes[0] % input.size();

  Base64Decoder whole, parts;
  std::string at_once, in_two;
  bool good = whole.decode(input, at_once);
  bool good_in_two = parts.decode(input.substr(0, cut), in_two) && parts.decode(input.substr(cut), in_two);
  require(good == good_in_two, "pieces are judged in another way");
  if (good) require(at_once == in_two && whole.is_whole() == parts.is_whole(), "pieces decode in another way");
  Base64Decoder back;
  std::string again;
  require(back.decode(base64(input.substr(0, cut)), again) && back.decode(base64(input.substr(cut)), again), "not its own inverse");
  require(again == input && back.is_whole(), "not its own inverse");

  if (auto ms = parse_timeout_ms(input)) {
    auto left = parse_timeout_ms(write_timeout(*ms));
    require(left && *left <= *ms && *left > 0, "a deadline grew");
  }
  (void)condition_of(input);
  require(encode_message(input).find_first_of("\r\n") == std::string::npos, "a message ends a field");

  Arena::Owner arena = Arena::open(1024);
  WebKind kind = web_kind_of(input);
  if (kind != WebKind::none) {
    std::string_view type = grpc_type_of(input, *arena);
    require(is_grpc_type(type), "not a gRPC type");
    require(web_kind_of(web_type_of(type, kind, *arena)) == kind, "a type does not come back");
  }
  return 0;
}
