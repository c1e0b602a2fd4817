// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// least_time: the peer that is expected to be done with one more request first, for its weight; round robin among equals. The averages
// are the peers' own (PeerState), those of tries that still run this method's.
#pragma once

#include "core/upstream/balancer.h"

namespace fairlead {

class LeastTime final : public Balancer {
 public:
  enum class Measure : uint8_t { header, last_byte };
  // `inflight`: how long the tries that run have waited already counts, too.
  LeastTime(Measure measure, bool inflight) : measure_(measure), inflight_(inflight) {}
  std::string_view name() const override { return "least_time"; }
  std::unique_ptr<PeerIndex> prepare(const PeerSet& set) const override;

  // Milliseconds until `peer` would be done with what it has and one more request, by nginx's rules: averages above 5 s are all alike,
  // those below are rounded up to steps of 20 ms; one that was not chosen is halved once per fail_timeout.
  uint64_t expected_ms(const Peer& peer, const PickRequest& request) const;
  // Negative: `a` is expected to be done sooner for its weight; 0: as soon.
  int compare(const Peer& a, const Peer& b, const PickRequest& request) const;

 protected:
  const Peer* choose(const PeerSet& set, const PickRequest& request) const override;
  const Peer* choose_backup(const PeerSet& set, const PickRequest& request) const override;

 private:
  const Peer* soonest(std::span<const Peer> peers, const PickRequest& request) const;
  Measure measure_;
  bool inflight_;
};

}  // namespace fairlead
