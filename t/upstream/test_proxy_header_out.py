# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""proxy_protocol on: a new connection to a peer begins with a PROXY header about its client, and serves that client only."""

import socket
import struct

import pytest

from lib import upstreams as up
from lib.client import Client

CONF = """
events {}
http {
    upstream app { server 127.0.0.1:%%UP%%; keepalive 8; }
    proxy_protocol on;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen unix:%%PREFIX%%/sock;
        location / { proxy_pass http://app; }
        location /v2 { proxy_protocol_version 2; proxy_pass http://app; }
        location /off { proxy_protocol off; proxy_pass http://app; }
        location /real { set_real_ip_from 127.0.0.1; proxy_pass http://app; }
        location /real/v2 { set_real_ip_from 127.0.0.1; proxy_protocol_version 2; proxy_pass http://app; }
    }
}
"""
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.fixture
def world(server, upstream):
    return World(server, upstream)


class World:
    """A peer that keeps the header of each connection, if there is one, and then serves."""

    def __init__(self, server, upstream):
        self.headers = []
        serve = up.serve(lambda request: up.reply(200, b"served"))[0]

        def take_header(seen):
            start = seen.reader.exactly(6)
            if start == b"PROXY ":
                self.headers.append(start + seen.reader.until(b"\r\n"))
            elif SIGNATURE.startswith(start):
                rest = seen.reader.exactly(10)
                self.headers.append(start + rest + seen.reader.exactly(struct.unpack(">H", rest[-2:])[0]))
            else:
                seen.reader.buffer = start + seen.reader.buffer
                self.headers.append(b"")

        self.up = upstream([take_header, serve])
        self.server = server(CONF, UP=self.up.port)

    def client(self, **how):
        return Client(self.server.port, **how)


def line(client, port):
    return b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n" % (client.socket.getsockname()[1], port)


def test_version_1(world):
    with world.client() as one, world.client() as two:
        for _ in range(3):
            assert one.get("/").text == "served"
        assert two.get("/").text == "served"
        assert one.request("POST", "/", b"a body").text == "served"
        assert world.headers == [line(one, world.server.port), line(two, world.server.port)], "one connection for each client"


def test_version_2(world):
    with world.client() as client:
        assert client.get("/v2").text == "served"
        ports = struct.pack(">HH", client.socket.getsockname()[1], world.server.port)
        assert world.headers == [SIGNATURE + b"\x21\x11\0\x0c" + bytes([127, 0, 0, 1]) * 2 + ports]


def test_off_and_on_do_not_share_connections(world):
    with world.client() as client:
        for target in ("/off", "/", "/v2", "/off", "/", "/v2"):
            assert client.get(target).text == "served"
        assert len(world.headers) == 3 and world.headers[0] == b""


def test_a_client_of_a_unix_socket_is_unknown(world):
    with world.client(unix=world.server.prefix + "/sock") as client:
        assert client.get("/").text == "served" and client.get("/v2").text == "served"
        assert world.headers == [b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x20\0\0\0"]


def test_what_realip_found_is_the_client(world):
    with world.client() as client:
        assert client.get("/real", headers={"X-Real-IP": "192.0.2.1:99"}).text == "served"
        assert world.headers == [b"PROXY TCP4 192.0.2.1 127.0.0.1 99 %d\r\n" % world.server.port]


@pytest.mark.parametrize("path", ["/real", "/real/v2"])
def test_a_client_of_the_other_family_is_told_with_a_mapped_address(world, path):
    """As haproxy sends it: UNKNOWN would make the proxy the client."""
    with world.client() as client:
        assert client.get(path, headers={"X-Real-IP": "[2001:db8::1]:99"}).text == "served"
        port = world.server.port
        mapped = socket.inet_pton(socket.AF_INET6, "2001:db8::1") + socket.inet_pton(socket.AF_INET6, "::ffff:127.0.0.1")
        assert world.headers == [SIGNATURE + b"\x21\x21\0\x24" + mapped + struct.pack(">HH", 99, port) if "v2" in path
                                 else b"PROXY TCP6 2001:db8::1 ::ffff:127.0.0.1 99 %d\r\n" % port]
