# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What the main part says about workers, read back from the system: priority, limits, processors, folder, environment, who is debugged."""

import os
import re
import subprocess

import pytest

from lib.client import Client, get
from lib.h2client import END_HEADERS, HEADERS, PREFACE, SETTINGS, frame
from lib.ports import wait_until

CONF = """
worker_processes 2;
worker_priority 5;
worker_rlimit_core 3m;
worker_rlimit_nofile 700;
worker_cpu_affinity %%MASKS%%;
working_directory %%PREFIX%%/html;
env SEEN=by-workers;
env KEPT;
lock_file %%PREFIX%%/logs/lock;
timer_resolution 100ms;
pcre_jit off;
events { accept_mutex on; accept_mutex_delay 100ms; multi_accept on; use epoll; }
http {
    server_names_hash_max_size 512; server_names_hash_bucket_size 64; variables_hash_max_size 1024; variables_hash_bucket_size 64;
    types_hash_max_size 1024; types_hash_bucket_size 64;
    server { listen 127.0.0.1:%%PORT_0%%; location ~ ^/(?<name>a+)$ { return 200 "$name $pid"; } location / { return 200 ok; } }
}
"""


def limit_of(pid, name):
    with open(f"/proc/{pid}/limits") as f:
        return re.search(rf"^{name}\s+(\S+)\s+(\S+)", f.read(), re.M).groups()


def settings_of(pid):
    return (os.getpriority(os.PRIO_PROCESS, pid), limit_of(pid, "Max core file size"), limit_of(pid, "Max open files"),
            os.sched_getaffinity(pid), os.readlink(f"/proc/{pid}/cwd"))


def test_workers_are_what_was_asked_for(server, monkeypatch):
    monkeypatch.setenv("KEPT", "from-outside")
    s = server(CONF, MASKS="01")
    wanted = (5, (str(3 << 20), str(3 << 20)), ("700", "700"), {0}, os.path.join(s.prefix, "html"))
    for pid in s.wait_workers(2):  # a worker is there before it is what it should be
        wait_until(lambda: settings_of(pid) == wanted, 5, f"settings like {wanted}, not {settings_of(pid)}")
    assert get(s.port, "/aaa").text.startswith("aaa ")


@pytest.mark.skipif(os.cpu_count() < 2, reason="one processor")
def test_each_worker_has_a_processor(server):
    s = server(CONF, MASKS="01 10")
    workers = s.wait_workers(2)
    wait_until(lambda: sorted(tuple(os.sched_getaffinity(pid)) for pid in workers) == [(0,), (1,)], 5, "one processor each")
    s.wait_for_log(r"sched_setaffinity\(\): using cpu #1")


DEBUG = """
events { debug_connection %%WHO%%; }
error_log logs/error.log %%LEVEL%%;
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /a/ { error_page 404 /page; return 404; }
        location = /page { return 200 page; }
    }
}
"""


def debug_lines(server):
    return [line.split(": ", 1)[1] for line in server.log().splitlines() if "[debug]" in line]


def has_debug(server):
    return "--with-debug" in server.run("-V").stderr


@pytest.mark.parametrize("who, level, wanted", [
    ("127.0.0.9", "debug", True), ("127.0.0.0/8", "info", True), ("127.0.0.9", "info", False), ("unix:", "info", False),
])
def test_debug_lines_tell_what_is_done_if_asked_for(server, who, level, wanted):
    s = server(DEBUG, WHO=who, LEVEL=level)
    if not has_debug(s):
        pytest.skip("built without --with-debug")
    c = Client(s.port)
    c.send("GET /a/b?c HTTP/1.1\r\nHost: h\r\nX-A: b\r\nConnection: close\r\n\r\n").read_reply()
    c.read_until_close()
    s.quit()
    lines = debug_lines(s)
    if not wanted:
        assert lines == []
        return
    for text in ('http request line: "GET /a/b?c HTTP/1.1"', 'http header: "X-A: b"', 'using configuration "/a/"',
                 'http special response: 404, "/a/b?c"', 'internal redirect: "/page?"', 'using configuration "/page"',
                 "http response: 404, length 4", "close http connection: "):
        assert any(text in line for line in lines), (text, lines)
    assert re.search(r"^\*1 accept: 127\.0\.0\.1:\d+ fd:\d+$", "\n".join(lines), re.M)
    assert not any(", client: " in line for line in lines)


@pytest.mark.parametrize("main, said", [("", 200), ("worker_rlimit_nofile 400;", 400), ("worker_rlimit_nofile 600;", None)])
def test_more_connections_than_files(idle_server, main, said):
    s = idle_server(main + " events { worker_connections 500; }")
    limit = ["prlimit", "--nofile=200:200", *s.command("-t")]
    assert subprocess.run(limit, env=s.environment(), stderr=subprocess.DEVNULL).returncode == 0
    found = re.findall(r"\[warn\] \S+: 500 worker_connections exceed open file resource limit: (\d+)\n", s.log())
    assert found == ([str(said)] if said else [])


CONNECTIONS = """
events { debug_connection 127.0.0.1; }
error_log logs/error.log error;
http {
    server { listen 127.0.0.1:%%PORT_0%%; }
    server { listen 127.0.0.1:%%PORT_1%% http2; }
}
"""


def test_debug_connection_holds_for_lines_about_the_connection_itself(server):
    s = server(CONNECTIONS)
    for port, sent, said in [
        (s.port, b"", "client closed connection while waiting for request"),
        (s.port, b"GET / HT", "client prematurely closed connection while reading client request line"),
        (s.ports[1], PREFACE + frame(SETTINGS) + frame(HEADERS, END_HEADERS, 2, b"x"), "while processing HTTP/2 connection"),
    ]:
        with Client(port) as client:
            client.send(sent)
            if port == s.ports[1]:
                client.read_until_close()
        s.wait_for_log(rf"\[info\] .*{said}, client: 127\.0\.0\.1, server: ")


FEW = """
worker_processes 1;
worker_rlimit_nofile %%FILES%%;
events {}
http { server { listen 127.0.0.1:%%PORT_0%%; } }
"""


@pytest.mark.parametrize("files", [4, 5, 6, 7])
def test_a_worker_without_descriptors_to_hear_by_does_not_serve(server, files):
    s = server(FEW, FILES=files)
    s.allow_log.append(re.compile("failed|cannot be respawned"))
    s.wait_for_log(r"\[emerg\] .*failed \(24: Too many open files\)")
    s.wait_for_log("exited with fatal code 2 and cannot be respawned")
