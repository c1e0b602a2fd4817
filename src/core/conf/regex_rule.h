// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// RegexRule: a regular expression of the configuration, tried on a session: a match keeps its captures for $1..$9 and sets the variables of
// its named groups.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "core/base/regex.h"
#include "core/conf/line.h"
#include "core/conf/session.h"

namespace fairlead {

class RegexRule {
 public:
  // Compiles and defines the variables of named groups for the engine of the line. The error is the reason.
  static ConfResult<std::unique_ptr<RegexRule>> compile(const Line& line, std::string_view pattern, bool caseless);

  // Tries it. On a match captures and named variables are set; `subject` must live as long as the session. An error is logged.
  Regex::Outcome match(Session& session, std::string_view subject) const;
  const Regex& regex() const { return regex_; }

 private:
  explicit RegexRule(Regex regex) : regex_(std::move(regex)) {}
  Regex regex_;
  std::vector<std::pair<uint32_t, uint32_t>> named_;  // variable, group
};

}  // namespace fairlead
