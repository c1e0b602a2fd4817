// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `health_endpoint`: what a load balancer or a kubelet asks to know whether to send requests here: 200 while the server serves, 503 from
// the moment on that it is about to end (shutdown_delay) and while it drains for good. A worker that a reload replaced is still ready: its
// successor serves. If wanted it is also a matter of how many peers of groups can be used, and of what a location answers.
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/base/percent.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/conf/module.h"
#include "event/net/upstreams.h"
#include "event/worker.h"
#include "http/conf/location.h"
#include "http/request/response.h"
#include "http/request/subrequest.h"

namespace fairlead {
namespace {

using namespace http;

// What has to hold besides.
struct Readiness {
  bool all_groups = false;                 // of the configuration, in place of names
  std::vector<std::string_view> names;
  std::vector<const GroupSpec*> groups;    // once all are known
  uint32_t usable_share = 0;               // of each group's peers, hundredths of a percent; one in any case
  bool asks = false;                       // a location, by `target`
  SubrequestTarget target;
  uint64_t cache_ms = 0;                   // how long its status holds; 0: each request asks
  Place place;
};

struct HealthEndpointConf {
  Readiness wanted;
};

// -- groups --

struct Usable {
  size_t count = 0, of = 0;
};

// Peers that are down or draining by configuration are not missed. One with all its connections in use is well.
Usable usable_peers(Upstream& upstream) {
  upstream.follow_zone();
  upstream.take_edits();
  const PeerSet& set = upstream.peers.peek();
  int64_t now_s = clock().wall_ms() / 1000;
  Usable usable;
  PeerGuard guard(set);
  for (const Peer& peer : set.all()) {
    if (peer.spec.down || peer.spec.drain) continue;
    ++usable.of;
    usable.count += set.is_well(peer, now_s);
  }
  return usable;
}

// The first group that has too few peers; nullptr: all have enough.
const GroupSpec* weak_group(Request& request, const Readiness& wanted, Usable& usable) {
  Upstreams& upstreams = request.worker().state<Upstreams>();
  for (const GroupSpec* group : wanted.groups) {
    usable = usable_peers(upstreams.of(*group));
    if (usable.count == 0 || usable.count * whole_percent < usable.of * wanted.usable_share) return group;
  }
  return nullptr;
}

// -- what a location answers --

// Of a worker: what was answered last, for each directive that keeps it.
struct KeptStatuses {
  explicit KeptStatuses(Worker&) {}
  struct Kept {
    unsigned status;
    uint64_t until_ms;
  };
  std::unordered_map<const Readiness*, Kept> all;
};

Task<unsigned> asked_status(Request& request, const Readiness& wanted) {
  auto& kept = request.worker().state<KeptStatuses>().all;
  auto known = kept.find(&wanted);
  if (known != kept.end() && request.loop().now_ms() < known->second.until_ms) co_return known->second.status;
  SubrequestPlan plan;
  plan.uri = wanted.target.uri;
  plan.args = wanted.target.args;
  Subrequest asked(request, plan);
  co_await asked.run();
  unsigned status = asked.status() == 0 ? 503 : asked.status();
  if (wanted.cache_ms > 0) kept.insert_or_assign(&wanted, KeptStatuses::Kept{status, request.loop().now_ms() + wanted.cache_ms});
  co_return status;
}

// -- the answer --

Verdict say(Request& request, unsigned status, std::string_view text) {
  set_text(request, status, "text/plain", text);
  return Verdict::respond();
}

Task<Verdict> answer(Request& request) {
  if (request.method != Method::get && request.method != Method::head) co_return Verdict::status(405);
  if (request.worker().is_server_leaving()) co_return say(request, 503, "leaving\n");
  const Readiness& wanted = conf<HealthEndpointConf>(request).wanted;
  Usable usable;
  if (const GroupSpec* weak = weak_group(request, wanted, usable)) {
    std::string text = format("upstream {}: {} of {} peers can be used\n", weak->name, usable.count, usable.of);
    co_return say(request, 503, request.arena().copy(text));
  }
  if (!wanted.asks) co_return say(request, 200, "ready\n");
  unsigned status = co_await asked_status(request, wanted);
  if (status >= 200 && status < 300) co_return say(request, 200, "ready\n");
  co_return say(request, 503, request.arena().copy(format("{} answers {}\n", wanted.target.uri, status)));
}

// -- the configuration --

ConfResult<Unit> set_parameter(Line& line, size_t index, Readiness& wanted) {
  std::string_view word = line.word(index);
  std::string_view value = word.substr(std::min(word.find('='), word.size() - 1) + 1);
  if (word.starts_with("upstreams=")) {
    wanted.all_groups = value == "all";
    std::string_view name;
    for (Splitter names = Splitter(value, ','); names.next(name);) {
      if (name.empty()) return line.invalid_parameter(index);
      wanted.names.push_back(name);
    }
    return Unit();
  }
  if (word.starts_with("min_healthy=")) {
    auto share = parse_percent(value);
    if (!share || *share > whole_percent) return line.invalid_parameter(index);
    wanted.usable_share = *share;
    return Unit();
  }
  if (word.starts_with("pass=")) {
    auto target = parse_subrequest_target(value, line.arena());
    if (!target) return line.invalid_parameter(index);
    wanted.target = *target;
    wanted.asks = true;
    return Unit();
  }
  if (!word.starts_with("cache=")) return line.invalid_parameter(index);
  auto ms = parse_time_ms(value);
  if (!ms || *ms == 0) return line.invalid_parameter(index);
  wanted.cache_ms = *ms;
  return Unit();
}

ConfResult<Unit> set_health_endpoint(Line& line, HealthEndpointConf& own) {
  Readiness& wanted = own.wanted;
  wanted.place = line.place();
  for (size_t i = 1; i <= line.word_count(); ++i) FL_TRY(set_parameter(line, i, wanted));
  if (wanted.usable_share > 0 && wanted.names.empty()) return std::string("\"min_healthy\" without \"upstreams\"");
  if (wanted.cache_ms > 0 && !wanted.asks) return std::string("\"cache\" without \"pass\"");
  set_content(line, answer);
  return Unit();
}

ConfResult<Unit> find_groups(Generation& generation, Readiness& wanted) {
  wanted.groups.clear();
  if (wanted.all_groups) {
    for (const auto& group : upstreams_of(generation).groups)
      if (!group->is_implicit) wanted.groups.push_back(group.get());
    return Unit();
  }
  for (std::string_view name : wanted.names) {
    const GroupSpec* group = find_group(generation, name);
    if (!group || group->is_implicit) return format("no upstream \"{}\" for \"health_endpoint\"{}", name, at_place(wanted.place));
    wanted.groups.push_back(group);
  }
  return Unit();
}

ConfResult<Unit> bind_groups(Generation& generation) {
  ConfResult<Unit> bound = Unit();
  each_block(generation.root(), [&](Block& block) {
    if (bound) bound = find_groups(generation, fairlead::conf<HealthEndpointConf>(block).wanted);
  });
  return bound;
}

constexpr Directive rows[] = {
    custom<set_health_endpoint, HealthEndpointConf, &HealthEndpointConf::wanted>(
        "health_endpoint", in_server | in_location, words(0, 4),
        "Answers whether this server is ready: 200, or 503 when it is about to end, when fewer peers of an upstream than the share (at "
        "least one) can be used, or when the location asked by a subrequest does not answer 2xx; that answer may be kept for a time.")
        .takes("[upstreams=name,...|all] [min_healthy=percent] [pass=uri] [cache=time]"),
};

}  // namespace

extern constinit const Module http_health_endpoint_module = {
    .name = "http_health_endpoint",
    .conf = conf_of<HealthEndpointConf>,
    .directives = rows,
    .generation = bind_groups,
};

}  // namespace fairlead
