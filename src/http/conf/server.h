// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Server: a `server` block of http; its names; and the choice of the server for a connection's address and a request's host.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/addr.h"
#include "http/conf/location.h"
#include "http/h1/rules.h"
#include "http/h2/rules.h"

namespace fairlead {
class TlsServer;
}
namespace fairlead::http {

struct ServerName {
  enum class Kind : uint8_t { exact, suffix, prefix, regex } kind;  // suffix: "*.example.org", ".example.org"; prefix: "mail.*"
  std::string_view name;      // lower case; without the `*.` or `.*`
  bool also_exact = false;    // ".example.org" is "example.org", too
  std::unique_ptr<RegexRule> regex;
};

struct Server {
  Block* block = nullptr;
  Location* root = nullptr;           // the server level as a place of requests
  h1::ServerRules h1_rules;
  std::vector<ServerName> names;
  std::string_view name;              // the primary name, for $server_name and redirects
  std::unordered_map<std::string_view, Location*> named;  // "@x"
  std::vector<Location*> locations;   // all, for compiling plans
  h2::ServerRules h2_rules;
  bool speaks_h2 = false;             // `http2 on`, or a `listen ... http2`
  const TlsServer* tls = nullptr;     // what it brings to handshakes; set by the module of the ssl_ directives, nullptr: nothing
  // What it offers by ALPN, the preferred protocol first, each behind its length.
  std::string alpn_protocols = "\x08http/1.1\x08http/1.0\x08http/0.9";
  bool has_listen = false;
  bool takes_connect = false;         // some location of it does
};

// The servers of one listening address, and which of them a host name means: exact, longest "*.suffix", longest "prefix.*", first
// regex, default (nginx's order).
class VirtualHosts final : public HostRules {
 public:
  Server* default_server = nullptr;
  std::vector<Server*> servers;  // each once
  // When all servers and their rules are known. Conflicting names are warned about and the later one is ignored, as in nginx.
  void finish(Generation& generation, std::string_view address);
  struct Named {
    Server* server = nullptr;
    bool is_undecided = false;  // a regular expression could not be tried to its end
  };
  // The server of that name, if any. `host`: lower case, no port, no trailing dot. A regex match sets the session's captures if one is
  // given.
  Named find_named(std::string_view host, Session* session) const;
  // The same, or the default server; nullptr if it is undecided.
  Server* find(std::string_view host, Session* session) const;
  // nullptr: the servers all have the same rules, so that no name has to be looked up while a head is read.
  const HostRules* host_rules() const { return rules_differ_ ? this : nullptr; }
  const HeadRules& rules_for(std::string_view host) const override {
    const Server* server = find_named(host, nullptr).server;
    return (server ? server : default_server)->h1_rules.head;
  }

 private:
  std::unordered_map<std::string_view, Server*> exact_, suffix_, prefix_;
  std::vector<std::pair<RegexRule*, Server*>> regexes_;
  bool rules_differ_ = false;
};

}  // namespace fairlead::http
