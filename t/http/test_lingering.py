# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""lingering_close, lingering_time, lingering_timeout: those of the place that answered. Debian's nginx is asked, too, where it does
the same."""

import os
import threading

import pytest

from lib.client import Client, chunked
from lib.nginx import BINARY
from lib.ports import wait_until

CONF = """
events {}
http {
    lingering_timeout 200s;
    lingering_time 200s;
    keepalive_requests 100000;  # of the client that asks who is there
    client_max_body_size 0;
    server {
        listen 127.0.0.1:%%PORT_0%% default_server;
        server_name first;
        location = /active { return 200 $connections_active; }
        location / { return 200 x; }
        location /short { lingering_timeout 200ms; return 200 x; }
        location /at_once { lingering_timeout 0; return 200 x; }
        location /time { lingering_time 1s; return 200 x; }
        location /off { lingering_close off; return 200 x; }
        location /small { client_max_body_size 10; return 200 x; }
        location /always { lingering_close always; return 200 x; }
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name second;
        lingering_timeout 200ms;
        location / { return 200 x; }
        location /long { lingering_timeout 200s; return 200 x; }
    }
}
"""


class World:
    def __init__(self, s):
        self.s, self.asker = s, Client(s.port)

    def ask(self, path, host="first", body_bytes=100, close=True):
        """A client whose request, of which the body is not all there, has its answer."""
        c = Client(self.s.port)
        closing = "Connection: close\r\n" if close else ""
        c.send(f"{'POST' if body_bytes else 'GET'} {path} HTTP/1.1\r\nHost: {host}\r\n{closing}")
        c.send(f"Content-Length: {body_bytes}\r\n\r\npart" if body_bytes else "\r\n")
        assert c.read_reply().text == "x"
        return c

    def is_alone(self):
        return self.asker.get("/active", host="first").text == "1"


@pytest.fixture(params=["fairlead", "nginx"])
def world(request, server, nginx):
    if request.param == "nginx" and not os.path.exists(BINARY):
        pytest.skip("no nginx to compare with")
    return World((server if request.param == "fairlead" else nginx)(CONF))


@pytest.fixture
def own(server):
    return World(server(CONF))


@pytest.mark.parametrize("path, host", [("/short", "first"), ("/at_once", "first"), ("/", "second")])
@pytest.mark.parametrize("close", [True, False])
def test_the_place_that_answered_says_how_long_nothing_may_come(world, path, host, close):
    c = world.ask(path, host, close=close)
    wait_until(world.is_alone, 20, "the connection's end")
    assert c.is_closed()


@pytest.mark.parametrize("path, host", [("/", "first"), ("/long", "second")])
def test_a_longer_time_holds_as_well(world, path, host):
    c = world.ask(path, host)
    short = world.ask("/short")
    wait_until(short.is_closed, 20, "the other's end")
    assert not world.is_alone(), "its end was sent, and it is still read"
    c.close()
    wait_until(world.is_alone, 20, "the connection's end")


@pytest.mark.parametrize("close", [True, False])
def test_the_place_that_answered_says_for_how_long_in_all(world, close):
    c, over = world.ask("/time", body_bytes=100_000_000, close=close), threading.Event()

    def trickle():
        try:
            while not over.wait(0.05):
                c.send("z")
        except OSError:
            pass

    trickling = threading.Thread(target=trickle)
    trickling.start()
    try:
        wait_until(world.is_alone, 20, "the connection's end")
    finally:
        over.set()
        trickling.join()


def test_always(world):
    c = world.ask("/always", body_bytes=0)
    assert c.is_closed() and not world.is_alone(), "read on, though nothing is to come"
    c.close()
    wait_until(world.is_alone, 20, "the connection's end")
    world.ask("/", body_bytes=0)
    wait_until(world.is_alone, 20, "an end at once")


@pytest.mark.parametrize("close", [True, False])
def test_off(own, close):
    """As documented; nginx 1.22 reads on where it is still dropping a body."""
    c = own.ask("/off", close=close)
    wait_until(own.is_alone, 20, "an end at once")
    assert c.is_closed()


HEAD = b"POST /small HTTP/1.1\r\nHost: first\r\nTransfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET / HTTP/1.1\r\nHost: first\r\n\r\n"
UNREAD = {"larger than allowed": chunked(*[b"y" * 8000] * 30), "of many chunks": chunked(*[b"y"] * 2000),
          "of many chunks in many reads": chunked(*[b"y" * 9] * 100_000)}


@pytest.mark.parametrize("body", UNREAD.values(), ids=UNREAD.keys())
@pytest.mark.parametrize("together", [True, False])
def test_a_body_that_nobody_reads_does_not_end_the_connection(world, body, together):
    with Client(world.s.port, seconds=20) as c:
        c.send(HEAD + body + NEXT if together else HEAD)
        assert c.read_reply().text == "x"
        if not together:
            c.send(body + NEXT)
        assert c.read_reply().text == "x"


def test_behind_a_malformed_body_the_client_is_read_to_its_end(own):
    """nginx 1.22 closes at once, over what the client is sending: it may lose the answer."""
    c = Client(own.s.port)
    c.send(HEAD)
    assert c.read_reply().text == "x"
    c.send(b"5\r\nhello\r\nzz\r\n")
    assert c.is_closed() and not own.is_alone(), "its end was sent, and it is still read"
    c.send_pieces(b"y" * 10)
    assert not own.is_alone()
    c.close()
    wait_until(own.is_alone, 20, "the connection's end")
