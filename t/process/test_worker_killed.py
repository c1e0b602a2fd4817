# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A worker killed by SIGKILL under load: replaced at once, the others undisturbed, shared memory still of use."""

import os
import signal
import time

from lib.client import Client, get
from lib.load import ANSWER
from lib.ports import TIME_SCALE, wait_until

CONF = """
worker_processes 2;
events {}
http {
    client_body_temp_path %%PREFIX%%/logs;
    upstream back { zone back 256k; server 127.0.0.1:%%UP%%; keepalive 8; }
    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;
        location / { proxy_pass http://back; }
        location = /pid { return 200 $pid; }
        location = /status { stub_status; }
    }
}
"""
KILLED = [r"\[alert\].*worker process \d+ exited on signal 9"]
KILLS = 5


def client_of(s, pid):
    """A kept connection that this worker serves."""
    def found():
        client = Client(s.port)
        if int(client.get("/pid").text) == pid:
            return client
        client.close()
        return None
    return wait_until(found, 10, f"a connection to worker {pid}")


def active(s):
    return int(get(s.port, "/status").text.split("\n")[0].rpartition(": ")[2])


def test_a_killed_worker_is_replaced(server, upstream):
    s = server(CONF, UP=upstream(ANSWER).port, allow_log=KILLED)
    for _ in range(KILLS):
        victim, other = s.wait_workers(2)[:2]
        with client_of(s, victim) as lost, client_of(s, other) as kept:
            s.signal(signal.SIGKILL, victim)
            assert lost.is_closed()
            assert int(kept.get("/pid").text) == other
            assert kept.get("/x").status == 200
        wait_until(lambda: victim not in s.workers() and len(s.workers()) == 2, 5, "another worker")
    assert s.log().count("exited on signal 9") == KILLS


def test_new_connections_are_served_at_once(server, upstream):
    s = server(CONF.replace("worker_processes 2", "worker_processes 1"), UP=upstream(ANSWER).port, allow_log=KILLED)
    waits_ms = []
    # 20 ms on a machine of its own; the suite shares its processors, so that one such answer is enough, of those that would come after
    # 400 ms and more if the master paused as it does for workers that cannot start.
    free = 7
    while len(waits_ms) < 2 * KILLS or (min(waits_ms[free:]) >= 100 * TIME_SCALE and len(waits_ms) < 4 * KILLS):
        (victim,) = s.wait_workers(1)
        s.signal(signal.SIGKILL, victim)
        wait_until(lambda: victim not in s.workers(), 5, "the end of the worker")
        begin = time.monotonic()
        assert get(s.port, "/pid").status == 200
        waits_ms.append((time.monotonic() - begin) * 1000)
    print("first answer after the kill, ms:", [round(w, 1) for w in waits_ms])
    assert min(waits_ms[free:]) < 100 * TIME_SCALE, waits_ms


def test_the_counters_forget_a_killed_worker(server, upstream):
    s = server(CONF, UP=upstream(ANSWER).port, allow_log=KILLED)
    victim = s.wait_workers(2)[0]
    clients = [client_of(s, victim) for _ in range(5)]
    assert active(s) >= 6
    s.signal(signal.SIGKILL, victim)
    wait_until(lambda: victim not in s.workers() and len(s.workers()) == 2, 5, "another worker")
    wait_until(lambda: active(s) == 1, 5, "counters without the killed worker's connections")
    for client in clients:
        client.close()
    for pid in s.workers():
        with client_of(s, pid) as client:
            assert client.get("/x").status == 200
    assert os.path.exists(f"/proc/{s.process.pid}")
