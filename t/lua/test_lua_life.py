# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The machine and its worker: reloads, draining, timers at the end, limits, globals, clients that leave."""

import signal
import threading

import pytest

from lib.client import Client, get
from lib.ports import wait_until

CONF = r"""
events {}
http {
    lua_shared_dict kept 1m;
    lua_max_running_timers 2;
    lua_max_pending_timers 5;
    init_by_lua_block { version = "VERSION" }
    exit_worker_by_lua_block { ngx.log(ngx.NOTICE, "leaving ", version) }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /version { content_by_lua_block { local n = ngx.shared.kept:incr("n", 1, 0) ngx.say(version, " ", n) } }
        location /slow { content_by_lua_block { ngx.log(ngx.NOTICE, "slow begins") ngx.sleep(0.3) ngx.say("slow ", version) } }
        location /timer { content_by_lua_block {
            ngx.timer.at(100, function(premature) ngx.log(ngx.NOTICE, "premature ", tostring(premature)) ngx.sleep(0.01)
            ngx.log(ngx.NOTICE, "to its end") end)
            ngx.say("armed")
        } }
        location /past { content_by_lua_block {
            local s, times = require("ngx.semaphore").new(), 0
            assert(ngx.timer.at(-5, function(premature) assert(not premature) s:post() end)) ngx.print(s:wait(5))
            assert(ngx.timer.every(-1, function() times = times + 1 if times == 3 then s:post() end end)) ngx.print(s:wait(5))
        } }
        location /flushed { content_by_lua_block {
            local good, why
            repeat ngx.print(("x"):rep(100000)) good, why = ngx.flush(true) until not good
            ngx.log(ngx.NOTICE, "flushed: ", why)
        } }
        location /many { content_by_lua_block {
            local n, err = 0
            repeat local ok ok, err = ngx.timer.at(0, function() ngx.sleep(0.1) end) if ok then n = n + 1 end until not ok or n > 20
            ngx.say(n, " ", err)
        } }
        location /late { content_by_lua_block { ngx.log(ngx.NOTICE, "late begins") ngx.sleep(0.3) ngx.say("late") } log_by_lua_block {
            local seconds = tonumber(ngx.var.arg_seconds)
            ngx.timer.at(0, function(premature) ngx.sleep(seconds)
            ngx.timer.at(0, function(premature) ngx.log(ngx.NOTICE, "last timer, premature ", tostring(premature)) end) end)
        } }
        location /global { content_by_lua_block { made_here = 1 ngx.say("ok") } }
        location /wait { lua_check_client_abort on; content_by_lua_block { ngx.sleep(30) } }
        location /wait_all { content_by_lua_block {
            ngx.thread.spawn(function() ngx.sleep(30) end) ngx.say("x") ngx.flush(true)
            local s = require("ngx.semaphore").new() s:wait(30)
        } }
        location /big { content_by_lua_block { local s = ("x"):rep(100000) for i = 1, 50 do ngx.print(s) ngx.flush(true) end } }
        location /unread { content_by_lua_block { local s = ("x"):rep(100000) for i = 1, 50 do ngx.print(s) end } }
    }
}
"""


def test_a_test_of_the_configuration_does_not_run_what_a_start_runs(idle_server):
    """It looks whether a text is Lua, no more: files may be there later."""
    conf = "events {}\nhttp { init_by_lua%s }\n"
    for script, at_start in (("_block { io.open('%%PREFIX%%/made', 'w'):close() error('ran') }", "ran"), ("_file none.lua;", "none.lua"),
                             ("_block { x = = }", "unexpected symbol")):
        s = idle_server(conf % script)
        tested, started = s.run("-t"), s.run()
        assert (tested.returncode == 0) == (at_start != "unexpected symbol") and started.returncode == 1
        assert at_start in started.stderr and ("init_by_lua_file error" if "file" in script else "init_by_lua error") in started.stderr
        assert "init_by_lua" not in tested.stderr or at_start == "unexpected symbol"


def test_a_reload_makes_a_new_machine_and_keeps_dictionaries(server):
    s = server(CONF.replace("VERSION", "one"))
    assert get(s.port, "/version").body == b"one 1\n"
    late = []
    slow = threading.Thread(target=lambda: late.append(get(s.port, "/slow").body))
    slow.start()
    s.wait_for_log("slow begins")
    s.set_conf(CONF.replace("VERSION", "two"))
    s.reload()
    wait_until(lambda: get(s.port, "/version").body.startswith(b"two"))
    slow.join()
    assert late == [b"slow one\n"]
    assert int(get(s.port, "/version").body.split()[1]) > 2
    s.wait_for_log("leaving one")


def test_a_bad_init_keeps_the_old_machine(server):
    s = server(CONF.replace("VERSION", "one"), allow_log=("init_by_lua error",))
    s.set_conf(CONF.replace('version = "VERSION"', 'error("not today")'))
    s.signal(signal.SIGHUP)
    s.wait_for_log(r"init_by_lua error: .*not today")
    assert get(s.port, "/version").body.startswith(b"one")


def test_pending_timers_run_when_the_worker_leaves(server):
    s = server(CONF.replace("VERSION", "one"))
    assert get(s.port, "/timer").body == b"armed\n"
    s.signal(signal.SIGQUIT)
    s.wait_for_log("premature true")
    s.wait_for_log("to its end")
    s.wait_for_log("leaving one")


@pytest.mark.parametrize("signal_", [signal.SIGHUP, signal.SIGQUIT])
def test_timers_of_the_last_requests_run_to_their_end(server, signal_):
    """Made when the connections that the worker waits for end."""
    s = server(CONF.replace("VERSION", "one"))
    late = threading.Thread(target=lambda: get(s.port, "/late?seconds=0.2"))
    late.start()
    s.wait_for_log("late begins")
    s.signal(signal_)
    late.join()
    s.wait_for_log("last timer, premature false")
    s.wait_for_log("leaving one")


def test_timers_of_the_last_requests_are_bounded(server):
    s = server("worker_shutdown_timeout 1s;\n" + CONF.replace("VERSION", "one"))
    late = threading.Thread(target=lambda: get(s.port, "/late?seconds=600"))
    late.start()
    s.wait_for_log("late begins")
    s.signal(signal.SIGQUIT)
    late.join()
    s.wait()
    assert "last timer" not in s.read("logs/error.log")


def test_timers_have_limits(server):
    s = server(CONF.replace("VERSION", "one"), allow_log=("lua_max_running_timers",))
    assert get(s.port, "/many").body == b"5 too many pending timers\n"
    s.wait_for_log(r"lua failed to run timer with function defined at =content_by_lua\(\w+\.conf:\d+\):3: "
                   "2 lua_max_running_timers are not enough")


def test_a_new_global_is_told(server):
    s = server(CONF.replace("VERSION", "one"))
    assert get(s.port, "/global").body == b"ok\n"
    s.wait_for_log(r"\[warn\].*writing a global Lua variable \('made_here'\).* 'local' variables\\x0Astack traceback:\\x0A")


def test_clients_that_leave_in_the_middle(server):
    s = server(CONF.replace("VERSION", "one"))
    for path in ("/wait", "/wait_all", "/big", "/unread"):
        Client(s.port).send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").reset()
    half = [Client(s.port).send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n") for path in ("/big", "/unread", "/wait")]
    assert get(s.port, "/version").status == 200
    for client in half:
        client.reset()
    s.wait_for_log("client prematurely closed connection")
    assert len(get(s.port, "/big").body) == len(get(s.port, "/unread").body) == 5000000


def test_init_sees_the_environment_of_its_workers(server, monkeypatch):
    monkeypatch.setenv("KEPT", "kept")
    monkeypatch.setenv("SET_HERE", "outer")
    text = """
env SET_HERE=%s;
env KEPT;
events {}
http {
    init_by_lua_block {
        local get = os.getenv
        before = { get("SET_HERE"), get("KEPT"), tostring(get("SET")), tostring(get("NONE")) } FAIL
    }
    server { listen 127.0.0.1:%%%%PORT_0%%%%; location / { content_by_lua_block {
        ngx.say(table.concat(before, " "), " ", os.getenv("SET_HERE"), " ", os.getenv("KEPT")) } } }
}
"""
    s = server((text % "first").replace("FAIL", ""), allow_log=("on purpose",))
    assert get(s.port, "/").text == "first kept nil nil first kept\n"
    s.set_conf((text % "refused").replace("FAIL", "error('on purpose')"))
    s.signal(signal.SIGHUP)
    s.wait_for_log("on purpose")
    assert get(s.port, "/").text == "first kept nil nil first kept\n"
    s.reload((text % "second").replace("FAIL", ""))
    assert get(s.port, "/").text == "second kept nil nil second kept\n"


def test_a_timer_in_the_past_runs_at_once(server):
    s = server(CONF.replace("VERSION", "one"))
    assert get(s.port, "/past").body == b"truetrue"


def test_a_flush_says_that_nobody_takes_it(server):
    s = server(CONF.replace("VERSION", "one"))
    client = Client(s.port).send("GET /flushed HTTP/1.1\r\nHost: a\r\n\r\n")
    client.reader.until(b"x")
    client.reset()
    s.wait_for_log("flushed: nginx output filter error")
