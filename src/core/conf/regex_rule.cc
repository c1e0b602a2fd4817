// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/regex_rule.h"

#include "core/conf/generation.h"
#include "core/conf/template.h"
#include "core/process/conf.h"

namespace fairlead {

ConfResult<std::unique_ptr<RegexRule>> RegexRule::compile(const Line& line, std::string_view pattern, bool caseless) {
  RegexOptions options;
  options.caseless = caseless;
  options.jit = own_conf<ProcessConf>(*line.block().enclosing(in_main)).pcre_jit;
  auto regex = Regex::compile(pattern, options);
  if (!regex) return regex.error();
  std::unique_ptr<RegexRule> rule(new RegexRule(std::move(*regex)));
  for (const Regex::Name& name : rule->regex_.names()) {
    VariableDef def;
    def.name = name.name;
    def.flags = variable_changeable;
    auto index = variables_of(line).define(def, line.place());
    if (!index) return index.error();
    rule->named_.push_back({*index, name.group});
  }
  return rule;
}

Regex::Outcome RegexRule::match(Session& session, std::string_view subject) const {
  RegexMatch found;
  Regex::Outcome outcome = regex_.match(subject, found);
  if (outcome == Regex::Outcome::error)
    session.logger.error("{} on \"{}\" using \"{}\"", Regex::last_error_text(), subject, regex_.pattern());
  if (outcome != Regex::Outcome::match) return outcome;
  session.keep_captures(subject, found.offsets());
  for (auto [variable, group] : named_) session.set_variable(variable, session.capture(group));
  return outcome;
}

}  // namespace fairlead
