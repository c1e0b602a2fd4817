// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// limit_rate, limit_rate_after and rates set at run time: a Body that gives no more than the rate allows. The directives are the core's,
// because $limit_rate and X-Accel-Limit-Rate meet there. The wrapper lies in the request's arena.
#include <algorithm>

#include "core/base/text.h"
#include "event/loop/loop.h"
#include "http/conf/core_conf.h"
#include "http/hooks.h"
#include "http/request/request.h"

namespace fairlead {
namespace {

using namespace http;

// The allowance grows with time from the first pull on: one second's worth at once, as in nginx, and `free_bytes` beside it.
class PacedBody final : public Body {
 public:
  struct Rate {
    uint64_t bytes_per_s;
    uint64_t free_bytes;
  };
  PacedBody(Body& source, Loop& loop, Rate rate) : source_(source), loop_(loop), rate_(rate) {}

  Poll poll(Chunk& chunk) override {
    if (started_ms_ == 0) started_ms_ = loop_.now_ms();
    paused_ = false;
    if (held_.size() == 0) {
      Poll polled = source_.poll(held_);
      if (polled != Poll::ready) return polled;
    }
    uint64_t allowed = allowance(loop_.now_ms());
    if (allowed <= given_) {
      paused_ = true;
      return Poll::pending;
    }
    cut(chunk, std::min(allowed - given_, held_.size()));
    return Poll::ready;
  }
  Task<Result<Unit>> ready() override {
    if (!paused_) return source_.ready();
    return pause();
  }
  std::optional<uint64_t> size() const override {
    auto rest = source_.size();
    if (rest) *rest += held_.size();
    return rest;
  }
  Error error() const override { return source_.error(); }
  const Headers* trailers() const override { return source_.trailers(); }

 private:
  // Pieces below a tenth of a second's worth are not worth a write.
  static constexpr uint64_t pieces_per_s = 10;

  uint64_t allowance(uint64_t now_ms) const {
    uint64_t elapsed_ms = now_ms - started_ms_;
    return rate_.free_bytes + rate_.bytes_per_s + rate_.bytes_per_s / 1000 * elapsed_ms + rate_.bytes_per_s % 1000 * elapsed_ms / 1000;
  }
  Task<Result<Unit>> pause() {
    uint64_t wanted = std::min(held_.size(), std::max<uint64_t>(rate_.bytes_per_s / pieces_per_s, 1));
    co_await Sleep(loop_, std::max<uint64_t>(wanted * 1000 / rate_.bytes_per_s, 1));
    co_return Unit();
  }
  void cut(Chunk& chunk, uint64_t bytes) {
    given_ += bytes;
    if (bytes == held_.size()) {
      chunk = std::move(held_);
      held_.clear();
      return;
    }
    chunk.clear();
    if (!held_.is_file()) {
      chunk.bytes = held_.bytes.cut_front(static_cast<size_t>(bytes));
      return;
    }
    chunk.file = held_.file;
    chunk.file_offset = held_.file_offset;
    chunk.file_bytes = bytes;
    held_.file_offset += bytes;
    held_.file_bytes -= bytes;
  }

  Body& source_;
  Loop& loop_;
  Rate rate_;
  Chunk held_;
  uint64_t given_ = 0;
  uint64_t started_ms_ = 0;
  bool paused_ = false;
};

uint64_t evaluate_size(Request& request, const Template& setting) {
  std::string_view text = setting.evaluate(request);
  if (text == "0" || text.empty()) return 0;
  auto size = parse_size(text, SizeUnits::up_to_mega);
  if (!size) request.logger.error("invalid size \"{}\"", text);
  return size.value_or(0);
}

void pace(Request& request) {
  const CoreConf& core = conf<CoreConf>(request);
  Response& response = request.response;
  if (!response.rate_bytes && core.limit_rate.is_literal() && core.limit_rate.literal() == "0") return;
  uint64_t rate = response.rate_bytes ? response.rate_bytes : evaluate_size(request, core.limit_rate);
  if (rate == 0 || !response.body) return;
  PacedBody::Rate pace{rate, evaluate_size(request, core.limit_rate_after)};
  response.body = request.arena().make<PacedBody>(*response.body, request.loop(), pace);
}

constexpr ResponseFilter filters[] = {{.stage = Stage::framing, .apply = pace}};
constexpr Hooks hooks = {.filters = filters};

}  // namespace

extern constinit const Module http_limit_rate_module = {.name = "http_limit_rate", .http = &hooks};

}  // namespace fairlead
