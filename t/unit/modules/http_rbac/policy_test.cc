// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_rbac/policy.h"

#include <gtest/gtest.h>

namespace fairlead::http::rbac {
namespace {

class RbacPolicy : public testing::Test {
 protected:
  Pattern pattern(std::string_view text, bool suffixes = false) {
    bool is_regex = text.starts_with('~');
    auto made = make_pattern(is_regex ? text.substr(1) : text, is_regex, suffixes);
    EXPECT_TRUE(made) << text;
    return std::move(*made);
  }
  bool matches(const Policy& policy) {
    Asked asked{identity, client, method, path, host, headers};
    return policy.matches(asked);
  }
  std::string decide(const Rules& rules) {
    Asked asked{identity, client, method, path, host, headers};
    Decision decision = rules.decide(asked);
    return std::string(decision.action == Action::allow ? "allow " : "deny ") + std::string(decision.policy);
  }
  static constexpr const char* id = "spiffe://td/ns/a/sa/one";
  Arena::Owner arena = Arena::open(1024);
  PeerIdentity identity{true, {id}, {"a.example.org"}, "CN=one,O=Example", "", "", "", "", id};
  Addr client = *Addr::parse_ip("10.1.2.3");
  std::string_view method = "GET", path = "/orders/1", host = "api.example.org";
  Headers headers{*arena};
};

TEST_F(RbacPolicy, Patterns) {
  auto holds = [&](std::string_view text, std::string_view subject) { return pattern(text).matches(subject, Case::counts); };
  EXPECT_TRUE(holds("/a", "/a"));
  EXPECT_FALSE(holds("/a", "/a/"));
  EXPECT_FALSE(holds("/a", "/A"));
  EXPECT_TRUE(holds("/a/*", "/a/"));
  EXPECT_TRUE(holds("/a/*", "/a/b/c"));
  EXPECT_FALSE(holds("/a/*", "/a"));
  EXPECT_TRUE(holds("*", "x"));
  EXPECT_FALSE(holds("*", ""));
  EXPECT_TRUE(holds("~^/v\\d$", "/v1"));
  EXPECT_FALSE(holds("~^/v\\d$", "/v12"));
  EXPECT_TRUE(holds("~^/admin/.*secret$", "/admin/\nsecret"));
  EXPECT_FALSE(holds("~^/v\\d$", "/v1\n"));
  EXPECT_TRUE(pattern("*.example.org", true).matches("a.example.org", Case::ignored));
  EXPECT_FALSE(pattern("*.example.org", true).matches("example.org", Case::ignored));
  EXPECT_FALSE(pattern("*.example.org", true).matches(".example.org", Case::ignored));
  EXPECT_FALSE(pattern("*.example.org", true).matches("spiffe://evil/a.example.org", Case::counts)) << "the end of a URI";
  for (std::string_view wrong : {"/a*b", "**", "", "*x*", "*.a"}) EXPECT_FALSE(make_pattern(wrong, false, false)) << wrong;
  EXPECT_FALSE(make_pattern("(", true, false));
}

TEST_F(RbacPolicy, CaseIsIgnoredOrCountsInEveryKindOfPattern) {
  for (std::string_view text : {"A.example.ORG", "A.exam*", "*.Example.org", "~^A\\.EXAMPLE"}) {
    EXPECT_TRUE(pattern(text, true).matches("a.example.org", Case::ignored)) << text;
    EXPECT_FALSE(pattern(text, true).matches("a.example.org", Case::counts)) << text;
  }
}

TEST_F(RbacPolicy, ARegexThatGivesUpDoesNotOpenADenial) {
  Pattern slow = pattern("~^(a+)+$");
  std::string subject = std::string(40, 'a') + "b";
  bool gave_up = !slow.matches(subject, Case::counts);
  EXPECT_TRUE(gave_up);
  slow.holds_on_error = true;
  RegexMatch found;
  bool is_error = slow.regex->match(subject, found) == Regex::Outcome::error;
  EXPECT_EQ(slow.matches(subject, Case::counts), is_error);
}

TEST_F(RbacPolicy, From) {
  Policy policy;
  EXPECT_TRUE(matches(policy));
  for (std::string_view name : {"spiffe://td/ns/a/*", "a.example.org", "*.example.org", "CN=one,O=Example", "*"}) {
    policy.from = {pattern("spiffe://other/*", true), pattern(name, true)};
    EXPECT_TRUE(matches(policy)) << name;
  }
  policy.from = {pattern("spiffe://td/ns/a", true)};
  EXPECT_FALSE(matches(policy));
  policy.from = {pattern("*", true)};
  identity = PeerIdentity();
  EXPECT_FALSE(matches(policy));
}

TEST_F(RbacPolicy, ASpiffeIdBesideAnotherUriCountsForDenialsAlone) {
  identity.uris = {"https://x/", "spiffe://td/ns/a/sa/one", "SPIFFE://td/ns/a/sa/one"};
  identity.dns_names = {"spiffe://td/ns/a/sa/one"};
  identity.spiffe_id.clear();
  Policy policy;
  for (std::string_view name : {"spiffe://td/ns/a/*", "SPIFFE://*", "~^spiffe:"}) {
    policy.from = {pattern(name, true)};
    policy.denies = false;
    EXPECT_FALSE(matches(policy)) << name;
    policy.denies = true;
    EXPECT_TRUE(matches(policy)) << name;
  }
  policy.denies = false;
  policy.from = {pattern("https://x/", true)};
  EXPECT_TRUE(matches(policy));
  EXPECT_EQ(identity.shown(), "https://x/");
}

TEST_F(RbacPolicy, IdentitiesAreOthersInOtherLettersHostsAreNot) {
  Policy policy;
  for (std::string_view name : {"spiffe://td/ns/A/sa/one", "spiffe://TD/*", "~^SPIFFE://", "cn=one,O=Example", "CN=ONE*", "~cn="}) {
    policy.from = {pattern(name, true)};
    EXPECT_FALSE(matches(policy)) << name;
  }
  for (std::string_view name : {"A.example.org", "A.exa*", "*.EXAMPLE.org", "~^A\\.example"}) {
    policy.from = {pattern(name, true)};
    EXPECT_TRUE(matches(policy)) << name;
  }
  policy.from.clear();
  for (std::string_view name : {"API.example.org", "API.*", "*.Example.org", "~^API"}) {
    policy.hosts = {pattern(name, true)};
    EXPECT_TRUE(matches(policy)) << name;
  }
  policy.hosts.clear();
  policy.paths = {pattern("/Orders/*")};
  EXPECT_FALSE(matches(policy));
}

TEST_F(RbacPolicy, AllConditionsMustHold) {
  Policy policy;
  policy.methods = {"POST", "GET"};
  policy.paths = {pattern("/orders/*")};
  policy.hosts = {pattern("*.example.org", true)};
  policy.networks = {*Cidr::parse("10.0.0.0/8")};
  EXPECT_TRUE(matches(policy));
  method = "PUT";
  EXPECT_FALSE(matches(policy));
  method = "POST";
  path = "/admin";
  EXPECT_FALSE(matches(policy));
  path = "/orders/2";
  host = "example.org";
  EXPECT_FALSE(matches(policy));
  host = "b.example.org";
  client = *Addr::parse_ip("192.0.2.1");
  EXPECT_FALSE(matches(policy));
}

TEST_F(RbacPolicy, Fields) {
  headers.add("X-A", "one");
  headers.add("X-A", "two");
  Policy policy;
  policy.fields = {FieldCondition{"x-a", false, true, {}}};
  EXPECT_TRUE(matches(policy));
  policy.fields = {FieldCondition{"x-a", false, false, pattern("two")}, FieldCondition{"x-b", true, true, {}}};
  EXPECT_TRUE(matches(policy));
  policy.fields = {FieldCondition{"x-a", false, false, pattern("three")}};
  EXPECT_FALSE(matches(policy));
  policy.fields = {FieldCondition{"x-a", true, true, {}}};
  EXPECT_FALSE(matches(policy));
  policy.fields = {FieldCondition{"x-b", false, true, {}}};
  EXPECT_FALSE(matches(policy));
}

TEST_F(RbacPolicy, DenyBeforeAllowAndWhatNothingMatches) {
  Rules rules;
  EXPECT_EQ(decide(rules), "allow default");
  Policy get, orders;
  get.name = "get";
  get.methods = {"GET"};
  orders.name = "orders";
  orders.paths = {pattern("/orders/*")};
  rules.allow = {get};
  EXPECT_EQ(decide(rules), "allow get");
  rules.deny = {orders};
  EXPECT_EQ(decide(rules), "deny orders");
  path = "/";
  EXPECT_EQ(decide(rules), "allow get");
  method = "PUT";
  EXPECT_EQ(decide(rules), "deny default");
  rules.default_given = true;
  rules.default_action = Action::allow;
  EXPECT_EQ(decide(rules), "allow default");
  rules.allow.clear();
  rules.default_action = Action::deny;
  EXPECT_EQ(decide(rules), "deny default");
}

}  // namespace
}  // namespace fairlead::http::rbac
