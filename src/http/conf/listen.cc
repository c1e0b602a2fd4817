// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/conf/listen.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/conf/resolve_now.h"
#include "event/net/socket.h"
#include "http/conf/core_conf.h"

namespace fairlead::http {

const ListenAddress& ListenGroup::address_of(int fd) const {
  if (covered.empty()) return *own;
  Addr local = local_address(fd);
  for (const ListenAddress* address : covered)
    if (address->addr == local) return *address;
  return *own;
}

// What modules ask for holds for the address, whichever server's line says it; lines that contradict each other are worth a warning.
static void add_options(ListenAddress& address, const ListenWish& wish, const Line* line) {
  bool first = address.hosts.servers.empty();
  bool contradicts = !first && !address.options.hold_all_of(wish.options) && !wish.options.hold_all_of(address.options);
  if (contradicts && line) line->warn(format("protocol options redefined for {}", address.addr.text()));
  address.options.add(wish.options);
}

ConfResult<Unit> Listens::add(Server& server, const ListenSpec& spec, const ListenWish& wish, const Line* line) {
  ListenAddress* address = nullptr;
  for (auto& known : addresses)
    if (known->addr == spec.addr) address = known.get();
  if (!address) {
    addresses.push_back(std::make_unique<ListenAddress>());
    address = addresses.back().get();
    address->addr = spec.addr;
    address->spec = spec;
  }
  std::vector<Server*>& servers = address->hosts.servers;
  if (std::find(servers.begin(), servers.end(), &server) != servers.end()) return format("a duplicate listen {}", spec.addr.text());
  if (wish.own_socket) address->has_own_socket = true;
  if (wish.http2) address->has_http2 = true;
  if (wish.is_secure) address->is_secure = true;
  if (wish.has_options) {
    if (address->has_options) return format("duplicate listen options for {}", spec.addr.text());
    address->has_options = true;
    address->spec = spec;
  }
  if (wish.default_server) {
    if (address->hosts.default_server) return format("a duplicate default server for {}", spec.addr.text());
    address->hosts.default_server = &server;
  }
  add_options(*address, wish, line);
  servers.push_back(&server);
  server.has_listen = true;
  return Unit();
}

void Listens::finish(Generation& generation) {
  for (auto& address : addresses) {
    if (!address->hosts.default_server) address->hosts.default_server = address->hosts.servers.front();
    if (address->has_http2)
      for (Server* server : address->hosts.servers) server->speaks_h2 = true;
    address->hosts.finish(generation, address->addr.text());
    address->block = address->hosts.default_server->block;
    address->greeting_timeout_ms = conf<CoreConf>(*address->block).client_header_timeout.ms;
    address->find_hooks();
  }
  auto wildcard_of = [&](const ListenAddress& address) -> ListenAddress* {
    if (!address.addr.is_ip() || address.addr.is_wildcard() || address.has_own_socket) return nullptr;
    for (auto& other : addresses)
      if (other->addr.is_wildcard() && other->addr.family() == address.addr.family() && other->addr.port() == address.addr.port())
        return other.get();
    return nullptr;
  };
  for (auto& address : addresses) {
    if (wildcard_of(*address)) continue;
    groups.push_back(std::make_unique<ListenGroup>());
    groups.back()->own = address.get();
  }
  for (auto& address : addresses)
    if (ListenAddress* wildcard = wildcard_of(*address))
      for (auto& group : groups)
        if (group->own == wildcard) group->covered.push_back(address.get());
}

namespace {

struct ListenWords {
  ListenSpec spec;
  bool default_server = false;
  bool has_options = false;
  bool bind = false;
  bool http2 = false;
  ListenOptions options;
  bool is_secure = false;
};

ConfResult<Unit> set_number(std::string_view text, int& field, const char* what) {
  auto number = parse_decimal(text);
  if (!number || *number == 0 || *number > INT32_MAX) return format("invalid {} \"{}={}\"", what, what, text);
  field = static_cast<int>(*number);
  return Unit();
}

// so_keepalive=on|off|[idle]:[interval]:[count]
ConfResult<Unit> set_keepalive(std::string_view text, ListenSpec& spec) {
  if (text == "on") spec.keepalive = ListenSpec::Keepalive::on;
  else if (text == "off") spec.keepalive = ListenSpec::Keepalive::off;
  else {
    std::string_view parts[3], rest;
    Splitter split(text, ':');
    bool three = split.next(parts[0]) && split.next(parts[1]) && split.next(parts[2]) && !split.next(rest);
    if (!three || text == "::") return format("invalid so_keepalive value: \"{}\"", text);
    spec.keepalive = ListenSpec::Keepalive::on;
    for (size_t i = 0; i < 2; ++i) {
      if (parts[i].empty()) continue;
      auto ms = parse_time_ms(parts[i], TimeGrain::seconds);
      if (!ms) return format("invalid so_keepalive value: \"{}\"", text);
      (i == 0 ? spec.keep_idle_s : spec.keep_interval_s) = static_cast<int>(*ms / 1000);
    }
    if (!parts[2].empty()) {
      auto number = parse_decimal(parts[2]);
      if (!number) return format("invalid so_keepalive value: \"{}\"", text);
      spec.keep_count = static_cast<int>(*number);
    }
  }
  return Unit();
}

ConfResult<Unit> set_size(std::string_view text, int& field, const char* what) {
  auto bytes = parse_size(text, SizeUnits::up_to_mega);
  if (!bytes || *bytes > INT32_MAX) return format("invalid {} \"{}={}\"", what, what, text);
  field = static_cast<int>(*bytes);
  return Unit();
}

// One word behind the address.
ConfResult<Unit> take_option(Line& line, size_t index, ListenWords& words) {
  std::string_view word = line.word(index);
  ListenSpec& spec = words.spec;
  if (word == "default_server" || word == "default") {
    words.default_server = true;
    return Unit();
  }
  if (word == "ssl") {
    if (!modules().find("http_ssl")) return std::string("the \"ssl\" parameter requires ngx_http_ssl_module");
    words.is_secure = true;
    return Unit();
  }
  if (word == "http2") {
    line.warn("the \"listen ... http2\" directive is deprecated, use the \"http2\" directive instead");
    words.http2 = true;
    return Unit();
  }
  if (word == "quic") return std::string("the \"quic\" parameter requires ngx_http_v3_module");
  auto taken = take_listen_option(line, index, spec, words.options);
  if (!taken) return taken.error();
  if (*taken) return Unit();
  words.has_options = true;
  auto value = [&](std::string_view prefix) { return word.substr(prefix.size()); };
  if (word == "bind") words.bind = true;
  else if (word == "reuseport") spec.reuseport = true;
  else if (word == "multipath") spec.multipath = true;
  else if (word == "deferred") spec.deferred = true;
  else if (word.starts_with("backlog=")) return set_number(value("backlog="), spec.backlog, "backlog");
  else if (word.starts_with("rcvbuf=")) return set_size(value("rcvbuf="), spec.receive_buffer, "rcvbuf");
  else if (word.starts_with("sndbuf=")) return set_size(value("sndbuf="), spec.send_buffer, "sndbuf");
  else if (word.starts_with("fastopen=")) return set_number(value("fastopen="), spec.fastopen, "fastopen");
  else if (word.starts_with("so_keepalive=")) return set_keepalive(value("so_keepalive="), spec);
  else if (word == "ipv6only=on" || word == "ipv6only=off") {
    if (spec.addr.family() == Addr::Family::inet6) spec.ipv6_only = word == "ipv6only=on";  // of an IPv4 address it says nothing
  } else if (word.starts_with("setfib=") || word.starts_with("accept_filter=")) {
    return format("the \"{}\" parameter is not supported on this platform", word);
  } else {
    return line.invalid_parameter(index);
  }
  return Unit();
}

}  // namespace

ConfResult<Unit> set_listen(Line& line, Server& server, Listens& plan) {
  bool has_path = !line.word(1).starts_with("unix:") && line.word(1).find('/') != std::string_view::npos;
  auto parsed = has_path ? ConfResult<AddrText>("invalid host") : parse_addr(line.word(1), 80, AddrUse::listen);
  if (!parsed) return format("{} in \"{}\" of the \"listen\" directive", parsed.error(), line.word(1));
  ListenWords words;
  std::vector<Addr> addresses;
  if (parsed->is_name()) {
    auto resolved = resolve_now(parsed->host, parsed->port);
    if (!resolved) return format("{} in \"{}\" of the \"listen\" directive", resolved.error(), line.word(1));
    addresses = std::move(*resolved);
  } else {
    addresses.push_back(parsed->addr);
  }
  words.spec.addr = addresses.front();
  for (size_t i = 2; i < line.words().size(); ++i) FL_TRY(take_option(line, i, words));
  FL_TRY(check_listen_spec(words.spec));
  if (words.spec.reuseport || words.spec.multipath) words.bind = true;
  ListenWish wish{words.default_server, words.has_options, words.bind, words.http2, words.is_secure, std::move(words.options)};
  for (Addr& addr : addresses) {
    for (uint32_t port = parsed->port; port <= std::max(parsed->port, parsed->last_port); ++port) {
      words.spec.addr = addr;
      if (addr.is_ip()) words.spec.addr.set_port(static_cast<uint16_t>(port));
      FL_TRY(plan.add(server, words.spec, wish, &line));
    }
  }
  return Unit();
}

}  // namespace fairlead::http
