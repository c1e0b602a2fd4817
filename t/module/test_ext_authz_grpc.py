# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ext_authz by gRPC: Envoy's Check as the service reads it, what its answer means, services that fail, lie or are silent. One of the
services is grpcio's."""

import concurrent.futures
import threading

import pytest

from lib import check
from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client, get, request
from lib.ports import wait_until

CONF = """
events {}
http {
    underscores_in_headers on;
    upstream policy { server 127.0.0.1:%%AUTH%%; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        ext_authz grpc://policy;
        ext_authz_timeout 20s;
        location / { ext_authz_context tenant $host; ext_authz_context fixed x; proxy_pass http://127.0.0.1:%%UP%%; }
        location /few { ext_authz_pass_headers X-One; ext_authz_set_header X-Meta "$request_method"; proxy_pass http://127.0.0.1:%%UP%%; }
        location /timed { ext_authz_timeout 300ms; proxy_pass http://127.0.0.1:%%UP%%; }
        location /open { ext_authz_fail open; proxy_pass http://127.0.0.1:%%UP%%; }
        location /body { ext_authz_body 16 partial; proxy_pass http://127.0.0.1:%%UP%%; }
        location /short { ext_authz_response_max_size 20; proxy_pass http://127.0.0.1:%%UP%%; }
        location /off { ext_authz off; proxy_pass http://127.0.0.1:%%UP%%; }
        location /any { satisfy any; deny all; proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""


class World:
    """`answer(stream)` is what the service does with a call."""

    def __init__(self, server, upstream, h2_upstream):
        self.answer = lambda stream: check.reply(stream, check.ok())
        self.service = h2_upstream(lambda stream: self.answer(stream))
        self.seen = []
        self.up = upstream(up.serve(self.serve))
        self.server = server(CONF, AUTH=self.service.port, UP=self.up.port)
        self.port = self.server.port

    def serve(self, request):
        self.seen.append(request)
        return up.reply(200, b"from the upstream")

    def says(self, message):
        self.answer = lambda stream: check.reply(stream, message)


@pytest.fixture
def w(server, upstream, h2_upstream):
    return World(server, upstream, h2_upstream)


def test_what_the_service_is_told(w):
    fields = [("Authorization", "Bearer x"), ("X-Two", "1"), ("X-Two", "2"), ("X-Request-Id", "id-1"),
              ("X-Bytes", b"\xff\xc3\xa9".decode("latin1"))]
    assert request(w.port, "PUT", "/a%20b?q=1", headers=fields, host="shop.example:80", body=b"hello").status == 200
    stream = w.service.requests[0]
    attributes = check.asked(stream)
    http = attributes.request.http
    assert (http.method, http.path, http.host, http.scheme, http.protocol) == ("PUT", "/a%20b?q=1", "shop.example", "http", "HTTP/1.1")
    assert (http.id, http.size, http.body, http.raw_body) == ("id-1", 5, "", b"")
    told = dict(http.headers)
    assert told["authorization"] == "Bearer x" and told["x-two"] == "1,2"
    assert told["x-bytes"] == "!\u00e9", "what is no UTF-8 must not make the message unreadable"
    assert (told[":method"], told[":path"], told[":authority"], told[":scheme"]) == ("PUT", "/a%20b?q=1", "shop.example", "http")
    assert "host" not in told and "x-envoy-auth-partial-body" not in told
    assert attributes.source.address.socket_address.address == "127.0.0.1" and attributes.source.address.socket_address.port_value > 0
    assert attributes.destination.address.socket_address.port_value == w.port
    assert attributes.source.principal == ""
    assert dict(attributes.context_extensions) == {"tenant": "shop.example", "fixed": "x"}
    assert attributes.request.time.seconds > 1_600_000_000
    assert (stream.header("te"), stream.header("grpc-timeout"), stream.header(":authority")) == ("trailers", "20000m", "policy")
    w.server.wait_for_log('authorization: allowed by ext_authz "service"')


def test_fewer_fields_and_metadata(w):
    assert get(w.port, "/few", headers={"X-One": "1", "X-Two": "2", "Authorization": "x"}).status == 200
    told = {k for k in check.asked(w.service.requests[0]).request.http.headers if not k.startswith(":")}
    assert told == {"x-one"}
    assert w.service.requests[0].header("x-meta") == "GET"


@pytest.mark.parametrize("body, told, raw, partial", [
    (b"0123456789", "0123456789", b"", "false"), (b"0123456789abcdefgh", "0123456789abcdef", b"", "true"),
    (b"\xff\x00", "", b"\xff\x00", "false")])
def test_the_body(w, body, told, raw, partial):
    assert request(w.port, "POST", "/body", body=body, headers={"X-Envoy-Auth-Partial-Body": "forged"}).status == 200
    http = check.asked(w.service.requests[0]).request.http
    assert (http.body, http.raw_body, http.headers["x-envoy-auth-partial-body"]) == (told, raw, partial)
    assert w.seen[0].body == body


def test_consent_changes_fields(w):
    w.says(check.ok(headers=[("X-User", "alice"), ("X-Role", "a"), ("X-Role", "b"), ("X-More", "m", True), ("X-Absent", "1", None, 1),
                             ("X-There", "no", None, 1), ("X-Only", "set", None, 3), ("X-Never", "no", None, 3),
                             ("Host", "evil"), ("Content-Length", "5"), (":path", "/evil")],
                    remove=["Cookie", "X-Gone", "Host", ":method"],
                    to_client=[("X-Seen", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]))
    reply = get(w.port, "/", headers={"X-User": "mallory", "X-Role": "admin", "X-More": "mine", "X-There": "yes", "X-Only": "x",
                                      "Cookie": "c", "X_User": "eve", "X_Gone": "g"})
    assert reply.status == 200
    seen = w.seen[0]
    assert (seen.header("X_User"), seen.header("X_Gone")) == (None, None), "as CGI reads them they are the same fields"
    assert (seen.all("X-User"), seen.all("X-Role"), seen.all("X-More")) == (["alice"], ["a", "b"], ["mine", "m"])
    assert (seen.header("X-Absent"), seen.header("X-There"), seen.header("X-Only"), seen.header("X-Never")) == ("1", "yes", "set", None)
    assert seen.header("Cookie") is None
    assert (seen.target, seen.header("Host")) == ("/", f"127.0.0.1:{w.up.port}")
    assert reply.header("X-Seen") == "1" and reply.all("Set-Cookie") == ["a=1", "b=2"]
    w.server.wait_for_log('the policy service may not set the field "Host"')


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\0", "a\n"])
@pytest.mark.parametrize("where", ["headers", "to_client"])
def test_consent_with_an_unusable_value_is_none(w, value, where):
    w.says(check.ok(**{where: [("X-User", value)]}))
    assert get(w.port, "/", headers={"X-User": "mallory"}).status == 403
    assert not w.seen, "the client's own field would have stood in the service's name"
    w.server.wait_for_log('authorization: failed by ext_authz "error"')
    w.server.wait_for_log('the value of its field "X-User" has control characters')


def test_a_denial_with_an_unusable_value_stays_one(w):
    w.says(check.denied(404, [("X-Why", "a\r\nX-Evil: 1"), ("X-More", "b")], "none"))
    reply = get(w.port, "/")
    assert (reply.status, reply.text, reply.header("X-More")) == (404, "none", "b")
    assert (reply.header("X-Why"), reply.header("X-Evil")) == (None, None)


@pytest.mark.parametrize("message, status, text", [
    (lambda: check.denied(), 403, "403 Forbidden"), (lambda: check.denied(401), 401, "401"),
    (lambda: check.denied(404, body="none"), 404, "none"), (lambda: check.denied(302, [("Location", "/login")]), 302, ""),
    (lambda: check.denied(200, body="odd"), 403, "odd"), (lambda: check.denied(999), 403, "403 Forbidden"),
    (lambda: check.messages().CheckResponse(status=check.messages().Status(code=16)), 403, "403"),
])
def test_denials(w, message, status, text):
    w.says(message())
    reply = get(w.port, "/")
    assert reply.status == status and text in reply.text
    assert not w.seen
    if status == 302:
        assert reply.header("Location") == "/login"
    w.server.wait_for_log('authorization: denied by ext_authz "service"')


def test_a_denial_where_any_suffices(w):
    w.says(check.denied(401, [("WWW-Authenticate", "Bearer"), ("X-Why", "x")], "body"))
    reply = get(w.port, "/any")
    assert (reply.status, reply.header("WWW-Authenticate"), reply.header("X-Why")) == (401, "Bearer", None)
    w.says(check.ok())
    assert get(w.port, "/any").status == 200


def grpc_error(stream):
    stream.head(200, [("content-type", "application/grpc"), ("grpc-status", "14"), ("grpc-message", "busy")], end=True)


@pytest.mark.parametrize("answer, reason", [
    (grpc_error, 'grpc-status 14, "busy"'),
    (lambda stream: check.reply(stream, check.ok(), status="2"), "grpc-status 2"),
    (lambda stream: stream.reply(503, "no"), "the service gave status 503"),
    (lambda stream: stream.reply(200, check.framed(check.ok())), "no grpc-status"),
    (lambda stream: stream.reply(200, b"\0\0\0", trailers=[("grpc-status", "0")]), "no whole message"),
    (lambda stream: stream.reply(200, b"\1" + check.framed(check.ok())[1:], trailers=[("grpc-status", "0")]), "a compressed message"),
    (lambda stream: stream.reply(200, check.framed(check.ok()) * 2, trailers=[("grpc-status", "0")]), "other than one message"),
    (lambda stream: check.reply(stream, b"\xff\xff\xff"), "a broken message"),
    (lambda stream: check.reply(stream, b""), "the service gave no answer"),
    (lambda stream: check.reply(stream, check.denied(code=0)), "status 0 with a denial"),
    (lambda stream: stream.reset(), "the service gave status 502"),
    (lambda stream: check.reply(stream, check.denied(body="x" * 100_000)), "too long or broke off"),
])
def test_a_service_that_fails(w, answer, reason):
    w.answer = answer
    assert get(w.port, "/").status == 403
    assert get(w.port, "/open").status == 200
    assert get(w.port, "/off").status == 200
    w.server.wait_for_log(r'no decision of the policy service "policy": .*' + reason)
    w.server.wait_for_log('authorization: failed by ext_authz "error"')
    w.server.wait_for_log('authorization: failed_open by ext_authz "error"')
    w.says(check.ok())
    assert get(w.port, "/").status == 200, "the worker goes on"


def test_a_message_longer_than_may_be(w):
    w.says(check.denied(body="x" * 20))
    assert get(w.port, "/short").status == 403
    w.server.wait_for_log("too long or broke off")


def test_a_silent_service_is_a_denial_at_the_timeout(w):
    w.answer = lambda stream: None
    assert get(w.port, "/timed").status == 403
    w.server.wait_for_log('authorization: failed by ext_authz "timeout"')
    wait_until(lambda: w.service.wait_requests(1)[0].reset_code is not None, 5, "the stream's end")
    w.says(check.ok())
    assert get(w.port, "/").status == 200
    assert len(w.service.connections) == 1, "the connection is the others' as well"


def test_calls_share_a_connection(w):
    held = []
    w.answer = held.append
    replies = []
    threads = [threading.Thread(target=lambda i=i: replies.append(get(w.port, f"/{i}").status)) for i in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(held) == 8, 10, "eight calls at once")
    for stream in held:
        check.reply(stream, check.ok())
    for thread in threads:
        thread.join(20)
    assert replies == [200] * 8 and len(w.service.connections) == 1


TLS_CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        http2 on;
        ssl_certificate %%CERT%%;
        ssl_certificate_key %%KEY%%;
        ssl_client_certificate %%CA%%;
        ssl_verify_client optional;
        ext_authz grpc://127.0.0.1:%%AUTH%%;
        ext_authz_timeout 20s;
        location / { try_files /none =204; }
    }
}
"""


def test_the_names_of_certificates_are_told(server, h2_upstream, tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.leaf("localhost", "spiffe://td/server")
    client = authority.leaf("spiffe://td/client", client=True)
    service = h2_upstream(lambda stream: check.reply(stream, check.ok()))
    s = server(TLS_CONF, AUTH=service.port, CERT=certificate, KEY=key, CA=authority.path)
    with Client(s.port, tls=authority.client_context(client), server_name="localhost") as asking:
        assert asking.get("/").status == 204
    attributes = check.asked(service.requests[0])
    assert attributes.source.principal == "spiffe://td/client"
    assert attributes.source.certificate.startswith("-----BEGIN CERTIFICATE-----")
    assert attributes.destination.principal == "spiffe://td/server"
    assert attributes.request.http.scheme == "https"
    s.wait_for_log('authorization: allowed by ext_authz "service", identity "spiffe://td/client"')


def test_a_service_of_grpcio(server, upstream):
    import grpc
    m = check.messages()
    asked = []

    def answer(message, context):
        asked.append(message.attributes.request.http.path)
        return check.ok(headers=[("X-User", "bob")]) if "good" in asked[-1] else check.denied(403, body="no")

    service = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    service.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", {
        "Check": grpc.unary_unary_rpc_method_handler(answer, m.CheckRequest.FromString, m.CheckResponse.SerializeToString)})])
    port = service.add_insecure_port("127.0.0.1:0")
    service.start()
    try:
        u = upstream(up.serve(lambda request: up.reply(200, (request.header("X-User") or "").encode())))
        s = server(CONF, AUTH=port, UP=u.port)
        assert get(s.port, "/good").text == "bob"
        assert (get(s.port, "/bad").status, get(s.port, "/bad").text) == (403, "no")
        assert asked == ["/good", "/bad", "/bad"]
    finally:
        service.stop(None)
