// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_rbac/policy.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"

namespace fairlead::http::rbac {

bool Pattern::matches(std::string_view subject, Case letters) const {
  auto equal = [&](std::string_view part) { return letters == Case::ignored ? equal_nocase(part, text) : part == text; };
  switch (kind) {
    case Kind::any: return !subject.empty();
    case Kind::exact: return equal(subject);
    case Kind::prefix: return subject.size() >= text.size() && equal(subject.substr(0, text.size()));
    case Kind::suffix:
      return letters == Case::ignored && subject.size() > text.size() && equal(subject.substr(subject.size() - text.size()));
    case Kind::regex: {
      RegexMatch found;
      Regex::Outcome outcome = (letters == Case::ignored ? caseless_regex : regex)->match(subject, found);
      return outcome == Regex::Outcome::match || (outcome == Regex::Outcome::error && holds_on_error);
    }
  }
  return false;
}

static ConfResult<std::shared_ptr<Regex>> compile(std::string_view text, Case letters) {
  RegexOptions options;
  options.caseless = letters == Case::ignored;
  options.dot_all = options.dollar_end_only = true;  // a %0a in a path must not get around a policy
  auto compiled = Regex::compile(text, options);
  if (!compiled) return compiled.error();
  return std::make_shared<Regex>(std::move(*compiled));
}

static ConfResult<Pattern> make_regex_pattern(std::string_view text, bool for_hosts) {
  Pattern pattern;
  pattern.kind = Pattern::Kind::regex;
  auto regex = compile(text, Case::counts);
  if (!regex) return regex.error();
  pattern.regex = std::move(*regex);
  if (!for_hosts) return pattern;
  auto caseless = compile(text, Case::ignored);
  if (!caseless) return caseless.error();
  pattern.caseless_regex = std::move(*caseless);
  return pattern;
}

ConfResult<Pattern> make_pattern(std::string_view text, bool is_regex, bool for_hosts) {
  if (is_regex) return make_regex_pattern(text, for_hosts);
  Pattern pattern;
  pattern.text = text;
  if (text == "*") {
    pattern.kind = Pattern::Kind::any;
    return pattern;
  }
  if (for_hosts && text.starts_with("*.")) {
    pattern.kind = Pattern::Kind::suffix;
    pattern.text = text.substr(1);
  } else if (text.ends_with('*')) {
    pattern.kind = Pattern::Kind::prefix;
    pattern.text = text.substr(0, text.size() - 1);
  }
  if (pattern.text.empty() || pattern.text.find('*') != std::string_view::npos) return format("invalid pattern \"{}\"", text);
  return pattern;
}

static bool any_matches(const std::vector<Pattern>& patterns, std::string_view subject, Case letters) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const Pattern& pattern) { return pattern.matches(subject, letters); });
}

// A denial holds for every name that the certificate has, consent only for those that say who it is.
static bool is_from(const Policy& policy, const PeerIdentity& who) {
  auto holds = [&](const std::vector<std::string>& names, Case letters) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return (policy.denies || who.is_known_as(name)) && any_matches(policy.from, name, letters);
    });
  };
  return holds(who.uris, Case::counts) || holds(who.dns_names, Case::ignored) || any_matches(policy.from, who.subject, Case::counts);
}

static bool field_holds(const FieldCondition& condition, const Headers& headers) {
  const Headers::Field* field = headers.find(condition.name);
  if (condition.must_be_absent) return !field;
  if (condition.any_value) return field != nullptr;
  for (; field; field = headers.next_same(*field))
    if (condition.value.matches(field->value, Case::counts)) return true;
  return false;
}

bool Policy::matches(const Asked& asked) const {
  if (!from.empty() && (!asked.identity.is_verified || !is_from(*this, asked.identity))) return false;
  auto contains = [&](const Cidr& network) { return network.contains(asked.client); };
  if (!networks.empty() && std::none_of(networks.begin(), networks.end(), contains)) return false;
  if (!methods.empty() && std::find(methods.begin(), methods.end(), asked.method) == methods.end()) return false;
  if (!paths.empty() && !any_matches(paths, asked.path, Case::counts)) return false;
  if (!hosts.empty() && !any_matches(hosts, asked.host, Case::ignored)) return false;
  return std::all_of(fields.begin(), fields.end(), [&](const FieldCondition& field) { return field_holds(field, asked.headers); });
}

Decision Rules::decide(const Asked& asked) const {
  for (const Policy& policy : deny)
    if (policy.matches(asked)) return {Action::deny, policy.name};
  for (const Policy& policy : allow)
    if (policy.matches(asked)) return {Action::allow, policy.name};
  Action otherwise = default_given ? default_action : allow.empty() ? Action::allow : Action::deny;
  return {otherwise, "default"};
}

}  // namespace fairlead::http::rbac
