# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""grpc_pass: calls over HTTP/2 on both sides, trailers, deadlines, tries by grpc-status, errors that a gRPC client understands."""

import base64
import re

import pytest

from lib.client import Client, get, request, request_bytes
from lib.h2client import H2Client
from lib.ports import wait_until

CONF = """
events {}
http {
    log_format calls '$status $grpc_status "$grpc_message" "$upstream_status" "$fail_reason"';
    access_log access.log calls;
    upstream app { server 127.0.0.1:%%UP%%; }
    upstream two { server 127.0.0.1:%%UP%%; server 127.0.0.1:%%OTHER%%; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        location / { grpc_pass grpc://app; %%MORE%% }
        location /two. {
            grpc_pass two;
            grpc_next_upstream error timeout grpc_unavailable grpc_resource_exhausted grpc_internal grpc_cancelled grpc_deadline;
        }
        location /plain. {
            grpc_pass 127.0.0.1:%%UP%%;
            grpc_set_header X-Set "1";
            grpc_set_header X-Gone "";
            grpc_hide_header x-hidden;
            grpc_pass_header server;
        }
        location /variable. { set $to 127.0.0.1:%%UP%%; grpc_pass grpc://$to; }
        location /quick. { grpc_pass app; grpc_read_timeout 300ms; }
        location /denied. { return 403; grpc_pass app; }
        location /web. { grpc_pass app; grpc_web on; }
        location /web.file. { client_body_buffer_size 1k; mirror /copy; grpc_pass app; grpc_web on; }
        location = /copy { return 204; }
    }
}
"""
CALL = [("content-type", "application/grpc"), ("te", "trailers")]
MESSAGE = b"\x00\x00\x00\x00\x05hello"


def start(server, up, other=1, more=""):
    return server(CONF, UP=up.port, OTHER=other, MORE=more)


def call(port, path="/app.Service/Method", body=MESSAGE, headers=(), authority="localhost"):
    client = H2Client(port)
    stream = client.start(path, "POST", CALL + list(headers), authority, end=False)
    client.send(stream, body, end=True)
    reply = client.wait(stream)
    client.close()
    return reply


def ok(stream):
    stream.reply(200, stream.body, [("content-type", "application/grpc"), ("server", "peer"), ("x-hidden", "h")],
                 trailers=[("grpc-status", "0"), ("grpc-message", "fine")])


def trailers_only(status, message="no"):
    fields = [("content-type", "application/grpc"), ("grpc-status", str(status)), ("grpc-message", message)]
    return lambda stream: stream.head(200, fields, end=True)


def test_a_call_and_its_trailers(server, h2_upstream):
    u = h2_upstream(ok)
    s = start(server, u)
    reply = call(s.port, "/plain.Service/Method", headers=[("x-meta", "m"), ("x-gone", "g")], authority="name.test")
    assert (reply.status, reply.body, reply.header("content-type")) == (200, MESSAGE, "application/grpc")
    assert dict(reply.trailers) == {"grpc-status": "0", "grpc-message": "fine"}
    assert (reply.header("x-hidden"), reply.header("server")) == (None, "peer")
    seen = u.requests[0]
    assert (seen.path, seen.header(":method"), seen.header(":scheme")) == ("/plain.Service/Method", "POST", "http")
    assert seen.header(":authority") == f"127.0.0.1:{u.port}"
    assert (seen.header("te"), seen.header("x-meta"), seen.header("x-set"), seen.header("x-gone")) == ("trailers", "m", "1", None)
    wait_until(lambda: '200 0 "fine" "200" "-"' in s.read("access.log"), 5, "the log")


@pytest.mark.parametrize("path", ["/app.S/M", "/two.S/M", "/variable.S/M"])
def test_targets(server, h2_upstream, path):
    u = h2_upstream(ok)
    s = start(server, u, other=u.port)
    assert call(s.port, path).body == MESSAGE


def test_a_call_from_http_1(server, h2_upstream):
    u = h2_upstream(ok)
    s = start(server, u)
    reply = request(s.port, "POST", "/app.S/M", MESSAGE, headers=["Content-Type: application/grpc", "TE: trailers"])
    assert (reply.status, reply.body) == (200, MESSAGE)
    assert ("grpc-status", "0") in [(n.lower(), v) for n, v in reply.trailers]


def test_messages_stream_both_ways(server, h2_upstream):
    def echo(stream):
        stream.data(stream.body[getattr(stream, "echoed", 0):])
        stream.echoed = len(stream.body)
    u = h2_upstream(on_head=lambda s: s.head(200, [("content-type", "application/grpc")]), on_data=echo)
    s = start(server, u)
    client = H2Client(s.port)
    stream = client.start("/app.S/M", "POST", CALL, end=False)
    for count in range(1, 6):
        client.send(stream, MESSAGE)
        while len(client.replies[stream].body) < count * len(MESSAGE):
            assert client.pump()
    client.send(stream, b"", end=True)
    wait_until(lambda: u.requests[0].ended, 5, "the end of the upload")
    u.requests[0].trailer_fields([("grpc-status", "0")])
    assert dict(client.wait(stream).trailers) == {"grpc-status": "0"}
    client.close()


def test_calls_share_a_connection(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: None)
    s = start(server, u)
    client = H2Client(s.port)
    streams = [client.start("/app.S/M", "POST", CALL) for _ in range(10)]
    u.wait_requests(10)
    for stream in reversed(u.requests):
        ok(stream)
    assert [dict(client.wait(n).trailers)["grpc-status"] for n in streams] == ["0"] * 10
    assert len(u.connections) == 1
    client.close()


def test_a_client_that_cancels_cancels_its_call(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: None)
    s = start(server, u)
    client = H2Client(s.port)
    first, second = (client.start("/app.S/M", "POST", CALL) for _ in range(2))
    u.wait_requests(2)
    client.reset(first)
    wait_until(lambda: u.requests[0].reset_code == 8, 5, "RST_STREAM with CANCEL")
    ok(u.requests[1])
    assert client.wait(second).status == 200
    client.close()


def test_a_trailers_only_reply(server, h2_upstream):
    u = h2_upstream(trailers_only(5, "not%20found"))
    s = start(server, u)
    reply = call(s.port)
    assert (reply.status, reply.header("grpc-status"), reply.header("grpc-message"), reply.body) == (200, "5", "not%20found", b"")
    wait_until(lambda: '200 5 "not%20found"' in s.read("access.log"), 5, "the log")


@pytest.mark.parametrize("status", [1, 4, 8, 13, 14])
def test_listed_grpc_statuses_go_to_the_next_peer(server, h2_upstream, status):
    bad, good = h2_upstream(trailers_only(status)), h2_upstream(ok)
    s = start(server, bad, other=good.port)
    for _ in range(2):
        reply = call(s.port, "/two.S/M")
        assert (reply.body, dict(reply.trailers)["grpc-status"]) == (MESSAGE, "0")
    assert (len(bad.requests), len(good.requests)) == (1, 2)  # and it counts as a failure of the peer
    assert good.requests[0].body == MESSAGE


def test_other_grpc_statuses_are_the_answer(server, h2_upstream):
    bad, good = h2_upstream(trailers_only(7)), h2_upstream(ok)
    s = start(server, bad, other=good.port)
    assert call(s.port, "/two.S/M").header("grpc-status") == "7"
    assert not good.requests


def test_a_listed_status_behind_an_empty_body_goes_to_the_next_peer(server, h2_upstream):
    def late(stream):
        stream.head(200, [("content-type", "application/grpc"), ("x-first", "1")])
        stream.trailer_fields([("grpc-status", "14")])
    first, second = h2_upstream(late), h2_upstream(ok)
    s = start(server, first, second.port)
    for _ in range(2):
        reply = call(s.port, "/two.S/M")
        assert (reply.body, reply.header("x-first"), dict(reply.trailers)["grpc-status"]) == (MESSAGE, None, "0")
    assert len(first.requests) == 1 and len(second.requests) == 2


def test_a_listed_status_behind_a_message_is_the_answer(server, h2_upstream):
    def late(stream):
        stream.reply(200, MESSAGE, [("content-type", "application/grpc")], trailers=[("grpc-status", "14")])
    first, second = h2_upstream(late), h2_upstream(ok)
    s = start(server, first, second.port)
    statuses = sorted(dict(call(s.port, "/two.S/M").trailers)["grpc-status"] for _ in range(2))
    assert statuses == ["0", "14"]


def test_a_head_is_not_held_back_while_the_client_still_sends(server, h2_upstream):
    """The peer greets first and waits for more: waiting for its trailers would be waiting for ever."""
    u = h2_upstream(on_head=lambda stream: stream.head(200, [("content-type", "application/grpc")]))
    s = start(server, u, u.port)
    with H2Client(s.port) as client:
        stream = client.start("/two.S/M", "POST", CALL, end=False)
        client.send(stream, MESSAGE)
        client.pump_until(lambda: client.replies[stream].headers)
        client.reset(stream)


def test_a_body_beyond_the_replay_buffer_is_not_sent_again(server, h2_upstream):
    bad, good = h2_upstream(trailers_only(14)), h2_upstream(ok)
    s = start(server, bad, other=good.port)
    assert call(s.port, "/two.S/M", body=b"\x00\x00\x01\x86\xa0" + b"x" * 100_000).header("grpc-status") == "14"
    assert not good.requests
    wait_until(lambda: '"body"' in s.read("access.log"), 5, "the reason")


def test_the_deadline_goes_on_as_what_is_left(server, h2_upstream):
    u = h2_upstream(ok)
    s = start(server, u)
    assert call(s.port, headers=[("grpc-timeout", "20S")]).status == 200
    left = re.fullmatch(r"(\d+)m", u.requests[0].header("grpc-timeout"))
    assert 10_000 < int(left[1]) <= 20_000


def test_the_deadline_ends_the_call(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: None)
    s = start(server, u)
    reply = call(s.port, headers=[("grpc-timeout", "1S")])
    assert (reply.status, reply.header("grpc-status"), reply.header("grpc-message")) == (200, "4", "deadline exceeded")
    wait_until(lambda: u.wait_requests(1)[0].reset_code == 8, 5, "RST_STREAM with CANCEL")


@pytest.mark.parametrize("text", ["", "m", "123456789m", "5x", "-1S"])
def test_a_malformed_deadline_is_passed_on(server, h2_upstream, text):
    u = h2_upstream(ok)
    s = start(server, u)
    assert call(s.port, headers=[("grpc-timeout", text)]).status == 200
    assert u.requests[0].header("grpc-timeout") == text


@pytest.mark.parametrize("path, code, message", [("/denied.S/M", "7", "Forbidden"), ("/quick.S/M", "14", "Gateway Time-out")])
def test_errors_of_ours_are_grpc_errors(server, h2_upstream, path, code, message):
    u = h2_upstream(on_head=lambda s: None)
    s = start(server, u)
    reply = call(s.port, path)
    assert (reply.status, reply.header("grpc-status"), reply.header("grpc-message")) == (200, code, message)
    assert (reply.header("content-type"), reply.header("content-length"), reply.body) == ("application/grpc", None, b"")


def test_a_dead_peer_is_unavailable(server, h2_upstream):
    u = h2_upstream(ok)
    u.refuse()
    s = start(server, u)
    reply = call(s.port)
    assert (reply.status, reply.header("grpc-status"), reply.header("grpc-message")) == (200, "14", "Bad Gateway")
    wait_until(lambda: '200 14 "Bad%20Gateway"' in s.read("access.log") or '200 14 "Bad Gateway"' in s.read("access.log"), 5, "the log")


def test_other_clients_get_a_page(server, h2_upstream):
    u = h2_upstream(ok)
    u.refuse()
    s = start(server, u)
    reply = get(s.port, "/app.S/M")
    assert (reply.status, reply.header("grpc-status")) == (502, None)


def test_a_reset_is_unavailable(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: s.reset(2))
    s = start(server, u)
    assert call(s.port).header("grpc-status") == "14"


def test_an_http_error_of_the_peer_passes(server, h2_upstream):
    u = h2_upstream(lambda s: s.reply(503, b"busy", [("content-type", "text/plain")]))
    s = start(server, u)
    reply = call(s.port)
    assert (reply.status, reply.body) == (503, b"busy")


def test_a_reply_cut_short_is_a_reset(server, h2_upstream):
    def answer(stream):
        stream.head(200, [("content-type", "application/grpc")])
        stream.data(MESSAGE)
        stream.reset(2)
    u = h2_upstream(on_head=answer)
    s = start(server, u)
    client = H2Client(s.port)
    stream = client.start("/app.S/M", "POST", CALL)
    reply = client.wait(stream)
    assert reply.reset is not None and reply.body == MESSAGE
    client.close()


# -- gRPC-Web

TRAILER_FRAME = b"\x80\x00\x00\x00\x24grpc-status: 0\r\ngrpc-message: fine\r\n"


def web(port, kind, body, path="/web.S/M"):
    return request(port, "POST", path, body, headers=[f"Content-Type: application/grpc-web{kind}", "X-Grpc-Web: 1"])


def test_a_web_call(server, h2_upstream):
    u = h2_upstream(ok)
    s = start(server, u)
    reply = web(s.port, "+proto", MESSAGE)
    assert (reply.status, reply.header("content-type")) == (200, "application/grpc-web")
    assert reply.body == MESSAGE + TRAILER_FRAME
    seen = u.requests[0]
    assert (seen.header("content-type"), seen.header("te"), seen.body) == ("application/grpc+proto", "trailers", MESSAGE)


def test_a_web_call_as_text(server, h2_upstream):
    u = h2_upstream(ok)
    s = start(server, u)
    # two pieces with padding of their own, as browsers send a stream
    reply = web(s.port, "-text", base64.b64encode(MESSAGE[:4]) + base64.b64encode(MESSAGE[4:]))
    assert (reply.status, reply.header("content-type")) == (200, "application/grpc-web-text")
    pieces = re.findall(rb"[^=]+={0,2}", reply.body)
    assert b"".join(base64.b64decode(p) for p in pieces) == MESSAGE + TRAILER_FRAME
    assert u.requests[0].body == MESSAGE


def test_a_web_call_as_text_that_is_in_a_file(server, h2_upstream):
    u = h2_upstream(ok)
    s = start(server, u)
    message = b"\x00\x00\x01\x00\x00" + bytes(range(256)) * 256
    with Client(s.port) as client:  # what comes with the head stays in memory
        text = base64.b64encode(message)
        fields = ["Content-Type: application/grpc-web-text", f"Content-Length: {len(text)}"]
        client.send(request_bytes("POST", "/web.file.S/M", None, fields))
        client.send(text)
        reply = client.read_reply("POST")
    assert (reply.status, reply.header("content-type")) == (200, "application/grpc-web-text")
    assert u.requests[0].body == message
    s.wait_for_log("a client request body is buffered to a temporary file")


@pytest.mark.parametrize("body", [b"AAA*", b"AAAAA", b"A==="])
def test_a_web_call_that_is_no_base64(server, h2_upstream, body):
    u = h2_upstream(ok)
    s = start(server, u)
    reply = web(s.port, "-text", body)
    assert (reply.status, reply.header("grpc-status"), reply.header("content-type")) == (200, "13", "application/grpc-web-text")
    s.wait_for_log("client sent invalid base64")


def test_errors_for_web_clients(server, h2_upstream):
    u = h2_upstream(ok)
    u.refuse()
    s = start(server, u)
    reply = web(s.port, "+proto", MESSAGE)
    assert (reply.status, reply.header("grpc-status"), reply.header("content-type")) == (200, "14", "application/grpc-web")


def test_errors_of_ours_have_an_end_in_http_1(server, h2_upstream):
    u = h2_upstream(ok)
    u.refuse()
    s = start(server, u)
    with Client(s.port) as client:
        for kind in ("-web+proto", "-web-text", ""):
            client.send(request_bytes("POST", "/web.S/M", MESSAGE if kind != "-web-text" else base64.b64encode(MESSAGE),
                                      [f"Content-Type: application/grpc{kind}"]))
            reply = client.read_reply("POST")
            assert (reply.status, reply.header("grpc-status"), reply.header("content-length")) == (200, "14", "0")


def test_a_reply_cannot_have_itself_read_ahead(server, h2_upstream):
    """X-Accel-Buffering is for modules that have directives for the buffers."""
    u = h2_upstream(lambda s: s.reply(200, b"x" * 1_000_000, [("content-type", "application/grpc"), ("x-accel-buffering", "yes")],
                                      trailers=[("grpc-status", "0")]))
    s = start(server, u)
    client = H2Client(s.port, window=1000)
    stream = client.start("/app.S/M", "POST", CALL)
    client.hold.add(stream)
    client.pump_until(lambda: len(client.replies[stream].body) >= 1000)
    client.hold.clear()
    client.open_window(stream, 2**24)
    assert len(client.wait(stream).body) == 1_000_000
    client.close()
    assert "temporary file" not in s.log()


def test_without_grpc_web_the_type_passes(server, h2_upstream):
    u = h2_upstream(ok)
    s = start(server, u)
    web(s.port, "+proto", MESSAGE, path="/app.S/M")
    assert u.requests[0].header("content-type") == "application/grpc-web+proto"


def test_calls_are_counted_by_method_and_status(server, h2_upstream):
    """Names that no peer knows are a client's, and are not kept."""
    def answer(stream):
        code = {"/app.Cart/Add": "0", "/app.Cart/Full": "8"}.get(stream.path, "12")
        stream.reply(200, MESSAGE, [("content-type", "application/grpc")], trailers=[("grpc-status", code)])
    u = h2_upstream(answer)
    s = server(CONF.replace("location /denied.", "location /metrics { metrics; }\n        location /denied."), UP=u.port, OTHER=1, MORE="")
    for path in ("/app.Cart/Add", "/app.Cart/Add", "/app.Cart/Full", "/app.Cart/Made.Up", "/denied.Cart/Add"):
        call(s.port, path)
    counts = re.findall(r'fairlead_grpc_calls_total\{service="(.*)",method="(.*)",code="(.*)"\} (\d+)', get(s.port, "/metrics").text)
    assert sorted(counts) == [("app.Cart", "Add", "0", "2"), ("app.Cart", "Full", "8", "1"), ("other", "other", "12", "1"),
                              ("other", "other", "7", "1")]
