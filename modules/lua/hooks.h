// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The hooks of a request: from a phase or a filter into Lua, and from how the script ended to what becomes of the request.
#pragma once

#include <span>

#include "core/conf/module.h"
#include "http/hooks.h"

namespace fairlead {
class Line;
}

namespace fairlead::lua {

class Scope;
struct LuaConf;
struct Script;

extern const http::Hooks http_hooks;

// What answers in a location with content_by_lua.
Task<http::Verdict> run_content(http::Request& request);
// set_by_lua: adds its statement to the rewrite script of the block.
ConfResult<Unit> add_set_statement(Line& line, LuaConf& own);

// ssl_*_by_lua and proxy_ssl_*_by_lua.
constexpr size_t tls_hook_count = 6;
extern const http::TlsHook tls_hooks[tls_hook_count];

// balancer_by_lua: the script names the peers of the group the line stands in.
void use_chooser(const Line& line, const Script& script);

// Runs a script that must not wait, with nothing pushed for it; so many values that it returned are left on top of the machine's stack, if
// it went well. False: the log says why.
bool run_plain(Scope& scope, const Script& script, int results = 0);

// Codes of ngx.exit() that end the connection without an answer (or with what was sent of one). The log has them as the status.
constexpr bool is_terminal_exit(int code) { return code == 408 || code == 444 || code == 499; }

}  // namespace fairlead::lua
