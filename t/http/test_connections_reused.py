# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A worker that has few connections left ends those that are idle, oldest first, for whoever comes: a new client, or a request that needs a
connection to an upstream."""

import pytest

from lib.client import Client
from lib.h2client import H2Client

CONF = """
error_log logs/error.log notice;
worker_processes 1;
events { worker_connections 24; }
http {
    keepalive_timeout 600s;
    client_header_timeout 600s;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 ok; }
        location /proxied { proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""
REUSED = "24 worker_connections are not enough, reusing connections"


def idle_clients(port, count, requests):
    clients = [Client(port) for _ in range(count)]
    for client in clients[: count if requests else 0]:
        assert client.get("/").text == "ok"
    return clients


@pytest.mark.parametrize("requests", [1, 0], ids=["kept alive", "before their first request"])
def test_new_clients_are_served_by_a_worker_full_of_idle_ones(server, requests):
    s = server(CONF, UP=9, allow_log=("worker_connections",))
    clients = idle_clients(s.port, 22, requests)
    for _ in range(40):
        clients.append(Client(s.port))
        assert clients[-1].get("/").text == "ok"
    assert clients[0].is_closed()
    assert clients[-1].get("/").text == "ok", "the youngest stays"
    s.wait_for_log(REUSED)


def test_an_upstream_is_reached_from_a_worker_full_of_idle_clients(server, upstream):
    u = upstream()
    s = server(CONF, UP=u.port, allow_log=("worker_connections",))
    clients = [Client(s.port) for _ in range(24)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\n")  # not idle: nobody is ended while the others come
    for client in reversed(clients):  # the last is answered when all are there
        client.send(b"Host: a\r\n\r\n")
        assert client.read_reply().text == "ok"
    assert clients[0].get("/proxied").text == "/proxied"
    assert clients[-1].is_closed()


def test_the_log_is_told_once_a_second(server):
    s = server(CONF, UP=9, allow_log=("worker_connections",))
    clients = []
    for _ in range(80):
        clients += idle_clients(s.port, 1, 1)
    told = s.log().count(REUSED)
    assert 1 <= told <= 5, told


BUSY = CONF.replace("24", "8").replace("return 200 ok;", "limit_rate $arg_rate; return 200 %s;" % ("x" * 400))


def test_requests_are_not_ended_for_others(server):
    s = server(BUSY, UP=9, allow_log=("worker_connections",))
    busy = [Client(s.port) for _ in range(8)]
    for client in busy:
        client.send(b"GET /?rate=10 HTTP/1.1\r\nHost: a\r\n\r\n")
        client.reader.until(b"\r\n\r\n")
    waiting = Client(s.port, seconds=30)
    s.wait_for_log(r"\[alert\] .*: 8 worker_connections are not enough")
    busy[0].close()
    assert len(waiting.get("/").text) == 400
    for client in busy[1:]:
        client.is_quiet(0.01)
        assert client.reader.ended is None


def test_an_idle_client_of_http2_gets_its_goaway(server):
    s = server(CONF.replace("http {", "http {\n    http2 on;"), UP=9, allow_log=("worker_connections",))
    with H2Client(s.port) as idle:
        assert idle.get("/").text == "ok"
        clients = idle_clients(s.port, 22, 1)
        clients += idle_clients(s.port, 1, 1)
        assert idle.wait_goaway() == (2**31 - 1, 0)
        assert idle.wait_goaway(2) == (1, 0)
        assert idle.wait_end() == "closed"
