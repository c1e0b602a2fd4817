# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Kept connections to peers: what becomes of a request on one that ends before it answers, and which connections are not kept."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import get, post, request
from lib.ports import wait_until

CONF = """
events {}
http {
    log_format tries '$request $status $upstream_status';
    access_log access.log tries;
    upstream one { server 127.0.0.1:%%A%% max_fails=0; keepalive 32; }
    upstream two { server 127.0.0.1:%%A%% max_fails=0; server 127.0.0.1:%%B%% max_fails=0 backup; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        proxy_read_timeout 20s;
        proxy_ssl_trusted_certificate %%CERTS%%/ca.pem;
        proxy_ssl_name app.test;
        location / { proxy_pass http://one; }
        location /two { proxy_pass http://two; proxy_next_upstream_tries 2; }
        location /mirrored { mirror /copy; proxy_pass http://127.0.0.1:%%B%%; }
        location = /copy { internal; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_pass http://one; }
        location /h2 { proxy_http_version 2; proxy_pass http://one; }
        location /one_h2 { proxy_http_version 2; proxy_http2_connections 1; proxy_pass http://one; }
        location /alpn { proxy_ssl_alpn h2 http/1.1; proxy_ssl_verify on; proxy_pass https://one; }
        location /tls { proxy_http_version 2; proxy_ssl_verify on; proxy_pass https://one; }
    }
}
"""


@pytest.fixture
def start(server, tmp_path):
    authority = Authority(tmp_path / "certs")
    leaf = authority.leaf("app.test", file="app")

    def run(a, b=1):
        return server(CONF, A=a.port, B=getattr(b, "port", b), CERTS=tmp_path / "certs")
    run.tls = lambda: authority.server_context(leaf, alpn=["h2"])
    return run


def logged(s, what):
    wait_until(lambda: what in s.read("access.log"), 5, f"{what} in the access log")


# -- HTTP/1

def test_a_post_that_was_read_and_then_reset_is_not_sent_again(start, upstream):
    """The peer's TCP need not have acknowledged what the peer has read and acted on: on a connection with requests behind it, it waits."""
    used = [up.request(), up.send(up.reply(200, "used"))]
    u = upstream(used * 4 + [up.request(), up.reset()], up.serve(lambda r: up.reply(200, "again")))
    s = start(u)
    for _ in range(4):
        assert get(s.port, "/").text == "used"
    assert post(s.port, "/transfer", b"100").status == 502
    assert [r.body for r in u.requests if r.method == "POST"] == [b"100"]
    logged(s, "POST /transfer HTTP/1.1 502 502\n")


def poisonous(together):
    """Serves, keeps connections, and closes the one that a /poison comes on. The first `together` requests are answered at once."""
    gate = threading.Barrier(together)

    def answer(asked):
        if "poison" in asked.target:
            return None
        if asked.target.endswith("together"):
            gate.wait(30)
        return up.reply(200, asked.target)
    return up.serve(answer)


def keep(s, path, count):
    """Leaves `count` kept connections to the peer behind."""
    with ThreadPoolExecutor(count) as pool:
        assert [r.status for r in pool.map(lambda _: get(s.port, path + "together"), range(count))] == [200] * count


def test_a_request_that_ends_connections_is_sent_over_one_kept_one(start, upstream):
    u = upstream(poisonous(5))
    s = start(u)
    keep(s, "/", 5)
    assert len(u.connections) == 5
    assert get(s.port, "/poison").status == 502
    assert len([r for r in u.requests if r.target == "/poison"]) == 2 and len(u.connections) == 6
    logged(s, "GET /poison HTTP/1.1 502 502, 502\n")
    assert get(s.port, "/").status == 200 and len(u.connections) == 6


def test_the_next_peer_gets_it_on_a_new_connection_too(start, upstream):
    a, b = upstream(poisonous(2)), upstream(poisonous(2))
    s = start(a, b)
    keep(s, "/two", 2)
    a.refuse()
    assert get(s.port, "/two").status == 200  # by way of a connection that is still there
    assert get(s.port, "/two_poison").status == 502
    seen = [[r.target for r in one.requests].count("/two_poison") for one in (a, b)]
    assert seen == [1, 1]
    logged(s, "GET /two_poison HTTP/1.1 502 502, 502, 502\n")


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
ASKED = ["Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "Connection: upgrade"]


@pytest.mark.parametrize("path, headers, status", [("/unasked", [], 502), ("/mirrored", ASKED, 200)])
def test_a_connection_with_another_protocol_on_it_is_not_kept(start, upstream, path, headers, status):
    u = upstream([up.request(), up.send(SWITCH), up.read_to_end()], up.serve(lambda r: up.reply(200, r.body)))
    s = start(u, upstream())
    assert request(s.port, "GET", path, headers=headers).status == status
    s.wait_for_log("upstream sent unexpected 101 response")
    assert post(s.port, "/secret", b"mine").text == "mine"
    assert b"secret" not in bytes(u.connections[0].raw)


# -- HTTP/2

@pytest.fixture(params=["/h2", "/tls", "/alpn"])
def h2_path(request):
    return request.param


def start_h2(start, h2_upstream, path, answer):
    u = h2_upstream(answer, tls=None if path == "/h2" else start.tls())
    return start(u), u


@pytest.mark.parametrize("method, status", [("GET", 200), ("POST", 502)])
def test_a_shared_connection_that_ends_is_left_for_another(start, h2_upstream, h2_path, method, status):
    u = None

    def answer(stream):
        if len(u.requests) == 2:
            return stream.connection.close()
        stream.reply(200, "x")
    s, u = start_h2(start, h2_upstream, h2_path, answer)
    assert get(s.port, h2_path).status == 200
    assert request(s.port, method, h2_path, b"x" if method == "POST" else None).status == status
    assert len(u.requests) == (3 if status == 200 else 2)
    logged(s, f"{method} {h2_path} HTTP/1.1 {status} " + ("502, 200\n" if status == 200 else "502\n"))


def test_requests_beside_one_that_ends_connections_are_answered(start, h2_upstream, h2_path):
    go = threading.Event()

    def answer(stream):
        if "poison" in stream.path:
            return stream.connection.close()
        if "wait" in stream.path:
            threading.Thread(target=lambda: go.wait(60) and stream.reply(200, "x"), daemon=True).start()
        else:
            stream.reply(200, "x")
    s, u = start_h2(start, h2_upstream, h2_path, answer)
    assert get(s.port, h2_path).status == 200
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(get, s.port, h2_path + "/wait", seconds=30) for _ in range(4)]
        u.wait_requests(5)
        assert get(s.port, h2_path + "/poison").status == 502
        u.wait_requests(5 + 2 + 4)
        go.set()
        assert [one.result().status for one in waiting] == [200] * 4
    assert len([r for r in u.requests if "poison" in r.path]) == 2 and len(u.requests) == 11


def test_where_there_may_be_one_connection_it_is_shared_again(start, h2_upstream):
    def answer(stream):
        if "poison" in stream.path:
            return stream.connection.close()
        stream.reply(200, "x")
    u = h2_upstream(answer)
    s = start(u)
    assert get(s.port, "/one_h2").status == 200
    assert get(s.port, "/one_h2/poison").status == 502
    assert len(u.requests) == 3
    assert get(s.port, "/one_h2").status == 200
