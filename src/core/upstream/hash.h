// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// hash KEY: the key decides, compatible with Cache::Memcached; hash KEY consistent: on the ketama ring, so that few keys move when the set
// changes. An empty key is spread by round robin.
#pragma once

#include "core/upstream/balancer.h"

namespace fairlead {

class KeyHash final : public Balancer {
 public:
  std::string_view name() const override { return "hash"; }
  bool allows_backups() const override { return false; }

 protected:
  const Peer* choose(const PeerSet& set, const PickRequest& request) const override;
};

class ConsistentHash final : public Balancer {
 public:
  std::string_view name() const override { return "hash consistent"; }
  bool allows_backups() const override { return false; }
  std::unique_ptr<PeerIndex> prepare(const PeerSet& set) const override;

 protected:
  const Peer* choose(const PeerSet& set, const PickRequest& request) const override;
};

}  // namespace fairlead
