// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// random: a weighted draw; random two: the less loaded of two draws.
#pragma once

#include "core/upstream/balancer.h"

namespace fairlead {

class RandomChoice final : public Balancer {
 public:
  enum class Way : uint8_t { one, two_least_conn };
  explicit RandomChoice(Way way) : way_(way) {}
  std::string_view name() const override { return way_ == Way::one ? "random" : "random two least_conn"; }
  bool allows_backups() const override { return false; }
  std::unique_ptr<PeerIndex> prepare(const PeerSet& set) const override;

 protected:
  const Peer* choose(const PeerSet& set, const PickRequest& request) const override;

 private:
  Way way_;
};

}  // namespace fairlead
