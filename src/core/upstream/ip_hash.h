// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ip_hash: the client's network decides: the first three octets of an IPv4 address, all of an IPv6 one.
#pragma once

#include "core/upstream/balancer.h"

namespace fairlead {

class IpHash final : public Balancer {
 public:
  std::string_view name() const override { return "ip_hash"; }
  bool allows_backups() const override { return false; }

 protected:
  const Peer* choose(const PeerSet& set, const PickRequest& request) const override;
};

}  // namespace fairlead
