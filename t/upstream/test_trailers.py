# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Trailers that pass: none of a request unless they are wanted, and then none that says what the head may not say; of a reply none that
clients do not get as a field."""

import threading

import pytest

from lib import upstreams as up
from lib.client import Client, chunked, get
from lib.h2client import H2Client
from lib.ports import wait_until

CONF = """
events {}
http {
    log_format trailers "sent: $uri $sent_trailer_x_ok $sent_trailer_x_secret";
    access_log logs/trailers.log trailers;
    proxy_request_buffering off;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-User "";
    grpc_set_header X-User "";
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        location / { proxy_pass http://127.0.0.1:%%UP%%; }
        location /h2 { proxy_http_version 2; proxy_pass http://127.0.0.1:%%H2%%; }
        location /grpc { grpc_pass 127.0.0.1:%%H2%%; }
        location /on/ {
            proxy_pass_request_trailers on;
            proxy_pass http://127.0.0.1:%%UP%%;
            location /on/h2 { proxy_http_version 2; proxy_pass http://127.0.0.1:%%H2%%; }
            location /on/grpc { grpc_pass_request_trailers on; grpc_pass 127.0.0.1:%%H2%%; }
            location /on/bare { proxy_pass_request_headers off; proxy_pass http://127.0.0.1:%%UP%%; }
        }
        location /reply { proxy_pass_trailers on; proxy_hide_header X-Secret; proxy_pass http://127.0.0.1:%%UP%%; }
        location /reply/h2 { proxy_http_version 2; proxy_pass_trailers on; proxy_pass http://127.0.0.1:%%H2%%; }
        location /reply/server { proxy_pass_trailers on; proxy_pass_header Server; proxy_pass http://127.0.0.1:%%UP%%; }
        location /told { add_trailer X-Seen $upstream_trailer_x_ok; proxy_hide_header X-Ok; proxy_pass http://127.0.0.1:%%UP%%; }
        location /told/grpc { grpc_pass 127.0.0.1:%%H2%%; grpc_hide_header X-Ok;
                              add_trailer X-Seen "$upstream_trailer_x_ok $grpc_status $grpc_message"; }
        location /hidden { grpc_hide_header X-Secret; grpc_pass 127.0.0.1:%%H2%%; }
    }
}
"""
SENT = [("X-Sum", "1"), ("X-User", "root"), ("X-Real-IP", "6.6.6.6"), ("X_User", "root"), ("X.User", "root"),
        ("X-Forwarded-For", "6.6.6.6"), ("Authorization", "Basic cm9vdDo="), ("Content-Length", "5"), ("Transfer-Encoding", "chunked"),
        ("grpc-timeout", "1S")]


def lower(fields):
    return [(n.lower(), v) for n, v in fields]


@pytest.fixture
def peers(server, upstream, h2_upstream):
    u = upstream(up.serve(lambda r: up.reply(200, b"")))
    h2 = h2_upstream(lambda s: s.reply(200, b"x", trailers=[("grpc-status", "0"), ("x-secret", "1"), ("server", "peer"), ("x-ok", "1")]))
    return server(CONF, UP=u.port, H2=h2.port), u, h2


def upload(s, path):
    """In two writes: a body that comes with its head is sent on with its length."""
    with Client(s.port) as client:
        client.send(f"POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(chunked(b"ab", trailers=b"".join(f"{n}: {v}\r\n".encode() for n, v in SENT)))
        assert client.read_reply("POST").status == 200


def passed(peers, path):
    s, u, h2 = peers
    seen = h2 if "h2" in path or "grpc" in path else u
    wait_until(lambda: seen.requests and (seen is u or seen.requests[0].ended), 5, "the end of the upload")
    assert seen.requests[0].body == b"ab"
    return lower(seen.requests[0].trailers)


PATHS = [("/", []), ("/h2", []), ("/grpc", []), ("/on/", [("x-sum", "1")]), ("/on/h2", [("x-sum", "1")]),
         ("/on/grpc", [("x-sum", "1")]), ("/on/bare", [])]


@pytest.mark.parametrize("path, want", PATHS)
def test_trailers_of_a_request(peers, path, want):
    upload(peers[0], path)
    assert passed(peers, path) == want


@pytest.mark.parametrize("path, want", PATHS)
def test_trailers_of_a_stream(peers, path, want):
    with H2Client(peers[0].port) as client:
        stream = client.start(path, "POST", end=False)
        client.send(stream, b"ab")
        client.trailers(stream, lower(f for f in SENT if f[0] != "Transfer-Encoding"))
        assert client.wait(stream).status == 200
    assert passed(peers, path) == want


@pytest.mark.parametrize("path, more", [("/reply", []), ("/reply/server", [("X-Secret", "t"), ("Server", "inner")])])
def test_trailers_of_a_reply_are_hidden_as_its_fields_are(server, upstream, path, more):
    trailers = b"X-Accel-Redirect: /in\r\nX-Secret: t\r\nServer: inner\r\nX-Ok: 1\r\n"
    u = upstream(up.serve(lambda r: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"ab", trailers=trailers)))
    s = server(CONF, UP=u.port, H2=1)
    assert get(s.port, path).trailers == more + [("X-Ok", "1")]
    wait_until(lambda: f"sent: {path} 1 {'t' if more else '-'}\n" in s.read("logs/trailers.log"), 5, "what was sent, when the try is gone")


def test_trailers_of_a_call_are_hidden_as_its_fields_are(peers):
    with H2Client(peers[0].port) as client:
        stream = client.start("/hidden", "POST", [("content-type", "application/grpc"), ("te", "trailers")])
        assert client.wait(stream).trailers == [("grpc-status", "0"), ("x-ok", "1")]


@pytest.mark.parametrize("path", ["/reply/h2", "/grpc"])
@pytest.mark.parametrize("apart", [True, False])
def test_large_trailers_pass_however_they_arrive(server, h2_upstream, path, apart):
    """Above the limit of heads. They may come with the head, before anybody has looked at that."""
    arrived = threading.Event()

    def answer(stream):
        def act(c):
            c.send_headers(stream.number, [(":status", "200"), ("content-type", "application/grpc")])
            c.send_data(stream.number, b"x")
            if apart:
                stream.connection.flush()
                arrived.wait(30)
            c.send_headers(stream.number, [("grpc-status", "0"), ("x-large", "v" * 15_000), ("x-last", "1")], end_stream=True)
        stream.connection.act(act)
    s = server(CONF, UP=1, H2=h2_upstream(answer).port)
    with H2Client(s.port) as client:
        number = client.start(path)
        if apart:
            client.pump_until(lambda: client.replies[number].body)
            arrived.set()
        reply = client.wait(number)
        assert (reply.status, reply.body) == (200, b"x")
        assert reply.trailers == [("grpc-status", "0"), ("x-large", "v" * 15_000), ("x-last", "1")]


def test_trailers_beyond_their_limit_are_dropped(server, h2_upstream):
    large = [(f"x-{i}", "v" * 15_000) for i in range(6)]
    s = server(CONF, UP=1, H2=h2_upstream(lambda s: s.reply(200, b"x", trailers=[("x-ok", "1"), *large])).port)
    with H2Client(s.port) as client:
        reply = client.get("/reply/h2")
        assert (reply.status, reply.body, reply.trailers) == (200, b"x", [("x-ok", "1"), *large[:4]])


def test_trailers_of_ours_may_say_what_those_of_the_reply_are(server, upstream, h2_upstream):
    u = upstream(up.serve(lambda r: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"ab", trailers=b"X-Ok: 1\r\n")))
    h2 = h2_upstream(lambda s: s.reply(200, b"x", trailers=[("grpc-status", "5"), ("grpc-message", "none"), ("x-ok", "1")]))
    s = server(CONF, UP=u.port, H2=h2.port)
    assert get(s.port, "/told").trailers == [("X-Seen", "1")]
    with H2Client(s.port) as client:
        stream = client.start("/told/grpc", "POST", [("content-type", "application/grpc"), ("te", "trailers")])
        assert client.wait(stream).trailers == [("grpc-status", "5"), ("grpc-message", "none"), ("x-seen", "1 5 none")]
