// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/picker.h"

#include <algorithm>
#include <limits>

#include "core/base/clock.h"
#include "core/upstream/round_robin.h"

namespace fairlead::http {

Picker::Picker(Request& request, Target& target, uint64_t tries_max)
    : request_(request),
      target_(target),
      upstreams_(request.worker().state<Upstreams>()),
      tries_max_(tries_max ? tries_max : std::numeric_limits<unsigned>::max()),
      tries_allowed_(std::min<uint64_t>(target.peers->try_count(), tries_max_)) {
  state_.tried.prepare(target.peers->size(), request.arena());
  const GroupSpec* group = target.group;
  if (!group) return;
  if (group->key.is_set()) key_ = group->key.evaluate(request);
  chooser_ = group->chooser;
  binder_ = group->binder;
  if (binder_) bound_ = binder_->bound_route(request);
}

Pick Picker::pick_first() {
  if (chooser_ && !choose({})) return Pick();
  if (is_named()) return pick_named();
  if (target_.queue && !target_.queue->is_empty()) return Pick();
  return pick_of_group();
}

Pick Picker::pick(const LastTry& last) {
  if (chooser_ && !choose(last)) return Pick();
  return is_named() ? pick_named() : pick_of_group();
}

Pick Picker::pick_of_group() {
  Random& random = upstreams_.random();
  uint64_t now_ms = request_.loop().now_ms();
  PickRequest wanted{state_, request_.arena(), random, process_clock.seconds(), key_, request_.client_addr, bound_, now_ms};
  draw_before_ = state_.draw;
  Pick made = target_.balancer->pick(*target_.peers, wanted);
  if (binder_ && made.status == PickStatus::picked) binder_->picked(request_, *made.lease);
  return made;
}

bool Picker::choose(const LastTry& last) {
  const Chosen* before = chosen_;
  chosen_ = request_.arena().make<Chosen>();
  PeerChoice& choice = chosen_->choice;
  if (before) choice.terms = before->choice.terms;
  choice.more_tries_max = static_cast<unsigned>(tries_max_ - tries_allowed_);
  chosen_->is_refused = !chooser_->choose(request_, last, choice);
  if (chosen_->is_refused) return false;
  if (!choice.address.valid()) return true;
  tries_allowed_ += std::min(choice.more_tries, choice.more_tries_max);
  std::vector<PeerSpec> one(1);
  one[0].address = choice.address;
  one[0].name = one[0].server = choice.address.text();
  one[0].max_fails = 0;
  chosen_->set.emplace(std::move(one));
  return true;
}

Pick Picker::pick_named() {
  static const RoundRobin only_one;
  PickState state;
  return only_one.pick(*chosen_->set, PickRequest{state, request_.arena(), upstreams_.random(), process_clock.seconds()});
}

size_t Picker::more_tries(const Pick& pick) const {
  if (is_named()) return chosen_->choice.more_tries;
  return pick.lease->spec.drain ? 1 : 0;  // it is not counted among the peers to try
}

void Picker::refresh() {
  Upstream& upstream = upstreams_.of(*target_.group);
  if (upstream.peers.number() == target_.pinned.number()) return;
  target_.use(upstream);
  state_ = PickState();
  state_.tried.prepare(target_.peers->size(), request_.arena());
}

Task<Pick> Picker::wait_in_queue(QueueStay& stay) {
  PeerQueue& queue = *target_.queue;
  Loop& loop = request_.loop();
  if (queue.is_full()) {
    stay.problem = "upstream queue is full";
    stay.reason = "UO";
    co_return Pick();
  }
  uint64_t began = loop.now_ms(), deadline = began + queue.limits().timeout_ms;
  PeerQueue::Place place(queue);
  for (;;) {
    co_await place.turn(deadline);
    stay.waited_ms = static_cast<int64_t>(loop.now_ms() - began);
    if (place.is_first()) {
      refresh();
      Pick made = pick_of_group();
      if (made.status == PickStatus::picked) co_return made;
    }
    if (loop.now_ms() < deadline) continue;
    stay.problem = "upstream queue timed out";
    stay.reason = "UT";
    co_return Pick();
  }
}

void Picker::note_reply(const Headers& fields, const Peer& peer) {
  if (!binder_) return;
  request_.upstream_headers = &fields;
  binder_->replied(request_, peer);
}

}  // namespace fairlead::http
