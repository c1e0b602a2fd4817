// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_rewrite/condition.h"

#include <cerrno>

#include "core/base/format.h"
#include "http/request/found_file.h"
#include "modules/http_rewrite/quoting.h"
#include "modules/http_rewrite/rewrite_conf.h"

namespace fairlead {

using http::Request;

Regex::Outcome match_rule(Request& request, const RegexRule& rule, std::string_view subject) {
  Regex::Outcome outcome = rule.match(request, subject);
  if (outcome == Regex::Outcome::error) return outcome;
  bool matched = outcome == Regex::Outcome::match;
  if (!matched) request.keep_captures({}, {});
  if (conf<RewriteConf>(request).rewrite_log)
    request.logger.notice("\"{}\" {} \"{}\"", rule.regex().pattern(), matched ? "matches" : "does not match", subject);
  return outcome;
}

ConfResult<Condition> Condition::compile(Line& line) {
  auto invalid = [](std::string_view word) { return format("invalid condition \"{}\"", word); };
  // The words without the outer brackets, which may stand alone or stick to the first and the last of them.
  std::vector<std::string_view> inner(line.words().begin() + 1, line.words().end());
  if (!inner.front().starts_with('(')) return invalid(inner.front());
  inner.front().remove_prefix(1);
  if (!inner.back().ends_with(')')) return invalid(inner.back());
  inner.back().remove_suffix(1);
  if (inner.size() > 1 && inner.front().empty()) inner.erase(inner.begin());
  if (inner.size() > 1 && inner.back().empty()) inner.pop_back();
  std::string_view first_word = inner.front(), last_word = inner.back();
  if (first_word.empty()) return invalid(")");

  Condition condition;
  size_t between = inner.size() - 1;
  bool file_test = (first_word.size() == 2 && first_word[0] == '-') || (first_word.size() == 3 && first_word.starts_with("!-"));
  if (first_word.size() > 1 && first_word[0] == '$') {
    if (between != 0 && between != 2) return invalid(first_word);
    condition.variable_ = variables_of(line).use(first_word.substr(1), line.place());
    if (between == 2) FL_TRY(condition.compile_comparison(line, inner[1], last_word));
    return condition;
  }
  if (!file_test || between != 1) return invalid(first_word);
  FL_TRY(condition.compile_file_test(line, first_word, last_word));
  return condition;
}

ConfResult<Unit> Condition::compile_comparison(const Line& line, std::string_view op, std::string_view operand) {
  negated_ = op.starts_with('!');
  std::string_view plain = op.substr(negated_ ? 1 : 0);
  if (plain == "=") {
    kind_ = Kind::equals;
    auto compiled = compile_text(line, operand);
    if (!compiled) return compiled.error();
    operand_ = std::move(*compiled);
    return Unit();
  }
  if (plain != "~" && plain != "~*") return format("unexpected \"{}\" in condition", op);
  kind_ = Kind::matches;
  auto rule = RegexRule::compile(line, operand, plain == "~*");
  if (!rule) return rule.error();
  regex_ = std::move(*rule);
  return Unit();
}

ConfResult<Unit> Condition::compile_file_test(const Line& line, std::string_view op, std::string_view path) {
  negated_ = op[0] == '!';
  switch (op.back()) {
    case 'f': kind_ = Kind::is_file; break;
    case 'd': kind_ = Kind::is_folder; break;
    case 'e': kind_ = Kind::exists; break;
    case 'x': kind_ = Kind::is_executable; break;
    default: return format("invalid condition \"{}\"", op);
  }
  auto compiled = compile_text(line, path);
  if (!compiled) return compiled.error();
  operand_ = std::move(*compiled);
  return Unit();
}

std::optional<bool> Condition::holds(Request& request) const {
  std::optional<bool> held = test(request);
  return held ? std::optional(*held != negated_) : held;
}

std::optional<bool> Condition::test(Request& request) const {
  switch (kind_) {
    case Kind::truth: {
      std::string_view text = request.variable(variable_).text;
      return !text.empty() && text != "0";
    }
    case Kind::equals: return request.variable(variable_).text == evaluate_in_script(request, operand_);
    case Kind::matches: {
      Regex::Outcome outcome = match_rule(request, *regex_, request.variable(variable_).text);
      return outcome == Regex::Outcome::error ? std::nullopt : std::optional(outcome == Regex::Outcome::match);
    }
    default: return test_file(request);
  }
}

bool Condition::test_file(Request& request) const {
  std::string_view path = request.arena().join({evaluate_in_script(request, operand_), std::string_view("\0", 1)});
  path.remove_suffix(1);
  OpenedFile found = find_file(request, path, http::FileWish::look);
  if (int err = found.err) {
    if (err != ENOENT && err != ENOTDIR && err != ENAMETOOLONG) request.logger.crit(Errno{err}, "{} \"{}\" failed", found.call, path);
    return false;
  }
  switch (kind_) {
    case Kind::is_file: return found.facts.is_file;
    case Kind::is_folder: return found.facts.is_folder;
    case Kind::is_executable: return found.facts.is_executable;
    default: return true;
  }
}

}  // namespace fairlead
