// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Paths: what normalising gives is safe to join to a folder, stays as it is when escaped and normalised again, and an upstream's
// URI is never accepted with a way up. The first byte chooses merge_slashes.
#include "http/message/authority.h"
#include "http/message/uri.h"
#include "t/fuzz/require.h"

using fairlead::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace fairlead;
  using namespace fairlead::http;
  if (size == 0) return 0;
  bool merge = (bytes[0] & 1) == 0;
  std::string_view input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  Arena::Owner arena = Arena::open(1024);
  if (Result<Uri> uri = normalise_uri(input, merge, *arena)) {
    require(is_safe_path(uri->path) && uri->path[0] == '/', "an unsafe path");
    require(!merge || uri->path.find("//") == std::string_view::npos, "slashes not merged");
    require(uri->path.size() <= input.size(), "a path grew");
    require(uri->args.find('#') == std::string_view::npos, "a fragment in the args");
    std::string_view back = escaped(Escape::uri, uri->path, *arena);
    Result<Uri> again = normalise_uri(back, merge, *arena);
    require(again && again->path == uri->path && again->args.empty(), "escaping does not invert decoding");
  }
  if (Result<InternalUri> uri = parse_internal_uri(input, *arena)) require(is_safe_path(uri->path), "an unsafe internal URI");
  if (std::optional<Authority> authority = parse_authority(input, *arena)) {
    std::optional<Authority> again = parse_authority(authority->host, *arena);
    // "a.." is refused, so one dot is all there was to remove.
    require(again && again->host == authority->host && again->port == 0, "a host is not its own normal form");
  }
  return 0;
}
