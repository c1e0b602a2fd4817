# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Scripts that mean harm, or were written in a hurry: whatever they do, the worker goes on, the next request is answered, and what they did
stays in their own request."""

import signal

import pytest

from lib.client import Client, get
from lib.ports import wait_until

CONF = r"""
error_log logs/error.log info;
worker_shutdown_timeout 2s;
events {}
http {
    lua_socket_log_errors off;
    lua_run_time_limit LIMIT;
    upstream chosen { server 0.0.0.1; balancer_by_lua_block { require("ngx.balancer").set_current_peer("127.0.0.1", %%PORT_0%%) hook() } }
    init_by_lua_block {
        bad = setmetatable({}, { __tostring = function() error("in __tostring") end })
        waiting = setmetatable({}, { __tostring = function() ngx.sleep(1) return "slept" end })
        odd = setmetatable({}, { __tostring = function() return {} end })
        texts = setmetatable({}, { __tostring = function() return "a text of its own" end })
        errors = { bad = bad, waiting = waiting, odd = odd, text = texts, none = nil, number = 7, yes = true, func = print,
                   huge = ("x"):rep(1e6), proxy = newproxy(), null = ngx.null, thread = coroutine.create(print) }
        function hook() error(errors[ngx.var.arg_with], 0) end
        kept = {}
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        lua_check_client_abort on;
        location /ok { content_by_lua_block { ngx.say("ok") } }
        location /set { set_by_lua_block $x { hook() } return 200 "set$x"; }
        location /rewrite { rewrite_by_lua_block { hook() } content_by_lua_block { } }
        location /access { access_by_lua_block { hook() } content_by_lua_block { } }
        location /content { content_by_lua_block { hook() } }
        location /printed { content_by_lua_block { ngx.say("first") ngx.flush(true) hook() } }
        location /thread { content_by_lua_block { ngx.thread.wait(ngx.thread.spawn(hook)) ngx.thread.spawn(hook) ngx.say("on") } }
        location /coroutine { content_by_lua_block { coroutine.wrap(function() coroutine.wrap(hook)() end)() } }
        location /timer { content_by_lua_block {
            local with = ngx.var.arg_with
            ngx.timer.at(0, function() error(errors[with], 0) end) ngx.say("later") } }
        location /header_filter { header_filter_by_lua_block { hook() } content_by_lua_block { ngx.say("x") } }
        location /body_filter { body_filter_by_lua_block { hook() } content_by_lua_block { ngx.say("x") } }
        location /log { log_by_lua_block { hook() } content_by_lua_block { ngx.say("x") } }
        location /balancer { proxy_pass http://chosen/ok; }
        location /run { content_by_lua_block { SCRIPT } HOOKS }
    }
}
"""
HOOKS = {"set": 500, "rewrite": 500, "access": 500, "content": 500, "printed": 200, "thread": 200, "coroutine": 500, "timer": 200,
         "header_filter": 500, "body_filter": None, "log": 200, "balancer": 500}
ERRORS = ("bad", "waiting", "odd", "text", "none", "number", "yes", "func", "huge", "proxy", "null", "thread")


def start(server, script="", hooks="", limit="60s", **more):
    return server(CONF.replace("SCRIPT", script).replace("HOOKS", hooks).replace("LIMIT", limit),
                  **{"allow_log": ("runtime error", "failed to run"), **more})


def is_well(s):
    return get(s.port, "/ok").body == b"ok\n"


@pytest.mark.parametrize("hook", HOOKS)
def test_objects_of_any_kind_are_thrown(server, hook):
    s = start(server)
    pid = s.wait_workers(1)
    for error in ERRORS:
        with Client(s.port) as client:
            client.send(f"GET /{hook}?with={error} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            said = client.read_until_close()
            if HOOKS[hook]:
                assert said.startswith(b"HTTP/1.1 %d " % HOOKS[hook]), (error, said)
    assert is_well(s)
    assert s.workers() == pid
    assert "a text of its own" in s.log() and "unknown reason" in s.log()


ENDLESS = {
    "pcall": "while true do pcall(error) end",
    "yield": "while true do coroutine.yield() end",
    "two_threads": "ngx.thread.spawn(function() while true do coroutine.yield() end end) while true do coroutine.yield() end",
    "coroutines": "local c = coroutine.wrap(function() while true do coroutine.yield() end end) while true do c() end",
    "wrapped": "local function f() return coroutine.wrap(function() while true do pcall(coroutine.yield) end end) end "
               "while true do f()() end",
    "error_handler": "while true do xpcall(error, function() while true do end end) end",
    "spawn": "while true do ngx.thread.wait(ngx.thread.spawn(function() end)) end",
    "metamethod": "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) "
                  "while true do pcall(function() return t[1] end) end",
}
GIVES_WAY = ("yield", "two_threads", "spawn")  # these let others run; a client that leaves ends them


@pytest.mark.parametrize("name", ENDLESS)
def test_a_script_without_end(server, name):
    s = start(server, ENDLESS[name], limit=("60s" if name in GIVES_WAY else "200ms") + "; lua_jit off")
    with Client(s.port) as client:
        client.send("GET /run HTTP/1.1\r\nHost: a\r\n\r\n")
        if name in GIVES_WAY:
            assert is_well(s)
            client.reset()
            s.wait_for_log("client prematurely closed connection")
        else:
            assert client.read_reply().status == 500
            s.wait_for_log("ran longer than lua_run_time_limit")
    assert is_well(s)


DEEP = {
    "recursion": "local function f() return 1 + f() end f()",
    "pcalls": "local function f() return pcall(f) end f() error('still here')",
    "nested_array": "local t = {} for i = 1, 1e5 do t = { t } end ngx.print(t)",
    "array_in_itself": "local t = {} t[1] = t ngx.print(t)",
    "coroutines": "local function f() return coroutine.wrap(f)() end f()",
    "tostring": "local t = setmetatable({}, {__tostring = function(t) return 'x' .. tostring(t) end}) ngx.log(ngx.ERR, t)",
    "require": "package.preload.a = function() package.loaded.a = nil return require('a') end require('a')",
    "memory": "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end",
    "one_text": "return ('x'):rep(2^30)",
    "arguments": "ngx.print(unpack({}, 1, 1e7))",
}


@pytest.mark.parametrize("name", DEEP)
def test_depth_and_size_have_an_end(server, name):
    s = start(server, DEEP[name], limit="60s; lua_memory_limit 64m")
    assert get(s.port, "/run").status == 500
    assert is_well(s)
    assert get(s.port, "/run").status == 500


FOREIGN = {
    # What another request's script waits in is not to be resumed, by whatever hook.
    "entry": "kept.co = coroutine.running()",
    "inner": "kept.co = coroutine.create(function() ngx.sleep(30) end) coroutine.resume(kept.co)",
    "outer": "kept.co = coroutine.create(function() coroutine.wrap(function() ngx.sleep(30) end)() end) coroutine.resume(kept.co)",
    "thread": "kept.co = ngx.thread.spawn(function() ngx.sleep(30) end)",
}
RESUME = "ngx.log(ngx.NOTICE, 'resumed: ', coroutine.resume(kept.co, 1, 2, 3)) ngx.log(ngx.NOTICE, 'status: ', coroutine.status(kept.co)) "


@pytest.mark.parametrize("name", FOREIGN)
def test_coroutines_of_others_are_left_alone(server, name):
    s = start(server, f"if ngx.var.arg_wait then {FOREIGN[name]} ngx.sleep(30) end {RESUME}",
              f"header_filter_by_lua_block {{ {RESUME} }} log_by_lua_block {{ if kept.co then {RESUME} end }}")
    with Client(s.port) as client:
        client.send("GET /run?wait=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert is_well(s)
        assert get(s.port, "/run").status == 200
        wait_until(lambda: s.log().count("resumed: falsecannot resume") == 3 and s.log().count("status: running") == 3, 5, "three hooks")
        client.reset()
        s.wait_for_log("client prematurely closed connection")
    assert get(s.port, "/run").status == 200  # and now it may be resumed: as what it is, a coroutine of somebody gone
    assert is_well(s)


MISUSED = {
    "original_resume": "local co = coroutine._create(function() ngx.sleep(0.01) return 1 end) local ok, err = coroutine._resume(co) "
                       "ngx.say(ok, ' ', err) coroutine.yield() ngx.sleep(0.001) ngx.say('on')",
    "original_wrap": "ngx.say(pcall(coroutine._wrap(function() ngx.exit(403) end))) ngx.sleep(0.001)",
    "sort": "ngx.say(pcall(table.sort, {3, 2, 1}, function(a, b) ngx.sleep(0.001) return a < b end)) ngx.sleep(0.001)",
    "resume_in_sort": "local co = coroutine.create(function(...) ngx.say(select('#', ...)) end) "
                      "ngx.say(pcall(table.sort, {2, 1}, function(a, b) coroutine.resume(co, 1, 2) return a < b end)) coroutine.resume(co)",
    "spawn_in_gsub": "ngx.say(pcall(string.gsub, 'x', 'x', function() ngx.thread.spawn(function() end) end))",
    "gc_by_hand": "local s, u = require('ngx.semaphore').new(), ngx.socket.udp() ngx.say(tostring(getmetatable(s[1]).__gc), "
                  "tostring(getmetatable(u[1]).__gc), pcall(setmetatable, s[1], nil)) s:post() ngx.say(s:count())",
    "resume_itself": "ngx.say(coroutine.resume(coroutine.running()))",
    "kill_itself": "ngx.say(ngx.thread.kill(coroutine.running()))",
    "socket_of_another": "kept.s = kept.s or ngx.socket.tcp() ngx.say(pcall(kept.s.settimeout, kept.s, 1))",
    "forged_socket": "local s = setmetatable({newproxy()}, getmetatable(ngx.socket.tcp())) ngx.say(pcall(s.send, s, 'x'))",
    "swapped_socket": "local t, u = ngx.socket.tcp(), ngx.socket.udp() t[1], u[1] = u[1], t[1] "
                      "ngx.say(pcall(t.close, t), pcall(u.close, u))",
    "ctx_cycle": "ngx.ctx.self = ngx.ctx ngx.ctx.f = function() return ngx.ctx end collectgarbage() ngx.say(ngx.ctx.self.self == ngx.ctx)",
    "killed_and_resumed": "local t = ngx.thread.spawn(function() local x = ngx.sleep(9) ngx.say('never') end) ngx.thread.kill(t) "
                          "collectgarbage() ngx.say(type(coroutine.status(t)))",
}


@pytest.mark.parametrize("name", MISUSED)
def test_misuse_is_refused(server, name):
    s = start(server, MISUSED[name])
    for _ in range(3):
        reply = get(s.port, "/run")
        assert reply.status == 200 and b"never" not in reply.body
    assert is_well(s)


def test_what_misuse_is_told(server):
    def told(name):
        return get(start(server, MISUSED[name]).port, "/run").body.decode()
    assert "attempt to wait in a coroutine of the original coroutine functions" in told("original_resume")
    assert told("original_resume").endswith("on\n")
    assert "falseattempt to yield across C-call boundary" in told("sort")
    assert told("resume_in_sort").startswith("false") and told("resume_in_sort").endswith("\n0\n")
    assert told("gc_by_hand") == "nilnilfalsebad argument #1 to '?' (table expected, got userdata)\n1\n"


EXITS = ("0", "200", "403", "444", "499", "-1", "503")
EXIT_HOOKS = """
    rewrite_by_lua_block { if ngx.var.arg_in == "rewrite" then ngx.exit(tonumber(ngx.var.arg_code)) end }
    access_by_lua_block { if ngx.var.arg_in == "access" then ngx.exit(tonumber(ngx.var.arg_code)) end }
    precontent_by_lua_block { if ngx.var.arg_in == "precontent" then ngx.exit(tonumber(ngx.var.arg_code)) end }
    header_filter_by_lua_block { if ngx.var.arg_in == "header_filter" then ngx.exit(tonumber(ngx.var.arg_code)) end }
    body_filter_by_lua_block { if ngx.var.arg_in == "body_filter" then pcall(ngx.exit, tonumber(ngx.var.arg_code)) end }
    log_by_lua_block { if ngx.var.arg_in == "log" then pcall(ngx.exit, tonumber(ngx.var.arg_code)) end }
"""


def test_exits_from_everywhere(server):
    s = start(server, """
        local code = tonumber(ngx.var.arg_code)
        local places = {
            content = function() ngx.exit(code) end,
            protected = function() pcall(ngx.exit, code) ngx.say("never") end,
            thread = function() ngx.thread.spawn(function() ngx.sleep(0.001) ngx.exit(code) end) ngx.sleep(30) end,
            coroutine = function() coroutine.wrap(function() coroutine.wrap(ngx.exit)(code) end)() ngx.say("never") end,
            printed = function() ngx.say("first") ngx.exit(code) end,
            timer = function() ngx.timer.at(0, function() ngx.exit(code) end) end,
        }
        local place = places[ngx.var.arg_in]
        if place then place() end""", EXIT_HOOKS, allow_log=("runtime error", "failed to run", "attempt to set status"))
    places = ["content", "protected", "thread", "coroutine", "printed", "timer", "rewrite", "access", "precontent", "header_filter",
              "body_filter", "log"]
    for place in places:
        for code in EXITS:
            with Client(s.port) as client:
                client.send(f"GET /run?in={place}&code={code} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert b"never" not in client.read_until_close()
    assert is_well(s)


def test_threads_that_outlive_the_entry(server):
    s = start(server, """
        for i = 1, 50 do ngx.thread.spawn(function() ngx.thread.spawn(function() ngx.sleep(i % 5 / 1000) ngx.say("inner") end) end) end
        ngx.say("entry")""")
    assert sorted(get(s.port, "/run").body.split(b"\n"))[1:] == [b"entry"] + [b"inner"] * 50


TIMERS = {
    "again": "local function again() ngx.timer.at(0, again) end again()",
    "every": "for i = 1, 20 do ngx.timer.every(0.001, function() error('x') end) end",
    "sleeping": "for i = 1, 20 do ngx.timer.at(0, function() while true do ngx.sleep(0.001) end end) end",
    "nested": "local function f() ngx.timer.at(0, function() f() f() end) end f()",
    "waiting": "ngx.timer.at(0, function() require('ngx.semaphore').new():wait(3600) end)",
}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGQUIT])
@pytest.mark.parametrize("name", TIMERS)
def test_timers_when_the_worker_ends(server, name, how):
    s = start(server, TIMERS[name] + " ngx.say(1)", allow_log=("runtime error", "lua_max_running_timers", "too many pending timers"))
    assert get(s.port, "/run").body == b"1\n"
    assert is_well(s)
    s.signal(how)
    s.wait()


def test_a_reason_ends_where_its_line_ends(server):
    s = start(server, r"""require("ngx.resp").set_status(404, "No\r\nX-Split: 1\r\n\r\n\127 here") ngx.print("x")""")
    reply = get(s.port, "/run")
    assert (reply.status, reply.text, reply.header("X-Split")) == (404, "x", None)
    assert Client(s.port).send("GET /run HTTP/1.0\r\n\r\n").read_until_close().startswith(
        b"HTTP/1.1 404 No%0D%0AX-Split: 1%0D%0A%0D%0A%7F here\r\n")
