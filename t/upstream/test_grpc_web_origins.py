# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""grpc_web_allow_origin: preflights of browsers are answered here, and responses say which origin may see them."""

import pytest

from lib.client import request

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        grpc_web on;
        grpc_web_allow_origin https://app.example.org https://b.example.org:8443;
        location / { grpc_pass 127.0.0.1:%%UP%%; }
        location /guarded. { deny all; rbac { default deny; } grpc_pass 127.0.0.1:%%UP%%; }
        location /any. { grpc_web_allow_origin *; grpc_pass 127.0.0.1:%%UP%%; }
        location /off. { grpc_web_allow_origin off; grpc_pass 127.0.0.1:%%UP%%; }
        location /plain. { return 200 "x"; }
    }
}
"""
APP, OTHER = "https://app.example.org", "https://evil.example.org"
ASKS = ["Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type,x-grpc-web,x-user-agent"]
MESSAGE = b"\x00\x00\x00\x00\x05hello"


@pytest.fixture
def up(h2_upstream):
    fields = [("content-type", "application/grpc"), ("access-control-allow-origin", "*"), ("vary", "X")]
    return h2_upstream(lambda stream: stream.reply(200, stream.body, fields, trailers=[("grpc-status", "0")]))


@pytest.fixture
def port(server, up):
    return server(CONF, UP=up.port).port


def preflight(port, path, origin, asks=ASKS):
    return request(port, "OPTIONS", path, headers=[f"Origin: {origin}", *asks])


def call(port, path, origin=None):
    fields = ["Content-Type: application/grpc-web+proto"] + ([f"Origin: {origin}"] if origin else [])
    return request(port, "POST", path, MESSAGE, headers=fields)


@pytest.mark.parametrize("path, allowed", [("/app.S/M", APP), ("/guarded.S/M", APP), ("/any.S/M", "*")])
def test_a_preflight_is_answered_here(port, up, path, allowed):
    reply = preflight(port, path, APP)
    assert (reply.status, reply.body, reply.header("Access-Control-Allow-Origin")) == (204, b"", allowed)
    assert reply.header("Access-Control-Allow-Methods") == "POST"
    assert reply.header("Access-Control-Allow-Headers") == "content-type,x-grpc-web,x-user-agent"
    assert reply.header("Access-Control-Max-Age") == "7200"
    assert reply.all("Vary") == ([] if allowed == "*" else ["Origin"])
    assert not up.requests


@pytest.mark.parametrize("origin", [OTHER, "https://app.example.org.evil.org", "https://app.example.org/", "http://app.example.org",
                                    "https://b.example.org", "null"])
def test_other_origins_are_refused(port, up, origin):
    reply = preflight(port, "/app.S/M", origin)
    assert (reply.status, reply.header("Access-Control-Allow-Origin"), reply.all("Vary")) == (403, None, ["Origin"])
    assert not up.requests


def test_a_reply_says_who_may_see_it(port):
    reply = call(port, "/app.S/M", APP)
    assert reply.body.startswith(MESSAGE)
    assert (reply.all("Access-Control-Allow-Origin"), reply.all("Access-Control-Expose-Headers")) == ([APP], ["grpc-status, grpc-message"])
    assert reply.all("Vary") == ["X", "Origin"]
    reply = call(port, "/app.S/M", OTHER)
    assert (reply.header("Access-Control-Allow-Origin"), reply.header("Access-Control-Expose-Headers")) == (None, None)
    assert call(port, "/app.S/M").all("Vary") == ["X", "Origin"], "a cache may have it from here"
    assert call(port, "/any.S/M", OTHER).all("Access-Control-Allow-Origin") == ["*"]


def test_so_does_an_error_of_ours(port):
    reply = call(port, "/guarded.S/M", APP)
    assert (reply.header("grpc-status"), reply.header("Access-Control-Allow-Origin")) == ("7", APP)
    assert reply.header("Access-Control-Expose-Headers") == "grpc-status, grpc-message"


def test_where_it_is_off_the_peer_answers(port, up):
    assert preflight(port, "/off.S/M", APP).header("Access-Control-Allow-Origin") == "*"
    assert call(port, "/off.S/M", APP).all("Vary") == ["X"]
    assert preflight(port, "/plain.S/M", APP).text == "x"
    assert preflight(port, "/app.S/M", APP, asks=[]).header("Access-Control-Allow-Origin") == APP, "no preflight: passed on"
    assert [stream.header(":method") for stream in up.requests] == ["OPTIONS", "POST", "OPTIONS"]


@pytest.mark.parametrize("origins", ["https://a.example.org/", "a.example.org", "https://*.example.org", "https://A.example.org",
                                     "* https://a.example.org", "://a", ""])
def test_what_is_no_origin_is_refused(idle_server, origins):
    words = origins or '""'
    run = idle_server(CONF.replace("grpc_web_allow_origin *", f"grpc_web_allow_origin {words}"), UP=1).run("-t")
    assert run.returncode == 1 and 'invalid parameter "' in run.stderr
