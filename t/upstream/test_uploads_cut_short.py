# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A body that is sent on as it comes, breaks off after the reply began: its upstream connection is not kept, for the peer would take the
next request for the rest of that body."""

import threading

import pytest

from lib import upstreams as up
from lib.client import Client, get

CONF = """
events {}
http {
    upstream back { server 127.0.0.1:%%UP%%; keepalive 4; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        client_body_timeout %%TIME%%;
        client_max_body_size 1000;
        proxy_request_buffering off;
        location / { proxy_pass http://back; }
    }
}
"""
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


@pytest.mark.parametrize("begins, goes_on, timeout_s", [
    (CHUNKED, b"zz\r\n", 60),
    (CHUNKED, b"ffff\r\n", 60),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\n\r\nhello", b"", 2),
], ids=["a bad chunk", "too large", "a timeout"])
def test_the_connection_is_not_kept(server, upstream, begins, goes_on, timeout_s):
    may_end = threading.Event()
    u = upstream([up.head(), up.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"), up.wait_for(may_end), up.send(b"56789"),
                  up.read_to_end()],
                 up.serve(lambda r: up.reply(200, "second")))
    s = server(CONF, UP=u.port, TIME=f"{timeout_s}s")
    with Client(s.port) as client:
        client.send(begins)
        client.reader.until(b"01234")
        client.send(goes_on)
        threading.Timer(2 + timeout_s % 60, may_end.set).start()
        client.reader.rest()
    assert get(s.port, "/next").text == "second"
    assert b"/next" not in u.connections[0].raw
