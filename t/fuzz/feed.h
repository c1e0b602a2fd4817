// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Feeds one input to an incremental parser whole, byte by byte and in random pieces, and puts all that it said into a text, so that
// the ways can be compared. For the fuzz targets and the unit tests. Each piece arrives in a fresh buffer of exact size: the address
// sanitizer then sees a view kept too long or a byte read too far.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/format.h"
#include "http/h1/chunked.h"
#include "http/h1/parse.h"

namespace fairlead::fuzz {

// Where the input is cut: ascending offsets, the last one is its size.
using Cuts = std::vector<size_t>;

inline Cuts whole(size_t size) { return {size}; }

inline Cuts every_byte(size_t size) {
  Cuts cuts;
  for (size_t at = 1; at <= size; ++at) cuts.push_back(at);
  if (cuts.empty()) cuts.push_back(0);
  return cuts;
}

inline Cuts random_cuts(size_t size, uint32_t seed) {
  std::minstd_rand random(seed + 1);
  Cuts cuts;
  for (size_t at = 0; at < size;) cuts.push_back(at = std::min(size, at + 1 + random() % (1 + size / 3)));
  if (cuts.empty()) cuts.push_back(0);
  return cuts;
}

struct Copy {
  explicit Copy(std::string_view text) : bytes(new char[text.size()]), size(text.size()) {
    for (size_t i = 0; i < size; ++i) bytes[i] = text[i];
  }
  std::string_view view() const { return {bytes.get(), size}; }
  std::unique_ptr<char[]> bytes;
  size_t size;
};

inline std::string show(const http::Headers& headers) {
  std::string out;
  for (const http::Headers::Field& field : headers) {
    out += format("  {}={}|{}\n", static_cast<int>(field.known), field.name, field.value);
  }
  return out;
}

inline std::string show(const http::Framing& framing) {
  return format("length={} chunked={} keep_alive={}", framing.content_length, framing.chunked, framing.keep_alive);
}

// Gives the parser more and more of the input until it has seen enough. `copy` keeps what it was given last.
template <class Parser>
http::h1::ParseResult parse_in_pieces(Parser& parser, std::string_view input, const Cuts& cuts, std::unique_ptr<Copy>& copy) {
  for (size_t cut : cuts) {
    auto longer = std::make_unique<Copy>(input.substr(0, cut));
    copy = std::move(longer);
    auto result = parser.parse(copy->view());
    if (result != http::h1::ParseResult::need_more) return result;
  }
  return http::h1::ParseResult::need_more;
}

inline std::string feed_request(std::string_view input, const Cuts& cuts, const http::h1::HeadRules& rules) {
  Arena::Owner arena = Arena::open(1024);
  http::RequestHead head(*arena);
  http::h1::RequestParser parser(head, rules);
  std::unique_ptr<Copy> copy;
  auto result = parse_in_pieces(parser, input, cuts, copy);
  if (result == http::h1::ParseResult::need_more && !copy) return "more";
  if (result != http::h1::ParseResult::done) parser.describe(copy->view());
  if (result == http::h1::ParseResult::need_more) return "more";
  if (result == http::h1::ParseResult::failed) {
    return format("{} {} [{}] uri=[{}] args=[{}] host=[{}] bytes={}", parser.error().status, parser.error().what, parser.error().detail,
                  head.request_uri, head.args, head.host, head.bytes);
  }
  return format("done {} method={} form={} version={}.{} line=[{}] target=[{}] uri=[{}] path=[{}] args=[{}] scheme=[{}] host=[{}]:{} {} "
                "expect={} upgrade=[{}] dropped=[{}]\n",
                parser.consumed(), head.method_text, static_cast<int>(head.form), head.version_major, head.version_minor,
                head.request_line, head.target, head.request_uri, head.path, head.args, head.scheme, head.host, head.port,
                show(head.framing), head.expect_continue, head.upgrade, head.dropped ? show(*head.dropped) : std::string()) +
         show(head.headers);
}

inline std::string feed_response(std::string_view input, const Cuts& cuts) {
  Arena::Owner arena = Arena::open(1024);
  http::ResponseHead head(*arena);
  http::h1::ResponseParser parser(head);
  std::unique_ptr<Copy> copy;
  auto result = parse_in_pieces(parser, input, cuts, copy);
  if (result == http::h1::ParseResult::need_more) return "more";
  if (result != http::h1::ParseResult::done) return format("{} {} [{}]", parser.error().status, parser.error().what, parser.error().detail);
  return format("done {} status={} version={}.{} line=[{}] reason=[{}] {}\n", parser.consumed(), head.status, head.version_major,
                head.version_minor, head.status_line, head.reason, show(head.framing)) +
         show(head.headers);
}

inline std::string feed_chunked(std::string_view input, const Cuts& cuts, const http::h1::ChunkLimits& limits) {
  Arena::Owner arena = Arena::open(1024);
  http::Trailers trailers(*arena);
  http::h1::ChunkedDecoder decoder(&trailers, limits);
  std::string body;
  size_t consumed = 0;
  auto state = http::h1::BodyStep::State::more;
  for (size_t cut : cuts) {
    Copy copy(input.substr(consumed, cut - consumed));
    std::string_view rest = copy.view();
    while (!rest.empty() && state == http::h1::BodyStep::State::more) {
      http::h1::BodyStep step = decoder.step(rest);
      body += step.body(rest);
      rest.remove_prefix(step.consumed);
      consumed += step.consumed;
      state = step.state;
    }
    if (state != http::h1::BodyStep::State::more) break;
  }
  const char* names[] = {"more", "done", "failed"};
  return format("{} {} body=[{}] what={} fault={}\n", names[static_cast<int>(state)], consumed, body, decoder.what(),
                static_cast<int>(decoder.fault())) +
         show(trailers);
}

// Calls `feed(cuts)` for all ways of cutting; gives the common answer, and ends the process with both texts if two differ.
template <class Feed>
std::string same_in_pieces(size_t size, Feed&& feed) {
  std::string first = feed(whole(size));
  std::vector<Cuts> ways = {every_byte(size)};
  for (uint32_t seed = 0; seed < 4; ++seed) ways.push_back(random_cuts(size, seed + static_cast<uint32_t>(size) * 7));
  for (const Cuts& cuts : ways) {
    std::string other = feed(cuts);
    if (other == first) continue;
    std::fprintf(stderr, "pieces matter:\nwhole: %s\nin %zu: %s\n", first.c_str(), cuts.size(), other.c_str());
    std::abort();
  }
  return first;
}

}  // namespace fairlead::fuzz
