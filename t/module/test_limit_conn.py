# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""limit_conn: how many requests of one key are at work at once, over all workers."""

import signal
import threading

import pytest

from lib import upstreams as up
from lib.client import Client, get
from lib.ports import wait_until

CONF = """
worker_processes 2;
events {}
http {
    limit_conn_zone $arg_k zone=keys:64k;
    limit_conn_zone $server_name zone=all:64k;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name limited;
        add_header X-Status $limit_conn_status always;
        location / { limit_conn keys 2; proxy_pass http://127.0.0.1:%%UP%%; }
        location /code { limit_conn keys 1; limit_conn_status 429; limit_conn_log_level notice; proxy_pass http://127.0.0.1:%%UP%%; }
        location /who { limit_conn keys 1; proxy_set_header X-Worker $pid; proxy_pass http://127.0.0.1:%%UP%%; }
        location /dry { limit_conn keys 1; limit_conn_dry_run on; proxy_pass http://127.0.0.1:%%UP%%; }
        location /both { limit_conn keys 9; limit_conn all 1; proxy_pass http://127.0.0.1:%%UP%%; }
        location /refused/ { limit_conn keys 1; limit_conn all 1; proxy_pass http://127.0.0.1:%%UP%%;
                             location /refused/page { error_page 503 = @page; proxy_pass http://127.0.0.1:%%UP%%; }
                             location /refused/dry { limit_conn_dry_run on; proxy_pass http://127.0.0.1:%%UP%%; } }
        location @page { proxy_pass http://127.0.0.1:%%UP%%; }
        location /asking { auth_request /allowed; proxy_pass http://127.0.0.1:%%UP%%; }
        location = /allowed { internal; limit_conn all 1; proxy_pass http://127.0.0.1:%%UP%%/yes; }
    }
}
"""


@pytest.fixture
def gate():
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def s(server, upstream, gate):
    def answer(request):
        if "hold" in request.target:
            gate.wait(60)
        return up.reply(200, b"")
    peer = upstream(up.serve(answer))
    s = server(CONF, UP=peer.port, allow_log=("exited on signal 9", r'limit_conn_zone "keys" uses the'))
    s.peer = peer
    return s


def hold(s, target, count):
    """That many requests that are at work until the gate opens."""
    clients = [Client(s.port) for _ in range(count)]
    for client in clients:
        client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    s.peer.wait_requests(count)
    return clients


def test_one_too_many(s, gate):
    held = hold(s, "/hold?k=a", 2)
    reply = get(s.port, "/?k=a")
    assert (reply.status, reply.header("X-Status")) == (503, "REJECTED")
    s.wait_for_log(r'\[error\] .* limiting connections by zone "keys", client: 127.0.0.1')
    assert get(s.port, "/?k=b").header("X-Status") == "PASSED"
    assert get(s.port, "/").status == 200, "an empty key is not limited"
    gate.set()
    assert [client.read_reply().status for client in held] == [200, 200]
    wait_until(lambda: get(s.port, "/?k=a").status == 200, 5, "room: idle connections are not at work")
    for client in held:
        client.close()


def test_a_client_that_leaves_makes_room(s):
    for client in hold(s, "/hold?k=a", 2):
        client.reset()
    wait_until(lambda: get(s.port, "/?k=a").status == 200, 5, "room for another request")


def test_a_killed_worker_gives_its_places_back_and_no_others(s):
    clients, held_by = [], {}
    for n in range(12):
        clients.append(Client(s.port))
        clients[n].send(f"GET /who/hold?k={n} HTTP/1.1\r\nHost: a\r\n\r\n")
        held_by[n] = int(s.peer.wait_requests(n + 1)[n].header("x-worker"))
    killed = held_by[0]
    assert get(s.port, "/who?k=0").status == 503
    s.signal(signal.SIGKILL, killed)
    wait_until(lambda: killed not in s.workers() and len(s.workers()) == 2, 10, "its successor")
    statuses = {n: get(s.port, f"/who?k={n}").status for n in range(12)}
    assert statuses == {n: 200 if held_by[n] == killed else 503 for n in range(12)}
    for client in clients:
        client.close()
    wait_until(lambda: all(get(s.port, f"/who?k={n}").status == 200 for n in range(12)), 10, "room for all")


def test_a_zone_keeps_its_key(s):
    s.set_conf(CONF.replace("$arg_k zone", "$arg_j zone"))
    told = s.run("-s", "reload")
    assert told.returncode == 1
    assert 'reload failed: limit_conn_zone "keys" uses the "$arg_j" key while previously it used the "$arg_k" key' in told.stderr


def test_status_level_and_dry_run(s):
    held = hold(s, "/hold?k=a", 1)
    assert get(s.port, "/code?k=a").status == 429
    s.wait_for_log(r"\[notice\] .* limiting connections")
    reply = get(s.port, "/dry?k=a")
    assert (reply.status, reply.header("X-Status")) == (200, "REJECTED_DRY_RUN")
    s.wait_for_log(r'limiting connections, dry run, by zone "keys"')
    held[0].close()


def test_several_limits(s):
    held = hold(s, "/both/hold?k=a", 1)
    assert get(s.port, "/both?k=b").status == 503
    s.wait_for_log('limiting connections by zone "all"')
    held[0].close()


@pytest.mark.parametrize("place, status", [("page", "REJECTED"), ("dry", "REJECTED_DRY_RUN")])
def test_what_one_zone_refuses_counts_in_none(s, gate, place, status):
    held = hold(s, "/both/hold?k=a", 1)  # has the only place of "all"
    refused = Client(s.port)
    refused.send(f"GET /refused/{place}/hold?k=b HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    s.peer.wait_requests(2)              # at work all the same
    assert get(s.port, "/code?k=b").status == 200, "it left its place in \"keys\""
    assert get(s.port, "/both?k=c").status == 503, "it left no place that was not its own"
    gate.set()
    assert refused.read_reply().header("X-Status") == status
    assert held[0].read_reply().status == 200
    for client in (refused, *held):
        client.close()


def test_what_a_subrequest_took_is_held_to_the_end_of_the_request(s, gate):
    held = Client(s.port)
    held.send(b"GET /asking/hold HTTP/1.1\r\nHost: a\r\n\r\n")
    s.peer.wait_requests(2)  # the question, and the request itself
    assert get(s.port, "/both?k=a").status == 503
    gate.set()
    assert held.read_reply().status == 200
    wait_until(lambda: get(s.port, "/both?k=a").status == 200, 5, "room for another request")
    held.close()
