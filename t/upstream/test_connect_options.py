# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What a connection to a peer is made with: local address, socket options; and what a local failure means."""

import re
import shutil
import subprocess

import pytest

from lib import upstreams as up
from lib.client import Client, get

CONF = """
events {}
http {
    upstream two { server 127.0.0.1:%%UP%%; server 127.0.0.1:%%UP2%%; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_bind $arg_from; proxy_pass http://127.0.0.1:%%UP%%; }
        location /bad { proxy_bind 192.0.2.1; proxy_next_upstream error timeout; proxy_pass http://two; }
        location /transparent { proxy_bind 127.0.0.7 transparent; proxy_pass http://127.0.0.1:%%UP%%; }
        location /small { proxy_socket_rcvbuf 8k; proxy_socket_sndbuf 12k; proxy_socket_keepalive on; proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""


@pytest.fixture
def bound(server, upstream):
    one, two = upstream(), upstream()
    return server(CONF, UP=one.port, UP2=two.port), one, two


def peer_of(seen):
    return seen.socket.getpeername()[0]


def test_the_local_address_may_be_a_variable(bound):
    s, u, _ = bound
    for source in ("127.0.0.5", "127.0.0.6", "127.0.0.5", ""):
        assert get(s.port, f"/?from={source}").status == 200
    # A connection is used again for the same local address only.
    assert [peer_of(c) for c in u.connections] == ["127.0.0.5", "127.0.0.6", "127.0.0.1"]
    assert [len(c.requests) for c in u.connections] == [2, 1, 1]
    assert get(s.port, "/?from=nonsense").status == 200
    s.wait_for_log(r'\[error\].*invalid local address "nonsense"')


def test_an_address_that_is_not_ours_is_no_fault_of_the_peers(bound):
    s, one, two = bound
    for _ in range(3):
        assert get(s.port, "/bad").status == 500
    assert not one.requests and not two.requests
    assert re.search(r"bind\(\) failed \(99: Cannot assign requested address\) while connecting to upstream", s.log())
    assert "temporarily disabled" not in s.log()


def test_transparent(bound):
    s, u, _ = bound
    reply = get(s.port, "/transparent")
    # Needs CAP_NET_RAW or CAP_NET_ADMIN; an address of the loopback network works without, too.
    assert reply.status == 200 and peer_of(u.connections[0]) == "127.0.0.7"


def test_socket_buffers_and_keepalive(bound):
    if not shutil.which("ss"):
        pytest.skip("needs ss")
    s, u, _ = bound
    with Client(s.port) as c:
        assert c.get("/small").status == 200
        shown = subprocess.run(["ss", "-tnmoH", "dst", f"127.0.0.1:{u.port}"], capture_output=True, text=True).stdout
    assert re.search(r"\brb16384\b", shown) and re.search(r"\btb24576\b", shown), shown  # the kernel doubles what it is told
    assert "keepalive" in shown
