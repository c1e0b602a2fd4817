# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""health_endpoint as a matter of others: how many peers of groups can be used, and what a location answers. (Leaving and draining:
process/test_readiness.py.)"""

import pytest

from lib import upstreams as up
from lib.client import get
from lib.ports import wait_until

CONF = """
events {}
http {
    upstream back { zone back 128k; server 127.0.0.1:%%A%% fail_timeout=%%BAN%%; server 127.0.0.1:%%B%% fail_timeout=%%BAN%%;
                    server 127.0.0.1:1 down; }
    upstream other { server 127.0.0.1:%%A%%; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://back; proxy_next_upstream off; }
        location = /any { health_endpoint upstreams=back; }
        location = /all { health_endpoint upstreams=back,other min_healthy=100%; }
        location = /each { health_endpoint upstreams=all min_healthy=50%; }
        location = /asked { health_endpoint pass=/inside?x=1; }
        location = /kept { health_endpoint pass=/inside cache=1h; }
        location = /nowhere { health_endpoint pass=/close; }
        location = /both { health_endpoint upstreams=back min_healthy=100% pass=/inside; }
        location = /inside { internal; proxy_pass http://127.0.0.1:%%SERVICE%%; }
        location = /close { internal; return 444; }
    }
}
"""


@pytest.fixture
def world(server, upstream):
    class World:
        statuses, asked = [200], []
        a, b = upstream(up.serve(lambda r: up.reply(200))), upstream()

        def status(self, path):
            reply = get(self.server.port, path)
            return reply.status, reply.text
    w = World()
    w.statuses, w.asked = [200], []

    def service(request):
        w.asked.append(request.target)
        return up.reply(w.statuses[0], "what it says")
    w.server = server(CONF, A=w.a.port, B=w.b.port, SERVICE=upstream(up.serve(service)).port, BAN="1h")
    return w


def fail_one(w):
    w.b.stop()
    wait_until(lambda: get(w.server.port, "/").status == 502, 10, "a failed try")


def test_a_share_of_the_peers(world):
    w = world
    assert [w.status(path) for path in ("/any", "/all", "/each")] == [(200, "ready\n")] * 3
    fail_one(w)
    assert w.status("/any") == (200, "ready\n")
    assert w.status("/all") == (503, "upstream back: 1 of 2 peers can be used\n"), "what is down by configuration is not missed"
    assert w.status("/each") == (200, "ready\n")


def test_no_peer_at_all(world):
    w = world
    fail_one(w)
    w.a.stop()
    wait_until(lambda: get(w.server.port, "/") and w.status("/any")[0] == 503, 10, "the other peer to fail")
    assert w.status("/any") == (503, "upstream back: 0 of 2 peers can be used\n")
    assert w.status("/each")[0] == 503


def test_a_peer_that_is_back(server, upstream):
    a, b = upstream(), upstream()
    b.refuse()
    s = server(CONF, A=a.port, B=b.port, SERVICE=1, BAN="4s")
    wait_until(lambda: get(s.port, "/").status == 502, 10, "a failed try")
    assert get(s.port, "/all").status == 503
    wait_until(lambda: get(s.port, "/all").status == 200, 10, "the end of the ban")


def test_what_a_location_answers(world):
    w = world
    ready = (200, "ready\n")
    for status, want in ((200, ready), (204, ready), (503, (503, "/inside answers 503\n")), (404, (503, "/inside answers 404\n"))):
        w.statuses[0] = status
        assert w.status("/asked") == want
    assert len(w.asked) == 4
    assert w.status("/nowhere") == (503, "/close answers 503\n")


def test_an_answer_that_is_kept(world):
    w = world
    assert w.status("/kept") == (200, "ready\n")
    w.statuses[0] = 503
    assert [w.status("/kept") for _ in range(3)] == [(200, "ready\n")] * 3 and len(w.asked) == 1
    assert w.status("/asked")[0] == 503


def test_peers_come_before_the_question(world):
    w = world
    assert w.status("/both")[0] == 200 and len(w.asked) == 1
    fail_one(w)
    assert w.status("/both") == (503, "upstream back: 1 of 2 peers can be used\n")
    assert len(w.asked) == 1
