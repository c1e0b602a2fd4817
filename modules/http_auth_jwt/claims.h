// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// A JSON object that came from outside, with bounds, and its members as the texts of variables. Behind it is a JSON library that only
// claims.cc and jwk.cc know. No state, no event loop. Private to this folder.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace fairlead::http::auth_jwt {

// Deeper nesting is refused: what walks the tree recurses.
constexpr int json_depth_max = 32;

// How deep `text` nests, strings left out. No check of anything else.
int json_depth(std::string_view text);

class Claims {
 public:
  Claims();
  ~Claims();
  Claims(Claims&&) noexcept;
  Claims& operator=(Claims&&) noexcept;

  // Of a whole text that is a JSON object. The error is a reason.
  static ConfResult<Claims> parse(std::string_view text);

  bool has(std::string_view name) const;
  // The text of a string member; nothing if it is no string or not there. Lives as long as this.
  std::optional<std::string_view> string(std::string_view name) const;
  // A member that is a number; nothing if it is none or not there.
  std::optional<double> number(std::string_view name) const;
  // What lies at the end of a path of names as the text of a variable: strings as they are, arrays as their elements joined with commas,
  // anything else as JSON. Nothing if it is null or not there. A path of one name falls back to a member that differs in case alone.
  std::optional<std::string> text(std::span<const std::string_view> path) const;

 private:
  struct Tree;
  explicit Claims(std::unique_ptr<Tree> tree);
  std::unique_ptr<Tree> tree_;  // nullptr: no members
};

}  // namespace fairlead::http::auth_jwt
