// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Picker: the peers of one request's tries on one target: by its balancer, by the session that is bound to one, or by a chooser; and the
// wait for a peer where a queue is allowed. Lies in the frame of the tries; leases point into the target's set.
#pragma once

#include <optional>

#include "core/upstream/binder.h"
#include "core/upstream/chooser.h"
#include "event/net/upstreams.h"
#include "http/forward/target.h"

namespace fairlead::http {

// Why there is no peer, and how long the request waited for one.
struct QueueStay {
  const char* problem = "no live upstreams";
  std::string_view reason = "UH";
  int64_t waited_ms = -1;  // -1: there was no waiting
};

class Picker {
 public:
  // `tries_max`: of all the tries; 0: no limit.
  Picker(Request& request, Target& target, uint64_t tries_max);
  Picker(const Picker&) = delete;
  Picker& operator=(const Picker&) = delete;

  // For the first try. None of the group's peers if others wait for one already: nobody is overtaken.
  Pick pick_first();
  // For the one after `last`.
  Pick pick(const LastTry& last);
  // After pick_first() gave nothing and nothing was refused, where the target has a queue. A chooser has had its say for this try. An empty
  // pick: `stay` says why.
  Task<Pick> wait_in_queue(QueueStay& stay);

  // Of the last pick; nullptr: there is no chooser. Lies in the request's arena.
  const PeerChoice* choice() const { return chosen_ ? &chosen_->choice : nullptr; }
  // The chooser wants this answer instead of a peer; else 0.
  uint16_t refused_status() const { return chosen_ && chosen_->is_refused ? chosen_->choice.refused_status : uint16_t{0}; }
  // How many tries this pick adds to those that the peers of the set allow.
  size_t more_tries(const Pick& pick) const;
  // As if the last pick, of that peer, had not been: a keyed method picks it again.
  void forget(uint32_t peer_index) {
    if (is_named()) return;
    state_.tried.remove(peer_index);
    state_.draw = draw_before_;
  }

  // What became of the try on `peer`, for whoever ties sessions to peers: its reply is the answer, and has been passed on.
  void note_reply(const Headers& fields, const Peer& peer);
  void note_end(const Peer& peer) {
    if (binder_) binder_->finished(request_, peer);
  }

 private:
  // A chooser's answer for one try, in the request's arena: the lease of the try points into the set.
  struct Chosen {
    PeerChoice choice;
    std::optional<PeerSet> set;  // of the one peer; none: refused, or one of the group's
    bool is_refused = false;
  };
  // The peer of the last pick was named by the chooser.
  bool is_named() const { return chosen_ && chosen_->set; }
  // False: refused.
  bool choose(const LastTry& last);
  Pick pick_named();
  Pick pick_of_group();
  // The peers as they are now, none of them tried.
  void refresh();

  Request& request_;
  Target& target_;
  Upstreams& upstreams_;
  PickState state_;
  PickState::Draw draw_before_;  // as it was before the last pick
  std::string_view key_, bound_;
  const PeerChooser* chooser_ = nullptr;
  const PeerBinder* binder_ = nullptr;
  uint64_t tries_max_, tries_allowed_;  // tries_allowed_: by the peers of the set and by what the chooser added
  Chosen* chosen_ = nullptr;
};

}  // namespace fairlead::http
