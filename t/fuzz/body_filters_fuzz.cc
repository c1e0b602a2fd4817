// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What filters make of bodies from outside: gunzip, text recoded from UTF-8 and back, base64; and what must come out as it went in: a part
// cut out, held back, paced. The first byte of the input chooses, the rest is the body. Whole, byte by byte and in random pieces, with and
// without waiting in between, it must come out the same.
#include "core/base/arena.h"
#include "event/loop/loop.h"
#include "feed.h"
#include "http/message/body.h"
#include "modules/http_charset/recode_body.h"
#include "modules/http_grpc/web.h"
#include "modules/http_gunzip/gunzip_body.h"
#include "modules/http_gzip/gzip_body.h"
#include "modules/http_limit_rate/paced_body.h"
#include "modules/http_postpone_output/postponed_body.h"
#include "modules/http_range/parts.h"
#include "modules/http_slice/content_range.h"

namespace fairlead::fuzz {
namespace {

// What a body does ahead of each piece and of its end. A chunk says nothing unless poll() said ready (http/message/body.h).
enum class Waits { never, leaves_chunk, leaves_rubbish };

struct Way {
  Cuts cuts;
  Waits waits;
};

class Pieces final : public http::Body {
 public:
  Pieces(std::string_view text, const Way& way) : text_(text), way_(way) {}
  http::Poll poll(http::Chunk& chunk) override {
    bool waits = way_.waits != Waits::never && !has_waited_;
    has_waited_ = waits;
    if (waits || next_ == way_.cuts.size()) {
      if (way_.waits == Waits::leaves_rubbish) chunk.bytes = Slice("rubbish");
      return waits ? http::Poll::pending : http::Poll::end;
    }
    size_t end = way_.cuts[next_++];
    std::string_view piece = text_.substr(at_, end - at_);
    at_ = end;
    if (piece.empty()) return poll(chunk);
    chunk.clear();
    chunk.bytes = Slice::copy_of(piece);
    return http::Poll::ready;
  }
  Task<Result<Unit>> ready() override { co_return Unit(); }

 private:
  std::string_view text_;
  const Way& way_;
  size_t next_ = 0, at_ = 0;
  bool has_waited_ = false;
};

// At most so much is looked at: a small input may stand for a very long body. Whether one fails just there depends on its pieces.
constexpr size_t bytes_max = 1 << 20, slack = 4096;

std::string pull(http::Body& body, Waits waits) {
  std::string all;
  while (all.size() < bytes_max) {
    http::Chunk chunk;
    http::Poll polled = body.poll(chunk);
    if (polled != http::Poll::ready && waits != Waits::leaves_rubbish && chunk.size() > 0) std::abort();
    if (polled == http::Poll::failed) return all.size() + slack > bytes_max ? "long" : "failed";
    if (polled == http::Poll::end) return all;
    if (polled == http::Poll::ready) all += chunk.bytes.view();
  }
  return "long";
}

std::string filtered(uint8_t choice, std::string_view text, const Way& way) {
  using http_charset::CharsetMap;
  static const CharsetMap map = [] {
    CharsetMap made("single", "utf-8");
    for (auto [from, to] : {std::pair<std::string_view, std::string_view>{"80", "D0B0"}, {"81", "E282AC"}, {"82", "F0908D88"}})
      if (!made.add(from, to)) std::abort();
    return made;
  }();
  Pieces pieces(text, way);
  if (choice % 3 == 0) {
    http_gunzip::GunzipBody body(pieces, 1 + choice);
    return pull(body, way.waits);
  }
  http_charset::RecodeBody body(pieces, map, choice % 3 == 1 ? CharsetMap::Way::backward : CharsetMap::Way::forward);
  return pull(body, way.waits);
}

std::string decoded(std::string_view text, const Way& way) {
  Pieces pieces(text, way);
  http::grpc::DecodedBody body(pieces);
  return pull(body, way.waits);
}

// -- what comes out as it went in --

void pack_and_unpack(std::string_view text, const Way& way) {
  Pieces pieces(text, way);
  http_gzip::Counts counts;
  http_gzip::GzipBody packed(pieces, http_gzip::Strength{}, counts);
  http_gunzip::GunzipBody body(packed, 4096);
  if (text.size() < bytes_max && pull(body, way.waits) != text) std::abort();
}

// What is asked of the cut body, by itself or by others that hold back what it gives.
enum class Held { not_at_all, paced_last, postponed_last };

void cut_and_hold(uint8_t choice, std::string_view text, const Way& way, Held held) {
  static const std::unique_ptr<Loop> loop = std::move(*Loop::open());
  constexpr http_limit_rate::PacedBody::Rate rate{uint64_t{1} << 40, 0};
  size_t skip = std::min<size_t>(choice, text.size()), bytes = text.size() - skip, least_bytes = 1 + choice % 16;
  bytes -= bytes / 3;
  Pieces pieces(text, way);
  http_range::CutBody cut(pieces, skip, bytes);
  http_limit_rate::PacedBody paced(cut, *loop, rate);
  http_postpone_output::PostponedBody postponed(cut, least_bytes), postponed_last(paced, least_bytes);
  http_limit_rate::PacedBody paced_last(postponed, *loop, rate);
  http::Body* const bodies[] = {&cut, &paced_last, &postponed_last};
  if (pull(*bodies[static_cast<size_t>(held)], way.waits) != text.substr(skip, bytes)) std::abort();
}

}  // namespace
}  // namespace fairlead::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fairlead;
  using namespace fairlead::fuzz;
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto seed = static_cast<uint32_t>(size);
  const Way first{whole(text.size()), Waits::never};
  const Way others[] = {{every_byte(text.size()), Waits::leaves_rubbish},
                        {random_cuts(text.size(), seed), Waits::never},
                        {random_cuts(text.size(), seed), Waits::leaves_chunk}};
  std::string want = filtered(data[0], text, first), want_decoded = decoded(text, first);
  for (const Way& way : others) {
    if (filtered(data[0], text, way) != want || decoded(text, way) != want_decoded) std::abort();
    pack_and_unpack(text, way);
    for (Held held : {Held::not_at_all, Held::paced_last, Held::postponed_last}) cut_and_hold(data[0], text, way, held);
  }
  if (auto range = http_slice::parse_content_range(text); range && (range->begin >= range->end || range->end > range->length)) std::abort();
  http_slice::range_start(text);
  return 0;
}
