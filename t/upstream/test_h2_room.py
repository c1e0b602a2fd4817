# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""proxy_http_version 2 and a peer that takes few streams: who waits for which connection, and when another one is made."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import h2.settings
import pytest

from lib import upstreams as up
from lib.client import Client, get
from lib.ports import wait_until

CONF = """
events { worker_connections %%CONNECTIONS%%; }
http {
    proxy_http_version 2;
    upstream app { server 127.0.0.1:%%UP%%; }
    upstream kept { server 127.0.0.1:%%OTHER%%; keepalive 8; }
    upstream two { server 127.0.0.1:%%UP%% max_fails=0; server 127.0.0.1:%%OTHER%%; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://app; }
        location /plain { proxy_http_version 1.1; proxy_pass http://127.0.0.1:%%OTHER%%; }
        location /kept { proxy_http_version 1.1; proxy_pass http://kept; }
        location /two { proxy_pass http://two; proxy_connect_timeout 60s; }
    }
}
"""
STREAMS_MAX = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS


def start(server, upstream, other=1, connections=512, **more):
    return server(CONF, UP=upstream.port, OTHER=other, CONNECTIONS=connections, **more)


def request_of(target):
    return f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"


NO_ROOM = dict(allow_log=["worker_connections are not enough"])


def busy(client):
    """Neither idle nor answered."""
    return client.send("GET /slow HTTP/1.1\r\n")


class Narrow:
    """Answers `most` streams of a connection at a time, each after a while, and refuses the others as nginx does."""

    def __init__(self, most):
        self.most, self.refused, self.lock = most, 0, threading.Lock()

    def on_head(self, stream):
        with self.lock:
            running = stream.connection.__dict__.setdefault("running", set())
            if len(running) >= self.most:
                self.refused += 1
                return stream.reset(7)
            running.add(stream)
        threading.Timer(0.05, self.answer, [stream, running]).start()

    def answer(self, stream, running):
        with self.lock:
            running.discard(stream)
            stream.reply(200, b"ok")


@pytest.mark.parametrize("most", [1, 4])
def test_a_burst_keeps_to_the_limit_of_the_peer(server, h2_upstream, most):
    peer = Narrow(most)
    s = start(server, h2_upstream(on_head=peer.on_head, settings={STREAMS_MAX: most}))
    with ThreadPoolExecutor(40) as pool:
        for _ in ("cold", "warm"):
            assert [r.status for r in pool.map(lambda n: get(s.port, f"/{n}"), range(40))] == [200] * 40
    assert peer.refused <= 10 - most  # those that left before the first SETTINGS came
    assert "[error]" not in s.log()


def test_all_that_wait_get_room_when_a_peer_allows_streams_again(server, h2_upstream):
    u = h2_upstream(on_head=lambda stream: stream.reply(200) if stream.path == "/first" else None, settings={STREAMS_MAX: 1})
    s = start(server, u)
    assert get(s.port, "/first").status == 200
    connection = u.connections[0]
    connection.act(lambda c: c.update_settings({STREAMS_MAX: 0}))
    wait_until(lambda: connection.h2.local_settings.max_concurrent_streams == 0, 5, "the acknowledged settings")
    clients = [Client(s.port).send(request_of(f"/{n}")) for n in range(3)]
    time.sleep(0.2)  # until they stand in line; else they see the new limit, which is no failure
    connection.act(lambda c: c.update_settings({STREAMS_MAX: 1}))
    u.wait_requests(4)
    assert len(u.connections) == 3
    for stream in u.requests[1:]:
        stream.reply(200, b"ok")
    for client in clients:
        assert client.read_reply().body == b"ok"
        client.close()


def test_a_peer_that_is_full_and_refuses_connections_is_passed_over(server, h2_upstream):
    u, other = h2_upstream(on_head=lambda stream: None, settings={STREAMS_MAX: 1}), h2_upstream(lambda s: s.reply(200, b"other"))
    s = start(server, u, other.port)
    with Client(s.port) as held:
        held.send(request_of("/held"))
        u.wait_requests(1)
        u.refuse()
        for _ in range(4):  # at the connect timeout this would be a minute each
            assert get(s.port, "/two").body == b"other"
        u.requests[0].reply(200, b"held")
        assert held.read_reply().body == b"held"
    s.wait_for_log("connect.. failed .111: Connection refused. while connecting to upstream")


def test_a_stream_is_waited_for_where_no_connection_is_free(server, h2_upstream):
    u = h2_upstream(on_head=lambda stream: None, settings={STREAMS_MAX: 1})
    s = start(server, u, connections=6, **NO_ROOM)
    others = [busy(Client(s.port)) for _ in range(3)]
    first, second = Client(s.port).send(request_of("/first")), Client(s.port)
    u.wait_requests(1)
    second.send(request_of("/second"))
    s.wait_for_log("6 worker_connections are not enough while connecting to upstream")
    u.requests[0].reply(200, b"first")
    assert first.read_reply().body == b"first"
    u.wait_requests(2)
    u.requests[1].reply(200, b"second")
    assert second.read_reply().body == b"second"
    assert len(u.connections) == 1
    for client in (first, second, *others):
        client.close()


def test_idle_connections_to_other_peers_make_room(server, h2_upstream, upstream):
    both = threading.Barrier(2)

    def answer(request):
        if request.target == "/kept":
            both.wait(30)
        return up.reply(200, request.target)
    s = start(server, h2_upstream(), upstream(up.serve(answer)).port, connections=5, **NO_ROOM)
    first, second, third = (Client(s.port) for _ in range(3))
    for client in (first, second):  # at once: two connections are kept
        client.send(request_of("/kept"))
    for client in (first, second):
        assert client.read_reply().text == "/kept"
    busy(second), busy(third)
    assert first.get("/plain").text == "/plain"
    assert first.get("/h2").text == "/h2"
    for client in (first, second, third):
        client.close()


def test_idle_connections_of_http_2_make_room(server, h2_upstream, upstream):
    u = h2_upstream()
    s = start(server, u, upstream(up.serve(lambda request: up.reply(200, request.target))).port, connections=4, **NO_ROOM)
    first, second, third = (Client(s.port) for _ in range(3))
    assert first.get("/h2").text == "/h2"
    busy(second), busy(third)
    assert first.get("/plain").text == "/plain"
    wait_until(lambda: u.connections[0].ended, 5, "the end of the idle connection")
    assert first.get("/h2").text == "/h2"
    assert len(u.connections) == 2
    for client in (first, second, third):
        client.close()
