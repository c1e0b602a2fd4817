// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/group.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/conf/resolve_now.h"
#include "core/conf/value.h"
#include "core/shm/shm.h"
#include "core/upstream/round_robin.h"

namespace fairlead {
namespace {

// The zone of a group holds its peer states; several groups may share it.
constexpr char zone_owner = 0;
// How many times its size a zone is mapped. It outlives its configuration, and peers that go keep
// their places until the last request that saw them is over: those of some generations, or answers
// of a name server, stand beside each other. nginx makes a zone anew for each configuration. What
// no peer needs is not touched.
constexpr uint64_t zone_room = 8;
// Changes of peers at run time, of all groups in one zone, at most.
constexpr char edits_zone_owner = 0;
constexpr uint32_t peer_edits_max = 256;

UpstreamsConf& upstreams_of_line(const Line& line) { return own_conf<UpstreamsConf>(*line.block().enclosing(in_main)); }

ConfResult<Unit> set_upstream(Line& line, UpstreamsConf&) {
  UpstreamsConf& all = upstreams_of_line(line);
  for (auto& group : all.groups) {
    if (!group->is_implicit && equal_nocase(group->name, line.word(1))) return format("duplicate upstream \"{}\"", line.word(1));
  }
  all.groups.push_back(std::make_unique<GroupSpec>());
  GroupSpec& group = *all.groups.back();
  group.name = line.word(1);
  group.place = line.place();
  Block* block = line.open_block(line.block().context() == in_http ? in_upstream : in_stream_upstream);
  block->set_object(&group);
  group.block = block;
  FL_TRY(line.read_block(*block));
  if (group.servers.empty()) return std::string("no servers are inside upstream");
  return Unit();
}

// What no resolver would be asked for: such a name is a slip of the pen, not a server that is down.
bool is_host_name(std::string_view host) {
  return std::all_of(host.begin(), host.end(), [](char c) {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '.' || c == '_' || static_cast<unsigned char>(c) >= 0x80;
  });
}

// True: the text names a port.
ConfResult<bool> set_address(std::string_view text, uint16_t default_port, ServerLine& server) {
  auto parsed = parse_addr(text, default_port, AddrUse::connect);
  if (!parsed) return format("{} in upstream \"{}\"", parsed.error(), text);
  server.text = text;
  server.spec.server = std::string(text);
  if (parsed->is_name()) {
    if (!is_host_name(parsed->host)) return format("invalid host in upstream \"{}\"", text);
    server.host = parsed->host;
    server.port = parsed->port;
    return parsed->has_port;
  }
  server.spec.address = parsed->addr;
  server.spec.name = parsed->addr.text();
  return parsed->has_port;
}

// A parameter that not all methods have; the method may also stand further down (complete_groups).
ConfResult<Unit> check_method(const GroupSpec& group, std::string_view parameter) {
  if (!group.balancer || group.balancer->allows_backups()) return Unit();
  return format("balancing method does not support parameter \"{}\"", parameter);
}

// Longer ones would not fit where sessions are learnt.
constexpr size_t route_bytes_max = 32;

ConfResult<Unit> set_time(Line& line, size_t index, size_t prefix, int64_t& seconds) {
  auto ms = parse_time_ms(line.word(index).substr(prefix), TimeGrain::seconds);
  if (!ms) return line.invalid_parameter(index);
  seconds = static_cast<int64_t>(*ms / 1000);
  return Unit();
}

// Parameters about names. False: it is none of them.
ConfResult<bool> set_name_parameter(std::string_view word, ServerLine& server) {
  if (word == "resolve") {
    server.resolve = true;
    return true;
  }
  if (word.starts_with("service=")) {
    server.service = word.substr(8);
    if (server.service.empty()) return std::string("service is empty");
    return true;
  }
  if (word.starts_with("route=")) {
    server.spec.route = std::string(word.substr(6));
    if (server.spec.route.empty()) return std::string("route is empty");
    if (server.spec.route.size() > route_bytes_max) return format("route is longer than {}", route_bytes_max);
    return true;
  }
  return false;
}

ConfResult<Unit> set_server_parameter(Line& line, size_t index, ServerLine& server) {
  std::string_view word = line.word(index);
  PeerSpec& spec = server.spec;
  auto number = [&](std::string_view prefix, uint32_t least, uint32_t& field) -> ConfResult<Unit> {
    auto value = parse_decimal(word.substr(prefix.size()));
    if (!value || *value < least || *value > INT32_MAX) return line.invalid_parameter(index);
    field = static_cast<uint32_t>(*value);
    return Unit();
  };
  if (word.starts_with("weight=")) return number("weight=", 1, spec.weight);
  if (word.starts_with("max_conns=")) return number("max_conns=", 0, spec.max_conns);
  if (word.starts_with("max_fails=")) return number("max_fails=", 0, spec.max_fails);
  if (word.starts_with("fail_timeout=")) return set_time(line, index, 13, spec.fail_timeout_s);
  if (word.starts_with("slow_start=")) {
    FL_TRY(check_method(group_of(line), "slow_start"));
    return set_time(line, index, 11, spec.slow_start_s);
  }
  if (word == "backup") {
    FL_TRY(check_method(group_of(line), "backup"));
    spec.backup = true;
    return Unit();
  }
  if (word == "down" || word == "drain") {
    (word == "down" ? spec.down : spec.drain) = true;
    return Unit();
  }
  auto about_names = set_name_parameter(word, server);
  if (!about_names) return about_names.error();
  return *about_names ? ConfResult<Unit>(Unit()) : line.invalid_parameter(index);
}

// nginx's words.
ConfResult<Unit> check_service(const ServerLine& server, bool has_port) {
  if (server.service.empty()) return Unit();
  if (!server.resolve) return format("service upstream \"{}\" requires \"resolve\" parameter", server.text);
  if (has_port) return format("service upstream \"{}\" may not have port", server.text);
  if (server.host.empty()) return format("service upstream \"{}\" requires domain name", server.text);
  return Unit();
}

ConfResult<Unit> set_server(Line& line, UpstreamsConf&) {
  ServerLine server;
  bool stream = line.block().context() == in_stream_upstream;
  auto has_port = set_address(line.word(1), stream ? 0 : 80, server);
  if (!has_port) return has_port.error();
  for (size_t i = 2; i < line.words().size(); ++i) FL_TRY(set_server_parameter(line, i, server));
  FL_TRY(check_service(server, *has_port));
  group_of(line).servers.push_back(std::move(server));
  return Unit();
}

ConfResult<Zone*> declare_zone(const Line& line) {
  ZoneSet& zones = line.generation().zones;
  if (line.word_count() == 1) return zones.declare(line.word(1), 0, &zone_owner);
  auto size = parse_size(line.word(2), SizeUnits::up_to_mega);
  if (!size || *size > SIZE_MAX / zone_room) return format("invalid zone size \"{}\"", line.word(2));
  if (*size < zone_bytes_min) return format("zone \"{}\" is too small", line.word(1));
  const Zone* known = zones.find(line.word(1));
  uint64_t known_size = known && known->owner() == &zone_owner ? known->bytes() / zone_room : 0;
  if (known_size != 0 && known_size != *size)
    return format("the size {} of shared memory zone \"{}\" conflicts with already declared size {}", *size, line.word(1), known_size);
  return zones.declare(line.word(1), *size * zone_room, &zone_owner);
}

ConfResult<Unit> set_zone(Line& line, UpstreamsConf&) {
  if (line.word(1).empty()) return std::string("invalid zone name \"\"");
  auto zone = declare_zone(line);
  if (!zone) return zone.error();
  group_of(line).zone = *zone;
  std::string_view beside = line.arena().join({line.word(1), " (edits)"});
  auto edits = line.generation().zones.declare(beside, PeerEdits::bytes_for(peer_edits_max) + zone_bytes_min, &edits_zone_owner);
  if (!edits) return edits.error();
  group_of(line).edits_zone = *edits;
  return Unit();
}

ConfResult<Unit> set_keepalive(Line& line, UpstreamsConf&) {
  auto number = parse_decimal(line.word(1));
  if (!number) return format("invalid value \"{}\" in \"keepalive\" directive", line.word(1));
  if (line.word_count() == 2 && line.word(2) != "local") return line.invalid_parameter(2);
  group_of(line).keepalive.idle_max = *number;
  return Unit();
}

ConfResult<Unit> set_keepalive_number(Line& line, UpstreamsConf&) {
  return ConfValue<uint64_t>::parse(line, group_of(line).keepalive.requests_max);
}
ConfResult<Unit> set_keepalive_time(Line& line, UpstreamsConf&) {
  Msec time;
  FL_TRY(ConfValue<Msec>::parse(line, time));
  (line.name() == "keepalive_time" ? group_of(line).keepalive.time_ms : group_of(line).keepalive.timeout_ms) = time.ms;
  return Unit();
}

ConfResult<Unit> set_resolve_at_start(Line& line, UpstreamsConf&) {
  if (line.word(1) != "warn" && line.word(1) != "strict") return line.invalid_value(1);
  upstreams_of_line(line).resolve_strictly = line.word(1) == "strict";
  return Unit();
}

// How long all names together may keep a configuration from being loaded.
constexpr uint64_t names_budget_ms = 2000;

// The names of all groups, asked for once each.
class LoadedNames {
 public:
  void want(const ServerLine& server) {
    if (!find(server)) names_.push_back({server.host, server.port, {}});
  }
  void resolve() { resolve_all(names_, names_budget_ms); }
  std::span<const Addr> addresses(const ServerLine& server) { return find(server)->found; }

 private:
  NameToResolve* find(const ServerLine& server) {
    for (NameToResolve& name : names_)
      if (name.port == server.port && name.host == server.host) return &name;
    return nullptr;
  }
  std::vector<NameToResolve> names_;
};

// What the configuration before this one knew of the same server: better than nothing while a name server fails.
std::vector<Addr> known_before(Generation& generation, const ServerLine& server) {
  std::vector<Addr> known;
  if (!generation.previous()) return known;
  for (const auto& group : upstreams_of(*generation.previous()).groups) {
    for (const PeerSpec& peer : group->peers)
      if (peer.server == server.text && peer.address.port() == server.port) known.push_back(peer.address);
    if (!known.empty()) break;
  }
  return known;
}

// Names that the system's resolver is asked for now.
bool is_asked_now(const ServerLine& server) { return !server.host.empty() && !server.resolve; }

// Literals as they are, names by the system's resolver. A name that does not resolve leaves no peer now: it is retried by the workers.
ConfResult<Unit> list_peers(Generation& generation, GroupSpec& group, LoadedNames& names) {
  for (ServerLine& server : group.servers) {
    if (!is_asked_now(server)) continue;
    std::span<const Addr> addresses = names.addresses(server);
    std::vector<Addr> before;
    if (addresses.empty()) {
      bool strict = upstreams_of(generation).resolve_strictly;
      std::string reason = format("host not found in upstream \"{}\"{}", server.text, at_place(group.place));
      if (strict) return reason + "\n";
      before = known_before(generation, server);
      addresses = before;
      generation.warn(reason + (before.empty() ? ", it is down until its name resolves" : ", its addresses are those known before"));
    }
    for (const Addr& addr : addresses) server.known.push_back({addr, {}, 0, false});
  }
  group.use_known();
  return Unit();
}

// Of servers that the method has not, where it stands below them. As with nginx backups serve then all the same while no other server can.
ConfResult<Unit> check_parameters(Generation& generation, const GroupSpec& group) {
  if (group.balancer->allows_backups()) return Unit();
  for (const ServerLine& server : group.servers) {
    if (server.spec.slow_start_s)
      return format("balancing method \"{}\" does not support parameter \"slow_start\"{}\n", group.balancer_name, at_place(group.place));
    if (server.spec.backup)
      generation.warn(format("balancing method \"{}\" knows no \"backup\": \"{}\" serves while no other server can{}",
                             group.balancer_name, server.text, at_place(group.place)));
  }
  return Unit();
}

ConfResult<Unit> complete_groups(Generation& generation) {
  UpstreamsConf& all = upstreams_of(generation);
  uint32_t index = 0;
  for (auto& group : all.groups) {
    group->index = index++;
    if (!group->balancer) group->balancer = std::make_unique<RoundRobin>();
    FL_TRY(check_parameters(generation, *group));
    bool all_backups = std::all_of(group->servers.begin(), group->servers.end(), [](const ServerLine& line) { return line.spec.backup; });
    if (all_backups) return format("no servers in upstream \"{}\"{}\n", group->name, at_place(group->place));
    // An address that is the name of a group means the group: http_proxy binds it.
    group->is_replaced = group->is_implicit && find_group(generation, group->name) != group.get();
  }
  LoadedNames names;
  for (auto& group : all.groups)
    for (const ServerLine& server : group->servers)
      if (!group->is_replaced && is_asked_now(server)) names.want(server);
  names.resolve();
  for (auto& group : all.groups)
    if (!group->is_replaced) FL_TRY(list_peers(generation, *group, names));
  return Unit();
}

constexpr Directive upstream_rows[] = {
    custom<set_upstream, UpstreamsConf>("upstream", in_http | in_stream, words(1), "A group of servers to forward to.")
        .block()
        .many()
        .takes("name"),
    custom<set_server, UpstreamsConf>("server", in_upstream_any, words_from(1),
                                      "One server of the group; a name stands for all its addresses.")
        .many()
        .takes("address [weight=n] [max_conns=n] [max_fails=n] [fail_timeout=time] [slow_start=time] [backup] [down] "
               "[drain] [route=string] [resolve] [service=name]"),
    custom<set_zone, UpstreamsConf>("zone", in_upstream_any, words(1, 2),
                                    "Shared memory for the state of the group's peers, which survives a reload.")
        .many()
        .takes("name [size]"),
    custom<set_keepalive, UpstreamsConf>("keepalive", in_upstream, words(1, 2), "Idle connections kept per worker, 0 for none.")
        .takes("number [local]").usual("32 local"),
    custom<set_keepalive_number, UpstreamsConf>("keepalive_requests", in_upstream, words(1), "Most requests of one connection to a peer.")
        .takes("number").usual("1000"),
    custom<set_keepalive_time, UpstreamsConf>("keepalive_time", in_upstream, words(1),
                                              "Age after which a connection is closed behind its request.")
        .takes("time").usual("1h"),
    custom<set_keepalive_time, UpstreamsConf>("keepalive_timeout", in_upstream, words(1),
                                              "How long an idle connection to a peer stays open.")
        .takes("time").usual("60s"),
    custom<set_resolve_at_start, UpstreamsConf>(
        "resolve_at_start", in_http | in_stream, words(1),
        "What a name that does not resolve means for the start: a warning and a down peer, or an error.")
        .takes("warn | strict").usual("warn"),
};

}  // namespace

constinit const Module upstream_module = {
    .name = "upstream",
    .conf = conf_of<UpstreamsConf>,
    .directives = upstream_rows,
    .generation = complete_groups,
};

void GroupSpec::use_known() {
  std::vector<NamedAddresses> known;
  for (const ServerLine& server : servers) known.push_back(server.known);
  peers = peers_of(*this, known);
}

GroupSpec& group_of(const Line& line) { return *line.block().object<GroupSpec>(); }

ConfResult<Unit> set_balancer(const Line& line, std::unique_ptr<Balancer> balancer) {
  GroupSpec& group = group_of(line);
  if (group.balancer) line.warn("load balancing method redefined");
  group.balancer = std::move(balancer);
  group.balancer_name = line.name();
  return Unit();
}

UpstreamsConf& upstreams_of(Generation& generation) { return conf<UpstreamsConf>(generation.root()); }

GroupSpec* find_group(Generation& generation, std::string_view name) {
  GroupSpec* implicit = nullptr;
  for (auto& group : upstreams_of(generation).groups) {
    if (!equal_nocase(group->name, name)) continue;
    if (!group->is_implicit) return group.get();
    if (!implicit) implicit = group.get();
  }
  return implicit;
}

ConfResult<GroupSpec*> implicit_group(const Line& line, std::string_view address, uint16_t default_port) {
  UpstreamsConf& all = upstreams_of_line(line);
  ServerLine server;
  auto parsed = set_address(address, default_port, server);
  if (!parsed) return parsed.error();
  for (auto& group : all.groups)
    if (group->is_implicit && group->name == address && group->servers[0].port == server.port &&
        group->servers[0].spec.address == server.spec.address)
      return group.get();
  all.groups.push_back(std::make_unique<GroupSpec>());
  GroupSpec& group = *all.groups.back();
  group.name = address;
  group.place = line.place();
  group.block = &line.block();
  group.is_implicit = true;
  group.servers.push_back(std::move(server));
  return &group;
}

ConfResult<Unit> bind_group(Generation& generation, const GroupSpec*& group, bool has_port, bool needs_port) {
  if (!group || !group->is_implicit) return Unit();
  const GroupSpec& named = *group;
  for (auto& written : upstreams_of(generation).groups) {
    if (written->is_implicit) continue;
    if (equal_nocase(written->name, named.name)) {
      group = written.get();
      return Unit();
    }
    if (has_port && equal_nocase(written->name, named.servers[0].host))
      return format("upstream \"{}\" may not have port {}{}\n", written->name, named.servers[0].port, at_place(named.place));
  }
  if (needs_port && !has_port && !named.name.starts_with("unix:"))
    return format("no port in upstream \"{}\"{}\n", named.name, at_place(named.place));
  return Unit();
}

}  // namespace fairlead
