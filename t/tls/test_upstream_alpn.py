# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""proxy_ssl_alpn: https peers choose HTTP/2 or HTTP/1.1 in the handshake, and are spoken to accordingly; one that chooses none is spoken to
in HTTP/1.1, unless h2 alone was offered."""

import socket
from concurrent.futures import ThreadPoolExecutor

import h2.settings
import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client, get, post
from lib.ports import wait_until

CONF = """
events {}
http {
    log_format facts '$request_uri|$status|$upstream_status|$upstream_addr';
    access_log access.log facts;
    upstream app { server 127.0.0.1:%%UP%%; }
    upstream two { server 127.0.0.1:%%UP%%; server 127.0.0.1:%%OTHER%%; }
    proxy_ssl_trusted_certificate %%CERTS%%/ca.pem;
    proxy_ssl_verify on;
    proxy_ssl_name app.test;
    proxy_ssl_alpn h2 http/1.1;
    proxy_websocket on;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /        { proxy_pass https://app; }
        location /two     { proxy_pass https://two; }
        location /h2      { proxy_pass https://app; proxy_ssl_alpn h2; }
        location /h1      { proxy_pass https://app; proxy_ssl_alpn http/1.1; proxy_http_version 2; }
        location /one     { proxy_pass https://app; proxy_http2_max_streams 1; proxy_http2_connections 1; }
        location /quick   { proxy_pass https://app; proxy_connect_timeout 300ms; }
        location /clear   { proxy_pass http://127.0.0.1:%%OTHER%%; }
    }
}
"""


@pytest.fixture
def authority(tmp_path):
    ca = Authority(tmp_path / "certs")
    ca.leaf("app.test", file="app")
    return ca


@pytest.fixture
def tls(authority):
    """tls(alpn): the context of a peer that knows these protocols; None: it does not take part."""
    pair = (f"{authority.folder}/app.pem", f"{authority.folder}/app.key")
    return lambda alpn: authority.server_context(pair, alpn=alpn)


@pytest.fixture
def start(server, authority):
    return lambda peer, other=None: server(CONF, UP=peer.port, OTHER=other.port if other else 1, CERTS=authority.folder)


def serve_1(upstream, tls, alpn):
    return upstream(up.serve(lambda r: up.reply(200, f"{r.method} {r.target} {r.version} ".encode() + r.body)), tls=tls(alpn))


def test_a_peer_that_chooses_http_2_gets_streams(start, h2_upstream, tls):
    u = h2_upstream(lambda s: s.reply(200, s.header(":scheme") + " " + s.path), tls=tls(["h2", "http/1.1"]))
    s = start(u)
    assert [get(s.port, "/a").text for _ in range(3)] == ["https /a"] * 3
    assert post(s.port, "/b", b"body").status == 200 and u.requests[3].body == b"body"
    assert len(u.connections) == 1


@pytest.mark.parametrize("alpn", [["http/1.1"], None])
def test_a_peer_that_chooses_http_1_or_nothing_gets_requests_of_it(start, upstream, tls, alpn):
    u = serve_1(upstream, tls, alpn)
    s = start(u)
    assert [get(s.port, "/a").text for _ in range(3)] == ["GET /a HTTP/1.1 "] * 3
    assert post(s.port, "/b", b"body").text == "POST /b HTTP/1.1 body"
    assert len(u.connections) == 1


def test_each_peer_of_a_group_chooses_for_itself(start, upstream, h2_upstream, tls):
    u, other = h2_upstream(lambda s: s.reply(200, "two"), tls=tls(["h2"])), serve_1(upstream, tls, ["http/1.1"])
    s = start(u, other)
    assert sorted(get(s.port, "/two").text for _ in range(6)) == ["GET /two HTTP/1.1 "] * 3 + ["two"] * 3
    assert len(u.connections) == 1 and len(other.connections) == 1


def test_requests_that_come_at_once_share_the_first_connection(start, h2_upstream, tls):
    u = h2_upstream(on_head=lambda s: None, tls=tls(["h2"]))
    s = start(u)
    with ThreadPoolExecutor(20) as pool:
        replies = [pool.submit(get, s.port, f"/{i}") for i in range(20)]
        for stream in u.wait_requests(20):
            stream.reply(200, stream.path)
        assert [r.result().text for r in replies] == [f"/{i}" for i in range(20)]
    assert len(u.connections) == 1


def test_requests_of_http_1_that_come_at_once_each_have_a_connection(start, upstream, tls):
    u = serve_1(upstream, tls, ["http/1.1"])
    s = start(u)
    with ThreadPoolExecutor(20) as pool:
        assert all(r.status == 200 for r in pool.map(lambda i: get(s.port, f"/{i}"), range(20)))
    assert len(u.connections) <= 20


def test_the_limits_of_shared_connections_hold(start, h2_upstream, tls):
    u = h2_upstream(on_head=lambda s: None, tls=tls(["h2"]))
    s = start(u)
    with ThreadPoolExecutor(4) as pool:
        replies = [pool.submit(get, s.port, "/one") for _ in range(4)]
        for answered in range(4):
            u.wait_requests(answered + 1)
            assert len(u.requests) == answered + 1
            u.requests[answered].reply(200, "one")
        assert all(r.result().text == "one" for r in replies)
    assert len(u.connections) == 1


def test_h2_alone_has_to_be_chosen(start, h2_upstream, upstream, tls):
    u = serve_1(upstream, tls, ["http/1.1"])
    s = start(u)
    assert get(s.port, "/h2").status == 502
    s.wait_for_log("upstream chose none of the protocols that were offered by ALPN|no application protocol")
    assert u.requests == []


def test_http_1_alone_is_offered_and_spoken(start, upstream, tls):
    u = serve_1(upstream, tls, ["h2", "http/1.1"])
    s = start(u)
    assert get(s.port, "/h1").text == "GET /h1 HTTP/1.1 "
    assert u.connections[0].socket.selected_alpn_protocol() == "http/1.1"


def test_what_is_in_the_clear_is_not_concerned(start, upstream, h2_upstream, tls):
    plain = upstream(up.serve(lambda r: up.reply(200, r.version)))
    s = start(h2_upstream(tls=tls(["h2"])), plain)
    assert get(s.port, "/clear").text == "HTTP/1.1"


def test_websockets_go_either_way(start, upstream, h2_upstream, tls):
    def accept(stream):
        stream.head(200)
        stream.data(b"over 2", end=True)
    first = h2_upstream(on_head=accept, tls=tls(["h2"]), settings={h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})
    switch = b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: theirs\r\n\r\n"
    second = upstream([up.head(), up.send(switch + b"over 1"), up.close()], tls=tls(["http/1.1"]))
    s = start(first, second)
    got = []
    for _ in range(2):
        with Client(s.port) as c:
            c.send("GET /two HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a2V5\r\n\r\n")
            reply = c.read_reply()
            assert reply.status == 101
            got.append((reply.header("sec-websocket-accept") == "theirs", c.read_until_close()))
    assert sorted(got) == [(False, b"over 2"), (True, b"over 1")]
    assert second.requests[0].header("upgrade") == "websocket" and first.requests[0].header("upgrade") is None


def test_a_handshake_that_nobody_answers_times_out_for_all_who_wait(start, upstream, tls):
    u = upstream([up.hold()])
    s = start(u)
    with ThreadPoolExecutor(5) as pool:
        assert [r.status for r in pool.map(lambda i: get(s.port, "/quick"), range(5))] == [504] * 5
    s.wait_for_log("upstream timed out.*while SSL handshaking to upstream")


def test_a_peer_that_changes_its_mind_is_followed(start, h2_upstream, upstream, tls):
    """The listener goes, another one comes in its place."""
    u = h2_upstream(lambda s: s.reply(200, "two"), tls=tls(["h2"]))
    s = start(u)
    assert get(s.port, "/").text == "two"
    port = u.port
    u.refuse()
    u.connections[0].close()
    other = upstream(up.serve(lambda r: up.reply(200, r.version)), tls=tls(["http/1.1"]), port=port)
    wait_until(lambda: get(s.port, "/").text == "HTTP/1.1", 5, "an answer of the other")
    other.refuse()
    for one in other.connections:
        one.socket.shutdown(socket.SHUT_RDWR)
    h2_upstream(lambda s: s.reply(200, "two"), tls=tls(["h2"]), port=port)
    wait_until(lambda: get(s.port, "/").text == "two", 5, "an answer of the third")
