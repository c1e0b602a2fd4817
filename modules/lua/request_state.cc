// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/request_state.h"

#include "http/request/request.h"
#include "modules/lua/output.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {

RequestState::~RequestState() {
  while (Owned* each = owned.pop_front()) each->close_for_end();
  drop_ctx();
}

void RequestState::drop_ctx() {
  if (ctx_ref != LUA_NOREF && vm->main()) luaL_unref(vm->main(), LUA_REGISTRYINDEX, ctx_ref);
  ctx_ref = LUA_NOREF;
}

Output& output_of(http::Request& request) {
  RequestState& state = request.slot<RequestState>();
  if (!state.output) state.output = request.arena().make<Output>(request);
  return *state.output;
}

}  // namespace fairlead::lua
