# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Peers in a shared zone, and groups with names."""

import os
import signal

from lib import upstreams as up
from lib.client import Client, get
from lib.ports import wait_until

CONF = """
worker_processes 2;
events {}
http {
    upstream pool { zone pool 64k; server 127.0.0.1:%%A%% max_fails=1 fail_timeout=60 max_conns=1; server 127.0.0.1:%%B%% backup; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        proxy_read_timeout 10s;
        location / { proxy_pass http://pool; }
    }
}
"""


def errors(server):
    return [line for line in server.log().split("\n") if "[error]" in line]


def ok(name):
    return up.serve(lambda r: up.reply(200, name))


def test_one_failure_counts_for_all_workers_and_over_a_reload(server, upstream):
    refused, good = up.Refused(), upstream(ok("good"))
    s = server(CONF, A=refused.port, B=good.port)
    s.wait_workers(2)
    for _ in range(30):
        assert get(s.port, "/").text == "good"
    assert len(errors(s)) == 1
    s.reload()
    for _ in range(10):
        assert get(s.port, "/").text == "good"
    assert len(errors(s)) == 1, errors(s)
    refused.stop()


def test_max_conns_holds_over_all_workers(server, upstream):
    full, backup = upstream([up.request(), up.hold()]), upstream(ok("backup"))
    s = server(CONF, A=full.port, B=backup.port)
    s.wait_workers(2)
    with Client(s.port) as first:
        first.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        full.wait_requests(1)
        for _ in range(20):
            assert get(s.port, "/").text == "backup"
    assert len(full.requests) == 1


def test_connections_of_a_killed_worker_are_not_counted(server, upstream):
    full, backup = upstream([up.request(), up.hold()], ok("free")), upstream(ok("backup"))
    s = server(CONF, A=full.port, B=backup.port, allow_log=[r"\[alert\].*exited on signal 9"])
    workers = s.wait_workers(2)
    first = Client(s.port)
    first.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    full.wait_requests(1)
    assert get(s.port, "/").text == "backup"
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(s.workers()) - set(workers)) == 2, 5, "new workers")
    assert get(s.port, "/").text == "free"
    first.close()


def test_a_zone_has_room_for_all_its_peers_and_all_others(server):
    """63 are what nginx takes of 64k, where each configuration has a zone of its own."""
    hosts = up.Hosts(*(f"127.0.4.{i}" for i in range(1, 127)))
    first, second = hosts.names[:63], hosts.names[63:]

    def conf(names):
        servers = "".join(f"server {name}:{hosts.port} max_conns=1;" for name in names)
        return CONF.replace("server 127.0.0.1:%%A%% max_fails=1 fail_timeout=60 max_conns=1; server 127.0.0.1:%%B%% backup;", servers)

    s = server(conf(first))
    for names in (first, second, first, second):
        s.reload(conf(names))
        assert {get(s.port, "/").text for _ in range(126)} == set(names)
    hosts.stop()


def test_a_zone_without_room_is_refused(idle_server):
    peers = "".join(f"server 127.1.{i // 250}.{i % 250 + 1}:80;" for i in range(1000))
    s = idle_server(CONF.replace("server 127.0.0.1:%%B%% backup;", peers), A=1)
    s.names["B"] = 2
    done = s.run("-t")
    assert done.returncode == 1 and 'no memory in upstream zone "pool"' in done.stderr
    s.discard()


NAMES = """
events {}
http {
    upstream named { server localhost:%%UP%% resolve; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://named; }
        location /direct { proxy_pass http://localhost:%%UP%%; }
        location /never { proxy_pass http://no-such-name.invalid:%%UP%%; }
    }
}
"""


def test_names_are_resolved_and_an_unknown_one_is_no_peer(server, upstream):
    u = upstream(ok("named"))
    s = server(NAMES, UP=u.port)
    assert get(s.port, "/").text == "named"
    assert get(s.port, "/direct").text == "named"
    assert get(s.port, "/never", seconds=60).status == 502  # as long as the name servers of the machine take
    s.wait_for_log("no live upstreams while connecting to upstream")


DEFAULTS = {
    "proxy_busy_buffers_size 1k;": '"proxy_busy_buffers_size" must be equal to or greater than the maximum of the value of "proxy_buffer_size" and one of '
                                   'the "proxy_buffers"',
    "proxy_busy_buffers_size 1m;": '"proxy_busy_buffers_size" must be less than the size of all "proxy_buffers" minus one buffer',
    "proxy_buffers 1 4k;": 'there must be at least 2 "proxy_buffers"',
    "proxy_temp_file_write_size 1k;": '"proxy_temp_file_write_size" must be equal to or greater than the maximum',
    "proxy_max_temp_file_size 1k;": '"proxy_max_temp_file_size" must be equal to zero to disable temporary files usage',
}


def test_impossible_buffers_are_refused_in_nginx_words(idle_server):
    for line, reason in DEFAULTS.items():
        s = idle_server(CONF.replace("proxy_read_timeout 10s;", line), A=1, B=2)
        done = s.run("-t")
        assert done.returncode == 1 and reason in done.stderr, (line, done.stderr)
        s.discard()


def test_sizes_left_alone_follow_the_buffers_of_their_own_block(idle_server):
    for outer, inner in [("", "proxy_buffer_size 16k; proxy_buffers 256 16k;"), ("proxy_buffer_size 128k; proxy_buffers 4 256k;", ""),
                         ("proxy_buffers 8 64k;", "proxy_buffers 4 4k;")]:
        s = idle_server(CONF.replace("proxy_read_timeout 10s;", outer).replace("location / {", "location / { " + inner), A=1, B=2)
        done = s.run("-t")
        assert done.returncode == 0, (outer, inner, done.stderr)
        s.discard()
