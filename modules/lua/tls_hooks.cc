// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Lua in handshakes: ssl_*_by_lua with clients, proxy_ssl_*_by_lua with peers.
#include "event/tls/handshake.h"
#include "http/request/request.h"
#include "modules/lua/conf.h"
#include "modules/lua/hooks.h"
#include "modules/lua/machine.h"
#include "modules/lua/run.h"

namespace fairlead::lua {
namespace {

using http::Request;
using http::TlsPoint;

// What fails there is a session that was not found: the handshake goes on as a whole one, or with the session that the script gave before.
constexpr bool may_fail(Hook hook) { return hook == Hook::ssl_session_fetch; }

bool is_good(const Ending& ending) {
  bool is_exit = ending.kind == Ending::Kind::exited;
  return ending.kind == Ending::Kind::returned || (is_exit && (ending.code == 0 || ending.code == 200));
}

// A client's handshake outlives the request that stands for it while its scripts run, and with that a machine of its own: they run in the
// common one, as in the original. lua_code_cache off then means that files are read anew.
Vm& machine_of(Hook hook, Request& request) { return client_tls_hooks.has(hook) ? vm_of(request.generation()) : vm_of(request); }

template <Hook hook, Script* LuaConf::*Member>
Task<bool> run(Request& request, TlsHandshake& handshake) {
  Vm& vm = machine_of(hook, request);
  Run run(vm, hook, &request, request.logger);
  run.handshake = &handshake;
  if (vm.push_script(run.entry(), *(conf<LuaConf>(request).*Member), &request) != Vm::Loaded::ok) {
    request.logger.error("{}", vm.text);
    co_return may_fail(hook);
  }
  if (!run.start(0)) co_await run.finish();
  co_return may_fail(hook) || is_good(run.ending());
}

Task<bool> run_verify(Request& request, TlsHandshake& handshake) {
  if (conf<LuaConf>(request).skip_default_verify) {
    handshake.verify_result = 0;
    handshake.overrules = true;
  }
  return run<Hook::proxy_ssl_verify, &LuaConf::proxy_ssl_verify>(request, handshake);
}

void note_session(Request& request, TlsHandshake& handshake) {
  Scope scope(machine_of(Hook::ssl_session_store, request), Hook::ssl_session_store, &request, request.logger);
  scope.handshake = &handshake;
  run_plain(scope, *conf<LuaConf>(request).ssl_session_store);
}

template <Script* LuaConf::*Member>
bool is_set(const Block& block) { return conf<LuaConf>(block).*Member != nullptr; }

}  // namespace

constinit const http::TlsHook tls_hooks[tls_hook_count] = {
    {.at = TlsPoint::client_hello,
     .run = run<Hook::ssl_client_hello, &LuaConf::ssl_client_hello>,
     .applies = is_set<&LuaConf::ssl_client_hello>},
    {.at = TlsPoint::session_fetch,
     .run = run<Hook::ssl_session_fetch, &LuaConf::ssl_session_fetch>,
     .applies = is_set<&LuaConf::ssl_session_fetch>},
    {.at = TlsPoint::certificate,
     .run = run<Hook::ssl_certificate, &LuaConf::ssl_certificate>,
     .applies = is_set<&LuaConf::ssl_certificate>},
    {.at = TlsPoint::session_store, .note = note_session, .applies = is_set<&LuaConf::ssl_session_store>},
    {.at = TlsPoint::peer_certificate,
     .run = run<Hook::proxy_ssl_certificate, &LuaConf::proxy_ssl_certificate>,
     .applies = is_set<&LuaConf::proxy_ssl_certificate>},
    {.at = TlsPoint::peer_verify, .run = run_verify, .applies = is_set<&LuaConf::proxy_ssl_verify>},
};

}  // namespace fairlead::lua
