# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""WebSockets: proxy_websocket for clients of HTTP/1.1, and the same locations over HTTP/2 (RFC 8441)."""

import base64

import pytest

from lib import upstreams as up
from lib.client import Client
from lib.h2client import H2Client
from lib.ports import wait_until

CONF = """
events {}
http {
    map $http_upgrade $upgraded { default upgrade; '' ''; }
    log_format facts '$request|$status';
    access_log %%PREFIX%%/logs/facts facts;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        location /auto { proxy_pass http://127.0.0.1:%%UP%%; proxy_websocket on; }
        location /map { proxy_pass http://127.0.0.1:%%UP%%; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $upgraded; }
        location /off { proxy_pass http://127.0.0.1:%%UP%%; }
        location /idle { proxy_pass http://127.0.0.1:%%UP%%; proxy_websocket on; proxy_read_timeout 2s; }
        location / { return 200 plain; }
    }
}
"""
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\nX-Own: 1\r\n\r\n"


def connect(path, protocol="websocket"):
    return [(":method", "CONNECT"), (":protocol", protocol), (":scheme", "http"), (":authority", "localhost"), (":path", path)]


def sockets(upstream, *steps):
    return upstream([up.head(), up.send(SWITCH + b"hello"), up.read(4), up.send(b"pong"), *steps])


@pytest.mark.parametrize("place", ["/auto", "/map"])
def test_http_1_clients_are_connected(server, upstream, place):
    u = sockets(upstream, up.close())
    s = server(CONF, UP=u.port)
    with Client(s.port) as c:
        c.send(f"GET {place} HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n")
        assert c.read_reply().status == 101
        assert c.reader.exactly(5) == b"hello"
        assert c.send(b"ping").reader.exactly(4) == b"pong"
        assert c.read_until_close() == b""
    seen = u.wait_requests(1)[0]
    assert seen.header("upgrade") == "websocket" and seen.header("connection") == "upgrade" and seen.header("sec-websocket-key") == "k"


def test_proxy_websocket_adds_nothing_to_other_requests(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, "ok")))
    s = server(CONF, UP=u.port)
    with Client(s.port) as c:
        assert c.get("/auto").text == "ok"
        assert c.get("/auto", headers=[("Connection", "upgrade"), ("Upgrade", "h2c")]).text == "ok"
    assert all(r.header("upgrade") is None for r in u.requests)


@pytest.mark.parametrize("place", ["/auto", "/map"])
def test_http_2_clients_are_connected_beside_other_streams(server, upstream, place):
    u = sockets(upstream, up.close())
    s = server(CONF, UP=u.port)
    with H2Client(s.port) as c:
        assert c.get("/").text == "plain"
        assert c.server_settings[8] == 1
        stream = c.start(pseudo=connect(place), headers=[("sec-websocket-version", "13")], end=False)
        got = c.replies[stream]
        c.pump_until(lambda: got.body == b"hello")
        assert got.status == 200 and got.header("x-own") == "1"
        assert got.header("sec-websocket-accept") is None
        assert c.get("/").text == "plain"
        c.send(stream, b"ping")
        assert c.wait(stream).body == b"hellopong" and got.ended
    seen = u.wait_requests(1)[0]
    assert seen.method == "GET" and seen.header("upgrade") == "websocket" and seen.header("connection") == "upgrade"
    assert len(base64.b64decode(seen.header("sec-websocket-key"))) == 16 and seen.header("sec-websocket-version") == "13"
    wait_until(lambda: f"GET {place} HTTP/2.0|101" in s.read("logs/facts"), 5, "its line in the log")


def test_a_client_that_ends_its_half_still_gets_the_rest(server, upstream):
    u = upstream([up.head(), up.send(SWITCH), up.read_to_end(), up.send(b"late"), up.close()])
    s = server(CONF, UP=u.port)
    with H2Client(s.port) as c:
        stream = c.start(pseudo=connect("/auto"), end=False)
        c.send(stream, b"bye", end=True)
        assert c.wait(stream).body == b"late"


def test_a_reset_stream_closes_the_peer(server, upstream):
    u = upstream([up.head(), up.send(SWITCH + b"hello"), up.read_to_end()])
    s = server(CONF, UP=u.port)
    with H2Client(s.port) as c:
        stream = c.start(pseudo=connect("/auto"), end=False)
        c.pump_until(lambda: c.replies[stream].body == b"hello")
        c.reset(stream)
        wait_until(lambda: u.connections[0].ended, 5, "the end of the peer's connection")
        assert c.get("/").text == "plain"


def test_an_idle_one_ends(server, upstream):
    u = upstream([up.head(), up.send(SWITCH), up.hold()])
    s = server(CONF, UP=u.port)
    with H2Client(s.port) as c:
        stream = c.start(pseudo=connect("/idle"), end=False)
        assert c.wait(stream).reset is not None
        assert c.get("/").text == "plain"


def test_what_opens_no_websocket_is_no_success(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(200 if r.target == "/off" else 403, "no")))
    s = server(CONF, UP=u.port)
    with H2Client(s.port) as c:
        for place in ("/", "/off"):
            reply = c.wait(c.start(pseudo=connect(place), end=False))
            assert (reply.status, reply.header("content-type")) == (501, "text/html") and b"501 Not Implemented" in reply.body
        assert c.wait(c.start(pseudo=connect("/auto"), end=False)).status == 403
        assert c.wait(c.start(pseudo=connect("/auto", protocol="tcp"), end=False)).status == 501
        assert c.get("/").text == "plain"
    said = ["GET / HTTP/2.0|501", "GET /off HTTP/2.0|501", "GET /auto HTTP/2.0|403"]
    wait_until(lambda: [line for line in s.read("logs/facts").splitlines() if line in said] == said, 5, "the same in the log")
