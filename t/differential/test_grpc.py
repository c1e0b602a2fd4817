# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The same gRPC calls through Debian's nginx and through fairlead: what the peer received and what the client got must agree. Not compared,
because meant: `server`, `date`; the shape of errors (a page there, a trailers-only reply here); `content-length`, which we add to a reply
whose end is known before its head is sent."""

import os

import pytest

from lib.h2client import H2Client
from lib.nginx import BINARY

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

CONF = """
events {}
http {
    upstream app { server 127.0.0.1:%%UP%%; keepalive 8; }
    underscores_in_headers on;
    server {
        listen 127.0.0.1:%%PORT_0%% http2;
        location / { grpc_pass grpc://app; }
        location /bare. { grpc_pass 127.0.0.1:%%UP%%; }
        location /set. { grpc_set_header X-Set "$host"; grpc_set_header X-Gone ""; grpc_set_header TE ""; grpc_pass app; }
        location /hide. { grpc_hide_header x-a; grpc_pass_header date; grpc_pass app; }
        location ~ ^/re\\. { grpc_pass app; }
        location /rewritten. { rewrite ^/rewritten\\.(.*)$ /to.$1?more=1 break; grpc_pass app; }
        location /intercept. { grpc_intercept_errors on; error_page 404 = /page; grpc_pass app; }
        location /page { return 200 "a page"; }
        location /var. { set $to app; grpc_pass grpc://$to; }
    }
}
"""
CALL = [("content-type", "application/grpc"), ("te", "trailers")]
MESSAGE = b"\x00\x00\x00\x00\x05hello"
OURS = {"server", "date", "content-length"}


def answer(stream):
    kind = stream.header("x-kind")
    head = [("content-type", "application/grpc"), ("x-a", "1"), ("x-b", "2"), ("server", "peer"), ("date", "Thu, 26 Nov 2026 00:00:00 GMT")]
    if kind == "only":
        return stream.head(200, head + [("grpc-status", "5"), ("grpc-message", "none")], end=True)
    if kind == "404":
        return stream.reply(404, b"not here", [("content-type", "text/plain")])
    if kind == "length":
        return stream.reply(200, stream.body, head + [("content-length", str(len(stream.body)))], trailers=[("grpc-status", "0")])
    stream.reply(200, stream.body, head, trailers=[("grpc-status", "0"), ("grpc-message", "fine"), ("x-last", "t")])


def seen_by(stream):
    return (stream.path, stream.header(":method"), stream.header(":scheme"), stream.header(":authority"), stream.body,
            sorted((n, v) for n, v in stream.headers if n[0] != ":"), sorted(stream.trailers))


def got(reply, all_fields=False):
    fields = sorted((n, v) for n, v in reply.headers if n not in OURS or (all_fields and n == "date"))
    return fields, reply.body, sorted(reply.trailers), reply.reset


CASES = [("/app.S/M", []), ("/app.S/M?q=1", []), ("/bare.S/M", []), ("/set.S/M", [("x-gone", "g"), ("x-kept", "k")]), ("/hide.S/M", []),
         ("/re.S/M", []), ("/rewritten.S/M", []), ("/var.S/M", []), ("/app.S/M", [("x-kind", "only")]), ("/app.S/M", [("x-kind", "404")]),
         ("/intercept.S/M", [("x-kind", "404")]), ("/app.S/M", [("x-kind", "length")]),
         ("/app.S/M", [("content-length", str(len(MESSAGE)))]), ("/app.S/M", [("x-twice", "a"), ("x-twice", "b"), ("x_under", "u")]),
         ("/app.S/M", [("grpc-encoding", "identity"), ("authorization", "Bearer x"), ("user-agent", "grpc-test/1")])]


@pytest.mark.parametrize("path, headers", CASES)
def test_calls_agree(server, nginx, h2_upstream, path, headers):
    u = h2_upstream(answer)
    both = []
    for product in (server, nginx):
        s = product(CONF, UP=u.port)
        with H2Client(s.port) as client:
            stream = client.start(path, "POST", CALL + headers, end=False)
            client.send(stream, MESSAGE, end=True)
            reply = client.wait(stream)
        both.append((got(reply, "hide" in path), seen_by(u.requests[-1])))
    ours, theirs = both
    assert ours[0] == theirs[0]
    assert ours[1] == theirs[1]
