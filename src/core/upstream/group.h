// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `upstream { }` in http and stream: GroupSpec, what the configuration says of a group, and UpstreamsConf, all groups of a generation. Also
// the groups that nobody wrote: one for each literal address that a proxy_pass names. Workers attach pools and live peers to them
// (event/net/upstreams.h).
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "core/conf/line.h"
#include "core/conf/module.h"
#include "core/conf/template.h"
#include "core/upstream/balancer.h"
#include "core/upstream/names.h"
#include "core/upstream/peer_edits.h"

namespace fairlead {

class PeerBinder;
class PeerChooser;
class Zone;

// One `server` line. A name stands for all its addresses.
struct ServerLine {
  std::string_view text;   // the address as written
  std::string_view host;   // empty for a literal address
  uint16_t port = 0;
  bool resolve = false;      // asked for by workers only, and gone when its name server says so
  std::string_view service;  // its SRV records say targets and ports
  PeerSpec spec;             // without address and name if it is a host
  NamedAddresses known;      // what a host stands for when the configuration is loaded
};

// Requests that may wait for a peer while none can be used, in each worker. 0: none.
struct QueueLimits {
  uint64_t most = 0;
  uint64_t timeout_ms = 60'000;
};

struct KeepaliveLimits {
  uint64_t idle_max = 32;  // 0: off
  uint64_t requests_max = 1000;
  uint64_t time_ms = 3'600'000;
  uint64_t timeout_ms = 60'000;
};

struct GroupSpec {
  std::string_view name;
  Place place;
  bool is_implicit = false;          // made for an address in proxy_pass
  bool is_replaced = false;          // an implicit one whose name turned out to be a written group's: nobody uses it
  std::vector<ServerLine> servers;
  std::unique_ptr<Balancer> balancer;  // round robin if no directive set one
  std::string_view balancer_name;      // the directive that set it
  const PeerChooser* chooser = nullptr;  // names the peer of each try instead; in the generation's arena
  const PeerBinder* binder = nullptr;    // ties sessions to peers; in the generation's arena
  Template key;                        // of `hash`
  QueueLimits queue;
  KeepaliveLimits keepalive;
  Zone* zone = nullptr;
  Zone* edits_zone = nullptr;          // beside it: changes of peers at run time
  PeerEditing edits;                   // in it; empty without a zone
  std::vector<PeerSpec> peers;         // what is known when the configuration is loaded: literals and names that resolved
  PeerShare share;                     // of the zone, if there is one (core/upstream/peer_zone.h)
  ZoneNames* zone_names = nullptr;     // likewise; where what is known of the names is kept
  std::unique_ptr<PeerSet> held;       // with a zone: the generation's own references to the states of its peers
  Block* block = nullptr;              // where it is written, or for an implicit group the block that names it
  uint32_t index = 0;                  // among the groups of the generation

  // Makes `peers` from what the lines' names stand for.
  void use_known();
  bool has_names() const {
    for (const ServerLine& line : servers)
      if (!line.host.empty()) return true;
    return false;
  }
};

// All groups of one generation, by engine.
struct UpstreamsConf {
  std::vector<std::unique_ptr<GroupSpec>> groups;
  bool resolve_strictly = false;  // resolve_at_start strict
};

extern const Module upstream_module;

// The group being read: for directives inside `upstream`.
GroupSpec& group_of(const Line& line);
// Sets the balancer of the group the line stands in; the second balancing directive warns as nginx does.
ConfResult<Unit> set_balancer(const Line& line, std::unique_ptr<Balancer> balancer);

// The group of that name (a written one before an implicit one), or nullptr; complete when the configuration is read.
GroupSpec* find_group(Generation& generation, std::string_view name);
// A group for "host:port" or "unix:path" as in proxy_pass; used again for the same text.
ConfResult<GroupSpec*> implicit_group(const Line& line, std::string_view address, uint16_t default_port);
// For generation functions: an implicit `group` becomes the written one of the same name, which takes no port; others, and none (nullptr),
// stay as they are. `has_port`: one was written behind the name. `needs_port`: an address without one is refused.
ConfResult<Unit> bind_group(Generation& generation, const GroupSpec*& group, bool has_port, bool needs_port);
UpstreamsConf& upstreams_of(Generation& generation);

}  // namespace fairlead
