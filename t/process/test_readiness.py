# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Ready and leaving, as those around the server see them: -s wait, health_endpoint, shutdown_delay, term_action, quit_on_parent_exit,
sd_notify."""

import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from lib import upstreams as up
from lib.client import Client, get
from lib.fairlead import title_of
from lib.ports import TIME_SCALE, wait_until

CONF = """
worker_processes 2;
master_process %%MASTER%%;
shutdown_delay %%DELAY%%;
term_action %%TERM%%;
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 $pid; }
        location /ready { health_endpoint; }
        location /slow { proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""
FIXED = dict(MASTER="on", DELAY="0", TERM="stop", UP=1)
LONG = f"{int(60 * TIME_SCALE)}s"


def ready(s):
    got = get(s.port, "/ready")
    return got.status, got.text


def ended(s):
    return s.process.poll() is not None


# ---- ready

@pytest.mark.parametrize("master", ["on", "off"])
def test_a_server_is_ready(server, master):
    s = server(CONF, **{**FIXED, "MASTER": master})
    told = s.run("-s", "wait")
    assert (told.returncode, told.stderr) == (0, "")
    assert ready(s) == (200, "ready\n")
    with Client(s.port) as client:
        assert client.request("POST", "/ready", body="x").status == 405
        assert client.request("HEAD", "/ready").status == 200


def test_waiting_begins_before_the_server_does(idle_server):
    s = idle_server(CONF, **FIXED)
    waiting = subprocess.Popen(s.command("-s", "wait"), stderr=subprocess.PIPE, env=s.environment(), text=True)
    time.sleep(0.2)
    assert waiting.poll() is None
    s.start()
    assert waiting.wait(10 * TIME_SCALE) == 0
    waiting.stderr.close()
    assert ready(s) == (200, "ready\n")


def test_waiting_has_an_end(idle_server):
    s = idle_server(CONF, **FIXED)
    told = s.run("-s", "wait", "--wait=200ms")
    assert told.returncode == 1
    assert re.search(r'fairlead: \[error\] not ready within 200 ms: there is no server \("\S+server\.pid"\)', told.stderr)
    told = s.run("-s", "wait", "--no-wait")
    assert told.returncode == 1 and "within 0 ms" in told.stderr


def test_a_killed_server_is_not_ready(server):
    s = server(CONF, **{**FIXED, "MASTER": "off"})
    assert s.run("-s", "wait").returncode == 0
    s.process.kill()
    s.process.wait()
    told = s.run("-s", "wait", "--no-wait")
    assert told.returncode == 1 and f"process {s.process.pid} has ended" in told.stderr
    s.process = None


def test_a_replaced_worker_that_drains_is_still_ready(server):
    s = server(CONF.replace("listen", "keepalive_min_timeout 60s; listen"), **FIXED)
    assert s.run("-s", "wait").returncode == 0  # of both workers: one alone may answer before
    with Client(s.port) as client:
        (pid,) = {client.get("/").text}
        s.reload()
        assert "shutting down" in title_of(int(pid))
        got = client.get("/ready")
        assert (got.status, got.text) == (200, "ready\n")
    assert s.run("-s", "wait", "--no-wait").returncode == 0


# ---- leaving

@pytest.mark.parametrize("number, term", [(signal.SIGQUIT, "stop"), (signal.SIGTERM, "drain")])
@pytest.mark.parametrize("master", ["on", "off"])
def test_the_news_of_the_end_comes_before_it(server, master, number, term):
    s = server(CONF, **{**FIXED, "MASTER": master, "DELAY": LONG, "TERM": term})
    with Client(s.port) as kept:
        kept.get("/")
        s.signal(number)
        wait_until(lambda: ready(s) == (503, "leaving\n"), 5, "503 of health_endpoint")
        assert get(s.port, "/").status == 200, "no new connection is taken while leaving"
        assert not kept.get("/").has_word("connection", "close")
        told = s.run("-s", "wait", "--no-wait")
        assert told.returncode == 1 and f"process {s.process.pid} is leaving" in told.stderr
        told = s.run("-s", "reload")  # which it does not do any more: at once, not when the time for a verdict is over
        assert told.returncode == 1 and f"process {s.process.pid} is leaving" in told.stderr
        s.signal(signal.SIGQUIT)  # who asks twice does not wait
        assert s.wait() == 0


@pytest.mark.parametrize("master", ["on", "off"])
def test_the_end_comes_after_the_delay(server, master):
    s = server(CONF, **{**FIXED, "MASTER": master, "DELAY": "1s"})
    begin = time.monotonic()
    s.signal(signal.SIGQUIT)
    assert s.wait() == 0
    assert time.monotonic() - begin > 0.9
    assert "leaving in 1000 ms" in s.log()


@pytest.mark.parametrize("master", ["on", "off"])
def test_term_drains_where_it_is_told_to(server, upstream, master):
    go = threading.Event()
    u = upstream([up.request(), up.send(b"HTTP/1.1 200 X\r\nContent-Length: 6\r\n\r\nabc"), up.wait_for(go), up.send(b"def")])
    s = server(CONF, **{**FIXED, "MASTER": master, "TERM": "drain", "UP": u.port})
    with Client(s.port) as client:
        client.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        u.wait_requests(1)
        s.signal(signal.SIGTERM)
        s.wait_for_log("gracefully shutting down")
        assert re.search(r"signal 15 \(SIGTERM\) received from \d+, shutting down\n", s.log())
        time.sleep(0.1)
        assert not ended(s)
        go.set()
        assert client.read_reply().text == "abcdef"
    assert s.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("master", ["on", "off"])
def test_who_asks_twice_does_not_wait(server, master, number):
    s = server(CONF, **{**FIXED, "MASTER": master, "TERM": "drain", "DELAY": LONG})
    s.signal(signal.SIGTERM)
    wait_until(lambda: ready(s)[0] == 503, 5, "503 of health_endpoint")
    s.signal(number)
    assert s.wait() == 0


@pytest.mark.parametrize("master", ["on", "off"])
def test_a_second_quit_ends_the_delay(server, master):
    s = server(CONF, **{**FIXED, "MASTER": master, "DELAY": LONG})
    s.signal(signal.SIGQUIT)
    wait_until(lambda: ready(s)[0] == 503, 5, "503 of health_endpoint")
    s.signal(signal.SIGQUIT)
    assert s.wait() == 0
    s.wait_for_log("gracefully shutting down")


def test_int_ends_at_once_whatever_term_does(server):
    s = server(CONF, **{**FIXED, "TERM": "drain", "DELAY": LONG})
    s.wait_workers(2)
    s.signal(signal.SIGINT)
    assert s.wait() == 0
    assert "gracefully" not in s.log()


def test_a_worker_leaves_term_to_its_master(server):
    s = server(CONF, **{**FIXED, "TERM": "drain", "DELAY": LONG})
    workers = s.wait_workers(2)
    for pid in workers + [s.process.pid]:  # as a TERM to the whole process group
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: ready(s) == (503, "leaving\n"), 5, "503 of health_endpoint")
    s.signal(signal.SIGTERM)
    assert s.wait() == 0
    assert s.log().count("exited with code 0") == 2
    told = re.compile(rf"signal 15 \(SIGTERM\) received from {os.getpid()}, (.*)")
    assert sorted(told.findall(s.log())) == ["exiting", "ignoring", "ignoring", "shutting down"]


def test_a_worker_that_dies_while_leaving_is_replaced(server):
    s = server(CONF, **{**FIXED, "DELAY": LONG}, allow_log=[r"exited on signal 9"])
    s.wait_workers(2)
    s.signal(signal.SIGQUIT)
    wait_until(lambda: ready(s)[0] == 503, 5, "503 of health_endpoint")
    old = set(s.workers())
    os.kill(next(iter(old)), signal.SIGKILL)
    wait_until(lambda: len(s.workers()) == 2 and set(s.workers()) - old, 5, "another worker")
    assert all(ready(s)[0] == 503 for _ in range(10))
    s.signal(signal.SIGQUIT)
    assert s.wait() == 0


# ---- the parent

@pytest.mark.parametrize("master", ["on", "off"])
def test_the_end_of_the_parent_is_the_end(idle_server, master):
    s = idle_server("quit_on_parent_exit on;\n" + CONF, **{**FIXED, "MASTER": master})
    starter = subprocess.Popen(["/bin/sh", "-c", '"$@" & echo $!; read line', "sh", *s.command()], env=s.environment(),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    pid = int(starter.stdout.readline())
    s.was_started = True
    wait_until(lambda: s.pid() == pid, 10, "the pid file")
    time.sleep(1.2)
    assert title_of(pid)
    starter.stdin.close()
    starter.wait()
    starter.stdout.close()
    wait_until(lambda: not title_of(pid), 5, "the end of the server")
    s.wait_for_log(r"the parent process has ended, shutting down[\s\S]*: exit\n")


# ---- the service manager

class NotifySocket:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(5 * TIME_SCALE)

    def next(self):
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())

    def is_quiet(self):
        self.socket.settimeout(0.1)
        try:
            return not self.socket.recv(4096)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(5 * TIME_SCALE)


@pytest.fixture
def notified(idle_server, monkeypatch):
    def start(abstract=False, **names):
        s = idle_server(CONF, **{**FIXED, **names})
        path = f"\0fairlead-{os.getpid()}-{s.names['PREFIX']}" if abstract else s.prefix + "/notify"
        manager = NotifySocket(path)
        sockets.append(manager.socket)
        monkeypatch.setenv("NOTIFY_SOCKET", path.replace("\0", "@"))
        return s.start(), manager
    sockets = []
    yield start
    for each in sockets:
        each.close()


@pytest.mark.parametrize("master, abstract", [("on", False), ("on", True), ("off", False)])
def test_the_service_manager_hears_of_it(notified, master, abstract):
    s, manager = notified(MASTER=master, DELAY=LONG, abstract=abstract)
    is_ready = {"READY": "1", "MAINPID": str(s.process.pid)}
    assert manager.next() == is_ready
    good = s.conf
    for conf in (good + "# another\n", good + "unknown;\n"):
        s.allow_log.append(re.compile("unknown directive"))
        s.write("test.conf", conf)
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        s.signal(signal.SIGHUP)
        reloading = manager.next()
        assert reloading["RELOADING"] == "1" and before <= int(reloading["MONOTONIC_USEC"]) <= before + 60_000_000
        assert manager.next() == is_ready
    s.signal(signal.SIGQUIT)
    assert manager.next() == {"STOPPING": "1"}
    assert ready(s)[0] == 503, "told before the end begins"
    s.signal(signal.SIGQUIT)
    assert s.wait() == 0
    assert manager.is_quiet()


@pytest.mark.parametrize("master", ["on", "off"])
def test_a_service_manager_that_watches_hears_that_it_lives(notified, monkeypatch, master):
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    s, manager = notified(MASTER=master)
    heard = [manager.next() for _ in range(5)]
    assert [one for one in heard if one != {"WATCHDOG": "1"}] == [{"READY": "1", "MAINPID": str(s.process.pid)}]


def test_a_watched_process_that_is_another_is_not_spoken_for(notified, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    _, manager = notified()
    assert manager.next()["READY"] == "1"
    assert manager.is_quiet()


def test_a_service_manager_that_does_not_read_holds_nothing_up(notified):
    s, manager = notified()
    manager.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _ in range(5):
        s.reload()
    assert get(s.port, "/").status == 200


def test_a_fast_end_is_told_too(notified):
    s, manager = notified()
    assert manager.next()["READY"] == "1"
    s.signal(signal.SIGTERM)
    assert manager.next() == {"STOPPING": "1"}
    assert s.wait() == 0
