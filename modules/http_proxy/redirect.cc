// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What is rewritten in a reply's fields: Location and Refresh (proxy_redirect), Set-Cookie (proxy_cookie_*).
#include <algorithm>
#include <string>

#include "core/base/escape.h"
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "http/conf/location.h"
#include "http/message/uri.h"
#include "modules/http_proxy/proxy.h"

namespace fairlead::http::proxy {

namespace {

// A rule that is a regular expression replaces the whole text, whatever part of it matches. Nothing if it does not match.
std::optional<std::string_view> apply_regex(Request& request, const Rewrite& rule, std::string_view text) {
  if (rule.regex->match(request, text) != Regex::Outcome::match) return std::nullopt;
  return rule.to.evaluate(request);
}

// `text` with its beginning replaced, if that is the rule's; nothing otherwise.
std::optional<std::string_view> apply(Request& request, const Rewrite& rule, std::string_view text) {
  if (rule.regex) return apply_regex(request, rule, text);
  std::string_view from = rule.from.evaluate(request);
  if (!text.starts_with(from)) return std::nullopt;  // an empty one begins every text, as in nginx
  return request.arena().join({rule.to.evaluate(request), text.substr(from.size())});
}

// The same for a cookie's domain, which is another one as soon as it only begins alike. A leading dot stays.
std::optional<std::string_view> apply_to_domain(Request& request, const Rewrite& rule, std::string_view text) {
  if (rule.regex) return apply_regex(request, rule, text);
  std::string_view dot = text.substr(0, text.starts_with('.') ? 1 : 0);
  if (text.empty() || !equal_nocase(text.substr(dot.size()), rule.from.evaluate(request))) return std::nullopt;
  return request.arena().join({dot, rule.to.evaluate(request)});
}

std::optional<std::string_view> apply_default(Request& request, const ProxyRequest& proxy, std::string_view text) {
  const Pass& pass = proxy.conf.pass;
  if (pass.url.is_set()) return std::nullopt;
  const Location* location = request.location;
  while (location->match == Location::Match::none && location->outer) location = location->outer;
  std::string_view from = pass.has_uri ? pass.url_text : request.arena().join({pass.url_text, "/"});
  std::string_view to = pass.has_uri ? location->name : std::string_view("/");
  if (!text.starts_with(from)) return std::nullopt;
  return request.arena().join({to, text.substr(from.size())});
}

// A capture of the decoded path can hold a line feed, which must not begin another field.
std::string_view without_controls(Request& request, std::string_view text) { return escaped(Escape::controls, text, request.arena()); }

std::optional<std::string_view> redirected(Request& request, const ProxyRequest& proxy, std::string_view text) {
  const ProxyConf& conf = proxy.conf;
  if (conf.redirect_off) return std::nullopt;
  if (!conf.redirects_given) return apply_default(request, proxy, text);
  for (const Rewrite& rule : conf.redirects) {
    auto changed = rule.is_default ? apply_default(request, proxy, text) : apply(request, rule, text);
    if (changed) return without_controls(request, *changed);
  }
  return std::nullopt;
}

void edit_refresh(Request& request, const ProxyRequest& proxy, Headers& headers) {
  const Headers::Field* refresh = headers.find(KnownHeader::refresh);
  if (!refresh) return;
  std::string_view value = refresh->value;
  size_t at = find_nocase(value, "url=", 0);
  if (at == std::string_view::npos) return;
  at += 4;
  if (auto changed = redirected(request, proxy, value.substr(at)))
    headers.set(KnownHeader::refresh, request.arena().join({value.substr(0, at), *changed}));
}

// One attribute of a cookie, "; name=value" or "; flag", in the order it came.
struct Attribute {
  std::string_view name, value;
  bool has_value = false;
};

std::vector<Attribute> cut_cookie(std::string_view text) {
  std::vector<Attribute> parts;
  Splitter split(text, ';');
  for (std::string_view part; split.next(part);) {
    part = trim(part);
    size_t equals = part.find('=');
    Attribute attribute;
    attribute.name = trim(part.substr(0, equals));
    if (equals != std::string_view::npos) {
      attribute.has_value = true;
      attribute.value = trim(part.substr(equals + 1));
    }
    parts.push_back(attribute);
  }
  return parts;
}

std::string_view put_together(Request& request, const std::vector<Attribute>& parts) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += "; ";
    text += parts[i].name;
    if (parts[i].has_value) {
      text += '=';
      text += parts[i].value;
    }
  }
  return request.arena().copy(text);
}

using Apply = std::optional<std::string_view> (*)(Request&, const Rewrite&, std::string_view);

bool rewrite_attribute(Request& request, const std::vector<Rewrite>& rules, Apply apply_rule, Attribute& attribute) {
  for (const Rewrite& rule : rules) {
    auto result = apply_rule(request, rule, attribute.value);
    if (!result) continue;
    attribute.value = without_controls(request, *result);
    return true;
  }
  return false;
}

bool rewrite_attributes(Request& request, const ProxyConf& conf, std::vector<Attribute>& parts) {
  bool changed = false;
  for (size_t i = 1; i < parts.size(); ++i) {
    if (!parts[i].has_value) continue;
    if (equal_nocase(parts[i].name, "domain")) changed |= rewrite_attribute(request, conf.cookie_domains, apply_to_domain, parts[i]);
    else if (equal_nocase(parts[i].name, "path")) changed |= rewrite_attribute(request, conf.cookie_paths, apply, parts[i]);
  }
  return changed;
}

// The first attribute of that name gets the value, and stays as it is written if it has it, as in nginx; it is added if there is none.
void set_flag(std::vector<Attribute>& parts, std::string_view name, std::string_view value) {
  for (size_t i = 1; i < parts.size(); ++i) {
    if (!equal_nocase(parts[i].name, name)) continue;
    if (!value.empty() && !equal_nocase(parts[i].value, value)) parts[i] = Attribute{name, value, true};
    return;
  }
  parts.push_back(Attribute{name, value, !value.empty()});
}

void clear_flag(std::vector<Attribute>& parts, std::string_view name) {
  parts.erase(std::remove_if(parts.begin() + 1, parts.end(), [name](const Attribute& part) { return equal_nocase(part.name, name); }),
              parts.end());
}

// The rule with what its variables name in this request.
CookieFlags evaluated(Request& request, const CookieFlags& rule) {
  CookieFlags flags;
  flags.set = rule.set;
  flags.clear = rule.clear;
  flags.same_site = rule.same_site;
  for (const Template& text : rule.more) {
    std::string_view flag = text.evaluate(request);
    if (!flag.empty() && !flags.add(flag)) request.logger.error("invalid proxy_cookie_flags flag \"{}\"", flag);
  }
  return flags;
}

bool apply_flags(Request& request, const ProxyConf& conf, std::vector<Attribute>& parts) {
  for (const CookieFlags& candidate : conf.cookie_flags) {
    bool matches = candidate.regex ? candidate.regex->match(request, parts[0].name) == Regex::Outcome::match
                                   : equal_nocase(candidate.name.evaluate(request), parts[0].name);
    if (!matches) continue;
    CookieFlags rule = evaluated(request, candidate);
    if (rule.set & cookie_secure) set_flag(parts, "Secure", {});
    if (rule.clear & cookie_secure) clear_flag(parts, "Secure");
    if (rule.set & cookie_httponly) set_flag(parts, "HttpOnly", {});
    if (rule.clear & cookie_httponly) clear_flag(parts, "HttpOnly");
    if (rule.set & cookie_samesite) set_flag(parts, "SameSite", rule.same_site);
    if (rule.clear & cookie_samesite) clear_flag(parts, "SameSite");
    return true;
  }
  return false;
}

void edit_cookies(Request& request, const ProxyConf& conf, Headers& headers) {
  if (conf.cookie_domains.empty() && conf.cookie_paths.empty() && conf.cookie_flags.empty()) return;
  std::vector<std::string_view> edited;
  for (const Headers::Field* field = headers.find(KnownHeader::set_cookie); field; field = headers.next_same(*field)) {
    std::vector<Attribute> parts = cut_cookie(field->value);
    bool changed = false;
    if (parts[0].has_value) {  // else it is no cookie, and left alone as in nginx
      changed = rewrite_attributes(request, conf, parts);
      changed = apply_flags(request, conf, parts) || changed;
    }
    edited.push_back(changed ? put_together(request, parts) : field->value);
  }
  headers.remove(KnownHeader::set_cookie);
  for (std::string_view value : edited) headers.add(KnownHeader::set_cookie, value);
}

// "~re", "~*re" or a text, and what replaces it.
ConfResult<Unit> read_rewrite(Line& line, bool is_domain, Rewrite& rule) {
  std::string_view from = line.word(1);
  if (from.starts_with('~')) {
    bool caseless = from.starts_with("~*");
    auto regex = RegexRule::compile(line, from.substr(caseless ? 2 : 1), caseless || is_domain);
    if (!regex) return regex.error();
    rule.regex = std::move(*regex);
  } else {
    auto text = compile_text(line, is_domain && from.starts_with('.') ? from.substr(1) : from);
    if (!text) return text.error();
    rule.from = std::move(*text);
  }
  auto to = compile_word(line, 2);
  if (!to) return to.error();
  rule.to = std::move(*to);
  return Unit();
}

}  // namespace

void edit_reply(Request& request, ResponseHead& reply, const void* proxy_request) {
  const ProxyRequest& proxy = *static_cast<const ProxyRequest*>(proxy_request);
  if (const Headers::Field* location = reply.headers.find(KnownHeader::location)) {
    if (auto changed = redirected(request, proxy, location->value)) {
      reply.headers.set(KnownHeader::location, *changed);
      request.response.foreign_location = false;
    }
  }
  edit_refresh(request, proxy, reply.headers);
  edit_cookies(request, proxy.conf, reply.headers);
}

bool CookieFlags::add(std::string_view flag) {
  if (flag == "secure") set |= cookie_secure;
  else if (flag == "nosecure") clear |= cookie_secure;
  else if (flag == "httponly") set |= cookie_httponly;
  else if (flag == "nohttponly") clear |= cookie_httponly;
  else if (flag == "nosamesite") clear |= cookie_samesite;
  else if (flag == "samesite=strict" || flag == "samesite=lax" || flag == "samesite=none") {
    set |= cookie_samesite;
    same_site = flag == "samesite=strict" ? "Strict" : flag == "samesite=lax" ? "Lax" : "None";
  } else {
    return false;
  }
  return true;
}

ConfResult<Unit> set_redirect(Line& line, ProxyConf& conf) {
  if (conf.redirect_off) return line.directive_reason("is duplicate");
  if (line.word_count() == 1 && line.word(1) == "off") {
    if (!conf.redirects.empty()) return line.directive_reason("is duplicate");
    conf.redirects_given = conf.redirect_off = true;
    return Unit();
  }
  conf.redirects_given = true;
  if (line.word_count() == 1) {
    if (line.word(1) != "default") return line.invalid_parameter(1);
    if (conf.pass.url.is_set())
      return std::string("\"proxy_redirect default\" cannot be used with \"proxy_pass\" directive with variables");
    if (!conf.pass.is_set) return std::string("\"proxy_redirect default\" should be placed after the \"proxy_pass\" directive");
    Rewrite rule;
    rule.is_default = true;
    conf.redirects.push_back(std::move(rule));
    return Unit();
  }
  Rewrite rule;
  FL_TRY(read_rewrite(line, false, rule));
  conf.redirects.push_back(std::move(rule));
  return Unit();
}

ConfResult<Unit> set_cookie_rewrite(Line& line, ProxyConf& conf) {
  bool domain = line.name() == "proxy_cookie_domain";
  std::vector<Rewrite>& rules = domain ? conf.cookie_domains : conf.cookie_paths;
  bool& off = domain ? conf.cookie_domains_off : conf.cookie_paths_off;
  if (off) return line.directive_reason("is duplicate");
  if (line.word_count() == 1) {
    if (line.word(1) != "off") return line.invalid_parameter(1);
    if (!rules.empty()) return line.directive_reason("is duplicate");
    off = true;
    return Unit();
  }
  Rewrite rule;
  FL_TRY(read_rewrite(line, domain, rule));
  rules.push_back(std::move(rule));
  return Unit();
}

ConfResult<Unit> set_cookie_flags(Line& line, ProxyConf& conf) {
  if (conf.cookie_flags_off) return line.directive_reason("is duplicate");
  if (line.word_count() == 1) {
    if (line.word(1) != "off") return line.invalid_parameter(1);
    if (!conf.cookie_flags.empty()) return line.directive_reason("is duplicate");
    conf.cookie_flags_off = true;
    return Unit();
  }
  CookieFlags rule;
  if (line.word(1).starts_with('~')) {
    auto regex = RegexRule::compile(line, line.word(1).substr(1), true);
    if (!regex) return regex.error();
    rule.regex = std::move(*regex);
  } else {
    auto name = compile_word(line, 1);
    if (!name) return name.error();
    rule.name = std::move(*name);
  }
  for (size_t i = 2; i < line.words().size(); ++i) {
    auto flag = compile_word(line, i);
    if (!flag) return flag.error();
    if (!flag->is_literal()) rule.more.push_back(std::move(*flag));
    else if (!rule.add(line.word(i))) return line.invalid_parameter(i);
  }
  conf.cookie_flags.push_back(std::move(rule));
  return Unit();
}

}  // namespace fairlead::http::proxy
