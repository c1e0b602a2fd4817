# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What scripts set of the request line: arguments that are empty and arguments that are missing, groups that took no part, the host."""

import pytest

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
        location /rewritten { rewrite ^ /show?; }
        location /show { content_by_lua_block { ngx.print(tostring(ngx.var.args)) } }
        location ~ ^/groups/(a)?(b)?(c)?$ { content_by_lua_block {
            ngx.print(tostring(ngx.var[1]), "|", tostring(ngx.var[2]), "|", tostring(ngx.var[3]), "|", tostring(ngx.var[4])) } }
    }
}
"""


def run(server, script, target="/"):
    return get(server(CONF.replace("SCRIPT", script)).port, target).text


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
    s = server(CONF.replace("SCRIPT", """show()
        for _, o in ipairs { {"/show"}, {"/show?"}, {"/show", {args = ""}}, {"/show?a"} } do
            ngx.say(ngx.location.capture(o[1], o[2]).body)
        end"""))
    for target in ("/", "/?"):
        assert get(s.port, target).text == "nil||nil\nnil\n\nnil\na\n"


def test_those_that_a_rewrite_drops_are_empty(server):
    s = server(CONF.replace("SCRIPT", ""))
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
    s = server(CONF.replace("SCRIPT", f'ngx.req.set_header("Host", {value}) ngx.print(ngx.var.host, " ", tostring(ngx.var.http_host))'))
    assert Client(s.port).send("GET / HTTP/1.1\r\nHost: sent.test\r\n\r\n").read_reply().text == f"{host} {field}"
