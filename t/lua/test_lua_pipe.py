# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.pipe: programs that scripts start, what they read and write, how they end."""

import concurrent.futures
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
    assert text == "5\ntrue\nnilclosed\ntrue\nABC1\nme\ntrueexit0\n"


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
        local p = pipe.spawn({"cat"}) ngx.say(pcall(p.shutdown, p, "none")) ngx.say(p:kill(1000))
        for _, bad in ipairs {"A", "=B"} do ngx.say(pcall(pipe.spawn, "x", {environ = {"C=", bad}})) end""")
    lines = text.splitlines()
    assert lines[:3] == ["out", "err", "nilno such file or directory"]
    for line, part in zip(lines[3:], ["non-empty table expected", "string or table expected, got boolean", "bad environ option",
                                      "bad shutdown arg: none", "nilinvalid signal", "bad environ option: \"A\"",
                                      "bad environ option: \"=B\""]):
        assert part in line


def test_a_program_whose_errors_are_merged_has_no_stream_of_them(server):
    _, text = run(server, """
        local p = assert(pipe.spawn({"cat"}, {merge_stderr = true}))
        ngx.say(p:stderr_read_all()) ngx.say(p:stderr_read_line()) ngx.say(p:stderr_read_bytes(1)) ngx.say(p:stderr_read_any(1))
        ngx.say(p:shutdown("stderr"))""")
    assert text == "nilmerged to stdout\n" * 5


def test_a_direction_that_is_shut_down_ends_who_waits_there(server):
    _, text = run(server, """
        local p = assert(pipe.spawn({"sleep", "600"}))
        local function waits(f, ...) local t = ngx.thread.spawn(function(...) return f(...) end, ...) ngx.sleep(0) return t end
        local reads, errors = waits(p.stdout_read_line, p), waits(p.stderr_read_all, p)
        local writes = waits(p.write, p, ("x"):rep(1000000))
        for _, which in ipairs {"stdout", "stderr", "stdin"} do ngx.say(p:shutdown(which), p:shutdown(which)) end
        ngx.say(p:stdout_read_line()) ngx.say(p:stderr_read_line()) ngx.say(p:write("x"))
        for _, t in ipairs {reads, errors, writes} do ngx.say(ngx.thread.wait(t)) end""")
    assert text == "truetrue\n" * 3 + "nilclosed\n" * 3 + "truenilaborted\n" * 3


def test_any_value_is_an_argument_and_no_byte_may_be_read(server):
    _, text = run(server, """
        local p = assert(pipe.spawn({"echo", 1.5, true, setmetatable({}, {__tostring = function() return "mine" end})}))
        ngx.print(p:stdout_read_bytes(0), "|", p:stdout_read_line())""")
    assert text == "|1.5 true mine"


def test_a_program_that_has_ended_gets_no_signal(server):
    _, text = run(server, """
        local p = assert(pipe.spawn({"true"}))
        local good, why repeat ngx.sleep(0.001) good, why = p:kill(0) until not good
        ngx.say(why, " ", p:wait())""")
    assert text == "exited trueexit0\n"


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
    s = server(CONF.replace("SCRIPT", """
        if not kept then return ngx.print("collected before") end
        if not ngx.var.arg_drop then return ngx.print(kept:pid()) end
        kept = nil collectgarbage() collectgarbage() ngx.print("collected")""")
               .replace("http {", 'http { init_worker_by_lua_block { kept = require "ngx.pipe".spawn({"sleep", "600"}) }'))
    pid = get(s.port, "/").text
    if ptrace(PTRACE_SEIZE, int(pid), 0, 0) != 0:
        pytest.skip("no process may be traced here")
    assert get(s.port, "/?drop=1").body == b"collected"
    assert os.WTERMSIG(os.waitpid(int(pid), WALL)[1]) == signal.SIGKILL
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))


def descriptors(s):
    return len(os.listdir(f"/proc/{s.workers()[0]}/fd"))


@pytest.mark.parametrize("waits", ["p:wait()", "p:stdout_read_all()", "ngx.sleep(100)", "p:write(('x'):rep(1000000))"])
def test_programs_of_requests_that_were_ended_end_with_them(server, waits):
    """At once, not when Lua collects them: it may be long until then."""
    s = server(CONF.replace("SCRIPT", """
        collectgarbage("stop")
        if ngx.var.arg_count then return ngx.print("counted") end
        local p = pipe.spawn({"sleep", "600"}) p:set_timeouts(0, 0, 0, 0) ngx.print(p:pid(), "\\n") ngx.flush(true) """ + waits)
               .replace("location / {", "location / { lua_check_client_abort on;"))
    get(s.port, "/?count=1")
    before = descriptors(s)
    pids = []
    for _ in range(5):
        with Client(s.port).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n") as client:
            client.reader.until(b"\r\n\r\n")
            client.reader.until(b"\n")
            pids.append(client.reader.until(b"\n").strip().decode())
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))
    wait_until(lambda: descriptors(s) == before)


def test_a_program_ends_with_the_request_or_timer_that_started_it(server):
    s = server(CONF.replace("SCRIPT", """
        if ngx.var.arg_timer then
            ngx.timer.at(0, function() kept = pipe.spawn({"sleep", "600"}) end)
            while not kept do ngx.sleep(0.001) end
        elseif not kept then
            kept = pipe.spawn({"cat"})
            return ngx.print(kept:write("x"), kept:stdout_read_any(9))
        end
        while kept:pid() and not select(2, kept:wait()) do end
        ngx.say(kept:wait()) ngx.say(kept:kill(0)) ngx.say(kept:write("x")) ngx.say(kept:stdout_read_line()) ngx.say(kept:shutdown("stdin"))
        kept = nil"""))
    over = "nilexited\nnilexited\nnilclosed\nnilclosed\nnilclosed\n"
    assert get(s.port, "/").text == "1x"
    assert get(s.port, "/").text == over
    assert get(s.port, "/?timer=1").text == over


def test_another_request_that_uses_a_program_sees_its_end(server):
    s = server(CONF.replace("SCRIPT", """
        if kept then ngx.log(ngx.NOTICE, "waits") ngx.say(kept[ngx.var.arg_call](kept)) return end
        kept = pipe.spawn({"sleep", "600"}) kept:set_timeouts(0, 0, 0, 0) ngx.log(ngx.NOTICE, "spawned")
        while ngx.shared.d:get("go") ~= ngx.var.arg_call do ngx.sleep(0.001) end""")
               .replace("http {", "http { lua_shared_dict d 1m;")
               .replace("location / {", """location /go { content_by_lua_block { ngx.shared.d:set("go", ngx.var.arg_call) } }
        location /drop { content_by_lua_block { kept = nil } }
        location / {"""))
    for count, (call, end) in enumerate((("wait", "falsesignal9\n"), ("stdout_read_line", "nilclosed\n"), ("stderr_read_all", "\n")), 1):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            first = pool.submit(get, s.port, f"/?call={call}")
            wait_until(lambda: s.log().count("spawned") == count)
            second = pool.submit(get, s.port, f"/?call={call}")
            wait_until(lambda: s.log().count("waits") == count)
            get(s.port, f"/go?call={call}")
            assert first.result().status == 200
            assert second.result().text == end
        get(s.port, "/drop")


def test_a_client_that_leaves_while_a_script_waits(server):
    s = server(CONF.replace("SCRIPT", """
        local p = pipe.spawn({"sleep", "600"}) ngx.print(p:pid(), "\\n") ngx.flush(true) p:set_timeouts(0, 0, 0, 0) p:wait()""")
               .replace("location / {", "location / { lua_check_client_abort on;"))
    client = Client(s.port).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.reader.until(b"\r\n\r\n")
    client.reader.until(b"\n")
    client.reset()
    s.wait_for_log("client prematurely closed connection")
