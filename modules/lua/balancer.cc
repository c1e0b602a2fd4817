// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// balancer_by_lua and ngx.balancer: a script names the peer of each try.
#include <algorithm>
#include <cmath>
#include <optional>

#include "core/base/text.h"
#include "core/conf/block.h"
#include "core/upstream/chooser.h"
#include "core/upstream/group.h"
#include "http/request/request.h"
#include "modules/lua/api.h"
#include "modules/lua/conf.h"
#include "modules/lua/hooks.h"
#include "modules/lua/machine.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {
namespace {

// While the script of a balancer runs. They do not nest.
struct Choosing {
  PeerChoice& choice;
  const LastTry& last;
};
Choosing* choosing = nullptr;

class LuaChooser final : public PeerChooser {
 public:
  explicit LuaChooser(const Script& script) : script_(script) {}
  bool choose(Session& session, const LastTry& last, PeerChoice& choice) const override;

 private:
  const Script& script_;
};

bool LuaChooser::choose(Session& session, const LastTry& last, PeerChoice& choice) const {
  http::Request& request = http::as_request(session);
  http::While doing(request, "connecting to upstream");
  Scope scope(vm_of(request), Hook::balancer, &request, request.logger);
  Choosing now{choice, last};
  choosing = &now;
  bool good = run_plain(scope, script_);
  choosing = nullptr;
  if (!good) return false;
  if (scope.exit_code != Scope::no_exit && scope.exit_code != 0) {
    choice.refused_status = scope.exit_code >= 200 ? static_cast<uint16_t>(scope.exit_code) : uint16_t{500};
    return false;
  }
  return true;
}

// Only within in_balancer().
Choosing& now(lua_State*) { return *choosing; }

// Outside of balancer_by_lua a function gives so many times nil and a text, and raises only where there can be no request at all.
template <lua_CFunction function, int nils = 1>
int in_balancer(lua_State* L) {
  if (Scope::current().hook == Hook::init) request_scope(L);
  if (Scope::current().hook == Hook::balancer) return function(L);
  for (int i = 1; i < nils; ++i) lua_pushnil(L);
  return nils - 1 + push_failure(L, "no upstream found");
}

// An address, maybe with a port of its own, which wins: "127.0.0.1", "127.0.0.1:80", "::1", "[::1]", "[::1]:80".
std::optional<Addr> parse_peer(std::string_view host, uint16_t port, const char*& problem) {
  problem = host.empty() ? "no host" : "no host allowed";
  std::string_view address = host, own_port;
  if (host.starts_with('[')) {
    size_t end = host.find(']');
    problem = "invalid host";
    if (end == std::string_view::npos) return std::nullopt;
    address = host.substr(1, end - 1);
    own_port = host.substr(end + 1);
  } else if (size_t colon = host.find(':'); colon != std::string_view::npos && colon == host.rfind(':')) {
    address = host.substr(0, colon);
    own_port = host.substr(colon);
  }
  auto parsed = Addr::parse_ip(address);
  if (!parsed) return std::nullopt;
  if (!own_port.empty()) {
    auto number = own_port[0] == ':' ? parse_decimal(own_port.substr(1)) : std::nullopt;
    problem = "invalid port";
    if (!number || *number == 0 || *number > 65535) return std::nullopt;
    port = static_cast<uint16_t>(*number);
  }
  parsed->set_port(port);
  return parsed;
}

int set_current_peer(lua_State* L) {
  PeerChoice& choice = now(L).choice;
  std::string_view host = check_text(L, 1);
  lua_Integer port = luaL_optinteger(L, 2, 0);
  bool has_name = !lua_isnoneornil(L, 3);
  if (has_name && lua_type(L, 3) != LUA_TSTRING)
    return luaL_error(L, "bad argument #3 to 'set_current_peer' (string expected, got %s)", luaL_typename(L, 3));
  if (host.starts_with("unix:")) {
    if (host.size() - 5 > Addr::path_max) return push_failure(L, "path too long");
    choice.address = Addr::local(host.substr(5));
  } else {
    const char* problem = "invalid port";
    auto address = port >= 0 && port <= 65535 ? parse_peer(host, static_cast<uint16_t>(port), problem) : std::nullopt;
    if (!address) return push_failure(L, problem);
    choice.address = *address;
  }
  choice.host = has_name ? Scope::current().request->arena().copy(check_text(L, 3)) : std::string_view();
  lua_pushboolean(L, 1);
  return 1;
}

int set_more_tries(lua_State* L) {
  PeerChoice& choice = now(L).choice;
  lua_Integer count = std::max<lua_Integer>(0, luaL_checkinteger(L, 1));
  bool is_reduced = count > static_cast<lua_Integer>(choice.more_tries_max);
  choice.more_tries = is_reduced ? choice.more_tries_max : static_cast<unsigned>(count);
  lua_pushboolean(L, 1);
  if (!is_reduced) return 1;
  lua_pushliteral(L, "reduced tries due to limit");
  return 2;
}

int get_last_failure(lua_State* L) {
  const LastTry& last = now(L).last;
  if (!last.has_been) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushstring(L, last.failed ? "failed" : "next");
  lua_pushinteger(L, last.status);
  return 2;
}

// Seconds at `index`, in milliseconds; nothing: 0, which leaves what there is. Raises for what is no time.
uint64_t timeout_ms(lua_State* L, int index) {
  if (!lua_toboolean(L, index)) return 0;
  double seconds = lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : 0;
  if (!(seconds > 0)) luaL_error(L, "bad %s timeout", index == 1 ? "connect" : index == 2 ? "send" : "read");
  return to_ms(seconds);
}

int set_timeouts(lua_State* L) {
  const uint64_t connect = timeout_ms(L, 1), send = timeout_ms(L, 2), read = timeout_ms(L, 3);
  PeerTerms& terms = now(L).choice.terms;
  if (connect) terms.connect_timeout_ms = connect;
  if (send) terms.send_timeout_ms = send;
  if (read) terms.read_timeout_ms = read;
  lua_pushboolean(L, 1);
  return 1;
}

int enable_keepalive(lua_State* L) {
  PeerChoice& choice = now(L).choice;
  double seconds = luaL_optnumber(L, 1, 60);
  double most = luaL_optnumber(L, 2, 100);
  if (!(seconds >= 0 && most >= 0)) return luaL_error(L, "bad keepalive limit");
  choice.keepalive_ms = std::max<uint64_t>(to_ms(seconds), 1);
  choice.keepalive_requests = static_cast<uint64_t>(std::fmin(most, 1e15));
  lua_pushboolean(L, 1);
  return 1;
}

int bind_to_local_addr(lua_State* L) {
  auto address = Addr::parse_ip(check_text(L, 1));
  if (!address) return push_failure(L, "invalid addr");
  now(L).choice.terms.bind = *address;
  lua_pushboolean(L, 1);
  return 1;
}

// Off, or on again: what proxy_pass says without TLS stays so.
int set_upstream_tls(lua_State* L) {
  luaL_checkany(L, 1);
  now(L).choice.terms.in_clear = !lua_toboolean(L, 1) || (lua_isnumber(L, 1) && lua_tonumber(L, 1) == 0);
  lua_pushboolean(L, 1);
  return 1;
}

// What goes upstream was built before the first peer was asked for.
int recreate_request(lua_State* L) {
  now(L).choice.rebuilds = true;
  lua_pushboolean(L, 1);
  return 1;
}

constexpr luaL_Reg functions[] = {
    {"set_current_peer", in_balancer<set_current_peer>},
    {"set_more_tries", in_balancer<set_more_tries>},
    {"get_last_failure", in_balancer<get_last_failure, 2>},
    {"set_timeouts", in_balancer<set_timeouts>},
    {"enable_keepalive", in_balancer<enable_keepalive>},
    {"recreate_request", in_balancer<recreate_request>},
    {"bind_to_local_addr", in_balancer<bind_to_local_addr>},
    {"set_upstream_tls", in_balancer<set_upstream_tls>},
    {nullptr, nullptr},
};

}  // namespace

void use_chooser(const Line& line, const Script& script) { group_of(line).chooser = line.arena().make<LuaChooser>(script); }

void add_balancer(lua_State* L) {
  lua_createtable(L, 0, 8);
  set_functions(L, functions);
  lua_setfield(L, -2, "_balancer");
}

}  // namespace fairlead::lua
