# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A response that ends its connection shares its packet with the close alert (and the end of the connection)."""

import socket
import ssl
import struct

import pytest

from lib import upstreams as up
from lib.certs import Authority

CONF = """
worker_processes 1;
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate %%CERTS%%/app.pem;
        ssl_certificate_key %%CERTS%%/app.key;
        ssl_protocols TLSv1.2;
        location /text { return 200 "a text\\n"; }
        location /chunked { proxy_pass http://127.0.0.1:%%UP%%; proxy_http_version 1.1; }
    }
}
"""
DATA_SEGMENTS_IN = 152  # of struct tcp_info: tcpi_data_segs_in


def segments(tcp):
    return struct.unpack_from("I", tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), DATA_SEGMENTS_IN)[0]


@pytest.fixture
def secured(server, upstream, tmp_path):
    authority = Authority(tmp_path)
    authority.leaf("app.test", file="app")
    u = upstream(up.serve(lambda r: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\na text\n\r\n0\r\n\r\n"))
    return server(CONF, CERTS=authority.folder, UP=u.port), authority


@pytest.mark.parametrize("path", ["/text", "/chunked"])
def test_packets_of_the_last_response(secured, path):
    server, authority = secured
    context = ssl.create_default_context(cafile=authority.path)
    context.check_hostname = False
    with socket.create_connection(("127.0.0.1", server.port), 10) as plain, context.wrap_socket(plain) as client:
        before = segments(client)
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while piece := client.recv(65536):
            got += piece
        assert got.split(b"\r\n\r\n", 1)[1].replace(b"7\r\n", b"").startswith(b"a text\n")
        assert segments(client) - before == 1
