# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Of a request as it came: the bytes of its head, a body that is not wanted, its length; of the response, the fields of the connection."""

import base64

import pytest

from lib import upstreams as up
from lib.client import Client

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /raw { content_by_lua_block {
            ngx.req.set_header("X-New", 1) ngx.req.clear_header("Cookie") ngx.req.set_method(ngx.HTTP_PUT)
            ngx.print(ngx.req.raw_header(ngx.var.arg_bare)) } }
        location /sub { content_by_lua_block { ngx.print(ngx.location.capture("/raw").body) } }
        location /mirrored { mirror /copy; content_by_lua_block { ngx.print("sent") } }
        location /copy { internal; content_by_lua_block { ngx.log(ngx.WARN, "copied ", ngx.encode_base64(ngx.req.raw_header())) } }
        location /dropped {
            rewrite_by_lua_block { ngx.req.discard_body() ngx.req.read_body() }
            log_by_lua_block { ngx.log(ngx.WARN, "announced ", ngx.var.http_content_length) }
            proxy_pass http://127.0.0.1:%%UP%%;
        }
        location /length { content_by_lua_block {
            local before = tostring(ngx.var.content_length) ngx.req.read_body()
            ngx.say(before, " ", ngx.var.content_length, " ", tostring(ngx.var.http_content_length)) } }
        location /fields {
            content_by_lua_block { ngx.header.x_first = tostring(ngx.resp.get_headers().connection) ngx.say("x") }
            header_filter_by_lua_block { ngx.header.x_then = tostring(ngx.resp.get_headers()["transfer-encoding"]) }
            body_filter_by_lua_block { if ngx.arg[2] then local h = ngx.resp.get_headers(0, true)
                ngx.arg[1] = {ngx.arg[1], tostring(h["Connection"]), " ", tostring(h["Transfer-Encoding"])} end }
        }
    }
}
"""

HEAD = "GET %s HTTP/1.1\r\nHost:   a  \r\nx-MiXed:\tv \r\nCookie: a=b\r\nCookie: c=d\r\nX-E:\r\n\r\n"


@pytest.fixture
def s(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(content=f"{r.header('content-length')} {len(r.body)}".encode())))
    return server(CONF, UP=u.port)


def ask(s, request, method="GET"):
    return Client(s.port).send(request).read_reply(method)


def test_the_head_as_it_came(s):
    for path in ("/raw", "/sub"):
        assert ask(s, HEAD % path).text == HEAD % path
    assert ask(s, HEAD % "/raw?bare=1").text == (HEAD % "").split("\r\n", 1)[1]
    bare_ends = "\r\n" + (HEAD % "/raw").replace("\r\n", "\n")
    assert ask(s, bare_ends).text == bare_ends[2:]
    big = (HEAD % "/raw").replace("X-E:", "X-Big: " + "v" * 6000)  # moves to another buffer
    c = Client(s.port).send_pieces(big, 2000).send(HEAD % "/raw")
    assert c.read_reply().text == big
    assert c.read_reply().text == HEAD % "/raw"
    assert ask(s, "GET /raw HTTP/1.0\r\n\r\n").text == "GET /raw HTTP/1.0\r\n\r\n"


def test_a_copy_has_its_own(s):
    assert ask(s, HEAD % "/mirrored").text == "sent"
    s.wait_for_log("copied " + base64.b64encode((HEAD % "/mirrored").encode()).decode().replace("+", "[+]"))


def test_a_dropped_body_goes_nowhere(s):
    c = Client(s.port)
    for _ in range(2):  # over one connection: what was dropped is no request
        assert c.send("POST /dropped HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").read_reply("POST").text == "0 0"
        s.wait_for_log("announced 5")
        chunked = "POST /dropped HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        assert c.send(chunked).read_reply("POST").text == "0 0"
    assert c.send("POST /dropped HTTP/1.1\r\nHost: a\r\n\r\n").read_reply("POST").text == "None 0"


def test_the_length_of_a_chunked_body(s):
    chunked = "POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    assert ask(s, chunked, "POST").text == "nil 5 nil\n"
    assert ask(s, "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "POST").text == "3 3 3\n"


def test_fields_of_the_connection(s):
    reply = ask(s, "GET /fields HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (reply.header("x-first"), reply.header("x-then"), reply.text) == ("keep-alive", "nil", "x\nkeep-alive chunked")
    reply = ask(s, "GET /fields HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert (reply.header("x-first"), reply.text) == ("close", "x\nclose chunked")


FAILING = """
error_log logs/error.log info;
events {}
http {
    client_max_body_size 1k;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { content_by_lua_block { ngx.req.read_body() ngx.log(ngx.ERR, "went on") ngx.say("went on") } }
    }
}
"""


@pytest.mark.parametrize("body, status", [(b"zz\r\n", 400), (b"fffff\r\nxxx", 413)])
def test_a_body_that_fails_at_once_ends_the_script(server, body, status):
    s = server(FAILING, allow_log=["body"])
    with Client(s.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        assert client.read_reply().status == status
    assert "went on" not in s.log()
