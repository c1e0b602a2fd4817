# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What the error log says of scripts: what was being done, the level that is always written, scripts that do not compile, timers."""

import re
import signal

import pytest

from lib import upstreams as up
from lib.client import get

CONF = r"""
error_log logs/error.log notice;
events {}
http {
    init_worker_by_lua_block { ngx.log(ngx.WARN, "begun") ngx.timer.at(0, function() ngx.log(ngx.WARN, "of the worker") end) }
    upstream chosen { server 0.0.0.1; balancer_by_lua_block {
        ngx.log(ngx.WARN, "choosing") require("ngx.balancer").set_current_peer("127.0.0.1", %%UP%%) } }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /own {
            content_by_lua_block { ngx.log(ngx.WARN, "own content") ngx.say("x") }
            header_filter_by_lua_block { ngx.log(ngx.WARN, "own head") }
            body_filter_by_lua_block { if ngx.arg[2] then ngx.log(ngx.WARN, "own filter") end }
        }
        location /file {
            root %%PREFIX%%;
            header_filter_by_lua_block { ngx.log(ngx.WARN, "file head") }
            body_filter_by_lua_block { ngx.log(ngx.WARN, "file filter") }
        }
        location /nobody {
            proxy_pass http://127.0.0.1:%%NOBODY%%;
            header_filter_by_lua_block { ngx.log(ngx.WARN, "nobody's head") }
        }
        location /sockets { content_by_lua_block {
            local s, u = ngx.socket.tcp(), ngx.socket.udp()
            s:connect("127.0.0.1", %%NOBODY%%) s:send("x") s:receive()
            s:connect("127.0.0.1", %%UP%%) s:send("GET /reset HTTP/1.1\r\n\r\n") s:receive("*a")
            local pool = {pool = "small", pool_size = 1, backlog = 1}
            s:connect("127.0.0.1", %%UP%%, pool)
            local second = ngx.socket.tcp() second:settimeout(20) second:connect("127.0.0.1", %%UP%%, pool)
            u:setpeername("127.0.0.1", %%NOBODY%%) u:send("x") u:receive() u:close() u:send("x") u:receive()
        } }
        location /peer {
            proxy_pass http://chosen;
            header_filter_by_lua_block { ngx.log(ngx.WARN, "peer head") }
            body_filter_by_lua_block { if ngx.arg[2] then ngx.log(ngx.WARN, "peer filter") end }
            log_by_lua_block { ngx.log(ngx.WARN, "in the end") }
        }
        location /always { error_log logs/error.log crit; content_by_lua_block { ngx.log(ngx.STDERR, "always") ngx.log(ngx.ERR, "never") } }
        location /set { set_by_lua_block $x { not Lua } return 200 $x; }
        location /named { content_by_lua_block { ngx.exec("@named?a=1", {b = 2}) } }
        location @named { content_by_lua_block { ngx.exec("@named") } }
        location /deep { content_by_lua_block { local ok, err = pcall(ngx.location.capture, "/deep") ngx.print(ok and err.body or err) } }
        location /global { content_by_lua_block { made_here = 1 } }
        location /thread { content_by_lua_block {
            ngx.thread.wait(ngx.thread.spawn(function() ngx.sleep(0.001) error("broke") end)) } }
        location /timer { content_by_lua_block { ngx.timer.at(0, function() ngx.log(ngx.WARN, "ticked")
            ngx.timer.at(0, function() ngx.log(ngx.WARN, "ticked again") end) error("broke") end) } }
    }
}
"""


@pytest.fixture
def nobody():
    made = up.Refused()
    yield made.port
    made.stop()


def test_what_was_being_done(server, upstream, nobody):
    s = server(CONF, UP=upstream(up.serve(lambda r: up.reply(content=b"x"))).port, NOBODY=nobody, files={"file": "f"})
    for path in ("/own", "/file", "/nobody", "/peer"):
        get(s.port, path)
    s.wait_for_log("begun, context: init_worker_by_lua\\*\n")
    s.wait_for_log("own head, client: ")
    s.wait_for_log("file head while sending response to client, client: ")
    s.wait_for_log("file filter while sending response to client, client: ")
    s.wait_for_log("nobody's head while sending to client, client: ")
    s.wait_for_log("peer head while reading response header from upstream, client: ")
    s.wait_for_log("own content, client: ")
    s.wait_for_log("own filter, client: ")
    s.wait_for_log("choosing while connecting to upstream, client: ")
    s.wait_for_log("peer filter while sending to client, client: ")
    s.wait_for_log("in the end while logging request, client: ")


def test_the_level_that_is_always_written(server):
    s = server(CONF, UP=1, NOBODY=1)
    get(s.port, "/always")
    s.wait_for_log(r" \[\] \d+#\d+: \*\d+ \[lua\] content_by_lua\(\w+\.conf:\d+\):1: always, client: ")
    assert "never" not in s.log()


def test_scripts_that_do_not_compile(server):
    s = server(CONF, UP=1, NOBODY=1)
    assert get(s.port, "/set").status == 500
    s.wait_for_log(r"\*\d+ failed to load inlined Lua code: set_by_lua\(\w+\.conf:\d+\):1: ")


@pytest.mark.parametrize("script, reason", [("error('no luck')", "no luck"), ("x = = 1", "unexpected symbol")])
def test_scripts_of_workers_that_fail(server, script, reason):
    hooks = ("init_worker_by_lua", "exit_worker_by_lua")
    line = r"%s\(\w+\.conf:\d+\):1: " + reason
    s = server("events {}\nhttp { " + "".join(f"{hook}_block {{ {script} }}\n" for hook in hooks) + "}", allow_log=hooks)
    s.wait_for_log(r"\[error\] .*init_worker_by_lua error: " + line % "init_worker_by_lua")
    s.signal(signal.SIGQUIT)
    s.wait()
    s.wait_for_log(r"\[error\] .*exit_worker_by_lua error: " + line % "exit_worker_by_lua")


def test_timers(server):
    s = server(CONF, allow_log=("runtime error",), UP=1, NOBODY=1)
    get(s.port, "/timer")
    whose = f", context: ngx.timer, client: 127.0.0.1, server: 127.0.0.1:{s.port}\n"
    s.wait_for_log("of the worker, context: ngx.timer\n")
    s.wait_for_log("ticked" + whose)
    s.wait_for_log("ticked again" + whose)
    s.wait_for_log("lua entry thread aborted: runtime error: .*broke.*" + whose)


def test_sockets(server, upstream, nobody):
    u = upstream([up.request(), up.send(b"abc"), up.reset()], [up.read_to_end()])
    s = server(CONF, UP=u.port, NOBODY=nobody)
    get(s.port, "/sockets")
    lines = re.findall(r"\[error\] \S+ \*\d+ (.*?), client: ", s.log())
    assert lines == [
        f"connect() failed (111: Connection refused), when connecting to 127.0.0.1:{nobody}",
        "attempt to send data on a closed socket",
        "attempt to receive data on a closed socket",
        "recv() failed (104: Connection reset by peer)",
        f"lua tcp socket queued connect timed out, when trying to connect to 127.0.0.1:{u.port}",
        "recv() failed (111: Connection refused)",
        "attempt to send data on a closed socket",
        "attempt to receive data on a closed socket"]


def test_a_thread_and_who_spawned_it(server):
    s = server(CONF, allow_log=("runtime error",), UP=1, NOBODY=1)
    get(s.port, "/thread")
    frames = r"coroutine 0:.*in function 'error'.*coroutine 1:.*in function 'wait'.*content_by_lua\(\w+\.conf:\d+\):2: in main chunk"
    s.wait_for_log(r"lua user thread aborted: runtime error: .*broke.*" + frames)


def test_cycles(server):
    s = server(CONF, UP=1, NOBODY=1)
    assert get(s.port, "/named").status == 500
    s.wait_for_log(r"\[warn\] .*query strings a=1&b=2 ignored when exec'ing named location @named, client: ")
    s.wait_for_log('rewrite or internal redirection cycle while redirect to named location "@named", client: ')
    assert get(s.port, "/deep").text == "failed to issue subrequest: -1"
    s.wait_for_log('lua subrequests cycle while processing "/deep", client: ')


def test_a_new_global_is_told_as_by_the_original(server):
    s = server(CONF, UP=1, NOBODY=1)
    get(s.port, "/global")
    s.wait_for_log(r"\[lua\] _G write guard:\d+: __newindex\(\): writing a global Lua variable \('made_here'\) which may lead")
