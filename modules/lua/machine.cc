// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/machine.h"

#include "core/base/format.h"
#include "core/conf/generation.h"
#include "http/request/request.h"
#include "modules/lua/request_state.h"

namespace fairlead::lua {

// A test of the configuration changes nothing: the script may reach out of the process, and need what is there at a start only.
static ConfResult<Unit> run_init(Vm& vm, const Script& script) {
  bool is_test = vm.generation().request().test_only;
  if (is_test && script.is_file) return Unit();
  Scope scope(vm, Hook::init, nullptr, Logger());
  lua_State* L = vm.main();
  std::string_view directive = script.is_file ? "init_by_lua_file" : "init_by_lua";
  if (vm.push_script(L, script, nullptr) != Vm::Loaded::ok) return format("{} error: {}", directive, vm.text);
  if (is_test) {
    lua_pop(L, 1);
    return Unit();
  }
  if (vm.call(L, 0, 0)) return Unit();
  std::string reason = format("{} error: {}", directive, lua_tostring(L, -1));
  lua_pop(L, 1);
  return reason;
}

ConfResult<Unit> start_machine(Vm& vm) {
  FL_TRY(vm.open());
  if (vm.conf().init) FL_TRY(run_init(vm, *vm.conf().init));
  vm.guard_globals();
  return Unit();
}

static std::shared_ptr<Vm> make_own(Vm& common, const http::Request& request) {
  auto made = std::make_shared<Vm>(common.generation(), common.http_block(), Vm::Caching::off);
  made->captured_log = common.captured_log;
  made->enter_worker(*common.worker());
  auto started = start_machine(*made);
  if (!started) request.logger.error("{}", started.error());
  return made;
}

Vm& vm_of(http::Request& request) {
  Vm& common = vm_of(request.generation());
  if (conf<LuaConf>(request).code_cache) return common;
  RequestState& state = request.slot<RequestState>();
  if (!state.own_vm) state.own_vm = make_own(common, request);
  return *state.own_vm;
}

void share_machine(http::Request& with, http::Request& of) { with.slot<RequestState>().own_vm = of.slot<RequestState>().own_vm; }

}  // namespace fairlead::lua
