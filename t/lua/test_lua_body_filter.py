# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""body_filter_by_lua: what ngx.arg may be given, the end of the body, and failures when the head is gone already."""

import pytest

from lib import upstreams as up
from lib.client import Client, get

CONF = r"""
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /piece { content_by_lua_block { ngx.print("0123") ngx.flush(true) ngx.print("4567") } }
        location / {
            proxy_pass http://127.0.0.1:%%PORT_0%%/piece;
            proxy_buffering off;
            header_filter_by_lua_block { ngx.header.content_length = nil }
            body_filter_by_lua_block { SCRIPT }
        }
        location /none { header_filter_by_lua_block { ngx.header.content_length = nil } body_filter_by_lua_block { SCRIPT } return 200; }
        location /short { body_filter_by_lua_block { ngx.arg[1] = "short" } return 200 "what was announced"; }
        location /well { return 200 well; }
    }
}
"""

BODIES = {
    "nothing": ("ngx.arg[1] = nil", b"", b""),
    "empty": ("ngx.arg[1] = ''", b"", b""),
    "appended": ("if ngx.arg[2] then ngx.arg[1] = ngx.arg[1] .. '!' end", b"01234567!", b"!"),
    "nested": ("ngx.arg[1] = {ngx.arg[1], ngx.arg[2] and {1, {'b', 2.5}} or ''}", b"012345671b2.5", b"1b2.5"),
    "number": ("ngx.arg[1] = nil if ngx.arg[2] then ngx.arg[1] = 12.5 end", b"12.5", b"12.5"),
    "gathered": ("ngx.ctx.all = (ngx.ctx.all or '') .. ngx.arg[1] ngx.arg[1] = ngx.arg[2] and ngx.ctx.all .. '!' or nil",
                 b"01234567!", b"!"),
    "ended": ("if ngx.arg[1] ~= '' then ngx.arg[1] = 'cut' ngx.arg[2] = true end", b"cut", b""),
    "end_denied": ("ngx.arg[2] = false", b"01234567", b""),
    "end_unset": ("ngx.arg[2] = nil", b"01234567", b""),
    "read_again": ("ngx.arg[1] = 'x' if ngx.arg[1] ~= 'x' then error('not kept') end ngx.arg[1] = nil", b"", b""),
}

# What is assigned, and what the script is told.
REFUSED = {
    "ngx.arg[1] = true": "bad chunk data type: boolean",
    "ngx.arg[1] = print": "bad chunk data type: function",
    "ngx.arg[1] = ngx.null": "bad chunk data type: userdata",
    "ngx.arg[1] = {a = 1}": "non-array table found",
    "ngx.arg[1] = {'a', {true}}": "bad data type boolean found",
    "ngx.arg[3] = 'x'": "bad index: 3",
    "local t = {} t[1] = t ngx.arg[1] = t": "stack overflow",
}


def start(server, script):
    return server(CONF.replace("SCRIPT", script))


@pytest.mark.parametrize("name", BODIES)
def test_what_the_client_gets(server, name):
    script, body, of_nothing = BODIES[name]
    s = start(server, script)
    reply = get(s.port, "/")
    assert (reply.status, reply.body) == (200, body)
    assert get(s.port, "/none").body == of_nothing


def test_what_it_may_not_be_given(server):
    """Where it is assigned, so that pcall sees it."""
    scripts = " ".join(f"do local ok, err = pcall(function() {code} end) ngx.log(ngx.WARN, 'told: ', err) end" for code in REFUSED)
    s = start(server, f"if ngx.arg[2] then {scripts} end")
    assert get(s.port, "/").body == b"01234567"
    for told in REFUSED.values():
        s.wait_for_log("told: .*" + told)


@pytest.mark.parametrize("code", ["error('boom')", "ngx.arg[1] = true", "local t = {} t[1] = t ngx.arg[1] = t", "ngx.sleep(1)"])
def test_a_failure_cuts_the_response(server, code):
    s = start(server, code)
    c = Client(s.port).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert not c.read_until_close().endswith(b"0\r\n\r\n")
    s.wait_for_log("failed to run body_filter_by_lua\\*: .* while sending to client")
    assert get(s.port, "/well").body == b"well"  # the worker lives
    assert s.log().count("[error]") == 1


def test_a_body_shorter_than_announced_ends_the_connection(server):
    s = start(server, "")
    c = Client(s.port).send("GET /short HTTP/1.1\r\nHost: a\r\n\r\n")
    assert c.read_until_close().endswith(b"\r\n\r\nshort")
    s.wait_for_log(r"\[error\] .* the body is shorter than its Content-Length while sending to client, client: ")


def test_big_bodies_pass_in_pieces(server, upstream):
    """A filter that doubles what it gets, behind a client that takes its time: all arrives."""
    u = upstream(up.serve(lambda r: up.reply(content=b"x" * 3_000_000)))
    conf = CONF.replace("SCRIPT", "ngx.arg[1] = ngx.arg[1] .. ngx.arg[1]")
    s = server(conf.replace("http://127.0.0.1:%%PORT_0%%/piece", "http://127.0.0.1:%%UP%%"), UP=u.port)
    assert get(s.port, "/").body == b"x" * 6_000_000
