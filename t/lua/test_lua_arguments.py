# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What scripts set of the request line: arguments that are empty and arguments that are missing, groups that took no part, the host,
where fields stand; of what coroutines are made."""

import pytest

from lib import upstreams as up
from lib.client import Client, get

CONF = r"""
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name own.test;
        location / { content_by_lua_block {
            local function show() ngx.say(tostring(ngx.var.args), "|", ngx.var.is_args, "|", tostring(ngx.var.query_string)) end
            SCRIPT
        } }
        location /up { rewrite_by_lua_block { SCRIPT } proxy_pass_request_body off; proxy_pass http://127.0.0.1:%%UP%%; }
        location /filter { header_filter_by_lua_block { ngx.header.x_made = coroutine.status(coroutine.create(print)) } return 200; }
        location /rewritten { rewrite ^ /show?; }
        location /show { content_by_lua_block { ngx.print(tostring(ngx.var.args)) } }
        location ~ ^/groups/(a)?(b)?(c)?$ { content_by_lua_block {
            ngx.print(tostring(ngx.var[1]), "|", tostring(ngx.var[2]), "|", tostring(ngx.var[3]), "|", tostring(ngx.var[4])) } }
    }
}
"""


def start(server, script, port=1):
    return server(CONF.replace("SCRIPT", script), UP=port)


def run(server, script, target="/"):
    return get(start(server, script).port, target).text


@pytest.mark.parametrize("script, shown", [
    ("", "a=1|?|a=1"),
    ("ngx.var.args = ''", "||"),
    ("ngx.var.args = nil", "nil||nil"),
    ("ngx.req.set_uri_args('')", "||"),
    ("ngx.req.set_uri_args({})", "||"),
    ("ngx.var.args = 'b c'", "b c|?|b c"),
    ("ngx.req.set_uri_args('b c\\r\\nd\\127%41#\"')", "b%20c%0D%0Ad%7F%41#\"|?|b%20c%0D%0Ad%7F%41#\""),
    ("ngx.req.set_uri_args({b = 'c d'})", "b=c%20d|?|b=c%20d"),
])
def test_empty_arguments_are_not_missing(server, script, shown):
    assert run(server, script + " show()", "/?a=1") == shown + "\n"


def test_those_of_a_request_line_are_missing_where_empty(server):
    s = start(server, """show()
        for _, o in ipairs { {"/show"}, {"/show?"}, {"/show", {args = ""}}, {"/show?a"} } do
            ngx.say(ngx.location.capture(o[1], o[2]).body)
        end""")
    for target in ("/", "/?"):
        assert get(s.port, target).text == "nil||nil\nnil\n\nnil\na\n"


def test_those_that_a_rewrite_drops_are_empty(server):
    s = start(server, "")
    assert get(s.port, "/rewritten?a=1").text == "" and get(s.port, "/rewritten").text == "nil"


@pytest.mark.parametrize("path, groups", [("", "nil|nil|nil|nil"), ("a", "a|nil|nil|nil"), ("b", "|b|nil|nil"), ("ac", "a||c|nil"),
                                          ("abc", "a|b|c|nil")])
def test_groups_that_took_no_part(server, path, groups):
    """Empty before one that did, nil behind the last that did."""
    assert run(server, "", f"/groups/{path}") == groups


@pytest.mark.parametrize("host", ["a/b c", "a b", "x..y", ".", "a:99999", "[::1", "a:b", "a\\0b"])
def test_a_host_that_no_client_could_send_is_an_error(server, host):
    text = run(server, f"""
        ngx.say((select(2, pcall(ngx.req.set_header, "Host", "{host}")))) ngx.say(pcall(ngx.req.set_header, "Host", {{"b", "{host}"}}))
        ngx.say(pcall(require "ngx.req".add_header, "host", "{host}")) ngx.say(ngx.var.host, " ", ngx.req.get_headers().host)""")
    lines = text.splitlines()
    assert "failed to set header Host" in lines[0] and "failed to set header Host" in lines[1] and "failed to set header host" in lines[2]
    assert lines[3] == "localhost localhost", "it is as it was"


@pytest.mark.parametrize("value, host, field", [
    ("'Other.Test:99'", "other.test", "Other.Test:99"), ("'a_b.'", "a_b", "a_b."), ("'[::1]:8'", "[::1]", "[::1]:8"),
    ("{'first', 'second'}", "second", "second"), ("''", "own.test", "nil"), ("nil", "own.test", "nil"), ("{}", "own.test", "nil"),
])
def test_what_the_host_becomes(server, value, host, field):
    s = start(server, f'ngx.req.set_header("Host", {value}) ngx.print(ngx.var.host, " ", tostring(ngx.var.http_host))')
    assert Client(s.port).send("GET / HTTP/1.1\r\nHost: sent.test\r\n\r\n").read_reply().text == f"{host} {field}"


@pytest.mark.parametrize("call, sent", [
    ('("x-a", "q")', "X-A=q User-Agent=u Cookie=c=1 Referer=r"),
    ('("x-a", {"q", "r"})', "X-A=q User-Agent=u Cookie=c=1 Referer=r x-a=r"),
    ('("x-a", {"", "r"})', "User-Agent=u Cookie=c=1 Referer=r x-a=r"),
    ('("X-A", {})', "User-Agent=u Cookie=c=1 Referer=r"),
    ('("user-agent", {"v", "w"})', "X-A=1 User-Agent=w Cookie=c=1 X-A=2 Referer=r"),
    ('("cookie", {"d=1", "e=2"})', "X-A=1 User-Agent=u Cookie=d=1 X-A=2 Referer=r cookie=e=2"),
    ('("X-New", "n")', "X-A=1 User-Agent=u Cookie=c=1 X-A=2 Referer=r X-New=n"),
    ('("a b", "1") ngx.req.set_header("a b", "2")', "X-A=1 User-Agent=u Cookie=c=1 X-A=2 Referer=r a%20b=2"),
])
def test_a_field_that_is_set_stays_where_it_is(server, upstream, call, sent):
    u = upstream(up.serve(lambda r: up.reply(content=" ".join(f"{n}={v}" for n, v in r.headers).encode())))
    s = start(server, "ngx.req.set_header" + call, u.port)
    head = "GET /up HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nUser-Agent: u\r\nCookie: c=1\r\nX-A: 2\r\nReferer: r\r\n\r\n"
    text = Client(s.port).send(head).read_reply().text
    assert text.split(" ", 1)[1] == sent, "behind Host"


def test_what_coroutines_are_made_of(server):
    s = start(server, """
        for _, f in ipairs { coroutine.create, coroutine.wrap } do
            for _, of in ipairs { print, 5, ngx.null } do local made, why = pcall(f, of) ngx.say(made, " ", why) end
        end""")
    lines = get(s.port, "/").text.splitlines()
    assert len(lines) == 6 and all(line.startswith("false") and line.endswith("(Lua function expected)") for line in lines)
    assert get(s.port, "/filter").header("X-Made") == "suspended", "where nothing waits they are Lua's own"
