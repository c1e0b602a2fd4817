// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// LogFormat: a `log_format`, compiled; and the line it gives for a session. Lies in the generation's arena. Knows neither protocols nor
// files.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/conf/line.h"
#include "core/conf/session.h"
#include "core/conf/template.h"

namespace fairlead::access_log {

enum class Escaping : uint8_t { text, json, none };

// Bytes of a line with its end. What does not fit is cut.
constexpr size_t line_max = 64 * 1024;

class LogFormat {
 public:
  // `words`: those of the line behind name and escape. One follows the other without anything between them, yet no name of a variable
  // goes on in the next, as in nginx.
  static ConfResult<LogFormat*> compile(const Line& line, std::string_view name, Escaping escaping,
                                        std::span<const std::string_view> words);
  // `combined`, which belongs to no line. Made in `arena`.
  static ConfResult<LogFormat*> make_combined(VariableTable& variables, Arena& arena);

  std::string_view name() const { return name_; }
  // The line with its newline, written at `room`, which has line_max bytes.
  std::string_view write(Session& session, char* room) const;

 private:
  std::string_view name_;
  Escaping escaping_ = Escaping::text;
  std::vector<Template::Part> parts_;
};

// The format that is there without a `log_format`.
constexpr std::string_view combined_name = "combined";

}  // namespace fairlead::access_log
