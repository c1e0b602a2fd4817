// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PeerChooser: names the peer of each try at run time, or leaves it to the group's balancer and own peers. Set on a group by a directive of
// its block. Plain: it must not wait. What is chosen is an address of its own, without shared counters.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/addr.h"

namespace fairlead {

class Session;

// What the try before this one came to.
struct LastTry {
  bool has_been = false;
  bool failed = false;   // in the sense of max_fails; else it was only passed over
  uint16_t status = 0;   // of its reply, or what its failure stands for
};

// Holds for a request's next try and for all that follow it, until it is said otherwise.
struct PeerTerms {
  // Milliseconds; 0: as configured.
  uint64_t connect_timeout_ms = 0, send_timeout_ms = 0, read_timeout_ms = 0;
  Addr bind;                      // the local address; invalid: as configured
  bool in_clear = false;          // no TLS, though it is configured
};

// Holds for one try.
struct PeerChoice {
  PeerTerms terms;                // given: of the tries before
  Addr address;                   // invalid: the group's balancer picks one of the group's peers
  std::string_view host;          // that peer's name for TLS where no directive says one, in the session's arena; empty: the URL's
  unsigned more_tries = 0;        // beyond those of the group; only with an address
  unsigned more_tries_max = 0;    // given: how many more the configuration has room for
  uint64_t keepalive_ms = 0;      // 0: as configured; else how long the connection may idle afterwards
  uint64_t keepalive_requests = 0;
  bool rebuilds = false;          // the request is made anew for this try: what it is made of has changed
  uint16_t refused_status = 500;  // of the answer, where the choice failed
};

class PeerChooser {
 public:
  // False: the request is answered with `refused_status` and goes to no peer, and the log knows why.
  virtual bool choose(Session& session, const LastTry& last, PeerChoice& choice) const = 0;

 protected:
  ~PeerChooser() = default;
};

}  // namespace fairlead
