# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What answers a call of a grpc_pass location in place of its peer (checks, faults, `return`, scripts) is a gRPC error; what speaks gRPC by
itself, and what answers other clients, stays what it is."""

import pytest

from lib import check
from lib import upstreams as up
from lib.client import get, request
from lib.h2client import H2Client

CONF = """
events {}
http {
    upstream app { server 127.0.0.1:%%UP%%; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        location /by_grpc. { ext_authz grpc://127.0.0.1:%%CHECK%%; ext_authz_timeout 20s; grpc_pass app; }
        location /by_http. { ext_authz http://127.0.0.1:%%AUTH%%; ext_authz_timeout 20s; grpc_pass app; }
        location /by_request. { auth_request /auth; auth_request_pass_denial 1k; grpc_pass app; grpc_web on; }
        location = /auth { internal; proxy_pass http://127.0.0.1:%%AUTH%%; proxy_pass_request_body off; }
        location /fault. { fault { abort 503; } grpc_pass app; }
        location /fault_grpc. { fault { grpc_abort 9; } grpc_pass app; grpc_web on; }
        location /return. { return 403 "not you: 100%\\n"; grpc_pass app; grpc_web on; }
        location /empty. { return 204; grpc_pass app; }
        location /long. { return 404 "0123456789%%LONG%%"; grpc_pass app; }
        location /lua. { access_by_lua_block { ngx.status = 429 ngx.say("slower") return ngx.exit(429) } grpc_pass app; }
        location /own_words. { default_type application/grpc; add_header grpc-status 7 always; return 200; grpc_pass app; }
        location /script_words. {
            access_by_lua_block { ngx.header["grpc-status"] = "5" ngx.send_headers() return ngx.exit(200) }
            grpc_pass app;
        }
        location = /asks { auth_request /dead.S/M; grpc_pass app; }
        location /dead. { grpc_pass 127.0.0.1:1; }
        location /page. { error_page 403 /page; deny all; grpc_pass app; }
        location = /page { return 200 "page"; }
    }
}
"""
CALL = [("content-type", "application/grpc"), ("te", "trailers")]
MESSAGE = b"\x00\x00\x00\x00\x05hello"


@pytest.fixture
def port(server, upstream, h2_upstream):
    service = h2_upstream(lambda stream: check.reply(stream, check.denied(401, [("X-Why", "w")], "who are you?")))
    auth = upstream(up.serve(lambda asked: up.reply(403, b"no, not you", [("X-Why", "w"), ("WWW-Authenticate", "Bearer")])))
    app = h2_upstream(lambda stream: stream.reply(200, stream.body, CALL[:1], trailers=[("grpc-status", "0")]))
    return server(CONF, UP=app.port, CHECK=service.port, AUTH=auth.port, LONG="x" * 1100).port


def call(port, path, content_type="application/grpc"):
    with H2Client(port) as client:
        stream = client.start(path, "POST", [("content-type", content_type), ("te", "trailers")], end=False)
        client.send(stream, MESSAGE, end=True)
        return client.wait(stream)


@pytest.mark.parametrize("path, code, message", [
    ("/by_grpc.S/M", "16", "who are you?"), ("/by_http.S/M", "7", "no, not you"), ("/by_request.S/M", "7", "no, not you"),
    ("/fault.S/M", "14", "fault injected"), ("/fault_grpc.S/M", "9", "fault injected"), ("/return.S/M", "7", "not you: 100%25"),
    ("/empty.S/M", "2", "No Content"), ("/long.S/M", "12", "Not Found"), ("/lua.S/M", "14", "Too Many Requests"),
])
def test_answers_of_ours_are_grpc_errors(port, path, code, message):
    reply = call(port, path)
    assert (reply.status, reply.header("grpc-status"), reply.header("grpc-message")) == (200, code, message)
    assert (reply.header("content-type"), reply.body) == ("application/grpc", b"")
    assert reply.header("content-length") is None or path == "/fault_grpc.S/M", "a length would belong to a body"
    if path.startswith("/by_"):
        assert reply.header("x-why") == "w"


@pytest.mark.parametrize("path, code", [("/by_request.S/M", "7"), ("/return.S/M", "7"), ("/fault_grpc.S/M", "9")])
@pytest.mark.parametrize("kind", ["application/grpc-web", "application/grpc-web-text"])
def test_for_web_clients_too(port, path, code, kind):
    reply = call(port, path, kind)
    assert (reply.status, reply.header("grpc-status"), reply.header("content-type"), reply.body) == (200, code, kind, b"")


def test_in_http_1_they_have_an_end(port):
    reply = request(port, "POST", "/return.S/M", MESSAGE, headers=["Content-Type: application/grpc"])
    assert (reply.status, reply.header("grpc-status"), reply.header("content-length")) == (200, "7", "0")


def test_what_speaks_grpc_by_itself_stays(port):
    reply = call(port, "/own_words.S/M")
    assert (reply.status, reply.header("grpc-status"), reply.header("grpc-message")) == (200, "7", None)
    reply = call(port, "/script_words.S/M")
    assert (reply.status, reply.header("grpc-status"), reply.header("grpc-message")) == (200, "5", None)


@pytest.mark.parametrize("path, status, text", [("/return.S/M", 403, "not you: 100%\n"), ("/by_http.S/M", 403, "no, not you"),
                                                ("/fault.S/M", 503, "fault injected\n")])
def test_other_clients_get_what_was_said(port, path, status, text):
    reply = get(port, path)
    assert (reply.status, reply.text, reply.header("grpc-status")) == (status, text, None)


def test_a_page_of_another_location_is_what_that_says(port):
    reply = call(port, "/page.S/M")
    assert (reply.status, reply.body, reply.header("grpc-status")) == (403, b"page", None)


def test_a_subrequest_keeps_its_status(port):
    """The error of the peer in the form of a gRPC answer, which is a 200, would have let the request in."""
    reply = call(port, "/asks")
    assert (reply.status, reply.header("grpc-status"), reply.body) == (200, "2", b"")
