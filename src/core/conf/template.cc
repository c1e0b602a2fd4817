// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/template.h"

#include <algorithm>
#include <cstring>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/block.h"
#include "core/conf/generation.h"
#include "core/conf/session.h"
#include "core/conf/variable.h"

namespace fairlead {

static bool is_name_byte(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || is_digit(byte) || byte == '_';
}

ConfResult<std::vector<Template::Part>> cut_template(std::string_view text, VariableTable& variables, Place place, bool captures) {
  using Kind = Template::Part::Kind;
  std::vector<Template::Part> parts;
  for (size_t at = 0; at < text.size();) {
    size_t dollar = text.find('$', at);
    if (dollar == std::string_view::npos) dollar = text.size();
    if (dollar > at) parts.push_back({Kind::literal, 0, text.substr(at, dollar - at)});
    if (dollar == text.size()) break;
    at = dollar + 1;
    bool braced = at < text.size() && text[at] == '{';
    if (braced) ++at;
    size_t end = at;
    bool capture = captures && !braced && end < text.size() && is_digit(text[end]) && text[end] != '0';
    if (capture) ++end;
    else
      while (end < text.size() && is_name_byte(text[end])) ++end;
    std::string_view name = text.substr(at, end - at);
    if (braced && (end == text.size() || text[end] != '}')) return format("the closing bracket in \"{}\" variable is missing", name);
    if (name.empty()) return std::string("invalid variable name");
    if (capture) parts.push_back({Kind::capture, static_cast<uint32_t>(name[0] - '0'), {}});
    else parts.push_back({Kind::variable, variables.use(name, place), {}});
    at = end + (braced ? 1 : 0);
  }
  return parts;
}

ConfResult<Template> Template::compile(std::string_view text, VariableTable& variables, Place place, bool captures) {
  Template compiled;
  compiled.source_ = text;
  if (text.find('$') == std::string_view::npos) {
    compiled.literal_ = text.data() ? text : std::string_view("");
    return compiled;
  }
  auto parts = cut_template(text, variables, place, captures);
  if (!parts) return parts.error();
  compiled.parts_ = std::move(*parts);
  for (const Part& part : compiled.parts_)
    if (part.kind == Part::Kind::capture) compiled.captures_ = true;
  return compiled;
}

static std::string_view text_of(const Template::Part& part, Session& session) {
  switch (part.kind) {
    case Template::Part::Kind::literal: return part.text;
    case Template::Part::Kind::variable: return session.variable(part.index).text;
    case Template::Part::Kind::capture: return session.capture(part.index);
  }
  return {};
}

std::string_view Template::evaluate(Session& session) const {
  if (parts_.empty()) return literal_;
  if (parts_.size() == 1) return text_of(parts_[0], session);
  constexpr size_t inline_parts = 16;
  std::string_view few[inline_parts];
  std::string_view* texts = few;
  if (parts_.size() > inline_parts) texts = session.arena().make_array<std::string_view>(parts_.size()).data();
  size_t total = 0;
  for (size_t i = 0; i < parts_.size(); ++i) {
    texts[i] = text_of(parts_[i], session);
    total += texts[i].size();
  }
  char* to = static_cast<char*>(session.arena().allocate(total, 1));
  char* at = to;
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (texts[i].empty()) continue;
    std::memcpy(at, texts[i].data(), texts[i].size());
    at += texts[i].size();
  }
  return {to, total};
}

VariableTable& variables_of(const Line& line) {
  bool stream = line.block().enclosing(in_stream) != nullptr;
  return line.generation().variables(stream ? stream_variable : http_variable);
}

ConfResult<Template> compile_text(const Line& line, std::string_view text) {
  return Template::compile(text, variables_of(line), line.place());
}

ConfResult<Template> compile_word(const Line& line, size_t index) { return compile_text(line, line.word(index)); }

ConfResult<std::string_view> variable_name(const Line& line, size_t index) {
  std::string_view word = line.word(index);
  if (word.size() < 2 || word[0] != '$') return format("invalid variable name \"{}\"", word);
  return word.substr(1);
}

static bool holds(const Template& condition, Session& session) {
  std::string_view text = condition.evaluate(session);
  return !text.empty() && text != "0";
}

bool holds_any(const Conditions& conditions, Session& session) {
  return std::any_of(conditions.begin(), conditions.end(), [&](const Template& condition) { return holds(condition, session); });
}

bool hold_all(const Conditions& conditions, Session& session) {
  return std::all_of(conditions.begin(), conditions.end(), [&](const Template& condition) { return holds(condition, session); });
}

ConfResult<Unit> ConfValue<Conditions>::parse(Line& line, Conditions& field) {
  field.clear();
  for (size_t i = 1; i < line.words().size(); ++i) {
    auto compiled = compile_word(line, i);
    if (!compiled) return compiled.error();
    field.push_back(std::move(*compiled));
  }
  return Unit();
}

ConfResult<Unit> ConfValue<Template>::parse(Line& line, Template& field) {
  auto compiled = compile_word(line, 1);
  if (!compiled) return compiled.error();
  field = std::move(*compiled);
  return Unit();
}

}  // namespace fairlead
