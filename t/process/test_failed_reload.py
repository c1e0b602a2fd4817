# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A configuration that loads, but whose workers do not come to serve: the one before stays in use, and whoever asked is told."""

import errno
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from lib.client import Client, get
from lib.fairlead import children_of
from lib.ports import wait_until

CONF = """
worker_processes 2;
%%MAIN%%
events {}
http {
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 "%%TEXT%% $pid"; }
    }
}
"""
FIXED = dict(MAIN="", HTTP="", TEXT="old")
MORE = CONF.replace("%%HTTP%%", "server { listen 127.0.0.1:%%PORT_1%%; listen unix:%%PREFIX%%/logs/sock; return 200 more; }")
FATAL = r"\[alert\].*exited with fatal code 2|\[alert\].*chdir\(|\[emerg\].*no worker process"
REASON = "reload failed: no worker process of the new configuration began to serve"


def has_lua(s):
    return "--without-lua" not in s.run("-V").stderr


def set_conf(s, conf=CONF, **names):
    s.names.update({**FIXED, **names})
    s.set_conf(conf)


def let_go(fifo):
    """Ends the wait of whoever reads the FIFO now."""
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        assert error.errno == errno.ENXIO


def is_listening(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_old_workers_stay(server):
    s = server(CONF, **FIXED, allow_log=[FATAL, r"exited on signal 9"])
    assert s.run("-s", "wait").returncode == 0
    workers = set(s.wait_workers(2))
    set_conf(s, MORE, MAIN="working_directory none;", TEXT="new")
    told = s.run("-s", "reload")
    assert told.returncode == 1 and REASON in told.stderr
    assert set(s.workers()) == workers
    assert get(s.port, "/").text.startswith("old ")
    assert s.run("-s", "wait", "--no-wait").returncode == 0
    assert not is_listening(s.ports[1]) and not os.path.exists(s.prefix + "/logs/sock")
    (killed, *_) = workers
    os.kill(killed, signal.SIGKILL)  # its successor is of the old configuration, too
    wait_until(lambda: len(s.workers()) == 2 and killed not in s.workers(), 5, "another worker")
    for _ in range(20):
        assert get(s.port, "/").text.startswith("old ")
    set_conf(s, MORE, TEXT="new")
    told = s.run("-s", "reload")
    assert told.returncode == 0, told.stderr
    assert get(s.port, "/").text.startswith("new ")
    assert get(s.ports[1], "/").text == "more" and os.path.exists(s.prefix + "/logs/sock")
    set_conf(s, TEXT="third")
    assert s.run("-s", "reload").returncode == 0
    assert not os.path.exists(s.prefix + "/logs/sock")
    wait_until(lambda: not is_listening(s.ports[1]), 5, "the old workers have let go of it")


def test_workers_that_end_at_once_are_no_workers(server):
    s = server(CONF, **FIXED, allow_log=[FATAL])
    if not has_lua(s):
        pytest.skip("no Lua in this build")
    set_conf(s, HTTP="init_worker_by_lua_block { os.exit(1) }", TEXT="new")
    told = s.run("-s", "reload")
    assert told.returncode == 1 and REASON in told.stderr
    assert get(s.port, "/").text.startswith("old ")


def test_a_privileged_agent_serves_nobody(server):
    s = server(CONF, **FIXED, allow_log=[FATAL])
    if not has_lua(s):
        pytest.skip("no Lua in this build")
    set_conf(s, TEXT="new", HTTP="""init_by_lua_block { require("ngx.process").enable_privileged_agent() }
        init_worker_by_lua_block { if require("ngx.process").type() ~= "privileged agent" then os.exit(1) end }""")
    told = s.run("-s", "reload")
    assert told.returncode == 1 and REASON in told.stderr
    assert get(s.port, "/").text.startswith("old ")
    wait_until(lambda: len(children_of(s.process.pid)) == 2, 5, "the agent's end")


def test_a_slow_start_is_no_failure(server):
    s = server(CONF, **FIXED)
    if not has_lua(s):
        pytest.skip("no Lua in this build")
    go = s.prefix + "/logs/go"
    os.mkfifo(go)
    set_conf(s, HTTP=f'init_worker_by_lua_block {{ local go = io.open("{go}") go:read("*a") }}', TEXT="new")
    asked = subprocess.Popen(s.command("-s", "reload"), stderr=subprocess.DEVNULL, env=s.environment())
    wait_until(lambda: len(s.workers()) == 4, 5, "the new workers")
    end = time.monotonic() + 0.5  # longer than the master waits for all of them
    while time.monotonic() < end:
        assert get(s.port, "/").text.startswith("old ")
    assert asked.poll() is None and "shutting down" not in s.log()
    wait_until(lambda: let_go(go) or asked.poll() is not None, 10, "the verdict")
    assert asked.wait() == 0
    wait_until(lambda: let_go(go) or len(s.workers()) == 2, 10, "the end of the old workers")
    assert get(s.port, "/").text.startswith("new ")


def test_a_start_that_takes_too_long_is_a_failure(server):
    s = server(CONF, **FIXED, allow_log=[FATAL, r"exited on signal 9"])
    if not has_lua(s):
        pytest.skip("no Lua in this build")
    go = s.prefix + "/logs/go"
    os.mkfifo(go)
    set_conf(s, MAIN="worker_start_timeout 300ms;", HTTP=f'init_worker_by_lua_block {{ io.open("{go}") }}', TEXT="new")
    told = s.run("-s", "reload")
    assert told.returncode == 1 and REASON + " within 300 ms" in told.stderr
    assert get(s.port, "/").text.startswith("old ")
    wait_until(lambda: len(s.workers()) == 2, 5, "the end of the new workers")


def test_an_end_while_the_new_workers_start(server):
    s = server(CONF, **FIXED)
    if not has_lua(s):
        pytest.skip("no Lua in this build")
    set_conf(s, HTTP='init_worker_by_lua_block { os.execute("sleep 1") }')
    s.signal(signal.SIGHUP)
    wait_until(lambda: len(s.workers()) == 4, 5, "the new workers")
    s.signal(signal.SIGHUP)  # waits for the first one's end
    s.quit()
    assert s.process.returncode == 0


def test_a_server_without_workers_is_not_ready(server):
    conf = {**FIXED, "MAIN": "working_directory folder;"}
    s = server(CONF, **conf, files={"folder/x": ""}, allow_log=[FATAL, r"exited on signal 9"])
    assert s.run("-s", "wait").returncode == 0
    shutil.rmtree(s.prefix + "/folder")
    for worker in s.workers():
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: f"process {s.process.pid} is starting" in s.run("-s", "wait", "--no-wait").stderr, 5, "the end of the workers")
    os.mkdir(s.prefix + "/folder")
    told = s.run("-s", "reload")
    assert told.returncode == 0, told.stderr
    assert s.run("-s", "wait").returncode == 0
    assert get(s.port, "/").text.startswith("old ")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
@pytest.mark.parametrize("option", ["", "reuseport"], ids=["shared", "reuseport"])
def test_further_workers_take_nothing_before_they_serve(server, host, option):
    def text(count, listen, init=""):
        return (CONF.replace("worker_processes 2", f"worker_processes {count}").replace("%%HTTP%%", init)
                .replace("listen 127.0.0.1:%%PORT_0%%", f"listen {host}:%%PORT_0%% {listen}"))

    def answer():
        with Client(s.port, host.strip("[]")) as client:
            return client.get("/").text

    s = server(text(1, option), **FIXED, allow_log=[FATAL])
    if not has_lua(s):
        pytest.skip("no Lua in this build")
    go = s.prefix + "/logs/go"
    os.mkfifo(go)
    s.names.update(TEXT="new")
    s.set_conf(text(4, "reuseport", f'init_worker_by_lua_block {{ local go = io.open("{go}") go:read("*a") os.exit(1) }}'))
    asked = subprocess.Popen(s.command("-s", "reload"), stderr=subprocess.PIPE, text=True, env=s.environment())
    wait_until(lambda: len(s.workers()) == 5, 5, "the new workers")
    assert {answer().split()[0] for _ in range(24)} == {"old"}
    wait_until(lambda: let_go(go) or asked.poll() is not None, 10, "the verdict")
    assert asked.returncode == 1 and REASON in asked.communicate()[1]
    assert {answer().split()[0] for _ in range(24)} == {"old"}
    s.set_conf(text(4, "reuseport"))
    told = s.run("-s", "reload")
    assert told.returncode == 0, told.stderr
    assert len({answer() for _ in range(100)}) == 4
