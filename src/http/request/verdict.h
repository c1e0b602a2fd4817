// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Verdict: what a phase entry or a content function has decided about the request. A plain value; texts live in the request's arena or
// the generation.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/arena.h"

namespace fairlead::http {

struct Location;

class Verdict {
 public:
  enum class Kind : uint8_t {
    next,      // no opinion: the next entry, the next phase
    allow,     // access phase: this check is satisfied (for `satisfy any`)
    done,      // the response is complete, or the connection is beyond one
    status,    // finish with this status: error_page, a built-in page, or an empty reply
    redirect,  // start again with another URI
    named,     // go on in a named location
    respond,   // request.response is filled and whole: send it
    close,     // end the connection without a reply (444)
  };
  static Verdict next() { return Verdict(Kind::next); }
  static Verdict allow() { return Verdict(Kind::allow); }
  static Verdict done() { return Verdict(Kind::done); }
  static Verdict respond() { return Verdict(Kind::respond); }
  static Verdict close() { return Verdict(Kind::close); }
  static Verdict status(unsigned status) {
    Verdict v(Kind::status);
    v.status_ = static_cast<uint16_t>(status);
    return v;
  }
  // `arena`: of the request.
  static Verdict redirect(Arena& arena, std::string_view uri, std::string_view args) {
    Verdict v(Kind::redirect);
    v.where_ = arena.make<Where>(Where{uri, args});
    return v;
  }
  // `name` with its '@'.
  static Verdict named(Arena& arena, std::string_view name) {
    Verdict v(Kind::named);
    v.where_ = arena.make<Where>(Where{name, {}});
    return v;
  }

  Kind kind() const { return kind_; }
  bool is_next() const { return kind_ == Kind::next; }
  bool is_status() const { return kind_ == Kind::status; }
  uint16_t status() const { return status_; }
  // After redirect().
  std::string_view uri() const { return where_->text; }
  std::string_view args() const { return where_->args; }
  // After named().
  std::string_view name() const { return where_->text; }

 private:
  struct Where {
    std::string_view text, args;
  };
  explicit Verdict(Kind kind) : kind_(kind) {}
  Kind kind_;
  uint16_t status_ = 0;
  const Where* where_ = nullptr;
};
static_assert(sizeof(Verdict) == 16);  // what every phase and entry of one gives: in two registers

}  // namespace fairlead::http
