# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.run_worker_thread: functions of modules on threads of a thread_pool, while the worker serves others."""

import os
import signal
import threading

import pytest

from lib.client import Client, get
from lib.ports import wait_until

CONF = r"""
thread_pool small threads=2 max_queue=4;
events {}
http {
    lua_package_path "%%PREFIX%%/?.lua;;";
    lua_worker_thread_vm_pool_size 2;
    lua_shared_dict d 1m;
    lua_run_time_limit LIMIT;
    lua_check_client_abort on;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { content_by_lua_block { SCRIPT } }
        location = /other { return 200 other; }
    }
}
"""
WORK = r"""
local kept = 0
return {
    name = "work",
    echo = function(...) return ... end,
    sum = function(n) local sum = 0 for i = 1, n do sum = sum + i end return sum end,
    count = function() kept = kept + 1 return kept end,
    fail = function() error("no luck") end,
    fail_with_table = function() error({}) end,
    fail_without_text = function() error("", 0) end,
    give_function = function() return print end,
    tools = function()
        return ngx.md5("a"), ngx.encode_base64("a"), ngx.encode_args({ a = 1 }), ngx.config.subsystem, ngx.null, ngx.say, ngx.var,
            require("ngx.base64").encode_base64url("\255"), table.nkeys({ 1, 2 })
    end,
    patterns = function()
        return ngx.re.match("ab", "(b)", "jo")[1], (ngx.re.gsub("abab", "b", function(m) return m[0]:upper() end)), ngx.re.find("ab", "b"),
            (ngx.re.sub("a", "a", "$")), require("ngx.re").split("a,b", ",")[2], require("resty.core.regex").re_match_compile("a", "jo")
    end,
    add = function(n) local d = ngx.shared.d for i = 1, n do d:incr("n", 1, 0) d:set(i % 100, ("x"):rep(i % 50), 10) end return n end,
    time = function() return ngx.now(), ngx.time(), #ngx.today(), ngx.http_time(0), ngx.parse_http_time("Thu, 01-Jan-70 00:00:01 GMT") end,
    who = function()
        return ngx.get_phase(), ngx.worker.id(), ngx.worker.pid(), ngx.worker.exiting, tostring(require("resty.core.base").get_request()),
            require("resty.core.base").get_string_buf(8) ~= nil, pcall(require, "resty.core.request")
    end,
    spin = function() jit.off() jit.flush() while true do pcall(function() while true do end end) end end,
    compiled = function(path) io.open(path, "w"):close() local i = 0 while true do i = i + 1 end end,
    overflow = function()
        local function f(s) return s:gsub(".", f) end
        return select(2, pcall(f, "x"))
    end,
    pause = function(path) local f = io.open(path) f:read("*a") f:close() return "read" end,
}
"""


def start(server, script, limit="60s", **more):
    return server(CONF.replace("SCRIPT", script).replace("LIMIT", limit), files={"work.lua": WORK, "broken.lua": "return 1"}, **more)


def run(server, script, **more):
    return get(start(server, script, **more).port, "/").body.decode()


def test_what_goes_in_comes_out(server):
    text = run(server, """
        local function call(...) return ngx.run_worker_thread("small", "work", ...) end
        ngx.say(call("sum", 1000000))
        ngx.say(call("echo", "text\\0", 1.5, true, nil, ngx.null, false))
        local ok, t = call("echo", { 1, 2, { a = { b = "deep" } }, [true] = "yes" })
        ngx.say(ok, t[1], t[2], t[3].a.b, t[true])
        ngx.say(call("count"), " ", select("#", call("echo")))""")
    assert text == "true500000500000\ntruetext\0" + "1.5truenilnullfalse\ntrue12deepyes\ntrue 1\n"


def test_the_machine_has_what_needs_no_request(server):
    text = run(server, 'ngx.say(ngx.run_worker_thread("small", "work", "tools"))')
    assert text == "true0cc175b9c0f1b6a831c399e269772661YQ==a=1httpnullnilnil_w2\n"


def test_patterns_and_time(server):
    text = run(server, """
        local function call(...) return ngx.run_worker_thread("small", "work", ...) end
        ngx.say(call("patterns"))
        local before = ngx.now() local ok, now, time, today, zero, one = call("time") ngx.update_time()
        ngx.say(ok, now >= before - 0.1, now <= ngx.now() + 0.1, now - time < 1.1, today, zero, one)
        local _, phase, id, pid, exiting, request, has_buffer, needs_request = call("who")
        ngx.say(phase, " ", id, " ", pid == ngx.worker.pid(), " ", exiting, " ", request, " ", has_buffer, " ", needs_request)""")
    lines = text.split("\n")
    assert lines[0] == "truebaBaB2nilbtrue"
    assert lines[1] == "truetruetruetrue10Thu, 01 Jan 1970 00:00:00 GMT1"
    assert lines[2] == "init 0 true nil nil true false"


def test_dictionaries_are_shared_with_threads(server):
    """Both threads and the worker itself change one at the same time."""
    text = run(server, """
        local function add() return ngx.run_worker_thread("small", "work", "add", 100000) end
        local a, b = ngx.thread.spawn(add), ngx.thread.spawn(add)
        local d, n = ngx.shared.d, 0
        while (d:get("n") or 0) < 150000 do
            for i = 1, 1000 do d:incr("n", 1, 0) d:get(i % 100) n = n + 1 end
            ngx.sleep(0)
        end
        ngx.thread.wait(a) ngx.thread.wait(b) ngx.say(d:get("n") - n)""")
    assert text == "200000\n"


def test_calls_in_each_other_end_with_an_error(server):
    """The stack of a thread is smaller than that of Lua, as it takes C functions."""
    assert run(server, 'ngx.say(ngx.run_worker_thread("small", "work", "overflow"))') == "truestack overflow\n"


def test_failures(server):
    text = run(server, """
        local function call(...) ngx.say(ngx.run_worker_thread(...)) end
        call("none", "work", "echo")
        call(nil, "work", "echo") call("small", {}, "echo") call("small", "work", true) call("small", "work")
        call("small", "missing.module", "echo")
        call("small", "broken", "echo")
        call("small", "work", "name")
        call("small", "work", "fail")
        call("small", "work", "fail_with_table")
        call("small", "work", "fail_without_text")
        call("small", "work", "give_function")
        call("small", "work", "echo", print)
        local loop = {} loop.loop = loop
        call("small", "work", "echo", loop)
        call("default", "work", "echo", "still there")""").split("\n")
    assert text[0] == "falsethread pool none not found"
    assert text[1:5] == ["falsethreadpool should be a string", "falsemodule name should be a string",
                         "falsefunction name should be a string", "falseexpecting at least 3 arguments"]
    assert text[5].startswith("falsemodule 'missing.module' not found")
    assert 'falsemodule "broken" is not a table' in text
    assert 'false"name" is not a function of module "work"' in text
    assert any(line.startswith("false") and line.endswith("work.lua:8: no luck") for line in text)
    assert "falseunknown reason" in text
    assert "false" in text
    assert "falseunsupported Lua type: LUA_TFUNCTION in the return value" in text
    assert "falseunsupported Lua type: LUA_TFUNCTION in the argument" in text
    assert "falsesuspicious circular references, table depth exceed max depth: 100 in the argument" in text
    assert text[-2] == "truestill there"


def test_only_so_many_machines(server, tmp_path):
    paths = [tmp_path / f"fifo{i}" for i in range(2)]
    for path in paths:
        os.mkfifo(path)
    s = start(server, f"""
        local function pause(path) return ngx.run_worker_thread("small", "work", "pause", path) end
        local a, b = ngx.thread.spawn(pause, "{paths[0]}"), ngx.thread.spawn(pause, "{paths[1]}")
        ngx.say(ngx.run_worker_thread("small", "work", "echo")) ngx.flush(true)
        ngx.say(ngx.thread.wait(a)) ngx.say(ngx.thread.wait(b)) ngx.say(ngx.run_worker_thread("small", "work", "echo"))""")
    with Client(s.port) as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert get(s.port, "/other").body == b"other"  # the worker does not wait
        writers = [threading.Thread(target=lambda p=path: open(p, "w").close()) for path in paths]
        for writer in writers:
            writer.start()
        assert client.read_reply().body == b"falseno available Lua vm\ntruetrueread\ntruetrueread\ntrue\n"
        for writer in writers:
            writer.join()


def test_a_function_that_does_not_end_is_ended(server):
    text = run(server, """
        ngx.say((select(2, ngx.run_worker_thread("small", "work", "spin")):match("ran longer than lua_run_time_limit")))
        ngx.say(ngx.run_worker_thread("small", "work", "sum", 2))""", limit="50ms")
    assert text == "ran longer than lua_run_time_limit\ntrue3\n"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGQUIT])
def test_a_worker_that_ends_ends_what_runs(server, how):
    s = start(server, 'ngx.run_worker_thread("small", "work", "spin")')
    with Client(s.port) as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert get(s.port, "/other").body == b"other"
        client.reset()
        s.signal(how)
        s.wait()


def test_compiled_code_that_does_not_end_ends_its_worker(server, tmp_path):
    begun = tmp_path / "begun"
    s = start(server, f'ngx.run_worker_thread("small", "work", "compiled", "{begun}")', allow_log=("does not end", "exited with code 3"))
    with Client(s.port) as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(begun.exists)
        client.reset()
        s.reload()
        s.wait_for_log("a function of ngx.run_worker_thread does not end")
    assert get(s.port, "/other").body == b"other"


def test_a_client_that_leaves_does_not_wait(server, tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    s = start(server, f'ngx.run_worker_thread("small", "work", "pause", "{path}")')
    client = Client(s.port).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    def opened():  # once the thread reads
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return None
    writing = wait_until(opened)
    assert get(s.port, "/other").body == b"other"
    client.reset()
    s.wait_for_log("client prematurely closed connection")
    os.close(writing)
    assert get(s.port, "/other").body == b"other"


def test_it_must_be_able_to_wait(server):
    s = server(CONF.replace("content_by_lua_block { SCRIPT }", """content_by_lua_block { }
        log_by_lua_block { ngx.log(ngx.ERR, select(2, pcall(ngx.run_worker_thread, "small", "work", "echo"))) }""").replace("LIMIT", "60s"))
    get(s.port, "/")
    s.wait_for_log(r"API disabled in the context of log_by_lua\*")
