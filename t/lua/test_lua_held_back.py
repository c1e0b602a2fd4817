# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What is printed for HTTP/1.0 is held back for its length, and left out where another response takes its place. Printing nothing."""

import pytest

from lib.client import Client, raw

CONF = r"""
events {}
http {
    access_by_lua_no_postpone on;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /exec { content_by_lua_block { ngx.say("SECRET") ngx.exec("/other") } }
        location /named { content_by_lua_block { ngx.say("SECRET") ngx.exec("@other") } }
        location /failed { error_page 500 =200 /other; content_by_lua_block { ngx.say("SECRET") error("x") } }
        location /failed_named { error_page 500 =200 @other; content_by_lua_block { ngx.say("SECRET") error("x") } }
        location /filtered { error_page 404 =200 /other; content_by_lua_block { ngx.say("SECRET") }
                             header_filter_by_lua_block { ngx.exit(404) } }
        location /other { content_by_lua_block { ngx.say("other") } }
        location @other { content_by_lua_block { ngx.say("other") } }

        location /own {
            error_page 403 404 500 /other;
            content_by_lua_block { ngx.status = 500 ngx.header.content_type = "application/json" ngx.print("{}") ngx.exit(ngx.status) }
            location /own/access { access_by_lua_block { ngx.status = 403 ngx.print("{}") ngx.exit(403) } }
            location /own/any { satisfy any; allow all; access_by_lua_block { ngx.status = 403 ngx.print("{}") ngx.exit(403) } }
            location /own/empty { content_by_lua_block { ngx.status = 404 ngx.print("") ngx.exit(404) } }
            location /own/head { content_by_lua_block { ngx.status = 404 ngx.send_headers() ngx.exit(404) } }
            location /own/no_status { content_by_lua_block { ngx.print("{}") ngx.exit(404) } }
            location /own/created { content_by_lua_block { ngx.print("{}") ngx.exit(201) } }
            location /own/redirect { content_by_lua_block { ngx.print("{}") ngx.redirect("/other") } }
            location /own/close { content_by_lua_block { ngx.print("{}") ngx.exit(444) } }
        }

        location /nothing/print { content_by_lua_block { ngx.print() ngx.say(ngx.headers_sent) } }
        location /nothing/text { content_by_lua_block { ngx.print("") ngx.say(ngx.headers_sent) } }
        location /nothing/list { content_by_lua_block { ngx.print({}) ngx.say(ngx.headers_sent) } }
        location /nothing/ends { access_by_lua_block { ngx.print("") } content_by_lua_block { ngx.say("never") } }
    }
}
"""


@pytest.mark.parametrize("place", ("exec", "named", "failed", "failed_named", "filtered"))
def test_what_was_held_back_is_no_part_of_another_response(server, place):
    s = server(CONF, allow_log=("runtime error",))
    head, body = raw(s.port, f"GET /{place} HTTP/1.0\r\n\r\n").split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200 ") and b"Content-Length: 6" in head
    assert body == b"other\n"


@pytest.mark.parametrize("place, status, body", [
    ("", 500, b"{}"), ("/access", 403, b"{}"), ("/any", 403, b"{}"), ("/empty", 404, b""), ("/head", 404, b""),
    ("/no_status", 200, b"{}"), ("/created", 200, b"{}"), ("/redirect", 302, b"{}")])
def test_what_was_held_back_is_the_answer_if_the_script_exits(server, place, status, body):
    s = server(CONF, allow_log=("attempt to set status",))
    for method in ("GET", "HEAD"):
        head, sent = raw(s.port, f"{method} /own{place} HTTP/1.0\r\n\r\n").split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 %d " % status) and b"Content-Length: %d" % len(body) in head, method
        assert sent == (body if method == "GET" else b"") and (b"application/json" in head) == (place == "")
    named = "attempt to set status 404 via ngx.exit after sending out the response status 200" in s.log()
    assert named == (place == "/no_status")


def test_a_connection_that_is_to_be_closed_gets_nothing_of_it(server):
    assert raw(server(CONF).port, "GET /own/close HTTP/1.0\r\n\r\n") == b""


def test_printing_nothing_sends_the_head(server):
    s = server(CONF)
    with Client(s.port) as client:
        for what in ("print", "text", "list"):
            assert client.get(f"/nothing/{what}").text == "true\n", what
        assert client.get("/nothing/ends").text == ""
