// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/peer_edits.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace fairlead {

void PeerChange::add(const PeerChange& later) {
  if (later.fields & weight_field) weight = later.weight;
  if (later.fields & max_conns_field) max_conns = later.max_conns;
  if (later.fields & max_fails_field) max_fails = later.max_fails;
  if (later.fields & fail_timeout_field) fail_timeout_s = later.fail_timeout_s;
  if (later.fields & down_field) down = later.down;
  if (later.fields & drain_field) drain = later.drain;
  fields |= later.fields;
}

void PeerChange::apply(PeerSpec& to) const {
  if (fields & weight_field) to.weight = weight;
  if (fields & max_conns_field) to.max_conns = max_conns;
  if (fields & max_fails_field) to.max_fails = max_fails;
  if (fields & fail_timeout_field) to.fail_timeout_s = fail_timeout_s;
  if (fields & down_field) to.down = down;
  if (fields & drain_field) to.drain = drain;
}

PeerEdits* PeerEdits::create(void* memory, size_t bytes) {
  static_assert(sizeof(PeerEdits) % 16 == 0);
  auto capacity = static_cast<uint32_t>((bytes - sizeof(PeerEdits)) / sizeof(PeerEdit));
  auto* made = new (memory) PeerEdits(capacity);
  std::memset(static_cast<void*>(made->edits()), 0, capacity * sizeof(PeerEdit));
  return made;
}

PeerEdit* PeerEdits::find(std::string_view group, std::string_view server) {
  for (PeerEdit* edit = edits(); edit < edits() + capacity_; ++edit)
    if (edit->is_used && group == edit->group && server == edit->server) return edit;
  return nullptr;
}

PeerEdit* PeerEdits::use(std::string_view group, std::string_view server) {
  if (PeerEdit* known = find(group, server)) return known;
  if (group.size() > PeerEdit::group_bytes_max || server.size() > PeerEdit::server_bytes_max) return nullptr;
  auto* free = std::find_if(edits(), edits() + capacity_, [](const PeerEdit& edit) { return !edit.is_used; });
  if (free == edits() + capacity_) return nullptr;
  *free = PeerEdit{};
  group.copy(free->group, group.size());
  server.copy(free->server, server.size());
  free->is_used = true;  // last: whoever dies in between has left nothing
  return free;
}

static void add_peer(const PeerEdit& edit, std::vector<PeerSpec>& peers) {
  auto address = parse_addr(edit.server, 80, AddrUse::connect);
  if (!address || address->is_name()) return;
  PeerSpec peer;
  peer.address = address->addr;
  peer.name = address->addr.text();
  peer.server = edit.server;
  peer.backup = edit.backup;
  edit.change.apply(peer);
  peers.push_back(std::move(peer));
}

void PeerEdits::apply(std::string_view group, std::vector<PeerSpec>& peers) const {
  for (const PeerEdit* edit = edits(); edit < edits() + capacity_; ++edit) {
    if (!edit->is_used || group != edit->group) continue;
    if (edit->is_removed) std::erase_if(peers, [&](const PeerSpec& peer) { return is_named(peer, edit->server); });
    if (edit->is_added) {
      add_peer(*edit, peers);
      continue;
    }
    for (PeerSpec& peer : peers)
      if (is_named(peer, edit->server)) edit->change.apply(peer);
  }
}

}  // namespace fairlead
