// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// sticky learn: which peer began a session is learnt from what it answered, and kept in a zone that all workers share and that survives a
// reload. Kept are digests of session ids, not the ids. Those unused for longest go when the zone is full.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/conf/template.h"
#include "core/shm/shm.h"
#include "core/upstream/binder.h"

namespace fairlead::upstream_sticky {

// The first that is not empty, or nothing.
std::string_view first_text(const std::vector<Template>& texts, Session& session);

class LearnBinder final : public PeerBinder {
 public:
  struct Settings {
    std::vector<Template> create, lookup;
    Zone* zone = nullptr;
    uint64_t timeout_ms = 600'000;  // without a request of the session
    bool at_header = false;         // learn when the head of the reply is there, not at its end
  };
  explicit LearnBinder(Settings settings) : settings_(std::move(settings)) {}
  std::string_view bound_route(Session& session) const override;
  void replied(Session& session, const Peer& peer) const override {
    if (settings_.at_header) learn(session, peer);
  }
  void finished(Session& session, const Peer& peer) const override {
    if (!settings_.at_header) learn(session, peer);
  }

 private:
  void learn(Session& session, const Peer& peer) const;
  Settings settings_;
};

}  // namespace fairlead::upstream_sticky
