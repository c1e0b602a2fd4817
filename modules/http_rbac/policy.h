// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The policies of rbac { }: what a request is compared with, and what follows. Plain: who the client is and what it asks is handed in.
// Private to this folder.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/addr.h"
#include "core/base/regex.h"
#include "event/tls/identity.h"
#include "http/message/headers.h"

namespace fairlead::http::rbac {

// Whether letters are equal to those of the other case: in names of hosts (RFC 4343), and in nothing else. A SPIFFE ID in other letters is
// another identity.
enum class Case : uint8_t { counts, ignored };

// A text, a text whose end (or, for names of hosts, whose beginning) may be anything, or a regular expression.
struct Pattern {
  enum class Kind : uint8_t { exact, prefix, suffix, regex, any } kind = Kind::exact;
  std::string_view text;          // without its '*'
  std::shared_ptr<Regex> regex, caseless_regex;  // the second only of patterns that names of hosts are compared with
  bool holds_on_error = false;    // a regular expression that gave up counts as matching: so a denial is not got around
  bool matches(std::string_view subject, Case letters) const;
};
// "/a", "/a/*", "*", and after "~" a regular expression. "*.example.org", and Case::ignored, only `for_hosts`: it matches names of hosts
// alone, not the end of a URI or of a subject. A '*' elsewhere is refused: what it would stand for is not evident. The error is a reason.
ConfResult<Pattern> make_pattern(std::string_view text, bool is_regex, bool for_hosts);

struct FieldCondition {
  std::string_view name;
  bool must_be_absent = false;
  bool any_value = true;
  Pattern value;
};

// What is asked.
struct Asked {
  const PeerIdentity& identity;
  const Addr& client;
  std::string_view method;
  std::string_view path;   // normalised
  std::string_view host;   // lower case
  const Headers& headers;
};

// All that is given must hold; within a list, any. A policy without conditions matches everything.
struct Policy {
  bool denies = false;
  std::string_view name;
  std::vector<Pattern> from;             // names of a verified certificate: URIs, DNS names, the subject
  std::vector<Cidr> networks;
  std::vector<std::string_view> methods;
  std::vector<Pattern> paths, hosts;
  std::vector<FieldCondition> fields;
  bool matches(const Asked& asked) const;
};

enum class Action : uint8_t { allow, deny };

struct Decision {
  Action action;
  std::string_view policy;  // "default" if none matched
};

struct Rules {
  std::vector<Policy> deny, allow;
  std::vector<Policy> log;  // matches are told, nothing follows
  bool default_given = false;
  Action default_action = Action::allow;
  bool shadow = false;  // decisions are told but not enforced
  // Deny before allow. Where nothing matches and nothing else is said, the presence of an allow policy means that the rest is denied.
  Decision decide(const Asked& asked) const;
};

}  // namespace fairlead::http::rbac
