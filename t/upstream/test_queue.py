# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Requests that wait for a peer: in order, within their number and time, woken at once."""

import os
import threading
import time

import pytest

from lib import upstreams as up
from lib.client import Client, get
from lib.ports import TIME_SCALE, wait_until

CONF = """
worker_processes {workers};
events {}
http {
    log_format waits "$uri $status $upstream_queue_time $upstream_addr $fail_reason";
    access_log logs/access.log waits;
    upstream pool {
        zone pool 128k;
        server 127.0.0.1:%%A%% max_conns=1 {a};
        {more}
        queue {queue};
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://pool; proxy_connect_timeout 20s; }
        location = /status { access_log off; stub_status; }
    }
}
"""


def conf(queue, a="", more="", workers=1):
    return CONF.replace("{queue}", queue).replace("{a}", a).replace("{more}", more).replace("{workers}", str(workers))


class Gate:
    """Lets each request of an upstream pass when told to; `seen`: their targets in order of arrival."""

    def __init__(self):
        self.seen, self._permits = [], threading.Semaphore(0)

    def answer(self, request):
        self.seen.append(request.target)
        self._permits.acquire(timeout=20)
        return up.reply(200, request.target)

    def open(self, count=1):
        for _ in range(count):
            self._permits.release()


def ask(port, target):
    return Client(port, seconds=20).send(f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")


def wait_arrived(server, count):
    """Until that many requests are at work: one that finds no peer is queued in the turn in which its head is read."""
    with Client(server.port) as c:
        wait_until(lambda: int(c.get("/status").text.split()[-3]) == count + 1, 5, f"{count} requests")


def access(server):
    path = os.path.join(server.prefix, "logs/access.log")
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return f.read().splitlines()


def fields(server, uri):
    wait_until(lambda: any(line.startswith(uri + " ") for line in access(server)), 10, f"the log line of {uri}")
    return next(line for line in access(server) if line.startswith(uri + " ")).split(" ")


@pytest.fixture
def gate():
    made = Gate()
    yield made
    made.open(100)


def test_they_are_served_in_order(server, upstream, gate):
    a = upstream(up.serve(gate.answer))
    s = server(conf("10"), A=a.port)
    clients = []
    for i in range(5):
        clients.append(ask(s.port, f"/{i}"))
        if i == 0:
            wait_until(lambda: gate.seen == ["/0"], 5, "the first")
        else:
            wait_arrived(s, i + 1)  # each is queued before the next one comes
    time.sleep(0.1)
    assert gate.seen == ["/0"]
    gate.open(5)
    assert [c.read_reply().text for c in clients] == [f"/{i}" for i in range(5)]
    assert gate.seen == [f"/{i}" for i in range(5)]
    assert fields(s, "/0")[2] == "-"
    waited = [float(fields(s, f"/{i}")[2]) for i in range(1, 5)]
    assert all(0.09 < each < 60 for each in waited)


def test_what_is_beyond_its_number_is_a_502_at_once(server, upstream, gate):
    a = upstream(up.serve(gate.answer))
    s = server(conf("1"), A=a.port)
    first = ask(s.port, "/first")
    wait_until(lambda: gate.seen == ["/first"], 5, "the first")
    second = ask(s.port, "/second")
    wait_arrived(s, 2)
    assert get(s.port, "/third").status == 502
    s.wait_for_log("upstream queue is full while connecting to upstream")
    assert fields(s, "/third")[1:] == ["502", "-", "pool", "UO"]
    gate.open(2)
    assert first.read_reply().text == "/first" and second.read_reply().text == "/second"


def test_it_is_left_after_its_time(server, upstream, gate):
    a = upstream(up.serve(gate.answer))
    s = server(conf("10 timeout=300ms"), A=a.port)
    first = ask(s.port, "/first")
    wait_until(lambda: gate.seen == ["/first"], 5, "the first")
    assert get(s.port, "/late").status == 502
    s.wait_for_log("upstream queue timed out while connecting to upstream")
    status, waited, peer, reason = fields(s, "/late")[1:]
    assert (status, peer, reason) == ("502", "pool", "UT") and 0.3 <= float(waited) < 5 * TIME_SCALE
    gate.open()
    assert first.read_reply().status == 200


def test_a_client_that_leaves_makes_room_and_holds_up_nobody(server, upstream, gate):
    a = upstream(up.serve(gate.answer))
    s = server(conf("1"), A=a.port)
    first = ask(s.port, "/first")
    wait_until(lambda: gate.seen == ["/first"], 5, "the first")
    leaving = ask(s.port, "/leaving")
    wait_arrived(s, 2)
    assert get(s.port, "/over").status == 502
    leaving.close()
    assert fields(s, "/leaving")[1] == "499"
    last = ask(s.port, "/last")
    wait_arrived(s, 2)
    gate.open(2)
    assert first.read_reply().text == "/first" and last.read_reply().text == "/last"
    assert gate.seen == ["/first", "/last"]


def test_a_backup_goes_before_waiting(server, upstream, gate):
    a, b = upstream(up.serve(gate.answer)), upstream(up.serve(lambda r: up.reply(200, "backup")))
    s = server(conf("10", more="server 127.0.0.1:%%B%% backup;"), A=a.port, B=b.port)
    first = ask(s.port, "/first")
    wait_until(lambda: gate.seen == ["/first"], 5, "the first")
    assert get(s.port, "/second").text == "backup"
    gate.open()
    first.read_reply()


def test_it_waits_for_the_end_of_a_ban(server, upstream):
    """Both peers failed once: the next request waits until one may be tried again."""
    a = upstream([up.request(), up.close()], up.serve(lambda r: up.reply(200, "back")))
    refused = up.Refused()
    s = server(conf("10", a="fail_timeout=5s", more="server 127.0.0.1:%%B%% max_conns=1 fail_timeout=60s;"), A=a.port, B=refused.port)
    assert get(s.port, "/fails").status == 502
    assert get(s.port, "/waits", seconds=20).text == "back"
    assert float(fields(s, "/waits")[2].split(",")[0]) > 0.5
    refused.stop()


def test_a_peer_that_another_worker_frees_is_seen(server, upstream, gate):
    a = upstream(up.serve(gate.answer))
    s = server(conf("10", workers=2), A=a.port)
    s.wait_workers(2)
    clients = [ask(s.port, f"/{i}") for i in range(8)]
    wait_until(lambda: len(gate.seen) == 1, 5, "the first")
    gate.open(8)
    assert sorted(c.read_reply().text for c in clients) == [f"/{i}" for i in range(8)]


def test_waiting_ends_with_a_graceful_quit(server, upstream, gate):
    a = upstream(up.serve(gate.answer))
    s = server(conf("10"), A=a.port)
    clients = [ask(s.port, f"/{i}") for i in range(3)]
    wait_arrived(s, 3)
    wait_until(lambda: len(gate.seen) == 1, 5, "the first")
    threading.Timer(0.3, gate.open, [3]).start()
    s.quit()
    assert sorted(c.read_reply().text for c in clients) == ["/0", "/1", "/2"]
