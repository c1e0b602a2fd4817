# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.var.upstream_http_* and upstream_cookie_*: the reply as the peer sent it, whatever becomes of it on the way, also where no line of
the configuration names such a variable."""

import pytest

from lib import upstreams as up
from lib.client import get

CONF = r"""
events {}
http {
    init_by_lua_block {
        function reply()
            local v = ngx.var
            return table.concat({ tostring(v.upstream_http_x_own), tostring(v.upstream_http_x_hidden), tostring(v.upstream_http_x_added),
                tostring(v.upstream_http_content_type), tostring(v.upstream_http_server), tostring(v.upstream_cookie_a) }, " ")
        end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        proxy_hide_header X-Hidden;
        proxy_hide_header Set-Cookie;
        add_header X-Added added;
        location /head { proxy_pass http://127.0.0.1:%%UP%%; header_filter_by_lua_block {
            ngx.header.x_own, ngx.header.content_type = "edited", "text/edited" ngx.header.x_seen = reply() } }
        location /body { proxy_pass http://127.0.0.1:%%UP%%; body_filter_by_lua_block {
            if ngx.arg[2] then ngx.log(ngx.WARN, "saw: ", reply()) end } }
        location /log { proxy_pass http://127.0.0.1:%%UP%%; log_by_lua_block { ngx.log(ngx.WARN, "saw: ", reply()) } }
        location /inherits {
            log_by_lua_block { ngx.log(ngx.WARN, "saw: ", reply()) }
            location /inherits/inner { proxy_read_timeout 9s; proxy_pass http://127.0.0.1:%%UP%%; if ($arg_x) { set $y 1; } }
        }
    }
}
"""
SENT = "own hidden nil text/own peer 5"


@pytest.fixture
def s(server, upstream):
    fields = {"X-Own": "own", "X-Hidden": "hidden", "Content-Type": "text/own", "Server": "peer", "Set-Cookie": "a=5; Path=/"}
    u = upstream(up.serve(lambda r: up.reply(headers=fields, content=b"x")))
    return server(CONF, UP=u.port)


def test_the_head_filter_sees_what_was_sent(s):
    reply = get(s.port, "/head")
    assert reply.header("X-Seen") == SENT
    assert (reply.header("X-Own"), reply.header("X-Hidden"), reply.header("Content-Type")) == ("edited", None, "text/edited")


@pytest.mark.parametrize("path", ("/body", "/log", "/inherits/inner", "/inherits/inner?x=1"))
def test_hooks_behind_it_do(s, path):
    get(s.port, path)
    s.wait_for_log(f"saw: {SENT}")
