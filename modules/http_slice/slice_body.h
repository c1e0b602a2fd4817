// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// SliceBody: a body that is fetched slice by slice: the first came with the response, each further one is what a subrequest answers, made
// when its turn comes. At most one of these lies in memory. The body lies in the request's arena.
#pragma once

#include <memory>

#include "http/message/body.h"
#include "http/request/subrequest.h"
#include "modules/http_slice/content_range.h"

namespace fairlead::http_slice {

// The slot of a request that is one slice: where it begins, for $slice_range. Behind an internal redirect that is found out anew: the
// location there may have slices of another size, or none.
struct SliceState {
  int of_redirect = -1;  // Request::redirects then; -1: nobody asked yet
  uint64_t begin = 0;
  bool holds_for(const http::Request& request) const {
    return of_redirect >= 0 && (request.is_subrequest || of_redirect == request.redirects);
  }
};

class SliceBody final : public http::Body {
 public:
  struct Plan {
    uint64_t slice_bytes;
    ContentRange first;       // what of the whole `source` is
    uint64_t begin, end;      // what of the whole is wanted
    std::string_view etag;    // that all slices must have; empty: none has one
  };
  SliceBody(http::Request& request, http::Body& source, const Plan& plan)
      : request_(request), source_(source), plan_(plan), at_(plan.first.begin) {}

  http::Poll poll(http::Chunk& chunk) override;
  Task<Result<Unit>> ready() override;
  std::optional<uint64_t> size() const override;
  Error error() const override { return error_.fault != Fault::none ? error_ : source_.error(); }
  http::Body* part(Arena& arena, uint64_t offset, uint64_t bytes) override;

 private:
  http::Poll poll_source(http::Chunk& chunk);
  Task<Result<Unit>> fetch();
  bool is_expected(http::Subrequest& slice);
  bool cut(http::Chunk& chunk);

  http::Request& request_;
  http::Body& source_;
  Plan plan_;
  uint64_t at_;                                // of the whole: the next byte that comes
  bool begun_ = false;
  bool first_ended_ = false;
  bool skips_first_ = false;                   // nothing of it is wanted: the range is another one than it was asked for
  std::unique_ptr<http::Subrequest> slice_;    // being made, or being given
  size_t next_ = 0;                            // of the pieces of its body
  bool waits_for_slice_ = false;
  Error error_;
};

}  // namespace fairlead::http_slice
