# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What a draining worker does with its connections: keepalive_min_timeout, worker_shutdown_timeout."""

import signal
import threading
import time

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client
from lib.fairlead import title_of
from lib.h2client import H2Client
from lib.ports import TIME_SCALE, in_time, wait_until
from lib.wire import Reader

CONF = """
worker_shutdown_timeout %%SHUTDOWN%%;
events {}
http {
    log_format ends '$uri $status [$request_completion]';
    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%MIN%%
        location / { return 200 $pid; }
        location /slow { proxy_pass http://127.0.0.1:%%UP%%; proxy_buffering off; access_log ends.log ends; }
    }
}
"""
FIXED = dict(SHUTDOWN="60s", MIN="", UP=1)


@pytest.mark.parametrize("minimum", ["", "keepalive_min_timeout 60s;"])
def test_a_request_on_an_idle_connection_is_answered_and_ends_it(server, minimum):
    in_time(1 if not minimum else 60, lambda: answered_and_ended(server(CONF, **{**FIXED, "MIN": minimum}), minimum))


def answered_and_ended(s, minimum):
    (old,) = s.wait_workers()
    clients = [Client(s.port) for _ in range(5)]
    for client in clients:
        assert not client.get("/").has_word("connection", "close")
    s.reload()
    if minimum:
        time.sleep(1.5)  # longer than the default
    for client in clients:
        got = client.get("/")
        assert got.text == str(old) and got.has_word("connection", "close")
        assert client.is_closed()
        client.close()
    wait_until(lambda: not title_of(old), 5, "the end of the drained worker")


@pytest.mark.parametrize("ends", ["reload", "quit"])
def test_a_response_that_begins_while_draining_ends_its_connection(server, upstream, ends):
    asked, gate = threading.Event(), threading.Event()

    def answer(request):
        asked.set()
        assert gate.wait(10 * TIME_SCALE)
        return up.reply(200, b"late")
    s = server(CONF, **{**FIXED, "UP": upstream(up.serve(answer)).port})
    (old,) = s.wait_workers()
    with Client(s.port) as client:
        client.send(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        assert asked.wait(10 * TIME_SCALE)
        tell_to_drain(s, old, ends)
        gate.set()
        got = client.read_reply("GET")
        assert got.body == b"late" and got.has_word("connection", "close")
        assert client.is_closed()


def test_idle_connections_end_when_their_minimum_is_over(server):
    s = server(CONF, **{**FIXED, "MIN": "keepalive_min_timeout 500ms;"})
    (old,) = s.wait_workers()
    with Client(s.port) as client:
        client.get("/")
        s.reload()
        assert client.is_closed()
    wait_until(lambda: not title_of(old), 5, "the end of the drained worker")


def test_a_connection_that_becomes_idle_while_draining_ends(server, upstream):
    go = threading.Event()
    u = upstream([up.request(), up.send(b"HTTP/1.1 200 X\r\nContent-Length: 6\r\n\r\nabc"), up.wait_for(go), up.send(b"def")])
    s = server(CONF, **{**FIXED, "UP": u.port})
    (old,) = s.wait_workers()
    with Client(s.port) as client:
        client.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        client.reader.until(b"abc")
        s.reload()
        time.sleep(0.2)
        assert "shutting down" in title_of(old)
        go.set()
        client.reader.until(b"def")
        assert client.is_closed()
    wait_until(lambda: not title_of(old), 5, "the end of the drained worker")


FIRST_CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% proxy_protocol;
        listen 127.0.0.1:%%PORT_2%% ssl;
        ssl_certificate %%CERT%%; ssl_certificate_key %%KEY%%;
        location / { return 200 $pid; }
    }
}
"""
FIRST_BYTE_SECONDS = 5  # that a drain leaves a connection which has sent nothing yet


@pytest.mark.parametrize("ends", ["reload", "quit"])
def test_a_first_request_that_comes_late_is_answered(server, tmp_path, ends):
    """Nobody told the client, and what it sent may be on its way for long: a hello that is lost is sent again after a second."""
    authority = Authority(tmp_path)
    certificate, key = authority.leaf("localhost")

    def answered():
        s = server(FIRST_CONF, CERT=certificate, KEY=key)
        (old,) = s.wait_workers()
        with Client(s.port) as plain, Client(s.ports[1]) as proxied, Client(s.ports[2]) as tls:
            with Client(s.port) as later:
                later.get("/")  # a worker accepts in order, and each of these listens before
            tell_to_drain(s, old, ends)
            time.sleep(1.5)
            tls.socket = authority.client_context().wrap_socket(tls.socket, server_hostname="localhost")
            tls.reader = Reader(tls.socket)
            proxied.send("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
            for client in plain, proxied, tls:
                got = client.get("/")
                assert got.text == str(old) and got.has_word("connection", "close")
    in_time(FIRST_BYTE_SECONDS, answered)


def tell_to_drain(s, old, ends):
    if ends == "reload":
        s.reload()
    else:
        s.signal(signal.SIGQUIT)
    s.wait_for_log(rf"{old}#.* gracefully shutting down")


def test_a_client_that_stays_silent_does_not_hold_up_the_end(server, tmp_path):
    certificate, key = Authority(tmp_path).leaf("localhost")
    s = server(FIRST_CONF, CERT=certificate, KEY=key)
    with Client(s.port) as plain, Client(s.ports[1]) as proxied, Client(s.ports[2]) as tls:
        with Client(s.port) as later:
            later.get("/")
        begin = time.monotonic()
        s.signal(signal.SIGQUIT)
        for client in plain, proxied, tls:
            assert client.is_closed(2 * FIRST_BYTE_SECONDS)
        assert time.monotonic() - begin < 2 * FIRST_BYTE_SECONDS * TIME_SCALE
    s.wait()


def test_worker_shutdown_timeout_ends_what_is_left(server, upstream):
    u = upstream([up.request(), up.send(b"HTTP/1.1 200 X\r\nContent-Length: 6\r\n\r\nabc"), up.hold()])
    s = server(CONF, **{**FIXED, "UP": u.port, "SHUTDOWN": "500ms"})
    (old,) = s.wait_workers()
    with Client(s.port) as client:
        client.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        client.reader.until(b"abc")
        begin = time.monotonic()
        s.reload()
        assert client.is_closed(5)
        assert 0.3 < time.monotonic() - begin < 5 * TIME_SCALE
    wait_until(lambda: not title_of(old), 5, "the end of the drained worker")
    assert s.read("ends.log") == "/slow 200 []\n"


def test_worker_shutdown_timeout_leaves_streams_incomplete(server, upstream):
    u = upstream([up.request(), up.send(b"HTTP/1.1 200 X\r\nContent-Length: 6\r\n\r\nabc"), up.hold()])
    s = server(CONF, **{**FIXED, "UP": u.port, "SHUTDOWN": "500ms", "MIN": "http2 on;"})
    (old,) = s.wait_workers()
    with H2Client(s.port) as client:
        stream = client.start("/slow")
        client.pump_until(lambda: client.replies[stream].body == b"abc")
        s.reload()
        wait_until(lambda: not title_of(old), 5, "the end of the drained worker")
    assert s.read("ends.log") == "/slow 200 []\n"


def test_the_end_of_the_server_does_not_wait_for_idle_clients(server):
    def end():
        s = server(CONF, **FIXED)
        clients = [Client(s.port) for _ in range(5)]
        for client in clients:
            client.get("/")
        begin = time.monotonic()
        s.signal(signal.SIGQUIT)
        for client in clients:
            assert client.is_closed()
        took = time.monotonic() - begin
        s.wait()
        return took
    # One end in less than what a drain with a successor waits shows it; one that took longer may be the machine's.
    assert any(end() < 0.8 for _ in range(10)), "the default of a drain with a successor was waited for"


def test_nor_if_the_workers_are_told_before_the_master(server):
    """As when the signal goes to all of them: to the worker alone it means that another one follows."""
    def end():
        s = server(CONF, **FIXED)
        (worker,) = s.wait_workers()
        with Client(s.port) as client:
            client.get("/")
            begin = time.monotonic()
            s.signal(signal.SIGQUIT, worker)
            s.wait_for_log(rf"{worker}#.* gracefully shutting down")
            s.signal(signal.SIGQUIT)
            assert client.is_closed()
            took = time.monotonic() - begin
        s.wait()
        return took
    assert any(end() < 0.8 for _ in range(10)), "the default of a drain with a successor was waited for"


@pytest.mark.parametrize("size", [10, 4000, 100_000])
def test_nor_for_those_that_sent_a_body(server, upstream, size):
    """A body of known length is read to its last byte and no further: that is no head that has begun."""
    s = server(CONF, **{**FIXED, "MIN": "client_header_timeout 1h;", "UP": upstream(up.serve(lambda r: up.reply(200, "ok"))).port})
    with Client(s.port) as client:
        client.send(b"POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        assert client.read_reply().text == "ok"
        s.signal(signal.SIGQUIT)
        assert client.is_closed(), "client_header_timeout was waited for"
    s.wait()
