// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// SubBody: a body in which texts are replaced as it is pulled. What may be the begin of a pattern is held back until the next bytes decide;
// that is less than the longest pattern, the rest leaves as slices of what came. Lies in the request's arena.
#pragma once

#include <vector>

#include "core/conf/template.h"
#include "http/message/memory_source.h"
#include "http/request/request.h"
#include "modules/http_sub/patterns.h"

namespace fairlead::http_sub {

struct Substitution {
  Template pattern;
  Template replacement;
};

class SubBody final : public http::Body {
 public:
  // `patterns` and `replacements` go by the same index and live as long as the request.
  struct Plan {
    const Patterns* patterns;
    std::vector<const Template*> replacements;
    bool once;  // each pattern is replaced where it is found first
  };
  SubBody(http::Request& request, http::Body& source, Plan plan);

  http::Poll poll(http::Chunk& chunk) override;
  Task<Result<Unit>> ready() override { return source_.ready(); }
  Error error() const override { return source_.error(); }
  const http::Headers* trailers() const override { return source_.trailers(); }

 private:
  void take(Slice bytes);
  void replace(size_t index);

  http::Request& request_;
  http::MemorySource source_;
  Plan plan_;
  Slice held_;       // the begin of what may be a pattern
  Chain output_;     // made, not given yet
  std::vector<std::string_view> texts_;  // replacements once they were needed; data() is null before
  std::vector<bool> used_;               // with `once`
  size_t unused_;
  bool ended_ = false;
};

}  // namespace fairlead::http_sub
