// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What require "ngx.upstream" gives: the groups and their peers, and changes of them at run time.
#include "core/base/format.h"
#include "event/net/upstreams.h"
#include "event/worker.h"
#include "http/request/request.h"
#include "modules/lua/api.h"
#include "modules/lua/run.h"

namespace fairlead::lua {
namespace {

Worker& worker_of(lua_State* L) {
  Scope& scope = Scope::current();
  if (!scope.vm.worker()) luaL_error(L, "API disabled in the context of %s", hook_name(scope.hook));
  return *scope.vm.worker();
}

bool is_written(const GroupSpec& group) { return !group.is_implicit && !group.is_replaced; }

// nullptr: there is none of that name.
Upstream* find_upstream(lua_State* L) {
  Worker& worker = worker_of(L);
  std::string_view name = check_text(L, 1);
  GroupSpec* group = find_group(worker.generation(), name);
  if (!group || !is_written(*group)) return nullptr;
  Upstream& upstream = worker.state<Upstreams>().of(*group);
  upstream.take_edits();
  return &upstream;
}

int push_no_upstream(lua_State* L) { return push_failure(L, "upstream not found"); }

int get_upstreams(lua_State* L) {
  Worker& worker = worker_of(L);
  lua_newtable(L);
  int count = 0;
  for (const auto& group : upstreams_of(worker.generation()).groups) {
    if (!is_written(*group)) continue;
    push_text(L, group->name);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

void set_number(lua_State* L, const char* name, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}
void set_flag(lua_State* L, const char* name, bool value) {
  if (!value) return;
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, name);
}
void set_text(lua_State* L, const char* name, std::string_view value) {
  push_text(L, value);
  lua_setfield(L, -2, name);
}

// What a server line, or who added the peer, said of it.
void set_spec(lua_State* L, const PeerSpec& spec) {
  set_number(L, "weight", spec.weight);
  set_number(L, "max_conns", spec.max_conns);
  set_number(L, "max_fails", spec.max_fails);
  set_number(L, "fail_timeout", static_cast<double>(spec.fail_timeout_s));
  set_flag(L, "drain", spec.drain);
}

// By server: `addr` is its address, or the array of those of a name.
int get_servers(lua_State* L) {
  Upstream* upstream = find_upstream(L);
  if (!upstream) return push_no_upstream(L);
  lua_newtable(L);
  int count = 0;
  const Peer* before = nullptr;
  for (const Peer& peer : upstream->peers.peek().all()) {
    if (before && before->spec.server == peer.spec.server) {
      lua_rawgeti(L, -1, count);
      lua_getfield(L, -1, "addr");
      if (!lua_istable(L, -1)) {
        lua_createtable(L, 2, 0);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 1);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, "addr");
      }
      push_text(L, peer.spec.name);
      lua_rawseti(L, -2, static_cast<int>(lua_objlen(L, -2)) + 1);
      lua_pop(L, 2);
      continue;
    }
    before = &peer;
    lua_createtable(L, 0, 8);
    set_text(L, "addr", peer.spec.name);
    set_text(L, "name", peer.spec.server);
    set_spec(L, peer.spec);
    set_flag(L, "backup", peer.spec.backup);
    set_flag(L, "down", peer.spec.down);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

int push_peers(lua_State* L, bool backups) {
  Upstream* upstream = find_upstream(L);
  if (!upstream) return push_no_upstream(L);
  const PeerSet& set = upstream->peers.peek();
  lua_newtable(L);
  int count = 0;
  for (const Peer& peer : backups ? set.backups() : set.primaries()) {
    PeerState state;
    {
      PeerGuard guard(set);  // nothing that may raise while it is held
      state = *peer.state;
    }
    lua_createtable(L, 0, 16);
    set_number(L, "id", count);
    set_text(L, "name", peer.spec.name);
    set_spec(L, peer.spec);
    set_number(L, "current_weight", static_cast<double>(state.current_weight));
    set_number(L, "effective_weight", static_cast<double>(state.effective_weight));
    set_number(L, "conns", state.conns);
    set_number(L, "fails", state.fails);
    if (state.accessed_s) set_number(L, "accessed", static_cast<double>(state.accessed_s));
    if (state.checked_s) set_number(L, "checked", static_cast<double>(state.checked_s));
    set_flag(L, "down", peer.spec.down);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

int get_primary_peers(lua_State* L) { return push_peers(L, false); }
int get_backup_peers(lua_State* L) { return push_peers(L, true); }

int current_upstream_name(lua_State* L) {
  const http::TryRecord* record = request_of(L).last_try();
  if (record) push_text(L, record->group);
  else lua_pushnil(L);
  return 1;
}

// -- changes --

int push_done(lua_State* L, ConfResult<Unit> done) {
  std::string& text = Scope::current().vm.text;
  text = done ? std::string() : std::move(done.error());
  if (!text.empty()) return push_failure(L, text);
  lua_pushboolean(L, 1);
  return 1;
}

// A whole number of the table at `index`.
bool read_number(lua_State* L, int index, const char* name, lua_Integer least, lua_Integer& value) {
  lua_getfield(L, index, name);
  bool given = !lua_isnil(L, -1);
  if (given) {
    if (!lua_isnumber(L, -1)) luaL_error(L, "bad \"%s\" option: number expected", name);
    value = lua_tointeger(L, -1);
    if (value < least || value > 1'000'000'000) luaL_error(L, "bad \"%s\" option: out of range", name);
  }
  lua_pop(L, 1);
  return given;
}

bool read_flag(lua_State* L, int index, const char* name, bool& value) {
  lua_getfield(L, index, name);
  bool given = !lua_isnil(L, -1);
  if (given) value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return given;
}

PeerChange read_change(lua_State* L, int index) {
  PeerChange change;
  if (lua_isnoneornil(L, index)) return change;
  luaL_checktype(L, index, LUA_TTABLE);
  lua_Integer number = 0;
  auto take = [&](const char* name, lua_Integer least, PeerChange::Field field) {
    bool given = read_number(L, index, name, least, number);
    if (given) change.fields |= field;
    return given;
  };
  if (take("weight", 1, PeerChange::weight_field)) change.weight = static_cast<uint32_t>(number);
  if (take("max_conns", 0, PeerChange::max_conns_field)) change.max_conns = static_cast<uint32_t>(number);
  if (take("max_fails", 0, PeerChange::max_fails_field)) change.max_fails = static_cast<uint32_t>(number);
  if (take("fail_timeout", 0, PeerChange::fail_timeout_field)) change.fail_timeout_s = number;
  if (read_flag(L, index, "down", change.down)) change.fields |= PeerChange::down_field;
  if (read_flag(L, index, "drain", change.drain)) change.fields |= PeerChange::drain_field;
  return change;
}

// What one worker alone would know is refused: others would go on with the peer.
const char* why_not_changed(const Upstream& upstream) {
  return upstream.has_shared_edits() ? nullptr : "the upstream has no zone";
}

// add_peer(upstream, address, options?)
int add_peer(lua_State* L) {
  std::string_view server = check_text(L, 2);
  PeerChange change = read_change(L, 3);
  bool backup = false;
  if (lua_istable(L, 3)) read_flag(L, 3, "backup", backup);
  Upstream* upstream = find_upstream(L);
  if (!upstream) return push_no_upstream(L);
  if (const char* wrong = why_not_changed(*upstream)) return push_failure(L, wrong);
  PeerSpec spec;
  bool is_address = false;
  {
    auto address = parse_addr(server, 80, AddrUse::connect);
    is_address = address && !address->is_name();
    if (is_address) spec.address = address->addr;
  }
  if (!is_address) return push_failure(L, "no valid address");
  change.apply(spec);
  spec.backup = backup;
  return push_done(L, upstream->add_peer(spec));
}

int remove_peer(lua_State* L) {
  std::string_view peer = check_text(L, 2);
  Upstream* upstream = find_upstream(L);
  if (!upstream) return push_no_upstream(L);
  if (const char* wrong = why_not_changed(*upstream)) return push_failure(L, wrong);
  return push_done(L, upstream->remove_peer(peer));
}

// set_peer(upstream, peer, {weight =, max_conns =, max_fails =, fail_timeout =, down =, drain =})
int set_peer(lua_State* L) {
  std::string_view peer = check_text(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  PeerChange change = read_change(L, 3);
  Upstream* upstream = find_upstream(L);
  if (!upstream) return push_no_upstream(L);
  if (const char* wrong = why_not_changed(*upstream)) return push_failure(L, wrong);
  return push_done(L, upstream->change_peer(peer, change));
}

// set_peer_down(upstream, is_backup, id, down): without a zone in this worker alone, as libraries that tell the others themselves expect.
int set_peer_down(lua_State* L) {
  bool backups = lua_toboolean(L, 2);
  lua_Integer id = luaL_checkinteger(L, 3);
  PeerChange change;
  change.fields = PeerChange::down_field;
  change.down = lua_toboolean(L, 4);
  Upstream* upstream = find_upstream(L);
  if (!upstream) return push_no_upstream(L);
  const PeerSet& set = upstream->peers.peek();
  auto peers = backups ? set.backups() : set.primaries();
  if (id < 0 || static_cast<size_t>(id) >= peers.size()) return push_failure(L, "bad peer id");
  std::string& name = Scope::current().vm.printed;  // the set is replaced meanwhile
  name = peers[static_cast<size_t>(id)].spec.name;
  return push_done(L, upstream->change_peer(name, change));
}

constexpr luaL_Reg functions[] = {
    {"get_upstreams", get_upstreams},
    {"get_servers", get_servers},
    {"get_primary_peers", get_primary_peers},
    {"get_backup_peers", get_backup_peers},
    {"current_upstream_name", current_upstream_name},
    {"set_peer_down", set_peer_down},
    {"add_peer", add_peer},
    {"remove_peer", remove_peer},
    {"set_peer", set_peer},
    {nullptr, nullptr},
};

}  // namespace

void add_upstream(lua_State* L) {
  lua_createtable(L, 0, 16);
  set_functions(L, functions);
  lua_setfield(L, -2, "_upstream");
}

}  // namespace fairlead::lua
