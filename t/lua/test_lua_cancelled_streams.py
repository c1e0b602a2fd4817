# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Streams whose reader, writer or handshake is killed where it waits: nobody goes on from half a read, half a write, or a handshake that
was not verified. And what other threads may do with a stream meanwhile."""

import socket

import pytest

from lib import upstreams as up
from lib.client import Client, get

CONF = r"""
events {}
http {
    lua_socket_log_errors off;
    resolver 127.0.0.1:%%SILENT%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { content_by_lua_block {
            local big = ("x"):rep(20000000)
            local function connected() local s = ngx.socket.tcp() assert(s:connect("127.0.0.1", %%UP%%)) return s end
            local function beside(f, ...) return ngx.thread.spawn(f, ...) end
            local function say(...)
                local values = { ... }
                for i = 1, select("#", ...) do values[i] = tostring(values[i]) end
                ngx.say(table.concat(values, " "))
            end
            SCRIPT
        } }
    }
}
"""
CLOSED = "nil closed\n"


@pytest.fixture
def silent():
    """The port of a datagram socket that nobody reads."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as never_read:
        never_read.bind(("127.0.0.1", 0))
        yield never_read.getsockname()[1]


@pytest.fixture
def run(server, silent):
    def run(script, u=None):
        return get(server(CONF.replace("SCRIPT", script), UP=u.port if u else 1, SILENT=silent).port, "/").body.decode()
    return run


def test_half_a_read_ends_the_connection(run, upstream):
    u = upstream([up.send(b"!abcdef"), up.hold()], [up.send(b"second\n"), up.hold()])
    assert run("""
        local s = connected() s:receive(1)
        local t = beside(function() return s:receive(9) end)
        say(ngx.thread.kill(t)) say(s:receive(3)) say(s:receiveuntil("x")()) say(s:send("x")) say(s:setkeepalive()) say(s:close())
        say(s:connect("127.0.0.1", %%UP%%)) say(s:getreusedtimes()) say(s:receive())""", u) == "1\n" + CLOSED * 5 + "1\n0\nsecond\n"


def test_half_a_write_ends_the_connection(run, upstream):
    u = upstream([up.read(1), up.hold()], [up.send(b"second\n"), up.hold()])
    assert run("""
        local s = connected()
        local t = beside(function() return s:send(big) end)
        say(ngx.thread.kill(t)) say(s:send("x")) say(s:receive()) say(s:setkeepalive())
        say(s:connect("127.0.0.1", %%UP%%)) say(s:getreusedtimes()) say(s:receive())""", u) == "1\n" + CLOSED * 3 + "1\n0\nsecond\n"


def test_a_writer_whose_reader_is_killed_comes_to_its_end(run, upstream):
    u = upstream([up.hold()], [up.send(b"second\n"), up.hold()])
    assert run("""
        local s = connected()
        local reader, writer = beside(function() return s:receive() end), beside(function() return s:send(big) end)
        say(ngx.thread.kill(reader)) say(s:receive()) say(s:send("x")) say(s:close()) say(s:connect("127.0.0.1", %%UP%%))
        say(ngx.thread.wait(writer)) say(s:send("x"))
        say(s:connect("127.0.0.1", %%UP%%)) say(s:receive())""", u) == (
            "1\n" + CLOSED + "nil socket busy writing\n" * 3 + "true 20000000\n" + CLOSED + "1\nsecond\n")


def test_a_write_that_times_out_beside_a_reader_that_is_killed(run, upstream):
    u = upstream([up.sleep(1)], [up.send(b"second\n"), up.hold()])
    assert run("""
        local s = connected() s:settimeouts(30000, 50, 30000)
        local reader = beside(function() return s:receive() end)
        say(s:send(big)) say(s:send("x")) say(s:receive()) say(s:close()) say(s:setkeepalive()) say(ngx.thread.kill(reader)) say(s:close())
        say(s:connect("127.0.0.1", %%UP%%)) say(s:send("x")) say(s:receive()) say(s:close())""", u) == (
            "nil timeout\n" + CLOSED + "nil socket busy reading\n" * 2 + CLOSED + "1\n" + CLOSED + "1\n1\nsecond\n1\n")


def test_what_was_not_verified_does_not_pass_for_verified(run, upstream):
    u = upstream([up.hold()], [up.send(b"second\n"), up.hold()])
    assert run("""
        local s = connected()
        local t = beside(function() return s:sslhandshake(nil, "a.test", true) end)
        say(ngx.thread.kill(t)) say(s:sslhandshake(nil, "a.test", true)) say(s:getsslpointer()) say(s:send("secret")) say(s:setkeepalive())
        say(s:connect("127.0.0.1", %%UP%%)) say(s:getreusedtimes()) say(s:receive())""", u) == (
            "1\n" + CLOSED + "nil not ssl connection\n" + CLOSED * 2 + "1\n0\nsecond\n")


def test_a_handshake_has_the_socket_to_itself(run, upstream):
    u = upstream([up.hold()])
    assert run("""
        local s = connected()
        local t = beside(function() return s:sslhandshake() end)
        say(s:close()) say(s:setkeepalive()) say(s:connect("127.0.0.1", %%UP%%)) say(s:sslhandshake()) say(s:send("x")) say(s:receive())
        say(s:receiveany(1)) say(s:receiveuntil("x")()) say(ngx.thread.kill(t)) say(s:close())""", u) == (
            "nil socket busy connecting\n" * 8 + "1\n" + CLOSED)


def test_a_connect_that_is_killed_gives_its_place_back(run, upstream):
    u = upstream([up.hold()])
    assert run("""
        local one, s, other = { pool = "one", pool_size = 1, backlog = 0 }, ngx.socket.tcp(), ngx.socket.tcp()
        local t = beside(function() return s:connect("never.test", 80, one) end)
        say(s:close()) say(s:send("x")) say(other:connect("127.0.0.1", %%UP%%, one))
        say(ngx.thread.kill(t)) say(s:close()) say(other:connect("127.0.0.1", %%UP%%, one))""", u) == (
            "nil socket busy connecting\n" * 2 + "nil too many waiting connect operations\n1\n" + CLOSED + "1\n")


def test_the_datagram_that_nobody_waits_for_any_more(run):
    assert run("""
        local s = ngx.socket.udp() s:setpeername("127.0.0.1", %%SILENT%%) s:send("one")
        local t = beside(function() return s:receive() end)
        say(s:receive()) say(s:setpeername("127.0.0.1", 1)) say(s:close())
        say(ngx.thread.kill(t)) say(s:send("two")) say(s:receive()) say(s:close())
        say(s:setpeername("127.0.0.1", %%SILENT%%)) say(s:send("three"))""") == "nil socket busy\n" * 3 + "1\n" + CLOSED * 3 + "1\n1\n"


def test_half_a_body(server, silent):
    s = server(CONF.replace("SCRIPT", """
        local s = ngx.req.socket()
        if not s then return say("no body") end
        local t = beside(function() return s:receive(9) end)
        say(ngx.thread.kill(t)) say(s:receive(3)) say(s:receiveuntil("x")())"""), UP=1, SILENT=silent)
    client = Client(s.port).send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
    assert b"nil closed\r\n" in client.reader.until(b"0\r\n\r\n").replace(b"\n\r\n", b"\r\n")
    client.send("def" + "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.read_reply("GET").body == b"no body\n"


@pytest.mark.parametrize("half", ["s:receive(9)", "s:send(big)"])
def test_half_of_a_raw_connection(server, silent, half):
    s = server(CONF.replace("SCRIPT", f"""
        local s = ngx.req.socket(true)
        local t = beside(function() return {half} end)
        ngx.log(ngx.WARN, "killed: ", ngx.thread.kill(t), ", read: ", select(2, s:receive(3)), ", sent: ", select(2, s:send("x")))"""),
        UP=1, SILENT=silent)
    with Client(s.port).send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").socket:
        s.wait_for_log("killed: 1, read: closed, sent: closed")


def test_half_of_what_a_program_reads_and_writes(run):
    assert run("""
        local p = require("ngx.pipe").spawn({"sleep", "600"}) p:set_timeouts(0, 0, 0, 50)
        for _, f in ipairs { function() return p:stdout_read_line() end, function() return p:stderr_read_bytes(9) end,
                             function() return p:write(big) end, function() return p:wait() end } do
            local t = beside(f)
            say(ngx.thread.kill(t)) say(f())
        end
        say(p:shutdown("stdout")) say(p:shutdown("stderr")) say(p:shutdown("stdin")) say(p:kill(9))
        p:set_timeouts(0, 0, 0, 0) say(p:wait())""") == (
            ("1\n" + CLOSED) * 3 + "1\nnil timeout\n" + "true\n" * 4 + "false signal 9\n")
