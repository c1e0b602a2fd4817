// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Upstreams: what a worker keeps per upstream group: the current peers, the pool of idle connections, the requests that wait for a
// peer, the random numbers for picking. State of the worker (Worker::state<Upstreams>). What is forwarded is not known here.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/live.h"
#include "core/base/random.h"
#include "core/upstream/group.h"
#include "event/loop/sync.h"
#include "event/net/conn_pool.h"
#include "event/net/peer_queue.h"
#include "event/worker.h"

namespace fairlead {

// One group at work.
class Upstream {
 public:
  Upstream(Loop& loop, const GroupSpec& group_spec);
  const GroupSpec& spec;
  Live<PeerSet> peers;
  std::unique_ptr<PeerQueue> queue;  // of requests that wait for a peer; nullptr: none does

 private:
  // Ahead of the pool, whose lists are long: every request looks at these.
  uint64_t zone_version_ = 0;  // that known_ was brought up to
  PeerEditing edits_;
  uint32_t edits_seen_ = 0;
  uint64_t names_deadline_ms_ = 0;  // 0: there are none

 public:
  ConnPool pool;

  // What the name of the server line of that index stands for, from now on: for all workers if the group has a zone. Peers that were there
  // before keep their state.
  void learn(size_t line, NamedAddresses known);
  // It was asked for, to no end: what is known stays.
  void learn_nothing(size_t line);
  const NamedAddresses& known(size_t line) const { return known_[line]; }
  // Takes over what another worker has learnt since the last time. Costs a look at a counter.
  void follow_zone() {
    if (spec.zone_names && spec.zone_names->version() != zone_version_) [[unlikely]] take_from_zone();
  }

  // -- changes at run time: seen by all workers if the group has a zone, else by this one alone --

  bool has_shared_edits() const { return spec.edits.table != nullptr; }
  // Another worker may have changed something: to be called before the peers are looked at.
  void take_edits() {
    if (edits_.table && edits_.table->version() != edits_seen_) [[unlikely]] use_known();
  }
  // `peer`: a peer's name or the address of its `server` line. The reasons: "no such peer", "peer exists already", "too many changes".
  // A peer that was removed serves its running requests to their end. A spec that is added has an address and no name.
  ConfResult<Unit> add_peer(const PeerSpec& peer);
  ConfResult<Unit> remove_peer(std::string_view peer);
  ConfResult<Unit> change_peer(std::string_view peer, const PeerChange& change);

  // Names of the group are asked for, for the first time until `deadline_ms` (Loop::now_ms).
  void expect_names(uint64_t deadline_ms) { names_deadline_ms_ = deadline_ms; }
  // No more waiting for first answers: they are there, good or bad, or it took too long.
  void note_names() { names_noted_.set(); }
  // No peer is known, but may be soon: whoever wants one waits for names_known(), at the start and after a reload.
  bool awaits_names() const { return names_deadline_ms_ != 0 && peers.peek().size() == 0 && !names_noted_.is_set(); }
  Event::Wait names_known() { return names_noted_.wait(names_deadline_ms_); }

 private:
  class EditsGuard;
  PeerEdits& own_edits();
  bool has_peer(std::string_view name) const;
  void take_from_zone();
  // True: it is in the zone.
  bool store(size_t line, const NamedAddresses& known);
  void use_known();
  void note_answer(size_t line);

  std::vector<NamedAddresses> known_;  // by server line; empty for literal ones
  std::vector<bool> answered_;         // likewise; true for literal ones
  std::unique_ptr<unsigned char[]> own_edits_;  // without a zone, once something was changed
  Event names_noted_;
};

class Upstreams {
 public:
  explicit Upstreams(Worker& worker);
  Upstream& of(const GroupSpec& group);
  Random& random() { return random_; }
  // For targets that only a variable names.
  ConnPool& shared_pool() { return shared_pool_; }

 private:
  Worker& worker_;
  Random random_;
  std::vector<std::unique_ptr<Upstream>> all_;
  ConnPool shared_pool_;
};

}  // namespace fairlead
