// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/upstream_names.h"

#include <algorithm>
#include <tuple>

#include "core/base/format.h"
#include "core/base/hash.h"
#include "core/conf/error_log.h"
#include "core/process/conf.h"
#include "event/dns/resolver_conf.h"
#include "event/hooks.h"
#include "event/loop/nursery.h"
#include "event/loop/sync.h"
#include "event/net/upstreams.h"

namespace fairlead {
namespace {

// However short a TTL is.
constexpr uint64_t pause_ms_min = 1000;
// After a failure: the resolver_timeout, within these bounds.
constexpr uint64_t pause_failed_ms_max = 5000;
// However long it is: a mistake of a name server should not stay for days.
constexpr uint64_t pause_ms_max = 3'600'000;
// How often a worker looks for what another one learns, while requests wait for the first answer.
constexpr uint64_t look_again_ms = 20;

// Of a service's targets: a name server that gets all questions in one burst may drop some.
constexpr size_t targets_at_once = 64;

constexpr DnsFamilies both_families;

// What was learnt of a line, and until when it holds (Loop::now_ms).
struct Learnt {
  NamedAddresses known;
  uint64_t expires_ms = UINT64_MAX;
};

// The same order in whatever order they were told: versions are compared.
void sort(NamedAddresses& known) {
  auto rank = [](const NamedAddress& of) { return std::tuple(of.backup, UINT32_MAX - of.weight, of.target, of.address.text()); };
  std::sort(known.begin(), known.end(), [&](const NamedAddress& a, const NamedAddress& b) { return rank(a) < rank(b); });
  known.erase(std::unique(known.begin(), known.end()), known.end());
}

// The name server knows that there is no such name, which is an answer: nothing is there any more.
bool says_none(const Error& error) { return error.fault == Fault::unavailable && error.sys == dns_not_found; }

// One server line with a name, for as long as the worker serves.
class LineNames {
 public:
  LineNames(Worker& worker, const GroupSpec& group, size_t line, Resolver& resolver)
      : loop_(worker.loop()),
        group_(group),
        line_(group.servers[line]),
        index_(line),
        resolver_(resolver),
        upstream_(worker.state<Upstreams>().of(group)),
        log_(*conf<ErrorLogConf>(*group.block).log) {}

  Task<Unit> run() {
    for (;;) {
      uint64_t pause_ms = co_await ask_once();
      co_await Sleep(loop_, pause_ms);
    }
  }

 private:
  // Gives the milliseconds until it is time again.
  Task<uint64_t> ask_once() {
    Learnt learnt;
    if (line_.service.empty()) {
      auto asked = co_await ask_addresses(learnt);
      co_return take(asked, learnt);
    }
    auto asked = co_await ask_service(learnt);
    co_return take(asked, learnt);
  }

  uint64_t pause_failed_ms() const {
    return std::clamp<uint64_t>(conf<ResolverConf>(*group_.block).timeout, pause_ms_min, pause_failed_ms_max);
  }
  uint64_t deadline() const { return loop_.deadline(conf<ResolverConf>(*group_.block).timeout); }

  Task<Result<Unit>> ask_addresses(Learnt& learnt) {
    auto answer = co_await resolver_.resolve(std::string(line_.host), both_families, deadline());
    if (!answer) co_return answer.error();
    add(*answer, {}, line_.port, learnt);
    co_return Unit();
  }

  Task<Result<Unit>> ask_service(Learnt& learnt) {
    auto answer = co_await resolver_.resolve_service(service_name(), deadline());
    if (!answer) co_return answer.error();
    learnt.expires_ms = answer->expires_ms;
    std::vector<Learnt> by_target(answer->services.size());
    Semaphore turns(loop_, targets_at_once);
    Nursery asking(loop_);
    for (size_t i = 0; i < by_target.size(); ++i) asking.spawn(ask_target(answer->services[i], turns, by_target[i]));
    co_await asking.all_done();
    gather(answer->services, by_target, learnt);
    co_return Unit();
  }

  Task<Unit> ask_target(const DnsService& service, Semaphore& turns, Learnt& learnt) {
    NamedAddress made;
    made.target = format("{}:{}", service.target, service.port);
    made.weight = std::max<uint32_t>(service.weight, 1);
    co_await turns.acquire();
    auto found = co_await resolver_.resolve(service.target, both_families, deadline());
    turns.release();
    if (found) add(*found, made, service.port, learnt);
    else note_failure(found.error(), service, made, learnt);
    co_return Unit();
  }

  // The first priority is the least of those that have an address; the others are backups.
  static void gather(const std::vector<DnsService>& services, std::vector<Learnt>& by_target, Learnt& learnt) {
    uint16_t first = UINT16_MAX;
    for (size_t i = 0; i < services.size(); ++i)
      if (!by_target[i].known.empty()) first = std::min(first, services[i].priority);
    for (size_t i = 0; i < services.size(); ++i) {
      learnt.expires_ms = std::min(learnt.expires_ms, by_target[i].expires_ms);
      for (NamedAddress& each : by_target[i].known) {
        each.backup = services[i].priority != first;
        learnt.known.push_back(std::move(each));
      }
    }
  }

  // nginx's rule: a name without a dot is that of a service over TCP.
  std::string service_name() const {
    bool is_whole = line_.service.find('.') != std::string_view::npos;
    return is_whole ? format("{}.{}", line_.service, line_.host) : format("_{}._tcp.{}", line_.service, line_.host);
  }

  void add(const DnsAnswer& answer, NamedAddress made, uint16_t port, Learnt& learnt) {
    learnt.expires_ms = std::min(learnt.expires_ms, answer.expires_ms);
    keep_known(made, answer.failed, learnt);
    for (const Addr& address : answer.addresses) {
      made.address = address;
      made.address.set_port(port);
      learnt.known.push_back(made);
    }
  }

  // A target that cannot be resolved now keeps the addresses it had; one that does not exist has none.
  void note_failure(const Error& error, const DnsService& service, const NamedAddress& made, Learnt& learnt) {
    if (!failing_) {
      std::string text = resolve_error_text(service.target, error);
      log_.error("{} while resolving service {} of {} in upstream \"{}\"", text, line_.service, line_.host, group_.name);
    }
    target_failed_ = true;
    learnt.expires_ms = std::min(learnt.expires_ms, loop_.now_ms() + pause_failed_ms());
    if (!says_none(error)) keep_known(made, both_families, learnt);
  }

  // What was asked for in vain stays as it was: the addresses of those families, of the same name.
  void keep_known(const NamedAddress& made, DnsFamilies failed, Learnt& learnt) {
    for (const NamedAddress& before : upstream_.known(index_)) {
      bool is_failed = before.address.family() == Addr::Family::inet ? failed.ipv4 : failed.ipv6;
      if (before.target != made.target || !is_failed) continue;
      NamedAddress kept = made;
      kept.address = before.address;
      learnt.known.push_back(std::move(kept));
    }
  }

  uint64_t take(const Result<Unit>& asked, Learnt& learnt) {
    uint64_t now = loop_.now_ms();
    if (!asked) {
      if (!failing_) log_.error("{} in upstream \"{}\"", error_text(asked.error()), group_.name);
      failing_ = true;
      if (line_.resolve && says_none(asked.error())) upstream_.learn(index_, {});
      else upstream_.learn_nothing(index_);
      return pause_failed_ms();
    }
    failing_ = std::exchange(target_failed_, false);
    sort(learnt.known);
    upstream_.learn(index_, std::move(learnt.known));
    return std::clamp(learnt.expires_ms, now + pause_ms_min, now + pause_ms_max) - now;
  }

  std::string error_text(const Error& error) const {
    if (line_.service.empty()) return resolve_error_text(line_.host, error);
    return resolve_error_text(format("service {} of {}", line_.service, line_.host), error);
  }

  Loop& loop_;
  const GroupSpec& group_;
  const ServerLine& line_;
  size_t index_;
  Resolver& resolver_;
  Upstream& upstream_;
  Logger log_;
  bool failing_ = false;  // said in the log already
  bool target_failed_ = false;
};

Task<Unit> follow_line(Worker& worker, const GroupSpec& group, size_t line, Resolver& resolver) {
  LineNames names(worker, group, line, resolver);
  co_return co_await names.run();
}

// The first answers come by way of the zone. Later ones are seen when a request comes.
Task<Unit> await_others(Worker& worker, const GroupSpec& group, uint64_t deadline_ms) {
  Upstream& upstream = worker.state<Upstreams>().of(group);
  while (upstream.awaits_names() && worker.loop().now_ms() < deadline_ms) {
    co_await Sleep(worker.loop(), look_again_ms);
    upstream.follow_zone();
  }
  upstream.note_names();
  co_return Unit();
}

// One worker asks for all that share a zone, the same one as long as their number stays.
bool asks_itself(Worker& worker, const GroupSpec& group) {
  const ProcessSettings& settings = conf<ProcessConf>(worker.generation().root()).settings;
  unsigned workers = settings.master_process ? std::max(settings.worker_processes, 1u) : 1;
  return !group.zone_names || hash_bytes(group.name) % workers == worker.index();
}

void follow_group(Worker& worker, const GroupSpec& group) {
  const ResolverConf& names = conf<ResolverConf>(*group.block);
  Resolver* resolver = names.off ? nullptr : worker.state<Resolvers>().of(names);
  if (!resolver) return;
  uint64_t deadline_ms = worker.loop().deadline(names.timeout);
  worker.state<Upstreams>().of(group).expect_names(deadline_ms);
  if (!asks_itself(worker, group)) {
    worker.background().spawn(await_others(worker, group, deadline_ms));
    return;
  }
  for (size_t i = 0; i < group.servers.size(); ++i)
    if (!group.servers[i].host.empty()) worker.background().spawn(follow_line(worker, group, i, *resolver));
}

Task<Unit> start(Worker& worker) {
  for (auto& group : upstreams_of(worker.generation()).groups)
    if (group->has_names() && !group->is_replaced) follow_group(worker, *group);
  co_return Unit();
}

constexpr event::Hooks hooks = {.start = &start};

}  // namespace

constinit const Module upstream_names_module = {.name = "upstream_names", .event = &hooks};

}  // namespace fairlead
