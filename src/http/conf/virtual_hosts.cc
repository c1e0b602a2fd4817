// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// VirtualHosts: the tables of names of one listening address, and the search in them.
#include <algorithm>

#include "core/base/format.h"
#include "core/conf/generation.h"
#include "http/conf/server.h"

namespace fairlead::http {

// What an HTTP/2 connection announces is said before any host is known: it holds for the servers of all.
static void share_head_limit(const std::vector<Server*>& servers) {
  uint32_t largest = 0;
  for (const Server* server : servers) largest = std::max(largest, server->h2_rules.session.head_list_bytes_max);
  for (Server* server : servers) server->h2_rules.session.head_list_bytes_max = largest;
}

void VirtualHosts::finish(Generation& generation, std::string_view address) {
  auto put = [&](auto& map, std::string_view key, Server* server, std::string_view shown) {
    auto [at, fresh] = map.emplace(key, server);
    if (!fresh && at->second != server) generation.warn(format("conflicting server name \"{}\" on {}, ignored", shown, address));
  };
  for (Server* server : servers) {
    if (server->h1_rules.head != default_server->h1_rules.head) rules_differ_ = true;
    for (ServerName& name : server->names) {
      switch (name.kind) {
        case ServerName::Kind::exact: put(exact_, name.name, server, name.name); break;
        case ServerName::Kind::suffix:
          put(suffix_, name.name, server, format("*.{}", name.name));
          if (name.also_exact) put(exact_, name.name, server, name.name);
          break;
        case ServerName::Kind::prefix: put(prefix_, name.name, server, format("{}.*", name.name)); break;
        case ServerName::Kind::regex: regexes_.push_back({name.regex.get(), server}); break;
      }
    }
  }
  if (rules_differ_) share_head_limit(servers);
}

Server* VirtualHosts::find(std::string_view host, Session* session) const {
  if (servers.size() == 1 && regexes_.empty()) return default_server;
  Named found = find_named(host, session);
  return found.server || found.is_undecided ? found.server : default_server;
}

VirtualHosts::Named VirtualHosts::find_named(std::string_view host, Session* session) const {
  if (auto at = exact_.find(host); at != exact_.end()) return {at->second};
  if (!suffix_.empty())
    for (size_t dot = host.find('.'); dot != std::string_view::npos; dot = host.find('.', dot + 1))
      if (auto at = suffix_.find(host.substr(dot + 1)); at != suffix_.end()) return {at->second};
  if (!prefix_.empty())
    for (size_t dot = host.rfind('.'); dot != std::string_view::npos && dot > 0; dot = host.rfind('.', dot - 1))
      if (auto at = prefix_.find(host.substr(0, dot)); at != prefix_.end()) return {at->second};
  for (const auto& [rule, server] : regexes_) {
    RegexMatch found;
    Regex::Outcome outcome = session ? rule->match(*session, host) : rule->regex().match(host, found);
    if (outcome == Regex::Outcome::match) return {server};
    if (outcome == Regex::Outcome::error) return {nullptr, true};
  }
  return {};
}

}  // namespace fairlead::http
