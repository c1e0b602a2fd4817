# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Reloads under a load of everything: TLS, HTTP/2 over TLS, gRPC calls and streams, WebSockets. Nothing is lost, nothing is cut short."""

import os
import threading
from concurrent import futures

import pytest

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # the server under test is forked from this process
grpc = pytest.importorskip("grpc")

from lib.certs import Authority  # noqa: E402
from lib.client import Client  # noqa: E402
from lib.h2client import H2Client  # noqa: E402
from lib.load import ANSWER, digest  # noqa: E402
from lib.ports import TIME_SCALE, claim_port, release_port, wait_until  # noqa: E402

CONF = """
worker_processes %%WORKERS%%;
events {}
http {
    keepalive_min_timeout 60s;  # so long a client may be held up between two requests
    upstream back { server 127.0.0.1:%%UP%%; keepalive 8; }
    upstream calls { server 127.0.0.1:%%GRPC%%; }
    proxy_websocket on;
    proxy_read_timeout 60s;
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        http2 on;
        ssl_certificate %%CERTS%%/localhost.pem;
        ssl_certificate_key %%CERTS%%/localhost.key;
        location / { proxy_pass http://back; }
        location /socket { proxy_pass http://127.0.0.1:%%SOCKETS%%; }
        location /s/ { grpc_pass calls; }
    }
}
"""
RELOADS = 8
SECONDS = 30 * TIME_SCALE
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
OPEN = b"GET /socket HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"


def echo_socket(seen):
    """A WebSocket service as its bytes: what comes goes back."""
    seen.reader.until(b"\r\n\r\n")
    seen.socket.sendall(SWITCH)
    while data := seen.socket.recv(65536):
        seen.socket.sendall(data)


class Calls(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method.endswith("/Chat"):
            return grpc.stream_stream_rpc_method_handler(lambda messages, _: (m.upper() for m in messages))
        return grpc.unary_unary_rpc_method_handler(lambda message, _: message)


class World:
    """A thread per client; each counts what was answered, and the first thing that went wrong ends it."""

    def __init__(self, port, authority):
        self.port, self.authority = port, authority
        self.answered, self.failures = {}, []
        self.end = threading.Event()
        kinds = [self.keepalive, self.keepalive, self.streams, self.streams, self.calls, self.chats, self.sockets, self.sockets]
        self.threads = [threading.Thread(target=self.run, args=(kind, i), daemon=True) for i, kind in enumerate(kinds)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait_more(2)
        return self

    def __exit__(self, *unused):
        self.end.set()
        for thread in self.threads:
            thread.join(SECONDS)

    def run(self, kind, number):
        self.answered[number] = 0
        try:
            kind(number)
        except Exception as problem:  # noqa: BLE001: whatever it was, the test has failed
            self.failures.append(f"{kind.__name__} after {self.answered[number]}: {problem!r}")

    def wait_more(self, count):
        """Until every client was answered so many times more."""
        goals = {i: self.answered.get(i, 0) + count for i in range(len(self.threads))}
        wait_until(lambda: self.failures or all(self.answered.get(i, 0) >= goal for i, goal in goals.items()), 60, "more answers")

    def count(self, number):
        self.answered[number] += 1
        self.end.wait(0.005)

    def connect(self, alpn=None):
        return self.authority.client_context(alpn=alpn)

    def keepalive(self, number):
        client = None
        while not self.end.is_set():
            if client is None:
                client = Client(self.port, tls=self.connect(), server_name="localhost", seconds=30)
            target = f"/{number}/{self.answered[number]}"
            got = client.get(target)
            assert got.status == 200 and got.text == f"GET {target} {digest(b'')}", got.body
            if got.has_word("connection", "close"):
                client.close()
                client = None
            self.count(number)

    def streams(self, number):
        """Three streams at a time, one of them an upload."""
        client = None
        body = b"b" * 50_000
        while not self.end.is_set():
            if client is None:
                client = H2Client(self.port, tls=self.connect(["h2"]), server_name="localhost", seconds=30)
            targets = [f"/{number}/{self.answered[number]}/{i}" for i in range(3)]
            streams = [client.start(target) for target in targets[:2]]
            streams.append(client.start(targets[2], "POST", end=False))
            client.send(streams[2], body, end=True)
            for stream, target in zip(streams, targets):
                got = client.wait(stream)
                want = f"{'POST' if stream == streams[2] else 'GET'} {target} {digest(body if stream == streams[2] else b'')}"
                assert got.reset is None and got.status == 200 and got.text == want, (got.reset, got.headers, got.body)
            if client.goaways or client.ended:
                client.close()
                client = None
            self.count(number)

    def channel(self):
        with open(self.authority.path, "rb") as f:
            return grpc.secure_channel(f"localhost:{self.port}", grpc.ssl_channel_credentials(f.read()))

    def calls(self, number):
        with self.channel() as channel:
            while not self.end.is_set():
                message = f"{number}/{self.answered[number]}".encode()
                assert channel.unary_unary("/s/Echo")(message, timeout=SECONDS) == message
                self.count(number)

    def chats(self, number):
        """Streams that each see several reloads."""
        with self.channel() as channel:
            while not self.end.is_set():
                def words():
                    for i in range(200):
                        if self.end.is_set():
                            return
                        yield f"word {i}".encode()
                        self.end.wait(0.005)
                for i, reply in enumerate(channel.stream_stream("/s/Chat")(words(), timeout=60 * TIME_SCALE)):
                    assert reply == f"WORD {i}".encode()
                    self.answered[number] += 1

    def sockets(self, number):
        """One WebSocket over all reloads."""
        with Client(self.port, tls=self.connect(), server_name="localhost", seconds=30) as client:
            client.send(OPEN)
            assert client.reader.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101")
            while not self.end.is_set():
                message = f"{number}/{self.answered[number]};".encode() * 100
                assert client.send(message).reader.exactly(len(message)) == message
                self.count(number)


def test_reloads_lose_nothing(server, upstream, tmp_path):
    authority = Authority(tmp_path)
    authority.leaf("localhost")
    port = claim_port()
    service = grpc.server(futures.ThreadPoolExecutor(max_workers=8), handlers=[Calls()], options=[("grpc.so_reuseport", 0)])
    service.add_insecure_port(f"127.0.0.1:{port}")
    service.start()
    try:
        def with_workers(count):
            return CONF.replace("%%WORKERS%%", str(count))
        s = server(with_workers(1), UP=upstream(ANSWER).port, SOCKETS=upstream([echo_socket]).port, GRPC=port, CERTS=tmp_path)
        with World(s.port, authority) as world:
            for i in range(RELOADS):
                s.reload(with_workers(i % 2 + 1))
                world.wait_more(5)
        assert not world.failures, world.failures
        wait_until(lambda: len(s.workers()) == (RELOADS - 1) % 2 + 1, 10, "the end of the replaced workers")
    finally:
        service.stop(None).wait()
        release_port(port)
