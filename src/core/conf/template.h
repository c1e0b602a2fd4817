// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Template: "text $variable ${variable} $1 text", compiled once, evaluated per session. nginx calls these complex values.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/conf/line.h"
#include "core/conf/value.h"

namespace fairlead {

class Session;
class VariableTable;

class Template {
 public:
  Template() = default;
  // A text without variables.
  explicit Template(std::string_view literal) : literal_(literal) {}

  // `text` must live as long as the template (the generation's arena). `captures`: $1 to $9 (not ${1}) are captures; otherwise, and $0,
  // they are unknown variables.
  static ConfResult<Template> compile(std::string_view text, VariableTable& variables, Place place, bool captures = true);

  // Whether it was set to anything, the empty text included.
  bool is_set() const { return literal_.data() != nullptr || !parts_.empty(); }
  bool is_literal() const { return parts_.empty(); }
  std::string_view literal() const { return literal_; }
  // The text; views live as long as the session. One variable alone is not copied.
  std::string_view evaluate(Session& session) const;
  // The text as written is the empty one.
  bool is_empty_literal() const { return parts_.empty() && literal_.empty(); }
  bool uses_captures() const { return captures_; }
  std::string_view source() const { return source_; }

  struct Part {
    enum class Kind : uint8_t { literal, variable, capture } kind;
    uint32_t index = 0;      // of the variable or the capture
    std::string_view text;   // of the literal
  };
  std::span<const Part> parts() const { return parts_; }

 private:
  std::string_view literal_;
  std::vector<Part> parts_;  // beside it: requests look at these two alone
  std::string_view source_;
  bool captures_ = false;
};

// Cuts `text` into parts; shared by templates and log formats. Names become indexes of `variables`.
ConfResult<std::vector<Template::Part>> cut_template(std::string_view text, VariableTable& variables, Place place, bool captures);

// The variables of the engine whose block the line stands in.
VariableTable& variables_of(const Line& line);

template <>
struct ConfValue<Template> {
  static constexpr WordCount words{1, 1};
  static constexpr std::string_view type = "string";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, Template& field);
  static std::string show(const Template& field) { return std::string(field.is_literal() ? field.literal() : field.source()); }
};

// Conditions, one per word: it holds if any of them evaluates to something other than nothing and "0".
using Conditions = std::vector<Template>;
bool holds_any(const Conditions& conditions, Session& session);
// All of them do; so do none.
bool hold_all(const Conditions& conditions, Session& session);
template <>
struct ConfValue<Conditions> {
  static constexpr WordCount words = words_from(1);
  static constexpr std::string_view type = "string ...";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, Conditions& field);
};

// For words of a custom setter.
ConfResult<Template> compile_word(const Line& line, size_t index);
ConfResult<Template> compile_text(const Line& line, std::string_view text);
// The name in a word like "$name", for directives that make a variable.
ConfResult<std::string_view> variable_name(const Line& line, size_t index);

}  // namespace fairlead
