# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Reloads under load, with changing numbers of workers and a broken configuration in between: no request is lost."""

import re
import signal

import pytest

from lib.fairlead import title_of
from lib.load import ANSWER, Load
from lib.ports import wait_until

CONF = """
worker_processes %%WORKERS%%;
events {}
http {
    keepalive_min_timeout 60s;  # so long a client may be held up between two requests
    client_body_temp_path %%PREFIX%%/logs;
    upstream back { server 127.0.0.1:%%UP%%; keepalive 8; }
    server {
        listen 127.0.0.1:%%PORT_0%% %%LISTEN%%;
        location / {
            proxy_pass http://back;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
"""
RELOADS = 20


def with_workers(count):
    return CONF.replace("%%WORKERS%%", str(count))


@pytest.fixture(params=["", "reuseport"], ids=["shared", "reuseport"])
def loaded(server, upstream, request):
    return server(with_workers(1), UP=upstream(ANSWER).port, LISTEN=request.param, allow_log=[r"\[emerg\].*unknown directive"])


def break_and_reload(s):
    """-s reload of a text with an error in line 3: said and refused, and the workers stay."""
    before = {w for w in s.workers() if title_of(w).endswith("worker process")}  # neither draining nor gone
    assert before
    s.set_conf(s.conf.replace("events {}", "evnets {}"))
    tested = s.run("-t")
    assert tested.returncode == 1 and re.search(r'unknown directive "evnets" in \S+test\.conf:3\b', tested.stderr)
    told = s.run("-s", "reload")
    assert told.returncode == 1
    assert re.search(r'unknown directive "evnets" in \S+test\.conf:3', told.stderr)
    s.wait_for_log(r'\[emerg\].*unknown directive "evnets" in \S+test\.conf:3')
    assert before <= set(s.workers())


def test_reloads_lose_nothing(loaded):
    s = loaded
    with Load(s.port) as load:
        for i in range(RELOADS):
            count = i % 3 + 1
            s.reload(with_workers(count))
            load.wait_more(20)
            if i == RELOADS // 2:
                break_and_reload(s)
                load.wait_more(20)
    load.assert_clean()
    wait_until(lambda: len(s.workers()) == (RELOADS - 1) % 3 + 1, 10, "the end of the replaced workers")


def test_s_reload_tells_the_result(loaded):
    s = loaded
    s.set_conf(with_workers(2))
    told = s.run("-s", "reload")
    assert told.returncode == 0, told.stderr
    s.wait_workers(2)
    break_and_reload(s)


def test_hups_in_a_row_lose_nothing(loaded):
    """Signals faster than reloads: they may merge, the last text counts."""
    s = loaded
    s.set_conf(with_workers(2))
    with Load(s.port) as load:
        for _ in range(5):
            s.signal(signal.SIGHUP)
            load.wait_more(2)
        load.wait_more(50)
    load.assert_clean()
    wait_until(lambda: len(s.workers()) == 2, 10, "two workers")
