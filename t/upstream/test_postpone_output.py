# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""`postpone_output`: pieces of a buffered reply wait until there are enough bytes; one that is not buffered goes on as it comes."""

import threading

import pytest

from lib import upstreams as up
from lib.client import Client, chunked, get, request

CONF = """
events {}
http {
    proxy_http_version 1.1;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /none { proxy_pass http://127.0.0.1:%%UP%%; }
        location /some { postpone_output 25; proxy_pass http://127.0.0.1:%%UP%%; }
        location /unbuffered { postpone_output 25; proxy_buffering off; proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECES = [b"a" * 10, b"b" * 10, b"c" * 10, b"d" * 4]


def gated(gates):
    """A peer that sends each piece when its gate is opened."""
    steps = [up.head(), up.send(HEAD)]
    for piece, gate in zip(PIECES, gates):
        steps += [up.wait_for(gate), up.send(chunked(piece)[:-5])]
    return steps + [up.send(b"0\r\n\r\n")]


@pytest.mark.parametrize("location", ["/none", "/unbuffered"])
def test_what_is_there_is_sent(server, upstream, location):
    gates = [threading.Event() for _ in PIECES]
    u = upstream(gated(gates))
    s = server(CONF, UP=u.port)
    with Client(s.port) as c:
        c.send(f"GET {location} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        for piece, gate in zip(PIECES, gates):
            gate.set()
            c.reader.until(piece)
        c.reader.until(b"0\r\n\r\n")


def test_pieces_wait_until_they_are_enough(server, upstream):
    gates = [threading.Event() for _ in PIECES]
    u = upstream(gated(gates))
    s = server(CONF, UP=u.port)
    with Client(s.port) as c:
        c.send("GET /some HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        for gate in gates:
            gate.set()
        c.read_until_close()
        body = c.received.split(b"\r\n\r\n", 1)[1]
        assert body == chunked(b"".join(PIECES[:3]), PIECES[3])


def test_a_reply_is_whole_whatever_its_pieces(server, upstream):
    text = bytes(range(256)) * 2000
    u = upstream(up.serve(lambda r: up.reply(200, text)))
    s = server(CONF, UP=u.port)
    assert get(s.port, "/some").body == text == get(s.port, "/none").body
    assert request(s.port, "HEAD", "/some").body == b""
