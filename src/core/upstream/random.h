// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// random: a weighted draw; random two: of two draws the less loaded, or the one expected to answer sooner.
#pragma once

#include "core/upstream/least_time.h"

namespace fairlead {

class RandomChoice final : public Balancer {
 public:
  enum class Way : uint8_t { one, two_least_conn, two_least_time };
  explicit RandomChoice(Way way, LeastTime::Measure measure = LeastTime::Measure::header) : way_(way), time_(measure, false) {}
  std::string_view name() const override { return "random"; }
  bool allows_backups() const override { return false; }
  std::unique_ptr<PeerIndex> prepare(const PeerSet& set) const override;

 protected:
  const Peer* choose(const PeerSet& set, const PickRequest& request) const override;

 private:
  int compare(const Peer& a, const Peer& b, const PickRequest& request) const;
  Way way_;
  LeastTime time_;
};

}  // namespace fairlead
