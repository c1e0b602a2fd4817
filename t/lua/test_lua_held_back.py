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
        location /refused { error_page 403 =200 /other; access_by_lua_block { ngx.say("SECRET") ngx.exit(403) }
                            content_by_lua_block { ngx.say("never") } }
        location /overruled { satisfy any; allow all; access_by_lua_block { ngx.print("SECRET") ngx.exit(403) }
                              content_by_lua_block { ngx.say("other") } }
        location /filtered { error_page 404 =200 /other; content_by_lua_block { ngx.say("SECRET") }
                             header_filter_by_lua_block { ngx.exit(404) } }
        location /other { content_by_lua_block { ngx.say("other") } }
        location @other { content_by_lua_block { ngx.say("other") } }

        location /nothing/print { content_by_lua_block { ngx.print() ngx.say(ngx.headers_sent) } }
        location /nothing/text { content_by_lua_block { ngx.print("") ngx.say(ngx.headers_sent) } }
        location /nothing/list { content_by_lua_block { ngx.print({}) ngx.say(ngx.headers_sent) } }
        location /nothing/ends { access_by_lua_block { ngx.print("") } content_by_lua_block { ngx.say("never") } }
    }
}
"""


@pytest.mark.parametrize("place", ("exec", "named", "failed", "failed_named", "refused", "overruled", "filtered"))
def test_what_was_held_back_is_no_part_of_another_response(server, place):
    s = server(CONF, allow_log=("runtime error",))
    head, body = raw(s.port, f"GET /{place} HTTP/1.0\r\n\r\n").split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200 ") and b"Content-Length: 6" in head
    assert body == b"other\n"


def test_printing_nothing_sends_the_head(server):
    s = server(CONF)
    with Client(s.port) as client:
        for what in ("print", "text", "list"):
            assert client.get(f"/nothing/{what}").text == "true\n", what
        assert client.get("/nothing/ends").text == ""
