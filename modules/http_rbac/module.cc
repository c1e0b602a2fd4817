// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_rbac: rbac { }: who may ask for what, by the names in the client's verified certificate, its network, method, path, host and header
// fields. Decided before the access phase, so that `satisfy any` cannot get around it; the path is the one that is left after rewriting.
#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/module.h"
#include "core/conf/value.h"
#include "http/hooks.h"
#include "http/message/scan.h"
#include "http/request/audit.h"
#include "http/request/client_identity.h"
#include "http/request/request.h"
#include "modules/http_rbac/policy.h"

namespace fairlead::http::rbac {
namespace {

constexpr std::string_view check_name = "rbac";

struct RbacConf {
  const Rules* rules = nullptr;
};

ConfResult<Unit> set_rbac(Line& line, RbacConf& own) {
  Rules* rules = line.arena().make<Rules>();
  own.rules = rules;
  Block* block = line.open_block(in_own_block);
  block->set_object(rules);
  return line.read_block(*block);
}

ConfResult<Unit> set_default(Line& line, RbacConf&) {
  Rules& rules = *line.block().object<Rules>();
  if (line.word(1) != "allow" && line.word(1) != "deny") return line.invalid_value(1);
  rules.default_given = true;
  rules.default_action = line.word(1) == "allow" ? Action::allow : Action::deny;
  return Unit();
}

ConfResult<Unit> set_shadow(Line& line, RbacConf&) { return ConfValue<bool>::parse(line, line.block().object<Rules>()->shadow); }

template <std::vector<Policy> Rules::*List>
ConfResult<Unit> add_policy(Line& line, RbacConf&) {
  Policy policy;
  policy.name = line.word(1);
  policy.denies = List == &Rules::deny;
  if (policy.name == "default") return std::string("the name \"default\" stands for no policy");
  Block* block = line.open_block(in_own_inner_block);
  block->set_object(&policy);
  FL_TRY(line.read_block(*block));
  (line.block().object<Rules>()->*List).push_back(std::move(policy));
  return Unit();
}

Policy& policy_of(Line& line) { return *line.block().object<Policy>(); }

// From word `first` on; "~" makes the next one a regular expression.
ConfResult<Unit> read_patterns(Line& line, size_t first, std::vector<Pattern>& patterns, bool for_hosts) {
  for (size_t i = first; i < line.words().size(); ++i) {
    bool is_regex = line.word(i) == "~";
    if (is_regex && ++i == line.words().size()) return std::string("a regular expression must follow \"~\"");
    auto pattern = make_pattern(line.word(i), is_regex, for_hosts);
    if (!pattern) return pattern.error();
    pattern->holds_on_error = policy_of(line).denies;
    patterns.push_back(std::move(*pattern));
  }
  return Unit();
}

ConfResult<Unit> add_from(Line& line, RbacConf&) { return read_patterns(line, 1, policy_of(line).from, true); }
ConfResult<Unit> add_paths(Line& line, RbacConf&) { return read_patterns(line, 1, policy_of(line).paths, false); }
ConfResult<Unit> add_hosts(Line& line, RbacConf&) { return read_patterns(line, 1, policy_of(line).hosts, true); }

ConfResult<Unit> add_networks(Line& line, RbacConf&) {
  for (size_t i = 1; i < line.words().size(); ++i) {
    auto network = Cidr::parse(line.word(i));
    if (!network) return line.invalid_parameter(i);
    if (network->low_bits_set()) line.warn(format("low address bits of {} are meaningless", line.word(i)));
    policy_of(line).networks.push_back(*network);
  }
  return Unit();
}

// Requests with other methods are answered 400 before any policy is asked: such a line would never hold.
bool can_be_asked(std::string_view method) {
  return !method.empty() && std::all_of(method.begin(), method.end(), [](char c) { return scan::class_of(c) & scan::method_byte; });
}

ConfResult<Unit> add_methods(Line& line, RbacConf&) {
  for (size_t i = 1; i < line.words().size(); ++i) {
    if (!can_be_asked(line.word(i))) return format("invalid method \"{}\": methods have capital letters, \"-\" and \"_\"", line.word(i));
    policy_of(line).methods.push_back(line.word(i));
  }
  return Unit();
}

// headers NAME; headers ! NAME; headers NAME VALUE; headers NAME ~ REGEX;
ConfResult<Unit> add_field(Line& line, RbacConf&) {
  FieldCondition condition;
  condition.must_be_absent = line.word(1) == "!";
  size_t at = condition.must_be_absent ? 2 : 1;
  if (at >= line.words().size() || !is_token(line.word(at))) return line.invalid_parameter(std::min(at, line.word_count()));
  condition.name = line.word(at);
  condition.any_value = at == line.word_count();
  if (!condition.any_value) {
    if (condition.must_be_absent) return line.invalid_parameter(at + 1);
    std::vector<Pattern> values;
    FL_TRY(read_patterns(line, at + 1, values, false));
    if (values.size() != 1) return line.invalid_parameter(line.word_count());
    condition.value = std::move(values.front());
  }
  policy_of(line).fields.push_back(std::move(condition));
  return Unit();
}

bool has_rules(const Block& block) { return conf<RbacConf>(block).rules != nullptr; }

// What the decision about a request was, for the variables.
struct Noted {
  std::string_view policy, decision;
};

// An IPv4 address in the clothes of an IPv6 one ("[::ffff:127.0.0.1]") leads where the IPv4 address leads: patterns see that.
std::string_view asked_host(Request& request) {
  std::string_view host = request.host();
  if (!host.starts_with('[')) return host;
  auto parsed = parse_addr(host, 0, AddrUse::connect);
  return parsed && parsed->addr.is_mapped() ? request.arena().copy(parsed->addr.unmapped().host_text()) : host;
}

Verdict check(Request& request) {
  if (request.is_subrequest) return Verdict::next();  // its parent was let in
  const Rules& rules = *conf<RbacConf>(request).rules;
  const PeerIdentity& identity = client_identity(request.facts);
  Asked asked{identity, *request.client_addr, request.method_text, request.uri, asked_host(request), request.head.headers};
  for (const Policy& policy : rules.log) {
    if (!policy.matches(asked)) continue;
    audit(request, {check_name, Decided::logged, policy.name, identity.shown()});
  }
  Decision decision = rules.decide(asked);
  Noted& noted = request.slot<Noted>();
  noted.policy = decision.policy;
  bool denied = decision.action == Action::deny;
  noted.decision = !denied ? "allowed" : rules.shadow ? "shadow_denied" : "denied";
  Decided decided = !denied ? Decided::allowed : rules.shadow ? Decided::shadow_denied : Decided::denied;
  audit(request, {check_name, decided, decision.policy, identity.shown()});
  if (decided != Decided::denied) return Verdict::next();
  request.fail_reason = "UAEX";
  return Verdict::status(403);
}

template <std::string_view Noted::*Which>
Value get(Session& session, uintptr_t) {
  const Noted* noted = session.find_slot<Noted>();
  return noted ? Value{noted->*Which} : Value::missing();
}

constexpr std::string_view pattern_list = "pattern ... | ~ regex ...";
constexpr Directive rows[] = {
    custom<set_rbac, RbacConf, &RbacConf::rules>("rbac", in_http_any, words(0), "Who may ask for what; replaces the rules of outer blocks.")
        .block(),
    custom<set_default, RbacConf>("default", in_own_block, words(1),
                                  "What holds where no policy matches. Without it: deny if there is an allow policy, else allow.")
        .takes("allow | deny"),
    custom<set_shadow, RbacConf>("shadow", in_own_block, words(1), "Decisions are logged and counted but not enforced.").takes("on | off"),
    custom<add_policy<&Rules::allow>, RbacConf>("allow", in_own_block, words(1), "A policy: requests that it matches are let in.")
        .block().many().takes("name"),
    custom<add_policy<&Rules::deny>, RbacConf>("deny", in_own_block, words(1),
                                              "A policy: requests that it matches get 403, whatever allows them.")
        .block().many().takes("name"),
    custom<add_policy<&Rules::log>, RbacConf>("log", in_own_block, words(1), "A policy: requests that it matches are logged and counted.")
        .block().many().takes("name"),
    custom<add_from, RbacConf>("from", in_own_inner_block, words_from(1),
                               "Names of the client's verified certificate: URIs, DNS names (of any case), the subject; * is any. "
                               "A SPIFFE ID beside another URI lets nobody in.")
        .many().takes(pattern_list),
    custom<add_networks, RbacConf>("networks", in_own_inner_block, words_from(1), "Networks that the client's address is in.")
        .many().takes("network ..."),
    custom<add_methods, RbacConf>("methods", in_own_inner_block, words_from(1), "Methods of the request, in capital letters.")
        .many().takes("method ..."),
    custom<add_paths, RbacConf>("paths", in_own_inner_block, words_from(1),
                                "Paths, normalised, whose case counts: whole, or up to a * at the end.")
        .many().takes(pattern_list),
    custom<add_hosts, RbacConf>("hosts", in_own_inner_block, words_from(1),
                                "Hosts of the request, of any case; *.name are all below it.")
        .many().takes(pattern_list),
    custom<add_field, RbacConf>("headers", in_own_inner_block, words(1, 3),
                                "A header field that is there, has a value, or is not there. All lines must hold.")
        .many().takes("name [value | ~ regex] | ! name"),
};

constexpr VariableDef variables[] = {
    {"rbac_policy", get<&Noted::policy>, variable_volatile | variable_changeable, http_variable},
    {"rbac_decision", get<&Noted::decision>, variable_volatile | variable_changeable, http_variable},
};

constexpr std::string_view after[] = {"realip"};
constexpr PhaseEntry phases[] = {{.phase = Phase::preaccess, .check = &check, .applies = &has_rules}};
constexpr Hooks hooks = {.phases = phases};

}  // namespace
}  // namespace fairlead::http::rbac

namespace fairlead {

extern constinit const Module http_rbac_module = {
    .name = "http_rbac",
    .conf = conf_of<http::rbac::RbacConf>,
    .directives = http::rbac::rows,
    .variables = http::rbac::variables,
    .after = http::rbac::after,
    .http = &http::rbac::hooks,
};

}  // namespace fairlead
