# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Switches of forwarding that are about a single thing: another try after a kept connection that ended, bodies that are sent on as they
come and may have to be sent again, ranges of replies that say nothing of ranges, windows of HTTP/2, trailers of inner blocks."""

import pytest

from lib import upstreams as up
from lib.client import Client, chunked, get, request

CONF = """
events {}
http {
    upstream one { server 127.0.0.1:%%A%%; keepalive 4; }
    upstream two { server 127.0.0.1:%%B%%; server 127.0.0.1:%%A%% backup; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://one; }
        location /left { proxy_stale_retry off; proxy_pass http://one; }
        location /streamed { proxy_request_buffering off; proxy_pass http://two; }
        location /replayed { proxy_request_buffering off; proxy_replay_buffer_size 1k; proxy_pass http://two; }
        location /ranges { proxy_pass http://one; location /ranges/forced { proxy_force_ranges on; proxy_pass http://one; } }
        add_trailer X-Outer 1;
        location /trailers { proxy_pass http://one; add_trailer X-Inner 2; }
        location /trailers/merged { proxy_pass http://one; add_trailer X-Inner 2; add_trailer_inherit merge; }
        location /trailers/none { proxy_pass http://one; add_trailer_inherit off; }
    }
}
"""


# With the switch off it is as in nginx: by the method alone. (What it allows besides is a race that no test can arrange; see unit/http.)
@pytest.mark.parametrize("path, method, status", [("/", "GET", 200), ("/left", "GET", 200), ("/left", "POST", 502)])
def test_a_kept_connection_that_ended_as_the_request_came(server, upstream, path, method, status):
    u = upstream([up.request(), up.send(up.reply(200, "first")), up.request(), up.close()], [up.request(), up.send(up.reply(200, "again"))])
    s = server(CONF, A=u.port, B=1)
    assert get(s.port, path).text == "first"
    assert request(s.port, method, path, body="x" if method == "POST" else None).status == status


@pytest.mark.parametrize("path, size, status", [("/streamed", 10, 502), ("/replayed", 1000, 200), ("/replayed", 1100, 502)])
def test_a_body_that_was_sent_on_is_sent_again_if_it_was_kept(server, upstream, path, size, status):
    bad, good = upstream([up.request(), up.close()]), upstream(up.serve(lambda r: up.reply(200, r.body)))
    s = server(CONF, A=good.port, B=bad.port)
    with Client(s.port) as client:
        client.send(f"PUT {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        client.send(chunked(b"x" * size))
        reply = client.read_reply()
    assert reply.status == status
    assert [r.body for r in good.requests] == ([b"x" * size] if status == 200 else [])
    assert len(bad.requests) == 1


def test_ranges_of_a_reply_that_does_not_know_of_any(server, upstream):
    s = server(CONF, A=upstream(up.serve(lambda r: up.reply(200, "0123456789"))).port, B=1)
    for path, want in (("/ranges", (200, "0123456789", None)), ("/ranges/forced", (206, "234", "bytes 2-4/10"))):
        reply = get(s.port, path, {"Range": "bytes=2-4"})
        assert (reply.status, reply.text, reply.header("Content-Range")) == want


@pytest.mark.parametrize("path, want", [("/trailers", ["X-Inner"]), ("/trailers/merged", ["X-Inner", "X-Outer"]), ("/trailers/none", [])])
def test_trailers_of_outer_blocks(server, upstream, path, want):
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"x")
    s = server(CONF, A=upstream([up.request(), up.send(chunks)]).port, B=1)
    reply = get(s.port, path)
    assert reply.text == "x"
    assert sorted(name for name, _ in reply.trailers) == want
