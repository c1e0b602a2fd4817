# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Methods that measure, and peers that start slowly, over sockets. Their arithmetic is tested in t/unit/core/upstream."""

import collections
import re
import threading
import time

import pytest

from lib import upstreams as up
from lib.client import Client, get
from lib.ports import wait_until

CONF = """
worker_processes 2;
events {}
http {
    upstream pool {
        zone pool 128k;
        {method};
        server 127.0.0.1:%%A%% {a};
        server 127.0.0.1:%%B%%;
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://pool; proxy_http_version 1.1; }
    }
}
"""


def conf(method="", a=""):
    text = CONF.replace("{method};", method + ";" if method else "")
    return text.replace("{a}", a)


def answering(name, seconds=0.0):
    def answer(request):
        time.sleep(seconds)
        return up.reply(200, name)
    return up.serve(answer)


def counts(port, requests):
    return collections.Counter(get(port, "/").text for _ in range(requests))


@pytest.mark.parametrize("method", ["least_time header", "least_time last_byte", "least_time last_byte inflight", "ewma",
                                    "ewma decay=5s init=10ms", "random two least_time=header", "random two least_time=last_byte"])
def test_a_slow_peer_gets_little(server, upstream, method):
    slow, fast = upstream(answering("slow", 0.8)), upstream(answering("fast"))
    s = server(conf(method), A=slow.port, B=fast.port)
    found = counts(s.port, 24)
    assert found["slow"] <= 4, found
    s.reload()  # what was measured is kept
    assert counts(s.port, 6)["slow"] <= 1


@pytest.mark.parametrize("method", ["ip_hash", "hash $request_uri", "hash $request_uri consistent", "random", "random two"])
def test_backups_above_a_method_that_knows_none_serve_while_no_other_can(server, upstream, method):
    """As in nginx, which refuses them only below it."""
    primary, spare = upstream(answering("primary")), upstream(answering("spare"))
    text = CONF.replace("{method};", "").replace("%%B%%;", f"%%B%% backup; {method};").replace("{a}", "fail_timeout=1s")
    s = server(text, A=primary.port, B=spare.port)
    assert re.search(r'knows no "backup": "127.0.0.1:\d+" serves while no other server can', s.log() + s.output())
    assert counts(s.port, 6) == {"primary": 6}
    primary.leave()
    assert counts(s.port, 6) == {"spare": 6}


def test_inflight_sees_a_peer_that_hangs(server, upstream):
    gate = threading.Event()
    hanging = upstream([up.request(), up.wait_for(gate), up.send(up.reply(200, "late"))])
    good = upstream(answering("good"))
    s = server(conf("least_time header inflight", a="weight=2"), A=hanging.port, B=good.port)
    with Client(s.port, seconds=20) as c:
        c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        hanging.wait_requests(1)
        time.sleep(0.3)
        assert counts(s.port, 8) == {"good": 8}
        gate.set()
        assert c.read_reply().text == "late"


def test_a_peer_that_came_back_starts_slowly(server, upstream):
    first, second = upstream([up.request(), up.close()], answering("first")), upstream(answering("second"))
    s = server(conf(a="slow_start=1h fail_timeout=1s"), A=first.port, B=second.port)
    wait_until(lambda: get(s.port, "/").text == "second" and len(first.requests) == 1, 5, "the failure")
    wait_until(lambda: get(s.port, "/").text == "first", 10, "the first try after the ban")
    found = counts(s.port, 33)
    assert 2 <= found["first"] <= 4, found  # a tenth of the weight of the other
    s.reload()
    assert counts(s.port, 22)["first"] <= 3


@pytest.mark.parametrize("method", ["hash $arg_k", "hash $arg_k consistent", "ip_hash"])
def test_a_stale_connection_does_not_send_a_key_elsewhere(server, upstream, method):
    """Each connection takes one request, and is closed on the second: that is asked again on a new connection to the same peer."""
    def once(name):
        return upstream([up.request(), up.send(up.reply(200, name)), up.request(), up.close()])
    a, b = once("a"), once("b")
    s = server(conf(method).replace("worker_processes 2", "worker_processes 1"), A=a.port, B=b.port)
    for key in "abcdef":
        assert len(collections.Counter(get(s.port, f"/?k={key}").text for _ in range(6))) == 1, key
