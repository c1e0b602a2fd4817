# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A script can take neither the worker's time nor its memory for ever."""

import signal

import pytest

from lib.client import Client, get
from lib.ports import wait_until
from lib.wire import Closed

CONF = r"""
events {}
http {
    lua_run_time_limit %%TIME%%;
    lua_memory_limit 32m;
    lua_jit %%JIT%%;
    init_by_lua_block { kept = {} }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /loop { content_by_lua_block { local n = 0 while true do n = n + 1 end } }
        location /caught { content_by_lua_block { while true do pcall(function() while true do end end) end } }
        location /memory { content_by_lua_block { local t = {} while true do t[#t + 1] = ("x"):rep(10000) .. #t end } }
        location /keep { content_by_lua_block { while true do kept[#kept + 1] = ("x"):rep(10000) .. #kept end } }
        location /free { content_by_lua_block { table.clear(kept) collectgarbage() } }
        location /set { set_by_lua $x 'return ngx.arg[1] .. "y"' $http_x; return 200 $x; }
        location /filters {
            header_filter_by_lua_block { ngx.header.content_length = nil ngx.header["X-A"] = ngx.var.uri .. "a" }
            body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1] .. "z" }
            log_by_lua_block { local t = { ngx.var.uri } }
            return 200 x;
        }
        location /long { content_by_lua_block { for i = 1, 30 do ngx.sleep(0.02) end ngx.say("done") } }
        location /ok { content_by_lua_block { ngx.say("ok") } }
    }
}
"""
ABORTED = ("aborted: runtime error",)


def test_interpreted_loops_end_with_an_error(server):
    s = server(CONF, JIT="off", TIME="200ms", allow_log=ABORTED)
    assert get(s.port, "/loop").status == 500
    s.wait_for_log(r"the script ran longer than lua_run_time_limit \(200 ms\)")
    assert get(s.port, "/caught").status == 500
    assert get(s.port, "/ok").body == b"ok\n"
    assert get(s.port, "/long").body == b"done\n"


def test_a_compiled_loop_costs_its_worker(server):
    s = server(CONF, JIT="on", TIME="200ms", allow_log=("compiled script does not end", "exited with code"))
    worker = s.wait_workers(1)[0]
    Client(s.port).send("GET /loop HTTP/1.1\r\nHost: a\r\n\r\n").read_until_close()
    s.wait_for_log("a compiled script does not end")
    wait_until(lambda: worker not in (now := s.workers()) and now, 5, "another worker")
    assert get(s.port, "/ok").body == b"ok\n"


def test_memory_is_bounded(server):
    s = server(CONF, JIT="on", TIME="60s", allow_log=ABORTED)
    for _ in range(3):
        assert get(s.port, "/memory").status == 500
    s.wait_for_log("not enough memory")
    assert get(s.port, "/ok").body == b"ok\n"


def test_a_machine_without_memory_fails_requests_and_not_its_worker(server):
    s = server(CONF, JIT="off", TIME="60s", allow_log=(*ABORTED, "failed to run"))
    worker = s.wait_workers(1)
    assert get(s.port, "/keep").status == 500
    s.wait_for_log("not enough memory")
    for path in ("/keep", "/memory", "/set", "/filters", "/ok"):
        try:
            assert get(s.port, path, headers={"X": "y" * 2000}).status in (200, 500)
        except Closed:
            pass  # a body filter that fails closes the connection
    assert get(s.port, "/free").status == 200
    assert get(s.port, "/ok").body == b"ok\n"
    assert get(s.port, "/filters").body == b"xz"
    assert s.workers() == worker


SPARE = r"""
events {}
http {
    lua_memory_limit 10m;
    init_by_lua_block {
        live = {}
        function fill(count) for i = 1, count do live[#live + 1] = ("x"):rep(100000) .. #live end end
        for _ = 1, 6 do fill(10) collectgarbage() end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /garbage { content_by_lua_block { local s for i = 1, 10 do s = ("y"):rep(50000) .. i .. ngx.now() end ngx.say("ok") } }
        location /much_garbage { content_by_lua_block { local s for i = 1, 200 do s = ("y"):rep(50000) .. i end ngx.say("ok") } }
        location /plain {
            set_by_lua_block $x { local s for i = 1, 10 do s = ("y"):rep(50000) .. i .. ngx.now() end return "ok" }
            return 200 $x;
        }
        location /refused { content_by_lua_block { local t = {} while true do t[#t + 1] = ("x"):rep(100000) .. #t end } }
        location /fill { content_by_lua_block { pcall(fill, 1000) ngx.exit(204) } }
        location /empty { content_by_lua_block { live = {} ngx.exit(204) } }
    }
}
"""


def test_garbage_is_collected_before_the_limit(server):
    """What is live would let LuaJIT begin to collect above the limit only."""
    s = server(SPARE)
    with Client(s.port) as client:
        for _ in range(50):
            for path in ("/garbage", "/much_garbage", "/plain"):
                assert client.get(path).body.strip() == b"ok", path


def test_behind_a_refused_request_the_next_is_answered(server):
    s = server(SPARE, allow_log=ABORTED)
    for _ in range(10):
        for path in ("/garbage", "/plain"):
            assert [get(s.port, "/refused").status, get(s.port, path).status] == [500, 200], path


def test_a_full_machine_that_is_emptied_serves_again(server):
    s = server(SPARE, allow_log=(*ABORTED, "failed to run"))
    assert get(s.port, "/fill").status == 204
    assert get(s.port, "/garbage").status == 500
    wait_until(lambda: get(s.port, "/empty").status == 204, 5, "room for a table")
    wait_until(lambda: get(s.port, "/garbage").status == 200, 5, "room")
    assert [get(s.port, "/much_garbage").status for _ in range(20)] == [200] * 20


FINALIZER = r"""
error_log logs/error.log notice;
events {}
http {
    lua_run_time_limit 200ms;
    lua_jit %%JIT%%;
    init_worker_by_lua_block {
        proxy = newproxy(true)
        getmetatable(proxy).__gc = function() while true do end end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 ok; }
    }
}
"""


@pytest.mark.parametrize("jit", ["on", "off"])
def test_a_finalizer_without_end_does_not_keep_the_worker(server, jit):
    s = server(FINALIZER, JIT=jit, allow_log=("finalizer does not end", "exited with code"))
    assert get(s.port, "/").status == 200
    s.signal(signal.SIGQUIT)
    s.wait()
    s.wait_for_log("a finalizer does not end")


NESTED = r"""
error_log logs/error.log notice;
events {}
http {
    init_by_lua_block {
        local function told(f) local ok, why = pcall(f) return tostring(ok) .. " " .. tostring(why):match("[%a ]*stack overflow") end
        function gsub() local function f() return (("x"):gsub("x", f)) end return told(f) end
        function sort() local function f() table.sort({ 3, 1, 2 }, f) return false end return told(f) end
        function wrap() local function f() return (coroutine.wrap(f)()) end return told(f) end
        function tail() local function f(s) return s:gsub(".", f) end return told(function() return f("x") end) end
        -- Each coroutine has a stack of Lua's for itself, all of them that of the process.
        function mixed()
            local function f(s)
                local good, why = coroutine.resume(coroutine.create(function()
                    local depth = 0
                    local function down(x) depth = depth + 1 if depth < 3000 then return x:gsub(".", down) end return f(x) end
                    return down("x")
                end))
                if not good then error(why, 0) end
            end
            return told(function() f("x") end)
        end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /content { content_by_lua_block { ngx.say(_G[ngx.var.arg_f]()) } }
        location /filter {
            header_filter_by_lua_block { ngx.header["X-Told"] = _G[ngx.var.arg_f]() }
            return 200 "";
        }
    }
}
"""


def test_calls_in_each_other_end_with_an_error(server):
    """Also through C functions, which take the process's stack and not only Lua's."""
    s = server(NESTED)
    for name, why in (("gsub", "stack overflow"), ("tail", "stack overflow"), ("sort", "stack overflow"), ("wrap", "C stack overflow")):
        assert get(s.port, f"/content?f={name}").body.decode().strip() == f"false {why}", name
        assert get(s.port, f"/filter?f={name}").header("X-Told") == f"false {why}", name
    assert get(s.port, "/filter?f=mixed").header("X-Told").endswith("stack overflow")
