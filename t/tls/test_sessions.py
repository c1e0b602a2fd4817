# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Resumption: tickets and session ids, in a zone shared by workers, with keys out of files; never across servers that verify clients."""

import os
import ssl

import pytest

from lib.certs import Authority
from lib.client import Client

CONF = """
worker_processes 2;
events {}
http {
    ssl_certificate %%CERTS%%/server.pem;
    ssl_certificate_key %%CERTS%%/server.key;
    %%MORE%%
    server { listen 127.0.0.1:%%PORT_0%% ssl reuseport; server_name one.test;
             location / { return 200 "$ssl_session_reused $pid"; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name two.test; ssl_verify_client optional; ssl_client_certificate %%CERTS%%/ca.pem;
             location / { return 200 "$ssl_session_reused $ssl_client_verify"; } }
}
"""


@pytest.fixture
def authority(tmp_path):
    ca = Authority(tmp_path / "certs")
    ca.leaf("server", "one.test", "two.test", file="server")
    for number in (1, 2):
        with open(f"{ca.folder}/key{number}", "wb") as f:
            f.write(os.urandom(80 if number == 1 else 48))
    return ca


def visit(server, context, name="one.test", session=None, host=None):
    """The reply's words and the session for the next visit."""
    client = Client(server.port)
    plain = client.socket
    client.socket = client.reader.socket = context.wrap_socket(plain, server_hostname=name, session=session)
    client.send(f"GET / HTTP/1.1\r\nHost: {host or name}\r\nConnection: close\r\n\r\n")
    reply = client.read_reply()
    kept = client.socket.session
    return reply.body.decode().split(), kept


def visits(server, context, count=30):
    """Whether each of many visits, which go to either worker, resumed the session of the first; and the workers."""
    (first, pid), session = visit(server, context)
    assert first == "."
    seen = [visit(server, context, session=session)[0] for _ in range(count)]
    return {reused for reused, _ in seen}, {pid} | {p for _, p in seen}


def context_of(authority, version):
    context = authority.client_context()
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("more, resumed", [
    ("", {"r"}),                                                                       # tickets, the keys made before the fork
    ("ssl_session_cache shared:S:1m;", {"r"}),                                         # tickets with the keys of the zone
    ("ssl_session_cache shared:S:1m; ssl_session_tickets off;", {"r"}),                # ids
    ("ssl_session_tickets off;", {"."}),
    ("ssl_session_cache off; ssl_session_tickets off;", {"."}),
    ("ssl_session_ticket_key key1; ssl_session_ticket_key key2;", {"r"}),
])
def test_resumption_by_any_worker(server, authority, version, more, resumed):
    more = more.replace("key1", f"{authority.folder}/key1").replace("key2", f"{authority.folder}/key2")
    s = server(CONF, CERTS=authority.folder, MORE=more)
    reused, pids = visits(s, context_of(authority, version))
    assert reused == resumed and len(pids) == 2


def test_ticket_keys_survive_a_reload_that_moves_them_back(server, authority):
    keys = [f"ssl_session_ticket_key {authority.folder}/key{n};" for n in (1, 2)]
    s = server(CONF, CERTS=authority.folder, MORE=keys[0])
    context = context_of(authority, ssl.TLSVersion.TLSv1_2)
    _, session = visit(s, context)
    s.names["MORE"] = keys[1] + keys[0]
    s.set_conf(CONF)
    s.reload()
    assert visit(s, context, session=session)[0][0] == "r"


def test_the_zone_survives_a_reload(server, authority):
    s = server(CONF, CERTS=authority.folder, MORE="ssl_session_cache shared:S:1m;")
    context = context_of(authority, ssl.TLSVersion.TLSv1_3)
    _, session = visit(s, context)
    s.reload()
    assert visit(s, context, session=session)[0][0] == "r"


def test_a_session_of_one_server_is_not_resumed_with_one_that_verifies(server, authority):
    s = server(CONF, CERTS=authority.folder, MORE="ssl_session_cache shared:S:1m;")
    context = context_of(authority, ssl.TLSVersion.TLSv1_3)
    _, session = visit(s, context, "one.test")
    assert visit(s, context, "two.test", session=session)[0] == [".", "NONE"]


def test_expired_sessions_are_not_resumed(server, authority):
    s = server(CONF, CERTS=authority.folder, MORE="ssl_session_cache shared:S:1m; ssl_session_tickets off; ssl_session_timeout 1s;")
    context = context_of(authority, ssl.TLSVersion.TLSv1_2)
    _, session = visit(s, context)
    import time
    time.sleep(2.1)
    assert visit(s, context, session=session)[0][0] == "."


def test_a_small_zone_takes_more_sessions_than_it_holds(server, authority):
    s = server(CONF, CERTS=authority.folder, MORE="ssl_session_cache shared:S:32k; ssl_session_tickets off;")
    context = context_of(authority, ssl.TLSVersion.TLSv1_2)
    for _ in range(60):
        _, session = visit(s, context)
    assert visit(s, context, session=session)[0][0] == "r"
