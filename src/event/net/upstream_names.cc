// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/upstream_names.h"

#include <algorithm>

#include "core/conf/error_log.h"
#include "event/dns/resolver_conf.h"
#include "event/hooks.h"
#include "event/net/upstreams.h"

namespace fairlead {
namespace {

// However short a TTL is, and after a failure.
constexpr uint64_t pause_ms_min = 1000, pause_ms_failed = 5000;
// However long it is: a mistake of a name server should not stay for days.
constexpr uint64_t pause_ms_max = 3'600'000;

// The addresses of one `server` line with a name, sorted.
using Addresses = std::vector<Addr>;

bool comes_before(const Addr& a, const Addr& b) { return a.text() < b.text(); }

Addresses configured(const GroupSpec& group, const ServerLine& line) {
  Addresses found;
  for (const PeerSpec& peer : group.peers)
    if (peer.server == line.text) found.push_back(peer.address);
  std::sort(found.begin(), found.end(), comes_before);
  return found;
}

std::vector<PeerSpec> peers_of(const GroupSpec& group, const std::vector<Addresses>& known) {
  std::vector<PeerSpec> peers;
  for (size_t i = 0; i < group.servers.size(); ++i) {
    const ServerLine& line = group.servers[i];
    if (line.host.empty()) peers.push_back(line.spec);
    for (const Addr& address : known[i]) {
      PeerSpec peer = line.spec;
      peer.address = address;
      peer.name = address.text();
      peers.push_back(std::move(peer));
    }
  }
  return peers;
}

// The names of one group, for as long as the worker serves.
class GroupNames {
 public:
  GroupNames(Worker& worker, const GroupSpec& group) : worker_(worker), group_(group), known_(group.servers.size()) {
    for (size_t i = 0; i < known_.size(); ++i) known_[i] = configured(group, group.servers[i]);
  }

  Task<Unit> run() {
    const ResolverConf& names = conf<ResolverConf>(*group_.block);
    Resolver* resolver = names.off ? nullptr : worker_.state<Resolvers>().of(names);
    if (!resolver) co_return Unit();
    Loop& loop = worker_.loop();
    const DnsFamilies both;
    Upstream& upstream = worker_.state<Upstreams>().of(group_);
    upstream.expect_names(loop.deadline(names.timeout));
    for (;;) {
      bool changed = false;
      next_ms_ = loop.now_ms() + pause_ms_max;
      for (size_t i = 0; i < known_.size(); ++i) {
        if (group_.servers[i].host.empty()) continue;
        auto answer = co_await resolver->resolve(std::string(group_.servers[i].host), both, loop.deadline(names.timeout));
        if (take(i, answer)) changed = true;
      }
      if (changed) upstream.replace(peers_of(group_, known_));
      upstream.note_names();
      uint64_t now = loop.now_ms();
      co_await Sleep(loop, std::max(next_ms_, now + pause_ms_min) - now);
    }
  }

 private:
  // True: the addresses of the line are others now.
  bool take(size_t index, const Result<DnsAnswer>& answer) {
    const ServerLine& line = group_.servers[index];
    if (!answer) {
      Logger log(*conf<ErrorLogConf>(*group_.block).log);
      if (!failing_) log.error("{} in upstream \"{}\"", resolve_error_text(line.host, answer.error()), group_.name);
      failing_ = true;
      next_ms_ = std::min(next_ms_, worker_.loop().now_ms() + pause_ms_failed);
      return false;
    }
    failing_ = false;
    next_ms_ = std::min(next_ms_, answer->expires_ms);
    Addresses addresses = answer->addresses;
    for (Addr& address : addresses) address.set_port(line.port);
    std::sort(addresses.begin(), addresses.end(), comes_before);
    if (addresses == known_[index]) return false;
    known_[index] = std::move(addresses);
    return true;
  }

  Worker& worker_;
  const GroupSpec& group_;
  std::vector<Addresses> known_;  // by server line; empty for literal ones
  uint64_t next_ms_ = 0;
  bool failing_ = false;          // said in the log already
};

Task<Unit> follow_names(Worker& worker, const GroupSpec& group) {
  GroupNames names(worker, group);
  co_return co_await names.run();
}

Task<Unit> start(Worker& worker) {
  for (auto& group : upstreams_of(worker.generation()).groups)
    if (group->has_names() && !group->is_replaced) worker.background().spawn(follow_names(worker, *group));
  co_return Unit();
}

constexpr event::Hooks hooks = {.start = &start};

}  // namespace

constinit const Module upstream_names_module = {.name = "upstream_names", .event = &hooks};

}  // namespace fairlead
