# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.exit with what is no status: ngx.DECLINED has no say, a number that no status can be closes the connection. With 408, 444 and 499,
which close it, too, and are in the log."""

import pytest

from lib.client import Client, get, raw
from lib.ports import wait_until

CONF = r"""
events {}
http {
    log_format status "$uri $status";
    access_log logs/access.log status;
    init_by_lua_block { function exit() ngx.exit(tonumber(ngx.var.arg_with) or ngx[ngx.var.arg_with]) end }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /server_rewrite { content_by_lua_block { ngx.say("open") } }
        location /rewrite { rewrite_by_lua_block { exit() } content_by_lua_block { ngx.say("open") } }
        location /access { access_by_lua_block { exit() } content_by_lua_block { ngx.say("open") } }
        location /caught { access_by_lua_block { pcall(exit) } content_by_lua_block { ngx.say("open") } }
        location /precontent { precontent_by_lua_block { exit() } content_by_lua_block { ngx.say("open") } }
        location /content { content_by_lua_block { exit() } }
        location /header_filter { header_filter_by_lua_block { exit() } content_by_lua_block { ngx.say("open") } }
        location /printed { access_by_lua_block { ngx.print("x") exit() } content_by_lua_block { ngx.say("open") } }
        location /any_denied { satisfy any; deny all; access_by_lua_block { exit() } content_by_lua_block { ngx.say("open") } }
        location /any_allowed { satisfy any; allow all; access_by_lua_block { exit() } content_by_lua_block { ngx.say("open") } }
        location /page { error_page 408 444 /server_rewrite; access_by_lua_block { exit() } content_by_lua_block { ngx.say("open") } }
        location /behind_head { content_by_lua_block { ngx.print("part") ngx.flush(true) exit() } }
        location /balanced { proxy_pass http://balanced; }
        location /all_denied { deny all; access_by_lua_block { exit() } content_by_lua_block { ngx.say("open") } }
    }
    upstream balanced { server 0.0.0.1; balancer_by_lua_block { exit() } }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        server_rewrite_by_lua_block { exit() }
        location / { content_by_lua_block { ngx.say("open") } }
    }
}
"""
PLACES = ("rewrite", "access", "caught", "precontent", "content", "header_filter")
NO_STATUS = ("1000", "65736", "4294967496", "-4294967096", "1e300")


def answer(port, target):
    """The status, or None where the connection was closed without a byte."""
    with Client(port) as client:
        got = client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").read_until_close()
    return int(got.split(b" ")[1]) if got else None


@pytest.mark.parametrize("with_", NO_STATUS)
def test_what_no_status_can_be_closes_the_connection(server, with_):
    s = server(CONF, allow_log=("which is no status",))
    assert {place: answer(s.port, f"/{place}?with={with_}") for place in PLACES} == dict.fromkeys(PLACES)
    assert answer(s.ports[1], f"/?with={with_}") is None
    s.wait_for_log(r"\[error\].*attempt to exit with -?\d+, which is no status")
    assert get(s.port, "/access?with=999").status == 999


@pytest.mark.parametrize("with_", ("AGAIN", "DONE", "-2", "-4"))
def test_codes_of_the_engine_are_an_error_of_the_script(server, with_):
    s = server(CONF, allow_log=("does not accept",))
    told = {place: answer(s.port, f"/{place}?with={with_}") for place in PLACES}
    assert told == {**dict.fromkeys(PLACES, 500), "caught": 200}
    assert answer(s.ports[1], f"/?with={with_}") == 500
    s.wait_for_log(r"runtime error: init_by_lua.*: bad argument to 'ngx.exit': does not accept NGX_AGAIN or NGX_DONE")


def test_declined_goes_on(server):
    s = server(CONF, allow_log=("access forbidden",))
    for place in ("rewrite", "access", "caught", "precontent", "any_allowed"):
        assert get(s.port, f"/{place}?with=DECLINED").text == "open\n", place
    assert get(s.ports[1], "/?with=DECLINED").text == "open\n"
    assert get(s.port, "/all_denied?with=DECLINED").status == 403


def test_declined_satisfies_nothing(server):
    s = server(CONF, allow_log=("access forbidden",))
    assert get(s.port, "/any_denied?with=DECLINED").status == 403
    assert get(s.port, "/any_denied?with=OK").text == "open\n"


def test_declined_where_nobody_else_answers_closes_the_connection(server):
    s = server(CONF)
    assert answer(s.port, "/content?with=DECLINED") is None
    assert get(s.port, "/rewrite?with=OK").text == "open\n"


@pytest.mark.parametrize("with_", (408, 444, 499))
def test_terminal_codes_close_without_an_answer_and_are_logged(server, with_):
    s = server(CONF)
    places = ("rewrite", "access", "precontent", "content", "page")
    assert {place: answer(s.port, f"/{place}?with={with_}") for place in places} == dict.fromkeys(places)
    wait_until(lambda: s.read("logs/access.log").splitlines() == [f"/{place} {with_}" for place in places])


@pytest.mark.parametrize("with_", (408, 444, 499))
def test_terminal_codes_end_a_response_that_has_begun(server, with_):
    s = server(CONF)
    got = raw(s.port, f"GET /behind_head?with={with_} HTTP/1.1\r\nHost: a\r\n\r\n")
    assert got.endswith(b"4\r\npart\r\n")


def test_a_balancer_may_close_without_an_answer(server):
    s = server(CONF)
    assert answer(s.port, "/balanced?with=444") is None
    wait_until(lambda: s.read("logs/access.log") == "/balanced 444\n")
