# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Calls that are sent to another peer or another upstream: whole or not at all, and with the status of what came of them last."""

import base64

import pytest

from lib import upstreams as up
from lib.client import request
from lib.h2client import H2Client
from lib.ports import wait_until

CONF = """
events {}
http {
    log_format calls '$status $grpc_status "$upstream_status" "$fail_reason"';
    access_log access.log calls;
    upstream two { server 127.0.0.1:%%UP%%; server 127.0.0.1:%%OTHER%%; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        client_max_body_size 0;
        grpc_intercept_errors on;
        grpc_web on;
        location / { error_page 502 503 = @other; grpc_pass 127.0.0.1:%%UP%%; }
        location /short. { error_page 502 503 = @other; grpc_replay_buffer_size 8; grpc_pass 127.0.0.1:%%UP%%; }
        location @other { grpc_pass 127.0.0.1:%%OTHER%%; }
        location /two. { grpc_pass two; grpc_next_upstream error grpc_unavailable; }
        location /late. { grpc_request_timeout 300ms; error_page 504 = @other; grpc_pass 127.0.0.1:%%UP%%; }
        location /mirrored. { mirror /copy; client_body_buffer_size 1k; grpc_pass 127.0.0.1:%%OTHER%%; }
        location = /copy { internal; return 204; }
    }
}
"""
GRPC = [("content-type", "application/grpc")]
CALL = GRPC + [("te", "trailers")]
MESSAGE = b"\x00\x00\x00\x00\x0ahelloworld"


def ok(stream):
    stream.reply(200, stream.body, GRPC, trailers=[("grpc-status", "0")])


def unavailable(stream):
    stream.head(200, GRPC + [("grpc-status", "14")], end=True)


def start(server, first, other):
    return server(CONF, UP=first.port, OTHER=other.port)


def call(s, first, path="/S/M", later=True):
    """`later`: the message follows when the first upstream has the head, so that it was not read with that."""
    with H2Client(s.port, seconds=20) as client:
        stream = client.start(path, "POST", CALL, end=False)
        if later:
            first.wait_requests(1)
        client.send(stream, MESSAGE, end=True)
        return client.wait(stream)


def logged(s, line):
    wait_until(lambda: line in s.read("access.log"), 5, f"{line} in the access log")


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("how", [lambda stream: stream.head(503, end=True), lambda stream: stream.connection.close()])
def test_an_error_page_that_calls_another_upstream_sends_it_the_message(server, h2_upstream, how, later):
    first, other = h2_upstream(how), h2_upstream(ok)
    reply = call(start(server, first, other), first, later=later)
    assert (reply.status, reply.body, dict(reply.trailers)) == (200, MESSAGE, {"grpc-status": "0"})
    assert [r.body for r in other.requests] == [MESSAGE]


def test_what_was_too_long_to_be_kept_is_not_sent_to_another_upstream(server, h2_upstream):
    first, other = h2_upstream(lambda stream: stream.head(503, end=True)), h2_upstream(ok)
    s = start(server, first, other)
    assert call(s, first, "/short.S/M").header("grpc-status") == "14"
    s.wait_for_log("client request body was sent on and not kept")
    assert not other.requests


def web(port, path, text):
    return request(port, "POST", path, text, headers=["Content-Type: application/grpc-web-text"])


def test_a_web_call_as_text_is_sent_again_as_it_was(server, h2_upstream):
    bad, good = h2_upstream(unavailable), h2_upstream(ok)
    s = start(server, bad, good)
    assert web(s.port, "/two.S/M", base64.b64encode(MESSAGE)).status == 200
    assert [bad.requests[0].body, good.requests[0].body] == [MESSAGE, MESSAGE]


def test_a_long_web_call_as_text_is_not_kept(server, h2_upstream):
    bad, good = h2_upstream(unavailable), h2_upstream(ok)
    s = start(server, bad, good)
    assert web(s.port, "/two.S/M", base64.b64encode(b"\x00\x00\x01\x86\xa0" + b"x" * 100_000)).header("content-type")
    logged(s, '"200" "body"')
    assert not good.requests


def test_a_web_call_as_text_that_was_read_ahead_into_a_file(server, h2_upstream):
    good = h2_upstream(ok)
    s = start(server, good, good)
    message = b"\x00\x00\x01\x86\xa0" + b"x" * 100_000
    assert web(s.port, "/mirrored.S/M", base64.b64encode(message)).status == 200
    assert [r.body for r in good.requests] == [message]
    assert "a client request body is buffered to a temporary file" in s.log()


def test_after_a_deadline_another_failure_has_its_own_status(server, h2_upstream):
    slow, dead = h2_upstream(on_head=lambda stream: None), up.Refused()
    s = start(server, slow, dead)
    reply = call(s, slow, "/late.S/M")
    assert reply.header("grpc-status") == "14"
    logged(s, '200 14 "- : 502" "tries"')
    dead.stop()


def test_after_a_deadline_another_answer_is_no_failure(server, h2_upstream):
    slow, good = h2_upstream(on_head=lambda stream: None), h2_upstream(ok)
    s = start(server, slow, good)
    reply = call(s, slow, "/late.S/M")
    assert (reply.body, dict(reply.trailers)) == (MESSAGE, {"grpc-status": "0"})
    logged(s, '200 0 "- : 200" "-"')


def test_a_status_is_that_of_the_last_upstream(server, h2_upstream):
    first, dead = h2_upstream(lambda stream: stream.head(503, GRPC + [("grpc-status", "7")], end=True)), up.Refused()
    s = start(server, first, dead)
    assert call(s, first).header("grpc-status") == "14"
    logged(s, '200 14 "503 : 502"')
    dead.stop()
