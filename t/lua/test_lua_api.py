# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Every function of the Lua API: what it gives, what it gives when it fails, and what it says in a hook where it must not be called.
The rows are those of lib/lua_calls.py; a function without a row fails the last test."""

import pytest

from lib.client import get
from lib.lua_calls import CALLS, SERIALIZE, SERVER

CONF = r"""
error_log logs/error.log notice;
events {}
http {
    lua_shared_dict d 2m;
    lua_shared_dict said 2m;
    default_type text/plain;
    lua_socket_log_errors off;
    init_by_lua_block {
        SERIALIZE
        d = ngx.shared.d
        calls = { CALLS }
        functions = {}
        for i, call in ipairs(calls) do functions[i] = assert(loadstring("return " .. call, "=call")) end
        function say(i) ngx.shared.said:set(ngx.get_phase() .. " " .. i, told(functions[i])) end
        function say_all() for i = 1, #calls do say(i) end end
        function this()
            ngx.ctx.i = ngx.ctx.i or tonumber(ngx.var.arg_i)
            say(ngx.ctx.i)
        end
        say_all()
    }
    init_worker_by_lua_block { say_all() ngx.timer.at(0, say_all) }
    SERVER
        location /functions { content_by_lua_block {
            local found = {}
            local function walk(prefix, t)
                for name, value in pairs(t) do
                    if type(value) == "function" and name:sub(1, 2) ~= "__" then found[#found + 1] = prefix .. name end
                end
            end
            walk("", ngx)
            for _, part in ipairs { "req", "resp", "re", "timer", "thread", "socket", "worker", "config", "location" } do
                walk(part .. ".", ngx[part] or {})
            end
            for _, module in ipairs { "ngx.re", "ngx.base64", "ngx.req", "ngx.resp", "ngx.semaphore", "ngx.balancer" } do
                walk(module .. ".", require(module))
            end
            walk("dict.", getmetatable(d).__index)
            walk("semaphore.", getmetatable(require("ngx.semaphore").new()).__index)
            walk("tcp.", getmetatable(ngx.socket.tcp()).__index)
            walk("udp.", getmetatable(ngx.socket.udp()).__index)
            ngx.print(table.concat(found, " "))
        } }
    }
}
"""
HOOKS = ("init", "init_worker", "timer", "set", "rewrite", "access", "content", "header_filter", "body_filter", "log", "balancer")
AT_START = HOOKS[:3]
OUTPUT = ("rewrite", "access", "content")
ALLOWED = {
    "anywhere": HOOKS, "worker": HOOKS[1:], "request": HOOKS[3:], "output": OUTPUT, "wait": (*OUTPUT, "timer"),
    "exit": (*OUTPUT, "timer", "header_filter", "balancer"), "balancer": ("balancer",),
}
# The same function, or the same code, by another name.
ALIASES = {"socket.stream": "socket.tcp", "ngx.resp.get_headers": "resp.get_headers", "semaphore.new": "ngx.semaphore.new",
           **{f"ngx.semaphore.{name}": f"semaphore.{name}" for name in ("count", "post", "wait")}}
# What has tests of its own, since one call does not show it.
ELSEWHERE = {"location.capture", "location.capture_multi", "on_abort", "req.socket", "worker.pids"}


def expressions(call):
    return [e for e in (call.good, call.bad) if e]


INDEX = {}
for each in CALLS:
    for expression in expressions(each):
        INDEX.setdefault(expression, len(INDEX) + 1)


@pytest.fixture(scope="module")
def told():
    """told(hook, expression): what the expression gave there."""
    from lib.fairlead import Server
    quoted = ", ".join("[=[" + e + "]=]" for e in INDEX)
    with Server(CONF.replace("SERVER", SERVER).replace("SERIALIZE", SERIALIZE).replace("CALLS", quoted), allow_log=("runtime error",)) as s:
        def tell(hook, expression):
            number = INDEX[expression]
            if hook not in AT_START:
                get(s.port, f"/{hook}?x=y&i={number}", headers={"X-A": "b"})
            return get(s.port, f"/said?{hook}%20{number}").body.decode("latin-1")
        tell.port = s.port
        yield tell


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_what_it_gives(told, call):
    assert told("balancer" if call.where == "balancer" else "content", call.good) == call.gives
    if call.bad:
        assert told("content", call.bad) == call.fails


@pytest.mark.parametrize("hook", HOOKS)
def test_where_it_may_be_called(told, hook):
    wrong = []
    for call in CALLS:
        said = told(hook, call.calling)
        if hook in ALLOWED[call.where]:
            if "API disabled" in said or "no request found" in said:
                wrong.append((call.name, said))
            continue
        name = {"timer": "ngx.timer"}.get(hook, hook + "_by_lua*")
        refused = f"raises: API disabled in the context of {name}"
        if call.where == "request":
            refused = "raises: no request found" if hook == "init" else "raises: API disabled in the current context"
        if call.where == "balancer":
            refused = "raises: no request found" if hook == "init" else call.fails
        if said != refused:
            wrong.append((call.name, said))
    assert not wrong


def test_no_function_is_forgotten(told):
    rows = {call.name for call in CALLS}
    found = set(get(told.port, "/functions").body.decode().split())
    assert len(found) > 120
    assert {name for name in found - ELSEWHERE if name not in rows and ALIASES.get(name) not in rows} == set()
