# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A running Debian nginx becomes fairlead by USR2, and nginx again, under load. No request is lost."""

import os
import shutil
import signal

import pytest

from lib.client import get
from lib.daemon import DaemonServer, Orphan
from lib.fairlead import default_binary
from lib.load import ANSWER, Load
from lib.nginx import BINARY
from lib.ports import wait_until

CONF = """
daemon on;
worker_processes 2;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path %%PREFIX%%/body;
    proxy_temp_path %%PREFIX%%/proxy;
    upstream back { server 127.0.0.1:%%UP%%; keepalive 8; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / {
            proxy_pass http://back;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
"""
pytestmark = pytest.mark.skipif(not os.path.exists(BINARY), reason="needs Debian's nginx")


class Replaceable(DaemonServer):
    """Started from a path of its own, where the binary can be replaced."""

    def put(self, binary):
        self.binary = os.path.join(self.prefix, "server")
        shutil.copy(binary, self.binary + ".new")
        os.replace(self.binary + ".new", self.binary)


@pytest.fixture
def replaceable(upstream):
    s = Replaceable(CONF, UP=upstream(ANSWER).port)
    s.put(BINARY)
    yield s.start()
    s.stop()


def serves(s):
    return get(s.port, "/x").header("Server").split("/")[0]


def stop_workers(s):
    s.signal(signal.SIGWINCH)
    wait_until(lambda: not s.workers(), 10, "the workers' end after WINCH")


def test_nginx_becomes_fairlead(replaceable):
    s = replaceable
    assert serves(s) == "nginx"
    with Load(s.port, idle_close_is_fair=True) as load:
        load.wait_more(30)
        s.put(default_binary())
        old, new = s.start_new_binary()
        load.wait_more(60)
        stop_workers(s)
        assert serves(s) == "fairlead"
        s.quit()
        assert s.pid() == new
        s.adopt_master()
        load.wait_more(60)
        s.reload()
        load.wait_more(30)
    load.assert_clean()


def test_fairlead_becomes_nginx_again(replaceable):
    s = replaceable
    with Load(s.port, idle_close_is_fair=True) as load:
        s.put(default_binary())
        old, new = s.start_new_binary()
        stop_workers(s)
        load.wait_more(60)
        assert serves(s) == "fairlead"
        s.signal(signal.SIGHUP, old)
        s.wait_workers(2)
        load.wait_more(30)
        s.signal(signal.SIGQUIT, new)
        wait_until(lambda: s.pid() == old, 10, "nginx's pid file back at its name")
        load.wait_more(60)
        assert serves(s) == "nginx"
    load.assert_clean()
    assert s.process.pid == old


def test_fairlead_hands_over_to_nginx(replaceable):
    """The other way round: fairlead's descriptors and environment are what nginx understands."""
    s = replaceable
    s.put(default_binary())
    s.start_new_binary()
    s.quit()
    s.adopt_master()
    assert serves(s) == "fairlead"
    s.put(BINARY)
    with Load(s.port, idle_close_is_fair=True) as load:
        s.start_new_binary()
        s.quit()
        assert not os.path.exists(s.prefix + "/logs/server.pid.status")  # of which nginx knows nothing
        s.adopt_master()
        load.wait_more(60)
    load.assert_clean()
    assert serves(s) == "nginx"
    s.process = Orphan(s.pid())
