# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""limit_rate and limit_rate_after."""

import time

import pytest

from lib import upstreams as up
from lib.client import Client, get
from lib.ports import TIME_SCALE

CONF = """
events {}
http {
    sendfile %%SENDFILE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%/html;
        location /slow/ { alias %%PREFIX%%/html/; limit_rate 100k; }
        location /late/ { alias %%PREFIX%%/html/; limit_rate 10k; limit_rate_after 200k; }
        location /lifted { limit_rate 1k; proxy_pass http://127.0.0.1:%%UP%%; }
        location /asked/ { alias %%PREFIX%%/html/; limit_rate $arg_rate; }
    }
}
"""
CONTENT = bytes(range(250)) * 800  # 200000 bytes


@pytest.fixture(params=["on", "off"])
def paced(server, upstream, request):
    free = upstream(up.serve(lambda _: up.reply(200, CONTENT, {"X-Accel-Limit-Rate": "0"})))
    return server(CONF, files={"html/a": CONTENT}, SENDFILE=request.param, UP=free.port)


def time_of(server, target):
    begin = time.monotonic()
    assert get(server.port, target).body == CONTENT
    return time.monotonic() - begin


def test_a_rate_holds_behind_the_first_second(paced):
    assert 0.85 < time_of(paced, "/slow/a") < 2.5 * TIME_SCALE


def test_bytes_before_limit_rate_after_are_free(paced):
    assert time_of(paced, "/late/a") < 15  # at the rate it would be 20 s


def test_a_rate_from_a_variable(paced):
    assert 0.85 < time_of(paced, "/asked/a?rate=100k") < 2.5 * TIME_SCALE
    assert time_of(paced, "/asked/a?rate=0") < 15
    assert time_of(paced, "/asked/a?rate=fast") < 15
    paced.wait_for_log('invalid size "fast"')


def test_a_peer_lifts_it(paced):
    assert time_of(paced, "/lifted") < 5 * TIME_SCALE  # at the rate it would be 200 s


def test_a_client_that_leaves_in_between(paced):
    with Client(paced.port) as client:
        client.send("GET /slow/a HTTP/1.1\r\nHost: h\r\n\r\n")
        client.reader.need()
    assert get(paced.port, "/a").status == 200
