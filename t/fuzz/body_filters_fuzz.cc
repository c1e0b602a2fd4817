// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What filters make of bodies from outside: gunzip, and text recoded from UTF-8 and back. The first byte of the input chooses, the rest is
// the body. Whole, byte by byte and in random pieces it must come out the same.
#include "core/base/arena.h"
#include "feed.h"
#include "http/message/body.h"
#include "modules/http_charset/recode_body.h"
#include "modules/http_gunzip/gunzip_body.h"
#include "modules/http_slice/content_range.h"

namespace fairlead::fuzz {
namespace {

class Pieces final : public http::Body {
 public:
  Pieces(std::string_view text, const Cuts& cuts) : text_(text), cuts_(cuts) {}
  http::Poll poll(http::Chunk& chunk) override {
    while (next_ < cuts_.size()) {
      size_t end = cuts_[next_++];
      std::string_view piece = text_.substr(at_, end - at_);
      at_ = end;
      if (piece.empty()) continue;
      chunk.clear();
      chunk.bytes = Slice::copy_of(piece);
      return http::Poll::ready;
    }
    return http::Poll::end;
  }
  Task<Result<Unit>> ready() override { co_return Unit(); }

 private:
  std::string_view text_;
  const Cuts& cuts_;
  size_t next_ = 0, at_ = 0;
};

// At most so much is looked at: a small input may stand for a very long body. Whether one fails just there depends on its pieces.
constexpr size_t bytes_max = 1 << 20, slack = 4096;

std::string pull(http::Body& body) {
  std::string all;
  http::Chunk chunk;
  while (all.size() < bytes_max) {
    http::Poll polled = body.poll(chunk);
    if (polled == http::Poll::failed) return all.size() + slack > bytes_max ? "long" : "failed";
    if (polled != http::Poll::ready) return all;
    all += chunk.bytes.view();
  }
  return "long";
}

std::string filtered(uint8_t choice, std::string_view text, const Cuts& cuts) {
  using http_charset::CharsetMap;
  static const CharsetMap map = [] {
    CharsetMap made("single", "utf-8");
    for (auto [from, to] : {std::pair<std::string_view, std::string_view>{"80", "D0B0"}, {"81", "E282AC"}, {"82", "F0908D88"}})
      if (!made.add(from, to)) std::abort();
    return made;
  }();
  Pieces pieces(text, cuts);
  if (choice % 3 == 0) {
    http_gunzip::GunzipBody body(pieces, 1 + choice);
    return pull(body);
  }
  http_charset::RecodeBody body(pieces, map, choice % 3 == 1 ? CharsetMap::Way::backward : CharsetMap::Way::forward);
  return pull(body);
}

}  // namespace
}  // namespace fairlead::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fairlead;
  using namespace fairlead::fuzz;
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string want = filtered(data[0], text, whole(text.size()));
  if (want != filtered(data[0], text, every_byte(text.size())) ||
      want != filtered(data[0], text, random_cuts(text.size(), static_cast<uint32_t>(size))))
    std::abort();
  if (auto range = http_slice::parse_content_range(text); range && (range->begin >= range->end || range->end > range->length)) std::abort();
  http_slice::range_start(text);
  return 0;
}
