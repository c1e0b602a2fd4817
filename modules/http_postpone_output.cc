// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `postpone_output`: a reply that is relayed leaves in pieces of no less than so many bytes, its last one excepted. Unless it is set, what
// is there is sent at once. Its conf belongs to the generation, the body to the request's arena.
#include <algorithm>

#include "core/conf/value.h"
#include "http/hooks.h"
#include "http/request/request.h"

namespace fairlead {
namespace {

using namespace http;

struct PostponeConf {
  Size least_bytes{0};
};

// Keeps what comes until it is `least_bytes` or all.
class PostponedBody final : public Body {
 public:
  PostponedBody(Body& source, size_t least_bytes) : source_(source), least_bytes_(least_bytes) {}

  Poll poll(Chunk& chunk) override {
    while (source_state_ == Poll::ready && next_.size() == 0 && held_.size() < least_bytes_) {
      Poll polled = source_.poll(next_);
      if (polled == Poll::pending) return polled;
      if (polled != Poll::ready) source_state_ = polled;
      else if (!next_.is_file() && next_.size() < least_bytes_) hold();
    }
    if (!held_.empty()) {
      give_held(chunk);
      return Poll::ready;
    }
    if (next_.size() == 0) return source_state_;
    chunk = std::move(next_);
    next_.clear();
    return Poll::ready;
  }
  Task<Result<Unit>> ready() override { return source_.ready(); }
  std::optional<uint64_t> size() const override {
    auto left = source_.size();
    if (left) *left += held_.size() + next_.size();
    return left;
  }
  bool is_at_hand() const override { return source_.is_at_hand(); }
  Error error() const override { return source_.error(); }
  const Headers* trailers() const override { return source_.trailers(); }

 private:
  void hold() {
    held_.push_back(std::move(next_.bytes));
    next_.clear();
  }
  // In one piece: each that leaves gets a frame of its own.
  void give_held(Chunk& chunk) {
    chunk.clear();
    if (held_.count() == 1) {
      chunk.bytes = std::move(held_[0]);
    } else {
      SegmentRef segment = SegmentRef::make(held_.size());
      char *begin = segment->bytes(), *at = begin;
      for (size_t i = 0; i < held_.count(); ++i) at = std::copy_n(held_[i].data, held_[i].size, at);
      chunk.bytes = Slice(std::move(segment), begin, held_.size());
    }
    held_.clear();
  }

  Body& source_;
  size_t least_bytes_;
  Chain held_;                         // less than twice least_bytes_
  Chunk next_;                         // what goes as it is: a file, or enough by itself
  Poll source_state_ = Poll::ready;    // end and failed come behind what is held
};

// A reply that is not read ahead is meant to go on as it comes (proxy_buffering off, X-Accel-Buffering).
void postpone(Request& request) {
  Response& response = request.response;
  if (!response.reads_ahead || !response.body) return;
  response.body = request.arena().make<PostponedBody>(*response.body, conf<PostponeConf>(request).least_bytes.bytes);
}

bool is_wanted(const Block& block) { return conf<PostponeConf>(block).least_bytes.bytes > 0; }

constexpr Directive rows[] = {
    slot<PostponeConf, &PostponeConf::least_bytes>(
        "postpone_output", in_http_any,
        "Replies of upstreams that are buffered are sent on in pieces of at least so many bytes; 0: as they come."),
};
constexpr ResponseFilter filters[] = {{.stage = Stage::framing, .apply = postpone, .applies = is_wanted}};
constexpr Hooks hooks = {.filters = filters};

}  // namespace

extern constinit const Module http_postpone_output_module = {
    .name = "http_postpone_output", .conf = conf_of<PostponeConf>, .directives = rows, .http = &hooks};

}  // namespace fairlead
