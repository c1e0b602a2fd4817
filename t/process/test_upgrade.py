# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The binary replaced under load: forward, back, and one that does not start. No request is lost."""

import os
import shutil
import signal
import threading

from lib import upstreams as up
from lib.client import Client, get
from lib.daemon import DaemonServer, Orphan
from lib.fairlead import default_binary
from lib.load import ANSWER, Load
from lib.ports import wait_until

CONF = """
daemon on;
worker_processes 2;
events {}
http {
    keepalive_min_timeout 60s;  # so long a client may be held up between two requests
    client_body_temp_path %%PREFIX%%/logs;
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


def oldbin(s):
    return os.path.join(s.prefix, "logs/server.pid.oldbin")


def stop_workers(s, master):
    """WINCH: the master stays, its workers leave."""
    s.process = Orphan(master)
    s.signal(signal.SIGWINCH)
    wait_until(lambda: not s.workers(), 10, "the workers' end after WINCH")


def test_an_upgrade_loses_nothing(daemon, upstream):
    s = daemon(CONF, UP=upstream(ANSWER).port)
    with Load(s.port) as load:
        load.wait_more(30)
        old, new = s.start_new_binary()
        with open(oldbin(s)) as f:
            assert int(f.read()) == old
        load.wait_more(60)
        stop_workers(s, old)
        load.wait_more(60)
        s.quit()
        assert s.process.returncode == 0
        assert not os.path.exists(oldbin(s)) and s.pid() == new
        s.adopt_master()
        load.wait_more(60)
    load.assert_clean()
    assert len(s.wait_workers(2)) == 2


def test_an_upgrade_rolled_back_loses_nothing(daemon, upstream):
    s = daemon(CONF, UP=upstream(ANSWER).port)
    with Load(s.port) as load:
        old, new = s.start_new_binary()
        stop_workers(s, old)
        load.wait_more(60)
        s.signal(signal.SIGHUP, old)
        s.wait_workers(2)
        load.wait_more(30)
        s.signal(signal.SIGQUIT, new)
        s.wait_for_log(rf"new binary process {new} exited with code 0")
        wait_until(lambda: s.pid() == old and not os.path.exists(oldbin(s)), 5, "the pid file back at its name")
        load.wait_more(60)
    load.assert_clean()
    # And forward again.
    old, new = s.start_new_binary()
    s.quit()
    s.adopt_master()
    assert s.process.pid == new and get(s.port, "/").status == 200


def test_two_binaries_that_leave_say_nothing_of_their_sockets(daemon, upstream):
    go = threading.Event()
    u = upstream([up.request(), up.wait_for(go), up.send(up.reply(200, b"late"))])
    s = daemon(CONF.replace("%%PORT_0%%", "%%PORT_0%% reuseport"), UP=u.port)
    with Client(s.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        u.wait_requests(1)
        old, new = s.start_new_binary()
        s.signal(signal.SIGQUIT, old)
        s.wait_for_log(rf"{old}#.*SIGQUIT.*shutting down")
        s.signal(signal.SIGQUIT, new)
        s.wait_for_log(rf"new binary process {new} exited with code 0")
        go.set()
        assert client.read_reply("GET").body == b"late"
    s.process = Orphan(old)
    assert s.wait() == 0
    assert "[warn]" not in s.log()


SOCKETS = """
daemon on;
worker_processes 1;
events {}
http {
    server { listen unix:%%PREFIX%%/shared; listen unix:%%PREFIX%%/own%%NUMBER%%; return 200 "$pid"; }
}
"""


def test_the_socket_files_of_a_new_binary_go_with_what_it_opened(daemon):
    """The one that the old binary serves stays, whatever the new one does."""
    s = daemon(SOCKETS.replace("/own%%NUMBER%%", "/first"))
    path = os.path.join(s.prefix, "{}").format

    def serves(name):
        with Client(None, unix=path(name)) as client:
            return client.get("/").status == 200
    for _ in range(2):
        s.names["NUMBER"] = 1
        s.set_conf(SOCKETS)
        old, new = s.start_new_binary()
        assert serves("own1") and serves("shared")
        s.process = Orphan(new)
        s.names["NUMBER"] = 2
        s.reload(SOCKETS)
        wait_until(lambda: not os.path.exists(path("own1")), 5, "the end of what a reload no longer names")
        assert serves("own2")
        s.process = Orphan(old)
        s.signal(signal.SIGQUIT, new)
        s.wait_for_log(rf"new binary process {new} exited with code 0")
        assert not os.path.exists(path("own2"))
        wait_until(lambda: s.pid() == old, 5, "the pid file back at its name")
        assert serves("shared") and serves("first")
    s.quit()
    assert not os.path.exists(path("shared")) and not os.path.exists(path("first"))


def test_a_new_binary_that_does_not_start(daemon, upstream):
    s = daemon(CONF, UP=upstream(ANSWER).port, allow_log=[r"\[emerg\].*unknown directive"])
    master = s.pid()
    s.set_conf(CONF.replace("events {}", "evnets {}"))
    with Load(s.port) as load:
        s.signal(signal.SIGUSR2)
        s.wait_for_log(r"new binary process \d+ exited with code 1")
        wait_until(lambda: s.pid() == master and not os.path.exists(oldbin(s)), 5, "the pid file back at its name")
        load.wait_more(100)
    load.assert_clean()


def test_one_new_binary_at_a_time(daemon, upstream):
    s = daemon(CONF, UP=upstream(ANSWER).port)
    old, new = s.start_new_binary()
    for pid in (old, new):
        s.signal(signal.SIGUSR2, pid)
    wait_until(lambda: s.log().count("the changing binary signal is ignored") == 2, 5, "both refusals")
    s.quit()
    s.adopt_master()


class FoundByPath(DaemonServer):
    """Started by its bare name."""

    def put(self):
        shutil.copy(default_binary(), self.prefix + "/server.new")
        os.replace(self.prefix + "/server.new", self.prefix + "/server")

    def command(self, *more):
        return ["server", *super().command(*more)[1:]]

    def environment(self):
        return {**super().environment(), "PATH": self.prefix + ":" + os.environ["PATH"]}


def test_a_file_that_was_replaced_since_the_start(upstream):
    s = FoundByPath(CONF, UP=upstream(ANSWER).port)
    s.put()
    with s:
        s.put()
        old, new = s.start_new_binary()
        assert os.readlink(f"/proc/{new}/exe") == s.prefix + "/server"
        s.quit()
        s.process = Orphan(new)
        assert get(s.port, "/").status == 200
