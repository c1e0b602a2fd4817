# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What variables say in a subrequest of the body that the client sent, and of the fields that say where it ends. Debian's nginx is asked,
too."""

import os

import pytest

from lib import upstreams as up
from lib.client import Client, chunked
from lib.nginx import BINARY
from lib.ports import wait_until

CONF = """
events {}
http {
    proxy_set_header X-Framing "$content_length|$http_content_length|$http_transfer_encoding";
    proxy_set_header X-For $request_uri;
    proxy_http_version 1.1;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /auth { auth_request /sub/auth; proxy_pass http://127.0.0.1:%%UP%%; }
        location /mirror { mirror /copy; proxy_pass http://127.0.0.1:%%UP%%; }
        location /bare { mirror /sub/copy; mirror_request_body off; proxy_pass http://127.0.0.1:%%UP%%; }
        location /around { addition_types *; add_before_body /sub/before; proxy_pass http://127.0.0.1:%%UP%%; }
        location /sub/ { internal; proxy_pass_request_body off; proxy_pass http://127.0.0.1:%%UP%%;
                         proxy_set_header X-For $request_uri;
                         proxy_set_header X-Framing "$content_length|$http_content_length|$http_transfer_encoding";
                         proxy_set_header Content-Length ""; }
        location /copy { internal; proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""
LENGTH, CHUNKED = "4|4|", "||chunked"
READ = "4||chunked"  # by then it is known how long the chunked body is


@pytest.fixture
def peer(upstream):
    return upstream(up.serve(lambda r: up.reply(200, r.body)))


@pytest.fixture(params=["fairlead", "nginx"])
def port(request, server, nginx, peer):
    if request.param == "nginx" and not os.path.exists(BINARY):
        pytest.skip("no nginx to compare with")
    return (server if request.param == "fairlead" else nginx)(CONF, UP=peer.port).port


@pytest.mark.parametrize("path, inner, with_length, with_chunks", [
    ("/auth", "/sub/auth", [LENGTH], [CHUNKED]), ("/mirror", "/copy", [LENGTH], [READ]),
    ("/bare", "/sub/copy", [LENGTH], [CHUNKED, READ]),  # in nginx as the body came
    ("/around", "/sub/before", [LENGTH], [READ])])
def test_the_framing_that_the_client_chose(port, peer, path, inner, with_length, with_chunks):
    for framing, wanted in ((b"Content-Length: 4\r\n\r\nbody", with_length),
                            (b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"body"), with_chunks), (b"\r\n", ["||"])):
        uri = f"{path}/{wanted[0]}"
        with Client(port) as client:
            assert client.send(f"POST {uri} HTTP/1.1\r\nHost: a\r\n".encode() + framing).read_reply("POST").status == 200
        sub = wait_until(lambda: [r for r in peer.requests if r.target == inner and r.header("X-For") == uri])[0]
        assert sub.header("X-Framing") in wanted
        body = b"body" if inner == "/copy" and wanted != ["||"] else b""
        assert (sub.body, sub.header("Transfer-Encoding")) == (body, None), "and none of it is passed on"
        assert sub.header("Content-Length") in ((str(len(body)),) if body else (None, "0"))
