// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/upstreams.h"

#include <algorithm>

#include "core/conf/error_log.h"
#include "core/upstream/binder.h"

namespace fairlead {

static PeerSet make_set(const GroupSpec& spec, std::vector<PeerSpec> specs) {
  if (spec.binder) {
    for (PeerSpec& peer : specs)
      if (peer.route.empty()) peer.route = default_route(peer.name);
  }
  if (spec.share.table) {
    auto shared = PeerSet::make_shared(specs, spec.share);
    if (shared) return std::move(*shared);
    Logger().error("zone of upstream \"{}\" has no room for its peers, their state is this worker's own", spec.name);
  }
  return PeerSet(std::move(specs));
}

static PeerSet prepared(const GroupSpec& spec, PeerSet set) {
  set.set_index(spec.balancer->prepare(set));
  return set;
}

// A pool keeps for ever what has no time limit; keepalive_timeout 0 means that nothing is kept, as in nginx.
static PoolLimits limits_of(const KeepaliveLimits& keepalive) {
  size_t idle_max = keepalive.timeout_ms == 0 ? 0 : keepalive.idle_max;
  return PoolLimits{idle_max, keepalive.timeout_ms, keepalive.requests_max, keepalive.time_ms};
}

static std::vector<PeerSpec> edited(const PeerEditing& edits, std::string_view group, std::vector<PeerSpec> specs) {
  if (!edits.table) return specs;
  if (edits.lock) edits.lock->lock();
  edits.table->apply(group, specs);
  if (edits.lock) edits.lock->unlock();
  return specs;
}

Upstream::Upstream(Loop& loop, const GroupSpec& group_spec)
    : spec(group_spec),
      peers(prepared(group_spec, make_set(group_spec, edited(group_spec.edits, group_spec.name, group_spec.peers)))),
      edits_(group_spec.edits),
      edits_seen_(edits_.table ? edits_.table->version() : 0),
      pool(loop, limits_of(group_spec.keepalive)),
      names_noted_(loop) {
  if (spec.queue.most > 0) queue = std::make_unique<PeerQueue>(loop, spec.queue);
  for (const ServerLine& line : spec.servers) {
    known_.push_back(line.known);
    answered_.push_back(line.host.empty());
  }
}

void Upstream::use_known() {
  if (edits_.table) edits_seen_ = edits_.table->version();
  PeerSet next = make_set(spec, edited(edits_, spec.name, peers_of(spec, known_)));
  next.carry_over(peers.peek());
  peers.replace(prepared(spec, std::move(next)));
  if (queue) queue->wake();
}

void Upstream::note_answer(size_t line) {
  answered_[line] = true;
  bool all = std::find(answered_.begin(), answered_.end(), false) == answered_.end();
  if (all || peers.peek().size() > 0) note_names();
}

bool Upstream::store(size_t line, const NamedAddresses& known) {
  if (!spec.zone_names) return false;
  spec.share.lock->lock();
  bool stored = spec.zone_names->store(names_key(spec, spec.servers[line]), known);
  spec.share.lock->unlock();
  if (!stored) {
    Logger log(*conf<ErrorLogConf>(*spec.block).log);
    log.error("zone of upstream \"{}\" has no room for its names, they are this worker's own", spec.name);
  }
  return stored;
}

void Upstream::learn(size_t line, NamedAddresses known) {
  if (store(line, known)) {
    follow_zone();
  } else if (known != known_[line]) {
    known_[line] = std::move(known);
    use_known();
  }
  note_answer(line);
}

// Others wait for a first answer, too.
void Upstream::learn_nothing(size_t line) {
  if (known_[line].empty()) store(line, {});
  note_answer(line);
}

void Upstream::take_from_zone() {
  zone_version_ = spec.zone_names->version();
  bool changed = false;
  spec.share.lock->lock();
  for (size_t i = 0; i < known_.size(); ++i) {
    const ServerLine& line = spec.servers[i];
    if (line.host.empty()) continue;
    auto learnt = spec.zone_names->find(names_key(spec, line));
    if (!learnt) continue;
    answered_[i] = true;
    // A name that nobody promised to be gone one day keeps what it had.
    if (*learnt == known_[i] || (learnt->empty() && !line.resolve)) continue;
    known_[i] = std::move(*learnt);
    changed = true;
  }
  spec.share.lock->unlock();
  if (changed) use_known();
  for (size_t i = 0; i < answered_.size(); ++i)
    if (answered_[i]) note_answer(i);
}

// -- changes at run time --

// Holds the table while it is changed; then this worker takes the change up, the others before they next look.
class Upstream::EditsGuard {
 public:
  explicit EditsGuard(Upstream& upstream) : upstream_(upstream), table(upstream.own_edits()) {
    if (upstream_.edits_.lock) upstream_.edits_.lock->lock();
  }
  ~EditsGuard() {
    if (changed_) table.note_change();
    if (upstream_.edits_.lock) upstream_.edits_.lock->unlock();
    if (changed_) upstream_.use_known();
  }
  EditsGuard(const EditsGuard&) = delete;
  EditsGuard& operator=(const EditsGuard&) = delete;
  // The edit of that peer, which is going to be changed. nullptr: there is no room for one.
  PeerEdit* use(std::string_view peer) {
    PeerEdit* edit = table.use(upstream_.spec.name, peer);
    changed_ = edit != nullptr;
    return edit;
  }

 private:
  Upstream& upstream_;
  bool changed_ = false;

 public:
  PeerEdits& table;
};

PeerEdits& Upstream::own_edits() {
  constexpr uint32_t edits_max = 64;
  if (!edits_.table) {
    own_edits_ = std::make_unique<unsigned char[]>(PeerEdits::bytes_for(edits_max));
    edits_.table = PeerEdits::create(own_edits_.get(), PeerEdits::bytes_for(edits_max));
  }
  return *edits_.table;
}

bool Upstream::has_peer(std::string_view name) const {
  for (const Peer& peer : peers.peek().all())
    if (is_named(peer.spec, name)) return true;
  return false;
}

ConfResult<Unit> Upstream::add_peer(const PeerSpec& peer) {
  take_edits();
  std::string name = peer.address.text();
  if (has_peer(name)) return std::string("peer exists already");
  EditsGuard guard(*this);
  PeerEdit* edit = guard.use(name);
  if (!edit) return std::string("too many changes");
  edit->change = PeerChange{~0u, peer.weight, peer.max_conns, peer.max_fails, peer.fail_timeout_s, peer.down, peer.drain};
  edit->backup = peer.backup;
  edit->is_added = true;
  return Unit();
}

ConfResult<Unit> Upstream::remove_peer(std::string_view peer) {
  take_edits();
  if (!has_peer(peer)) return std::string("no such peer");
  EditsGuard guard(*this);
  PeerEdit* edit = guard.use(peer);
  if (!edit) return std::string("too many changes");
  edit->is_added = false;
  edit->is_removed = false;
  for (const PeerSpec& configured : peers_of(spec, known_))
    if (is_named(configured, peer)) edit->is_removed = true;
  edit->is_used = edit->is_removed;  // of one that was added nothing is left to say
  return Unit();
}

ConfResult<Unit> Upstream::change_peer(std::string_view peer, const PeerChange& change) {
  take_edits();
  if (!has_peer(peer)) return std::string("no such peer");
  EditsGuard guard(*this);
  PeerEdit* edit = guard.use(peer);
  if (!edit) return std::string("too many changes");
  edit->change.add(change);
  return Unit();
}

Upstreams::Upstreams(Worker& worker)
    : worker_(worker), random_(Random::from_system()), shared_pool_(worker.loop(), limits_of(KeepaliveLimits{})) {
  all_.resize(upstreams_of(worker.generation()).groups.size());
}

Upstream& Upstreams::of(const GroupSpec& group) {
  std::unique_ptr<Upstream>& place = all_[group.index];
  if (!place) place = std::make_unique<Upstream>(worker_.loop(), group);
  place->follow_zone();
  return *place;
}

}  // namespace fairlead
