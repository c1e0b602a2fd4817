# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""WebSockets towards peers of HTTP/2 (proxy_http_version 2): each is a stream opened by an extended CONNECT (RFC 8441), whatever the client
speaks; a peer whose settings do not allow that is asked for none."""

import asyncio
import threading

import h2.settings
import pytest
import websockets

from lib import upstreams as up
from lib.client import Client, get
from lib.h2client import HEADERS, SETTINGS, H2Client, frame
from lib.ports import claim_port, release_port, wait_until

CONF = """
events {}
http {
    map $http_upgrade $upgraded { default upgrade; '' ''; }
    log_format facts '$request|$status|$upstream_status|$upstream_addr|$fail_reason';
    access_log access.log facts;
    upstream app { server 127.0.0.1:%%UP%%; }
    upstream two { server 127.0.0.1:%%UP%% max_fails=1; server 127.0.0.1:%%OTHER%%; }
    proxy_http_version 2;
    proxy_buffering off;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        location /auto { proxy_pass http://app; proxy_websocket on; }
        location /map  { proxy_pass http://app; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $upgraded; }
        location /off  { proxy_pass http://app; }
        location /two  { proxy_pass http://two; proxy_websocket on; }
        location /idle { proxy_pass http://app; proxy_websocket on; proxy_read_timeout 2s; }
        location /wait { proxy_pass http://app; proxy_websocket on; proxy_connect_timeout 500ms; }
        location /chain { proxy_pass http://127.0.0.1:%%PORT_1%%; proxy_websocket on; }
        location /real { proxy_pass http://127.0.0.1:%%OTHER%%; proxy_http_version 1.1; proxy_websocket on; }
        location /own  { return 200 plain; }
    }
    server { listen 127.0.0.1:%%PORT_1%%; http2 on;
             location / { proxy_pass http://127.0.0.1:%%OTHER%%; proxy_http_version 1.1; proxy_websocket on; } }
}
"""
ALLOWED = {h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3


def asks(path, key=f"Sec-WebSocket-Key: {KEY}\r\n"):
    return (f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n{key}"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n")


def extended(path):
    return [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "h"), (":path", path)]


def accept(stream):
    """A WebSocket is opened with "hello"; anything else is answered."""
    if stream.header(":method") != "CONNECT":
        return stream.reply(200, stream.path)
    stream.head(200, [("sec-websocket-protocol", "chat"), ("x-own", "1")])
    stream.data(b"hello")


def echo(stream):
    """What came since the last call goes back."""
    done = getattr(stream, "echoed", 0)
    stream.echoed = len(stream.body)
    stream.data(stream.body[done:])


@pytest.fixture
def start(server):
    return lambda peer, other=1: server(CONF, UP=peer.port, OTHER=other)


@pytest.mark.parametrize("place", ["/auto", "/map"])
def test_a_client_of_http_1_gets_a_stream_of_its_own(start, h2_upstream, place):
    u = h2_upstream(on_head=accept, on_data=echo, settings=ALLOWED)
    s = start(u)
    with Client(s.port) as c:
        c.send(asks(place + "?a=b"))
        reply = c.read_reply()
        assert (reply.status, reply.header("upgrade"), reply.header("sec-websocket-accept")) == (101, "websocket", ACCEPT)
        assert (reply.header("sec-websocket-protocol"), reply.header("x-own")) == ("chat", "1")
        assert c.reader.exactly(5) == b"hello"
        assert c.send(b"ping").reader.exactly(4) == b"ping"
        assert get(s.port, "/off").status == 200
        u.requests[0].data(b"bye", end=True)
        assert c.read_until_close() == b"bye"
    seen = u.requests[0]
    assert [n for n, _ in seen.headers[:5]] == [":method", ":scheme", ":authority", ":path", ":protocol"]
    assert (seen.header(":protocol"), seen.header(":scheme"), seen.path) == ("websocket", "http", place + "?a=b")
    assert (seen.header("sec-websocket-version"), seen.header("sec-websocket-protocol")) == ("13", "chat")
    assert {"upgrade", "connection", "sec-websocket-key", "host"}.isdisjoint(n for n, _ in seen.headers)
    assert len(u.connections) == 1
    wait_until(lambda: f"GET {place}?a=b HTTP/1.1|101|101|127.0.0.1:{u.port}|-\n" in s.read("access.log"), 5, "its line in the log")


@pytest.mark.parametrize("place", ["/auto", "/map"])
def test_a_client_of_http_2_gets_one_too(start, h2_upstream, place):
    u = h2_upstream(on_head=accept, on_data=echo, settings=ALLOWED)
    s = start(u)
    with H2Client(s.port) as c:
        assert c.get("/off").status == 200
        stream = c.start(pseudo=extended(place), headers=[("sec-websocket-version", "13")], end=False)
        got = c.replies[stream]
        c.pump_until(lambda: got.body == b"hello")
        assert (got.status, got.header("x-own"), got.header("sec-websocket-accept")) == (200, "1", None)
        c.send(stream, b"ping")
        c.pump_until(lambda: got.body == b"helloping")
        assert c.get("/off").status == 200
        c.send(stream, b"", end=True)
        wait_until(lambda: u.requests[1].ended, 5, "the end of the client's half at the peer")
        u.requests[1].data(b"late", end=True)
        assert c.wait(stream).body == b"hellopinglate" and got.ended
    assert len(u.connections) == 1 and u.requests[1].header("sec-websocket-key") is None


def test_much_goes_both_ways_within_the_windows(start, h2_upstream):
    u = h2_upstream(on_head=accept, on_data=echo, settings=ALLOWED)
    s = start(u)
    block = bytes(range(256)) * 4096
    with Client(s.port) as c:
        c.send(asks("/auto"))
        assert c.read_reply().status == 101 and c.reader.exactly(5) == b"hello"
        sender = threading.Thread(target=c.send, args=(block,))
        sender.start()
        assert c.reader.exactly(len(block)) == block
        sender.join()


def test_real_clients_and_services_over_two_hops(server):
    """websockets -> Fairlead -> HTTP/2 -> Fairlead -> websockets, which checks each other's handshake, masks and closing."""
    port = claim_port()
    codes = []

    async def answer(socket):
        async for message in socket:
            await socket.send(message)
        codes.append(socket.close_code)

    async def talk(url, number):
        async with websockets.connect(url, max_size=None) as socket:
            for text in ("x" * number, "y" * 70_000):
                await socket.send(text)
                assert await socket.recv() == text
        assert socket.close_code == 1000

    async def run():
        async with websockets.serve(answer, "127.0.0.1", port, max_size=None):
            s = server(CONF, UP=1, OTHER=port)
            await asyncio.gather(*(talk(f"ws://127.0.0.1:{s.port}/{place}", i) for i in range(10) for place in ("chain", "real")))
    asyncio.run(run())
    release_port(port)
    assert codes == [1000] * 20


def test_a_peer_that_does_not_allow_it_is_asked_for_none(start, h2_upstream):
    u = h2_upstream(on_head=accept)
    s = start(u)
    with Client(s.port) as c:
        c.send(asks("/auto"))
        assert c.read_reply().status == 502
        assert c.get("/auto").status == 200  # the connection goes on, and so does the peer
    s.wait_for_log("upstream does not allow WebSockets over HTTP/2 by its settings while connecting to upstream, client: 127.0.0.1, .*"
                   'request: "GET /auto HTTP/1.1", upstream: "http://127.0.0.1')
    with H2Client(s.port) as c:
        assert c.wait(c.start(pseudo=extended("/auto"), end=False)).status == 502
        assert c.get("/auto").status == 200
    assert [r.header(":method") for r in u.requests] == ["GET", "GET"]


def test_another_peer_that_allows_it_is_found_and_the_first_has_not_failed(start, h2_upstream):
    u, other = h2_upstream(on_head=accept), h2_upstream(on_head=accept, settings=ALLOWED)
    s = start(u, other.port)
    for _ in range(4):
        with Client(s.port) as c:
            c.send(asks("/two"))
            assert c.read_reply().status == 101
    assert len(other.requests) == 4 and u.requests == []
    assert [get(s.port, "/two").status for _ in range(4)] == [200] * 4
    assert len(u.requests) == 2


def test_the_first_settings_are_waited_for(start, upstream):
    go = threading.Event()
    u = upstream([up.read(24), up.wait_for(go), up.send(frame(SETTINGS, payload=b"\0\x08\0\0\0\x01")), up.read_to_end()])
    s = start(u)
    with Client(s.port) as c:
        c.send(asks("/auto"))
        wait_until(lambda: u.connections and len(u.connections[0].raw) >= 24, 5, "our preface")
        assert c.is_quiet(0.2)
        go.set()
        wait_until(lambda: HEADERS in kinds(u.connections[0].raw), 5, "the CONNECT")
    assert kinds(u.connections[0].raw)[0] == SETTINGS


def kinds(raw):
    """The types of the frames behind the preface."""
    found, at = [], 24
    while at + 9 <= len(raw):
        found.append(raw[at + 3])
        at += 9 + int.from_bytes(raw[at:at + 3], "big")
    return found


def test_a_peer_that_never_says_its_settings_is_a_504(start, upstream):
    u = upstream([up.read(24), up.read_to_end()])
    s = start(u)
    with Client(s.port) as c:
        c.send(asks("/wait"))
        assert c.read_reply().status == 504
    s.wait_for_log("upstream timed out")


def test_a_connection_that_ends_before_its_settings_is_a_502(start, upstream):
    u = upstream([up.read(24), up.close()])
    s = start(u)
    with Client(s.port) as c:
        c.send(asks("/auto"))
        assert c.read_reply().status == 502
    s.wait_for_log("upstream prematurely closed connection while connecting to upstream")


def test_what_the_peer_answers_instead_is_passed_on(start, h2_upstream):
    u = h2_upstream(on_head=lambda s: s.reply(403, b"not you", [("content-length", "7")]), settings=ALLOWED)
    s = start(u)
    with Client(s.port) as c:
        for _ in range(2):
            c.send(asks("/auto"))
            reply = c.read_reply()
            assert (reply.status, reply.body) == (403, b"not you")
    with H2Client(s.port) as c:
        reply = c.wait(c.start(pseudo=extended("/auto"), end=False))
        assert (reply.status, reply.body) == (403, b"not you")
    assert len(u.connections) == 1


def test_without_a_key_it_is_no_handshake(start, h2_upstream):
    u = h2_upstream(on_head=accept, settings=ALLOWED)
    s = start(u)
    with Client(s.port) as c:
        c.send(asks("/auto", key=""))
        assert c.read_reply().status == 400
    s.wait_for_log('client sent no "Sec-WebSocket-Key" header')
    assert u.requests == []


def test_requests_that_only_look_like_it_stay_requests(start, h2_upstream):
    u = h2_upstream(lambda s: s.reply(200, s.header(":method")), settings=ALLOWED)
    s = start(u)
    with Client(s.port) as c:
        for path, upgrade in (("/off", "websocket"), ("/auto", "h2c"), ("/map", "h2c")):
            assert c.get(path, headers=[("Connection", "upgrade"), ("Upgrade", upgrade)]).text == "GET"
        c.send("POST /auto HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx")
        assert c.read_reply().text == "POST"
    assert all(r.header(":protocol") is None for r in u.requests)


def test_a_reset_by_the_peer_ends_the_client_and_no_other(start, h2_upstream):
    u = h2_upstream(on_head=accept, settings=ALLOWED)
    s = start(u)
    with Client(s.port) as a, H2Client(s.port) as b:
        a.send(asks("/auto"))
        assert a.read_reply().status == 101 and a.reader.exactly(5) == b"hello"
        stream = b.start(pseudo=extended("/auto"), end=False)
        b.pump_until(lambda: b.replies[stream].body == b"hello")
        for peer in u.wait_requests(2):
            peer.reset(2)
        assert a.read_until_close() == b""
        assert b.wait(stream).reset == 8  # RFC 8441 section 5: CANCEL
        assert b.get("/off").status == 200
    assert len(u.connections) == 1


def test_a_client_that_goes_takes_its_stream_with_it(start, h2_upstream):
    u = h2_upstream(on_head=accept, settings=ALLOWED)
    s = start(u)
    with Client(s.port) as a:
        a.send(asks("/auto"))
        assert a.reader.until(b"hello").startswith(b"HTTP/1.1 101 ")
        a.reset()
    wait_until(lambda: u.requests[0].reset_code == 8 or u.requests[0].ended, 5, "the end of the stream")
    with H2Client(s.port) as b:
        stream = b.start(pseudo=extended("/auto"), end=False)
        b.pump_until(lambda: b.replies[stream].body == b"hello")
        b.reset(stream)
        wait_until(lambda: u.requests[1].reset_code == 8, 5, "the reset of the peer's stream")
        assert b.get("/off").status == 200


def test_an_idle_one_ends(start, h2_upstream):
    u = h2_upstream(on_head=accept, settings=ALLOWED)
    s = start(u)
    with Client(s.port) as a:
        a.send(asks("/idle"))
        assert a.reader.until(b"hello").startswith(b"HTTP/1.1 101 ")
        assert a.read_until_close() == b""
    wait_until(lambda: u.requests[0].reset_code == 8, 5, "the reset of the peer's stream")
    with H2Client(s.port) as b:
        stream = b.start(pseudo=extended("/idle"), end=False)
        assert b.wait(stream).reset == 8
    assert get(s.port, "/off").status == 200 and len(u.connections) == 1
