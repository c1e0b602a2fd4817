// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Request and response heads: any bytes, however cut, give one answer, and what the parser accepts survives being written and parsed
// again. The first byte chooses the rules.
#include "core/base/buffer.h"
#include "http/h1/write.h"
#include "t/fuzz/feed.h"
#include "t/fuzz/require.h"

namespace {

using namespace fairlead;
using namespace fairlead::http;

using fairlead::fuzz::require;

std::string text_of(const Chain& chain) {
  std::string text;
  for (size_t i = 0; i < chain.count(); ++i) text += chain[i].view();
  return text;
}

// What would be forwarded must mean to the next server what it meant to us.
void check_round_trip(std::string_view input, const h1::HeadRules& rules) {
  Arena::Owner arena = Arena::open(1024);
  RequestHead head(*arena);
  h1::RequestParser parser(head, rules);
  if (parser.parse(input) != h1::ParseResult::done || !head.is_http_1_1()) return;
  Chain chain;
  {
    ChainWriter writer(chain);
    h1::write_request_head(writer, {head.method_text, head.target, 1}, head.headers);
  }
  std::string text = text_of(chain);
  RequestHead again(*arena);
  h1::HeadRules wide = rules;
  wide.head_bytes_max = wide.line_bytes_max = 1u << 30;
  h1::RequestParser second(again, wide);
  require(second.parse(text) == h1::ParseResult::done && second.consumed() == text.size(), "a written head is not parsed as one head");
  require(again.target == head.target && again.host == head.host && again.headers.size() == head.headers.size(), "heads differ");
  require(again.framing.content_length == head.framing.content_length && again.framing.chunked == head.framing.chunked &&
              again.framing.keep_alive == head.framing.keep_alive,
          "framing differs");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0 || size > 4096) return 0;
  h1::HeadRules rules;
  rules.ignore_invalid_headers = (bytes[0] & 1) == 0;
  rules.underscores = (bytes[0] & 2) != 0;
  if (bytes[0] & 4) rules = {rules.ignore_invalid_headers, rules.underscores, 4, 32, 100};
  std::string_view input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  fuzz::same_in_pieces(input.size(), [&](const fuzz::Cuts& cuts) { return fuzz::feed_request(input, cuts, rules); });
  fuzz::same_in_pieces(input.size(), [&](const fuzz::Cuts& cuts) { return fuzz::feed_response(input, cuts); });
  check_round_trip(input, rules);
  return 0;
}
