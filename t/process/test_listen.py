# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Where a server listens: unix sockets, IPv6, wildcard beside a specific address, reuseport, names on one port, what bind says."""

import os
import re
import signal
import socket
import stat
import sys

import pytest

from lib.client import Client, get
from lib.ports import wait_until

CONF = """
worker_processes 2;
events {}
http {
    server_names_hash_bucket_size 128;
    server { listen %%PORT_0%%; return 200 "wildcard $server_addr"; }
    server { listen 127.0.0.2:%%PORT_0%%; return 200 "specific $server_addr"; }
    server { listen [::1]:%%PORT_0%%; return 200 "six $server_addr"; }
    server { listen unix:%%PREFIX%%/socket; return 200 "unix $remote_addr $server_addr"; }
    server { listen 127.0.0.1:%%PORT_1%% default_server reuseport; server_name one; return 200 "one $pid"; }
    server { listen 127.0.0.1:%%PORT_1%%; server_name two *.two; return 200 "two"; }
}
"""


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.fixture
def running(server):
    return server(CONF if has_ipv6() else CONF.replace("[::1]", "127.0.0.3"))


def test_a_specific_address_beside_the_wildcard(running):
    assert get(running.port).text == "wildcard 127.0.0.1"
    with Client(running.port, host="127.0.0.2") as client:
        assert client.get("/").text == "specific 127.0.0.2"


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
def test_ipv6(running):
    with Client(running.port, host="::1") as client:
        assert client.get("/").text == "six ::1"


def test_a_unix_socket(running):
    path = f"{running.prefix}/socket"
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    for _ in range(3):
        with Client(None, unix=path) as client:
            assert client.get("/").text == f"unix unix: unix:{path}"
    running.reload()
    with Client(None, unix=path) as client:
        assert client.get("/").text == f"unix unix: unix:{path}"
    running.quit()
    assert not os.path.exists(path)


def test_a_unix_socket_goes_with_its_last_listen(running):
    running.reload(re.sub(r".*unix:.*\n", "", CONF if has_ipv6() else CONF.replace("[::1]", "127.0.0.3")))
    wait_until(lambda: not os.path.exists(f"{running.prefix}/socket"), 5, "the end of the socket's file")


def test_names_on_one_port(running):
    port = running.ports[1]
    assert get(port, host="two").text == "two"
    assert get(port, host="a.two").text == "two"
    for host in ("one", "other", "TWO.one"):
        assert get(port, host=host).text.startswith("one ")


def test_reuseport_reaches_all_workers(running):
    seen = {get(running.ports[1], host="one").text for _ in range(60)}
    assert len(seen) == 2


@pytest.mark.parametrize("at_start, later", [("on", "off"), ("off", "on")])
def test_a_reload_neither_brings_nor_takes_a_master(server, at_start, later):
    """Each socket of a reuseport group has a worker that accepts from it, whatever the new text says of a master."""
    conf = """
worker_processes %%WORKERS%%;
master_process %%MASTER%%;
events {}
http { server { listen 127.0.0.1:%%PORT_0%% reuseport; return 200 "$pid %%WORKERS%%"; } }
"""
    s = server(conf, WORKERS=2, MASTER=at_start)
    get(s.port)
    s.names |= {"WORKERS": 4, "MASTER": later}
    s.set_conf(conf)
    s.signal(signal.SIGHUP)
    s.wait_for_log(r'\[warn\].* "master_process" cannot change at a reload, ignored')
    wait_until(lambda: all(get(s.port).text.endswith(" 4") for _ in range(20)), 5, "the new configuration alone")
    seen = {get(s.port).text for _ in range(40)}
    assert seen <= {f"{pid} 4" for pid in (s.workers() if at_start == "on" else [s.process.pid])}
    assert len(seen) > 2 or at_start == "off"


def speaks_multipath():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP).close()
        return True
    except OSError:
        return False


def fell_back(client):
    """Whether a client's Multipath TCP socket goes on as plain TCP: the peer did not speak it (linux/mptcp.h)."""
    sol_mptcp, mptcp_info, flags_at, fallback = 284, 1, 8, 1
    info = client.getsockopt(sol_mptcp, mptcp_info, 64)
    return bool(int.from_bytes(info[flags_at:flags_at + 4], sys.byteorder) & fallback)


@pytest.mark.skipif(not speaks_multipath(), reason="the kernel has no Multipath TCP")
def test_multipath(server):
    s = server("""
events {}
http {
    server { listen 127.0.0.1:%%PORT_0%% multipath; return 200 "many"; }
    server { listen 127.0.0.1:%%PORT_1%%; return 200 "one"; }
}
""")
    for port, plain in ((s.ports[0], False), (s.ports[1], True)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP) as client:
            client.settimeout(5)
            client.connect(("127.0.0.1", port))
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert b" 200 OK" in client.recv(4096)
            try:
                assert fell_back(client) == plain
            except OSError:  # older kernels tell so of a connection that fell back
                assert plain
    assert get(s.ports[0]).text == "many", "clients of plain TCP are served as well"
    s.reload(s.conf.replace(" multipath", ""))
    s.wait_for_log("whether .* is multipath cannot change while it is listened to, ignored")
    assert get(s.ports[0]).text == "many"


def test_an_address_in_use(server, idle_server, running):
    s = idle_server("events {}\nhttp {\n    server { listen 127.0.0.1:%%OTHER%%; }\n}\n", OTHER=running.ports[1], allow_log=[r"bind\(\)"])
    told = s.run()
    assert told.returncode == 1
    assert told.stderr.count(f"bind() to 127.0.0.1:{running.ports[1]} failed (98: Address already in use)") == 5
    assert "still could not bind()" in told.stderr
    assert get(running.ports[1], host="two").text == "two"


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
def test_ipv6only_stays_as_it_was_bound(server):
    s = server("events {} http { server { listen [::]:%%PORT_0%% ipv6only=on; return 200 six; } }")
    s.reload(s.conf.replace("ipv6only=on", "ipv6only=off"))
    s.wait_for_log("whether .* is for IPv6 only cannot change while it is listened to, ignored")
    assert Client(s.port, host="::1").get("/").text == "six"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", s.port), 5)


def test_a_reload_that_cannot_bind_changes_nothing(running):
    running.allow_log.append(re.compile(r"bind\(\)"))
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        running.set_conf(f"events {{}}\nhttp {{ server {{ listen 127.0.0.1:{port}; return 200 no; }} }}\n")
        told = running.run("-s", "reload")
        assert told.returncode == 1 and f"bind() to 127.0.0.1:{port} failed (98: Address already in use)" in told.stderr
    assert get(running.ports[1], host="two").text == "two"
