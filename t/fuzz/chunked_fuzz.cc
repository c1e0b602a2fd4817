// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The chunked coding: any bytes, however cut, give one answer; an accepted body encoded anew decodes to the same bytes. The first byte
// chooses the limits.
#include <charconv>

#include "t/fuzz/feed.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace fairlead;
  using namespace fairlead::http;
  if (size == 0 || size > 4096) return 0;
  h1::ChunkLimits limits;
  if (bytes[0] & 1) limits = {.extension_bytes_max = 8, .trailer_bytes_max = 16, .trailer_fields_max = 2};
  std::string_view input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  std::string said = fuzz::same_in_pieces(input.size(), [&](const fuzz::Cuts& cuts) { return fuzz::feed_chunked(input, cuts, limits); });

  h1::ChunkedDecoder decoder(nullptr, limits);
  std::string encoded, body;
  auto state = h1::BodyStep::State::more;
  while (!input.empty() && state == h1::BodyStep::State::more) {
    h1::BodyStep step = decoder.step(input);
    if (step.body_bytes > 0) {
      char digits[16];
      encoded.append(digits, std::to_chars(digits, digits + sizeof digits, step.body_bytes, 16).ptr);
      encoded += "\r\n";
      encoded += step.body(input);
      encoded += "\r\n";
      body += step.body(input);
    }
    input.remove_prefix(step.consumed);
    state = step.state;
  }
  if (state != h1::BodyStep::State::done) return 0;
  encoded += "0\r\n\r\n";
  std::string again = fuzz::feed_chunked(encoded, fuzz::whole(encoded.size()), h1::ChunkLimits());
  if (again != fairlead::format("done {} body=[{}] what= fault=0\n", encoded.size(), body)) std::abort();
  return 0;
}
