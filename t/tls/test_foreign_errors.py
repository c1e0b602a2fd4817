# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What others leave in OpenSSL's error queue is no failure of a TLS connection, a client's or an upstream's."""

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client

CONF = """
events {}
http {
    proxy_http_version 1.1;
    proxy_buffering off;
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate %%CERTS%%/app.pem;
        ssl_certificate_key %%CERTS%%/app.key;
        rewrite_by_lua_block {
            local ffi = require "ffi"
            pcall(ffi.cdef, "void ERR_new(void); void ERR_set_error(int lib, int reason, const char *format, ...);")
            for _ = 1, 3 do ffi.C.ERR_new() ffi.C.ERR_set_error(20, 100, nil) end
        }
        location / { proxy_pass https://127.0.0.1:%%UP%%; }
        location /here { content_by_lua_block { ngx.req.read_body() ngx.say(#ngx.req.get_body_data()) } }
    }
}
"""
BODY = b"x" * 100_000


def until_close(end):
    return [up.request(), up.send(b"HTTP/1.1 200 X\r\n\r\n" + BODY[:50_000]), up.sleep(0.05), up.send(BODY[50_000:]), end]


def close_with_alert(seen):
    seen.socket.settimeout(2)
    seen.socket.unwrap()


@pytest.fixture
def authority(tmp_path):
    ca = Authority(tmp_path / "certs")
    ca.leaf("app.test", "127.0.0.1", file="app")
    return ca


@pytest.mark.parametrize("end", [close_with_alert, up.close()], ids=["alert", "close"])
def test_replies_and_requests_are_whole(server, upstream, authority, end):
    u = upstream(until_close(end), tls=authority.server_context((f"{authority.folder}/app.pem", f"{authority.folder}/app.key")))
    s = server(CONF, UP=u.port, CERTS=authority.folder)
    with Client(s.port, tls=authority.client_context(), server_name="app.test") as client:
        for _ in range(3):
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.read_reply().body == BODY
            client.send("POST /here HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + "a" * 2000)
            client.send("b" * 3000)
            assert client.read_reply().body == b"5000\n"
    assert "failed (SSL" not in s.read("logs/error.log") and "[error]" not in s.read("logs/error.log")
