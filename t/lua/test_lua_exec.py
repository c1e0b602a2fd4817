# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.exec and ngx.req.set_uri: where they may lead, and what is decoded on the way."""

import pytest

from lib import upstreams as up
from lib.client import get

CONF = r"""
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /up/ { proxy_pass http://127.0.0.1:%%UP%%; }
        location /show { content_by_lua_block { ngx.print(ngx.var.uri, "|", tostring(ngx.var.args)) } }
        location /go { content_by_lua_block { ngx.exec(ngx.unescape_uri(ngx.var.arg_u), ngx.var.arg_a) } }
        location /go_early { rewrite_by_lua_block { ngx.exec(ngx.unescape_uri(ngx.var.arg_u)) } }
        location /inner { internal; content_by_lua_block { ngx.print(ngx.var.uri, "|", tostring(ngx.req.is_internal())) } }
        location /jump { rewrite_by_lua_block { ngx.req.set_uri("/inner", true) } }
        location /stay { content_by_lua_block { ngx.req.set_uri("/inner") ngx.print(ngx.var.uri, "|", tostring(ngx.req.is_internal())) } }
        location /set/ { access_by_lua_block { ngx.req.set_uri(ngx.var.arg_u) } proxy_pass http://127.0.0.1:%%UP%%/base/; }
        location /set_exec { rewrite_by_lua_block { ngx.req.set_uri("/x") ngx.exec("/show") } }
        location @show { content_by_lua_block { ngx.print("@", ngx.var.uri) } }
    }
}
"""


@pytest.fixture
def s(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(content=r.target.encode())))
    return server(CONF, UP=u.port, allow_log=("unsafe",))


@pytest.mark.parametrize("uri", ("/up/../secret", "/up/%252e%252e/secret", "/up/..%252fsecret", "/up/%2500", "/up/%00", "..", "?a"))
def test_what_leads_outside_is_refused(s, uri):
    for place in ("/go", "/go_early"):
        assert get(s.port, f"{place}?u={uri}").status == 500
    s.wait_for_log(r'\[error\].*unsafe URI ".*" was detected')
    s.wait_for_log("_by_lua.*: unsafe uri")


@pytest.mark.parametrize("uri, seen", (
    ("/up/x", "/up/x"), ("/up/a%2520b", "/up/a%20b"), ("/up/a%3Fb%3D1", "/up/a?b=1"), ("/show%2541%2520b", "/showA b|nil"),
    ("/show%25zz%3Fq%3D%25zz%2520", "/showzz|q=%zz%20"), ("/show%253fa%3Fb&a=c", "/show?a|b&c"), ("@show", "@/go"),
    ("@show%3Fx%3D1", "@/go"), ("/show%3F", "/show|"), ("/show", "/show|nil"), ("/show%3F&a=c", "/show|c"),
    ("/show&a=b%20c", "/show|b%20c")))
def test_the_path_is_decoded_once_and_the_arguments_are_not(s, uri, seen):
    assert get(s.port, f"/go?u={uri}").text == seen


def test_a_uri_that_was_set_is_internal(s):
    assert get(s.port, "/inner").status == 404
    assert get(s.port, "/jump").text == get(s.port, "/stay").text == "/inner|true"


def test_a_uri_that_was_set_goes_on_whole(s):
    for uri in ("/x", "/set/x", "/a/long/one"):
        assert get(s.port, f"/set/?u={uri}").text == f"{uri}?u={uri}"
    assert get(s.port, "/set_exec").text == "/show|nil"
