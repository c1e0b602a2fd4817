// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The condition of an `if`: what may stand between its brackets, and whether it holds for a request. Conditions lie in the generation's
// arena; the block behind them is the business of if_block.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "core/conf/regex_rule.h"
#include "core/conf/template.h"
#include "http/request/request.h"

namespace fairlead {

class Condition {
 public:
  // Needs the line of an `if`. Reads its words, the brackets included.
  static ConfResult<Condition> compile(Line& line);

  // A match keeps captures and sets named variables; a failed one clears the captures. Nothing: a regular expression could not be tried to
  // its end.
  std::optional<bool> holds(http::Request& request) const;

 private:
  enum class Kind : uint8_t { truth, equals, matches, is_file, is_folder, exists, is_executable };

  ConfResult<Unit> compile_comparison(const Line& line, std::string_view op, std::string_view operand);
  ConfResult<Unit> compile_file_test(const Line& line, std::string_view op, std::string_view path);
  std::optional<bool> test(http::Request& request) const;
  bool test_file(http::Request& request) const;

  Kind kind_ = Kind::truth;
  bool negated_ = false;
  uint32_t variable_ = 0;
  Template operand_;  // what is compared with, or the path
  std::unique_ptr<RegexRule> regex_;
};

// Tries a rule of the rewrite script, with what `rewrite_log` wants to be said. No match: the captures are empty from now on.
Regex::Outcome match_rule(http::Request& request, const RegexRule& rule, std::string_view subject);

}  // namespace fairlead
