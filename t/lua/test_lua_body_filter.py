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
        location /dropped { body_filter_by_lua_block { if ngx.arg[2] then ngx.arg[1] = nil end } return 200 "hello"; }
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


@pytest.mark.parametrize("value, is_cut", [("ngx.ERROR", True), ("403", True), ("300", True), ("'500'", True), ("299", False),
                                          ("ngx.OK", False), ("ngx.DECLINED", False), ("true", False), ("{}", False)])
def test_what_it_returns_may_cut_the_response(server, value, is_cut):
    s = start(server, f"return {value}")
    c = Client(s.port).send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert c.read_until_close().endswith(b"0\r\n\r\n") is not is_cut
    if is_cut:
        s.wait_for_log(r"\[info\].*body_filter_by_lua\* breaks the response off by returning -?\d+ while sending to client, client: ")
    assert get(s.port, "/well").body == b"well"
    assert "[error]" not in s.log()


PRINTED = r"""
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /one_by_one {
            body_filter_by_lua_block { ngx.arg[1] = "<" .. #ngx.arg[1] .. (ngx.arg[2] and " end>" or ">") }
            content_by_lua_block { ngx.print("a", "b") ngx.print("") ngx.say(("x"):rep(5000)) ngx.print({"c", {"d"}}) ngx.say() }
        }
        location /documented {
            body_filter_by_lua_block {
                if ngx.arg[1]:match("hello") then ngx.arg[2] = true return end
                ngx.arg[1] = nil
            }
            content_by_lua_block { ngx.say("hello world") ngx.say("hiya globe") }
        }
    }
}
"""


def test_it_sees_what_a_script_prints_print_by_print(server):
    s = server(PRINTED)
    assert get(s.port, "/one_by_one").text == "<2><5001><2><1><0 end>"
    assert get(s.port, "/documented").text == "hello world\n"


RANGE_CONF = r"""
events {}
http {
    types { text/plain txt; }
    lua_shared_dict seen 1m;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%/html;
        body_filter_by_lua_block {
            ngx.shared.seen:incr("bytes", #ngx.arg[1], 0)
            ngx.arg[1] = ngx.arg[1]:gsub("^%a", "Z")
        }
        location / { error_page 416 =200 /plain/other.txt; }
        location /peer { proxy_force_ranges on; proxy_pass http://127.0.0.1:%%PORT_0%%/source; }
        location /source { body_filter_by_lua_block { } return 200 abcdefghij; }
        location /seen { body_filter_by_lua_block { } content_by_lua_block { ngx.print(ngx.shared.seen:get("bytes")) } }
        location /plain/ { alias %%PREFIX%%/html/; body_filter_by_lua_block { } }
    }
}
"""


@pytest.fixture
def ranged(server):
    return server(RANGE_CONF, files={"html/a.txt": "abcdefghij", "html/other.txt": "another page"})


@pytest.mark.parametrize("path", ["/a.txt", "/peer"])
@pytest.mark.parametrize("asked, body", [("bytes=0-", b"Zbcdefghij"), ("bytes=1-3", b"Zcd"), ("bytes=-1", b"Z")])
def test_it_sees_what_is_sent_of_a_range(ranged, path, asked, body):
    reply = get(ranged.port, path, {"Range": asked})
    assert (reply.status, reply.body, reply.header("content-length")) == (206, body, str(len(body)))
    assert get(ranged.port, "/seen").text == str(len(body))


def test_it_sees_several_ranges_with_what_parts_them(ranged):
    reply = get(ranged.port, "/a.txt", {"Range": "bytes=1-3,5-6"})
    assert reply.status == 206 and reply.header("content-length") == str(len(reply.body))
    assert b"\r\n\r\nZcd\r\n--" in reply.body and b"\r\n\r\nZg\r\n--" in reply.body
    assert get(ranged.port, "/seen").text == str(len(reply.body))


def test_a_page_in_its_place_has_its_own_range(ranged):
    """No longer below the filter of the response that was refused."""
    reply = get(ranged.port, "/a.txt", {"Range": "bytes=10-11"})
    assert (reply.status, reply.body) == (206, b"ge")


def test_a_body_shorter_than_announced_ends_the_connection(server):
    s = start(server, "")
    c = Client(s.port).send("GET /short HTTP/1.1\r\nHost: a\r\n\r\n")
    assert c.read_until_close().endswith(b"\r\n\r\nshort")
    s.wait_for_log(r"\[error\] .* the body is shorter than its Content-Length while sending to client, client: ")


def test_of_a_body_that_is_dropped_whole_the_head_goes_out(server):
    s = start(server, "")
    head, end, body = Client(s.port).send("GET /dropped HTTP/1.1\r\nHost: a\r\n\r\n").read_until_close().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and b"\r\nContent-Length: 5\r\n" in head + b"\r\n" and (end, body) == (b"\r\n\r\n", b"")


def test_big_bodies_pass_in_pieces(server, upstream):
    """A filter that doubles what it gets, behind a client that takes its time: all arrives."""
    u = upstream(up.serve(lambda r: up.reply(content=b"x" * 3_000_000)))
    conf = CONF.replace("SCRIPT", "ngx.arg[1] = ngx.arg[1] .. ngx.arg[1]")
    s = server(conf.replace("http://127.0.0.1:%%PORT_0%%/piece", "http://127.0.0.1:%%UP%%"), UP=u.port)
    assert get(s.port, "/").body == b"x" * 6_000_000
