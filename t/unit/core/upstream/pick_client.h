// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// For tests of balancing methods: peers by their ports, and one request after another against one set.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/upstream/balancer.h"

namespace fairlead::pick_test {

inline PeerSpec spec(uint16_t port, uint32_t weight = 1) {
  PeerSpec made;
  made.address = Addr::inet(0x7f000001, port);
  made.name = made.server = made.address.text();
  made.weight = weight;
  return made;
}

inline PeerSpec backup(PeerSpec made) {
  made.backup = true;
  return made;
}

inline PeerSpec down(PeerSpec made) {
  made.down = true;
  return made;
}

// One request after another against one set.
class Client {
 public:
  Client(const Balancer& balancer, std::vector<PeerSpec> specs) : balancer_(balancer), set(std::move(specs)) {
    set.set_index(balancer.prepare(set));
  }
  // A new request.
  void begin(std::string_view key = {}) {
    arena_ = Arena::open(256);
    state = PickState();
    key_ = key;
  }
  Pick pick(int64_t now_s = 1000) {
    PickRequest request{state, *arena_, random_, now_s, key_, nullptr, bound, now_ms};
    return balancer_.pick(set, request);
  }
  // The port, after the try ended so; 0: nothing picked.
  int port(TryEnd end = TryEnd::ok, int64_t now_s = 1000) {
    Pick picked = pick(now_s);
    last = picked.status;
    if (picked.status != PickStatus::picked) return 0;
    int result = picked.lease->spec.address.port();
    picked.lease.finish({end, now_s});
    return result;
  }

  // How often each port is picked in that many requests.
  std::map<int, int> counts(int requests, int64_t now_s = 1000) {
    std::map<int, int> found;
    for (int i = 0; i < requests; ++i) {
      begin();
      ++found[port(TryEnd::ok, now_s)];
    }
    return found;
  }

 private:
  const Balancer& balancer_;
  Arena::Owner arena_ = Arena::open(256);
  Random random_{42};
  std::string key_;

 public:
  PeerSet set;
  PickState state;
  std::string bound;    // the route that requests are bound to
  uint64_t now_ms = 0;  // of the picks
  PickStatus last = PickStatus::picked;
};

}  // namespace fairlead::pick_test
