// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/target.h"

#include "core/base/format.h"
#include "core/upstream/round_robin.h"
#include "event/dns/resolver_conf.h"
#include "event/net/original_dst.h"
#include "http/request/client_facts.h"

namespace fairlead::http {

void Target::use(Upstream& upstream) {
  upstream.take_edits();
  name = upstream.spec.name;
  group = &upstream.spec;
  balancer = upstream.spec.balancer.get();
  pool = &upstream.pool;
  queue = upstream.queue.get();
  pinned = upstream.peers.use();
  peers = &*pinned;
}

static const Balancer& plain_round() {
  static const RoundRobin round;
  return round;
}

static void use_addresses(Request& request, const RuntimeTarget& where, std::span<const Addr> addresses, Target& target) {
  std::vector<PeerSpec> specs;
  for (const Addr& address : addresses) {
    PeerSpec spec;
    spec.address = address.unmapped();  // rules about addresses are written for what is reached
    spec.address.set_port(where.port);
    spec.name = spec.address.text();
    spec.server = std::string(where.host);
    specs.push_back(std::move(spec));
  }
  target.own.emplace(std::move(specs));
  target.peers = &*target.own;
  target.balancer = &plain_round();
  target.pool = &request.worker().state<Upstreams>().shared_pool();
  target.name = where.host;
}

std::optional<RuntimeTarget> read_target(Request& request, std::string_view authority, uint16_t default_port, std::string_view text) {
  auto parsed = parse_addr(authority, default_port, AddrUse::connect);
  if (!parsed) {
    request.logger.error("{} in upstream \"{}\"", parsed.error(), text);
    return std::nullopt;
  }
  return RuntimeTarget{parsed->is_name() ? parsed->host : authority, parsed->port, parsed->has_port};
}

// A captured connection that was bound for the very listener it came in by.
static bool leads_back(const Request& request, const Addr& to) {
  const OriginalDestination* captured = request.facts.slots.find<OriginalDestination>();
  return captured && captured->is_own && captured->addr == to;
}

Task<Result<Unit>> resolve_target(Request& request, const RuntimeTarget& where, Target& target) {
  if (!where.has_port) {
    if (GroupSpec* group = find_group(request.generation(), where.host)) {
      Upstream& upstream = request.worker().state<Upstreams>().of(*group);
      if (upstream.awaits_names()) co_await upstream.names_known();
      target.use(upstream);
      co_return Unit();
    }
  }
  auto literal = parse_addr(where.host, where.port, AddrUse::connect);
  if (literal && !literal->is_name()) {
    if (leads_back(request, literal->addr.unmapped())) {
      request.logger.error("the original destination {} is the server's own listener", literal->addr.text());
      co_return Error{Fault::unavailable, Side::upstream, 0, "forwarding would go in circles"};
    }
    std::vector<Addr> one = {literal->addr};
    use_addresses(request, where, one, target);
    co_return Unit();
  }
  const ResolverConf& names = conf<ResolverConf>(request);
  Resolver* resolver = names.off ? nullptr : request.worker().state<Resolvers>().of(names);
  if (!resolver) {
    request.logger.error("no resolver defined to resolve {}", where.host);
    co_return Error{Fault::unavailable, Side::upstream, 0, "no resolver defined"};
  }
  std::string host(where.host);
  DnsFamilies families;
  auto answer = co_await resolver->resolve(host, families, request.loop().deadline(names.timeout));
  if (!answer) {
    request.logger.error("{}", resolve_error_text(where.host, answer.error()));
    co_return answer.error();
  }
  use_addresses(request, where, answer->addresses, target);
  co_return Unit();
}

}  // namespace fairlead::http
