# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Everything that may happen to a server under one load: 20 reloads with changing numbers of workers, a broken configuration in between, an
upgrade that is rolled back, one that stays. Of keepalive requests, new connections, uploads and slow clients none fails."""

import os
import re
import signal

import pytest

from lib.daemon import Orphan
from lib.load import ANSWER, Load
from lib.ports import wait_until

CONF = """
daemon on;
worker_processes %%WORKERS%%;
events {}
http {
    keepalive_min_timeout 60s;  # so long a client may be held up between two requests
    client_body_temp_path %%PREFIX%%/logs;
    proxy_next_upstream error timeout http_503;
    upstream back { zone back 256k; server 127.0.0.1:%%UP%% weight=3; server 127.0.0.1:%%UP2%%; keepalive 8; }
    server {
        listen 127.0.0.1:%%PORT_0%% %%LISTEN%%;
        location / { proxy_pass http://back; }
    }
}
"""
RELOADS = 20


def with_workers(count):
    return CONF.replace("%%WORKERS%%", str(count))


def stop_workers(s, master):
    s.process = Orphan(master)
    s.signal(signal.SIGWINCH)
    wait_until(lambda: not s.workers(), 20, "the workers' end after WINCH")


def reload_often(s, load, first, last):
    for i in range(first, last):
        s.reload(with_workers(i % 3 + 1))
        load.wait_more(15)


def refuse_a_broken_one(s, load):
    wait_until(lambda: len(s.workers()) == (RELOADS // 2 - 1) % 3 + 1, 20, "the end of the replaced workers")
    before = set(s.workers())
    whole = s.conf
    s.set_conf(whole.replace("events {}", "evnets {}"))
    told = s.run("-s", "reload")
    assert told.returncode == 1 and re.search(r'unknown directive "evnets" in \S+test\.conf:4', told.stderr), told
    s.set_conf(whole)
    assert before <= set(s.workers())
    load.wait_more(20)


def roll_back_an_upgrade(s, load):
    old, new = s.start_new_binary()
    load.wait_more(30)
    stop_workers(s, old)
    load.wait_more(30)
    s.signal(signal.SIGHUP, old)
    s.wait_workers(1)
    load.wait_more(30)
    s.signal(signal.SIGQUIT, new)
    s.wait_for_log(rf"new binary process {new} exited with code 0", 20)
    wait_until(lambda: s.pid() == old, 5, "the pid file back at its name")
    load.wait_more(30)


def upgrade(s, load):
    old, new = s.start_new_binary()
    load.wait_more(30)
    stop_workers(s, old)
    load.wait_more(30)
    s.quit(20)
    assert s.process.returncode == 0
    s.adopt_master()
    assert s.process.pid == new
    load.wait_more(30)


@pytest.mark.parametrize("listen", ["", "reuseport"])
def test_no_request_is_lost(daemon, upstream, listen):
    up1, up2 = upstream(ANSWER), upstream(ANSWER)
    s = daemon(with_workers(2), UP=up1.port, UP2=up2.port, LISTEN=listen, allow_log=[r"\[emerg\].*unknown directive"])
    with Load(s.port) as load:
        reload_often(s, load, 0, RELOADS // 2)
        refuse_a_broken_one(s, load)
        roll_back_an_upgrade(s, load)
        upgrade(s, load)
        reload_often(s, load, RELOADS // 2, RELOADS)
    load.assert_clean()
    wait_until(lambda: len(s.workers()) == (RELOADS - 1) % 3 + 1, 20, "the end of the replaced workers")
    assert not os.path.exists(os.path.join(s.prefix, "logs/server.pid.oldbin"))
