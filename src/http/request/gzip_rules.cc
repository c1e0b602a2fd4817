// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/gzip_rules.h"

#include <algorithm>

#include "core/base/clock.h"
#include "core/conf/module.h"
#include "http/message/accept.h"

namespace fairlead::http {
namespace {

ConfResult<Unit> set_disable(Line& line, GzipRulesConf& own) {
  for (size_t i = 1; i < line.words().size(); ++i) {
    if (line.word(i) == "msie6") {
      own.disable_msie6 = true;
      continue;
    }
    auto regex = Regex::compile(line.word(i), RegexOptions{.caseless = true});
    if (!regex) return regex.error();
    own.disabled_agents.push_back(std::make_shared<const Regex>(std::move(*regex)));
  }
  return Unit();
}

// Internet Explorer 4 to 6, but not 6 with the second service pack of Windows XP.
bool is_msie6(std::string_view agent) {
  size_t at = agent.find("MSIE ");
  if (at == std::string_view::npos || at + 7 > agent.size() || agent[at + 6] != '.') return false;
  char major = agent[at + 5];
  return major == '4' || major == '5' || (major == '6' && agent.find("SV1", at) == std::string_view::npos);
}

bool is_agent_disabled(const Request& request, const GzipRulesConf& own) {
  const Headers::Field* agent = request.head.headers.find(KnownHeader::user_agent);
  if (!agent) return false;
  if (own.disable_msie6 && is_msie6(agent->value)) return true;
  return std::any_of(own.disabled_agents.begin(), own.disabled_agents.end(),
                     [&](const auto& regex) { return regex->matches(agent->value); });
}

bool is_expired(const Headers& headers, std::string_view expires_text) {
  auto expires = parse_http_date(expires_text);
  if (!expires) return false;
  const Headers::Field* date = headers.find(KnownHeader::date);
  auto now = date ? parse_http_date(date->value) : std::optional<int64_t>(clock().seconds());
  return now && *expires < *now;
}

// A request with Via came through a proxy, which may keep the answer for clients that cannot decode it.
bool is_proxied_allowed(const Request& request, const GzipRulesConf& own) {
  const Response& response = request.response;
  const Headers& headers = response.head.headers;
  Flags<GzipProxied> flags = own.proxied;
  if (flags.has(GzipProxied::off)) return false;
  if (flags.has(GzipProxied::any)) return true;
  if (flags.has(GzipProxied::auth) && request.head.headers.has(KnownHeader::authorization)) return true;
  if (const Headers::Field* expires = headers.find(KnownHeader::expires))
    return flags.has(GzipProxied::expired) && is_expired(headers, expires->value);
  if (headers.has(KnownHeader::cache_control)) {
    return (flags.has(GzipProxied::no_cache) && headers.any_names(KnownHeader::cache_control, "no-cache")) ||
           (flags.has(GzipProxied::no_store) && headers.any_names(KnownHeader::cache_control, "no-store")) ||
           (flags.has(GzipProxied::private_) && headers.any_names(KnownHeader::cache_control, "private"));
  }
  bool dated = response.last_modified >= 0 || headers.has(KnownHeader::last_modified);
  bool tagged = !response.etag.empty() || headers.has(KnownHeader::etag);
  return !(flags.has(GzipProxied::no_last_modified) && dated) && !(flags.has(GzipProxied::no_etag) && tagged);
}

constexpr Directive rows[] = {
    slot<GzipRulesConf, &GzipRulesConf::vary>("gzip_vary", in_http_any,
        "Say `Vary: Accept-Encoding` of responses that some clients get compressed and others not."),
    slot<GzipRulesConf, &GzipRulesConf::least_version>("gzip_http_version", in_http_any,
        "Lowest version of requests that get compressed responses.").takes("1.0 | 1.1"),
    slot<GzipRulesConf, &GzipRulesConf::proxied>("gzip_proxied", in_http_any,
        "Which responses are compressed for requests that came with Via."),
    custom<set_disable, GzipRulesConf, &GzipRulesConf::disabled_agents, &GzipRulesConf::disable_msie6>("gzip_disable", in_http_any,
        words_from(1), "User agents, by regular expressions, that get no compressed responses.")
        .many()
        .takes("regex ..."),
};

}  // namespace

bool may_be_gzip(const Request& request) {
  const GzipRulesConf& own = conf<GzipRulesConf>(request);
  if (!accepts_gzip(request.head.headers.joined(KnownHeader::accept_encoding))) return false;
  bool old = request.head.version_major == 0 || (request.head.version_major == 1 && request.head.version_minor == 0);
  if (old && own.least_version == GzipVersion::http_1_1) return false;
  if (request.head.headers.has(KnownHeader::via) && !is_proxied_allowed(request, own)) return false;
  return !is_agent_disabled(request, own);
}

void vary_by_encoding(Request& request) {
  if (!conf<GzipRulesConf>(request).vary) return;
  Headers& headers = request.response.head.headers;
  if (!headers.any_names(KnownHeader::vary, "Accept-Encoding")) headers.add(KnownHeader::vary, "Accept-Encoding");
}

void weaken_tag(Request& request) {
  Response& response = request.response;
  std::string_view tag = response.etag.empty() ? response.head.headers.value(KnownHeader::etag) : response.etag;
  if (tag.empty() || tag.starts_with("W/")) return;
  response.head.headers.remove(KnownHeader::etag);
  response.etag = tag.starts_with('"') ? request.arena().join({"W/", tag}) : std::string_view();
}

constinit const Module http_gzip_rules_module = {.name = "http_gzip_rules", .conf = conf_of<GzipRulesConf>, .directives = rows};

}  // namespace fairlead::http
