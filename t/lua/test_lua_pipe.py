# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.pipe: programs that scripts start, what they read and write, how they end."""

import ctypes
import os
import signal

import pytest

from lib.client import Client, get
from lib.ports import wait_until

CONF = r"""
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { content_by_lua_block { local pipe = require "ngx.pipe" SCRIPT } }
    }
}
"""


PTRACE_SEIZE, WALL = 0x4206, 0x40000000
ptrace = ctypes.CDLL(None).ptrace
ptrace.argtypes = [ctypes.c_long] * 4


def run(server, script):
    s = server(CONF.replace("SCRIPT", script))
    return s, get(s.port, "/").body.decode()


def test_output_errors_and_status(server):
    _, text = run(server, """
        local p = assert(pipe.spawn({"sh", "-c", "echo one; echo two; printf 123456; echo bad >&2; exit 3"}))
        ngx.say(p:stdout_read_line()) ngx.say(p:stdout_read_bytes(4)) ngx.say(p:stdout_read_any(3)) ngx.say(p:stdout_read_all())
        ngx.say(p:stdout_read_line()) ngx.say(p:stderr_read_line()) ngx.say(p:stderr_read_line())
        ngx.say(p:wait()) ngx.say(p:wait()) ngx.say(p:kill(9)) ngx.say(p:pid() > 1)""")
    assert text == "one\ntwo\n\n123\n456\nnilclosed\nbad\nnilclosed\nfalseexit3\nnilexited\nnilexited\ntrue\n"


def test_input_and_environment(server):
    _, text = run(server, """
        local p = assert(pipe.spawn("tr a-z A-Z; echo $WHO", {environ = {"WHO=me", "PATH=/usr/bin:/bin"}}))
        ngx.say(p:write({"abc", 1, "\\n"})) ngx.say(p:shutdown("stdin")) ngx.say(p:write("x")) ngx.say(p:shutdown("stdin"))
        ngx.print(p:stdout_read_all()) ngx.say(p:wait())""")
    assert text == "5\ntrue\nnilclosed\nnilclosed\nABC1\nme\ntrueexit0\n"


def test_much_data_both_ways(server):
    _, text = run(server, """
        local p = assert(pipe.spawn({"cat"}))
        local t = ngx.thread.spawn(function() for i = 1, 40 do assert(p:write(("x"):rep(10000))) end p:shutdown("stdin") end)
        ngx.say(#p:stdout_read_all()) ngx.say(p:wait())""")
    assert text == "400000\ntrueexit0\n"


def test_times_and_signals(server):
    _, text = run(server, """
        local p = assert(pipe.spawn({"sleep", "60"}, {stdout_read_timeout = 50})) p:set_timeouts(nil, nil, nil, 50)
        ngx.say(p:stdout_read_line()) ngx.say(p:wait()) ngx.say(p:kill(15)) p:set_timeouts(nil, nil, nil, 5000) ngx.say(p:wait())""")
    assert text == "niltimeout\nniltimeout\ntrue\nfalsesignal15\n"


def test_merged_errors_and_what_cannot_run(server):
    _, text = run(server, """
        ngx.print(pipe.spawn("echo out; echo err >&2", {merge_stderr = true}):stdout_read_all()) ngx.say(pipe.spawn({"/no/such/program"}))
        ngx.say(pcall(pipe.spawn, {})) ngx.say(pcall(pipe.spawn, true)) ngx.say(pcall(pipe.spawn, "x", {environ = 1}))
        local p = pipe.spawn({"cat"}) ngx.say(pcall(p.shutdown, p, "none")) ngx.say(pcall(p.kill, p, 1000))""")
    lines = text.splitlines()
    assert lines[:3] == ["out", "err", "nilno such file or directory"]
    for line, part in zip(lines[3:], ["non-empty table expected", "string or table expected, got boolean", "bad environ option",
                                      "bad shutdown arg: none", "bad signal value: 1000"]):
        assert part in line


def test_two_readers_and_wrong_places(server):
    _, text = run(server, """
        local p = pipe.spawn({"cat"})
        local t = ngx.thread.spawn(function() return p:stdout_read_line() end)
        ngx.say(p:stdout_read_line()) p:write("a\\n") ngx.say(ngx.thread.wait(t))""")
    assert text == "nilpipe busy reading\ntruea\n"
    s = server(CONF.replace("SCRIPT", 'ngx.ctx.p = pipe.spawn({"cat"})').replace("location / {", """location / {
        log_by_lua_block { local p = ngx.ctx.p ngx.log(ngx.NOTICE, "wrong: ", select(2, pcall(p.wait, p))) }"""))
    get(s.port, "/")
    s.wait_for_log(r"wrong: .*API disabled in the context of log_by_lua\*")


def test_a_program_that_nobody_holds_is_killed(server):
    s, text = run(server, """
        local p = pipe.spawn({"sleep", "600"}) local pid = p:pid() p = nil ngx.print(pid) ngx.eof()
        collectgarbage() collectgarbage()""")
    wait_until(lambda: not os.path.exists(f"/proc/{text}"))


def test_a_program_that_does_not_end_holds_nobody(server):
    """A traced one counts as not ended before its tracer, this test, says so."""
    s, pid = run(server, """
        if kept then kept = nil collectgarbage() collectgarbage() return ngx.print("collected") end
        kept = pipe.spawn({"sleep", "600"}) ngx.print(kept:pid())""")
    if ptrace(PTRACE_SEIZE, int(pid), 0, 0) != 0:
        pytest.skip("no process may be traced here")
    assert get(s.port, "/").body == b"collected"
    assert os.WTERMSIG(os.waitpid(int(pid), WALL)[1]) == signal.SIGKILL
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))


def test_a_client_that_leaves_while_a_script_waits(server):
    s = server(CONF.replace("SCRIPT", """
        local p = pipe.spawn({"sleep", "600"}) ngx.print(p:pid(), "\\n") ngx.flush(true) p:set_timeouts(0, 0, 0, 0) p:wait()""")
               .replace("location / {", "location / { lua_check_client_abort on;"))
    client = Client(s.port).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.reader.until(b"\r\n\r\n")
    client.reader.until(b"\n")
    client.reset()
    s.wait_for_log("client prematurely closed connection")
