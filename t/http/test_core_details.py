# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Small settings of the http core: how redirects are written, chunks, socket options, memory of a request, threads that write."""

import ctypes
import os
import socket

import pytest

from lib import upstreams as up
from lib.client import Client, get, post, raw

CONF = """
events {}
thread_pool writers threads=1;
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name named.test other.test;
        location / { return 301 /there; }
        location /relative { absolute_redirect off; return 301 /there; }
        location /by_name { server_name_in_redirect on; return 301 /there; }
        location /without_port { port_in_redirect off; return 301 /there; }
        location /folder/ { proxy_pass http://127.0.0.1:%%UP%%; }
        location /streamed { proxy_pass http://127.0.0.1:%%UP%%; }
        location /unchunked { chunked_transfer_encoding off; proxy_pass http://127.0.0.1:%%UP%%; }
        location /written { client_body_buffer_size 1k; aio threads=writers; aio_write on; proxy_pass http://127.0.0.1:%%UP%%; }
        location /own { return 200 "$http_x_long"; }
    }
    server { listen 127.0.0.1:%%PORT_1%%; tcp_nodelay off; request_pool_size 112; location / { return 200 "$http_x_long"; } }
}
"""


@pytest.fixture
def details(server, upstream):
    def answer(request):
        if request.method == "POST":
            return up.reply(200, request.body)
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    return server(CONF, UP=upstream(up.serve(answer)).port)


@pytest.mark.parametrize("path, location", [
    ("/", "http://h.test:PORT/there"), ("/relative", "/there"), ("/by_name", "http://named.test:PORT/there"),
    ("/without_port", "http://h.test/there"),
    ("/folder", "http://h.test:PORT/folder/"),
])
def test_how_a_redirect_is_written(details, path, location):
    reply = get(details.port, path, host="h.test")
    assert (reply.status, reply.header("location")) == (301, location.replace("PORT", str(details.port)))


def test_chunks_may_be_forbidden(details):
    assert get(details.port, "/streamed").header("transfer-encoding") == "chunked"
    got = raw(details.port, b"GET /unchunked HTTP/1.1\r\nHost: h\r\n\r\n")
    assert got.endswith(b"\r\n\r\nhello") and b"\r\nConnection: close\r\n" in got and b"chunked" not in got


def test_a_request_may_begin_with_little_memory(details):
    for port in details.ports[:2]:
        c = Client(port)
        for size in (1, 500, 5000):
            c.send(b"GET /own HTTP/1.1\r\nHost: h\r\nX-Long: " + b"v" * size + b"\r\n\r\n")
            assert c.read_reply().body == b"v" * size


def option_of_client_socket(server, client):
    """TCP_NODELAY of the worker's end of a connection."""
    (worker,) = server.wait_workers()
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(worker)
    try:
        for number in os.listdir(f"/proc/{worker}/fd"):
            fd = libc.syscall(438, pidfd, int(number), 0)  # pidfd_getfd
            if fd < 0:
                continue
            try:
                end = socket.socket(fileno=fd)
            except OSError:
                os.close(fd)
                continue
            with end:
                try:
                    if end.getpeername() == client.socket.getsockname():
                        return end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                except OSError:
                    continue
    finally:
        os.close(pidfd)
    pytest.skip("the worker's descriptors cannot be read")


@pytest.mark.parametrize("index, wanted", [(0, True), (1, False)])
def test_nodelay(details, index, wanted):
    c = Client(details.ports[index])
    c.send("GET /own HTTP/1.1\r\nHost: h\r\n\r\n").read_reply()
    assert bool(option_of_client_socket(details, c)) is wanted


def test_temporary_files_are_written_by_the_threads_of_aio(details):
    (worker,) = details.wait_workers()
    assert get(details.port, "/own").status == 200  # a worker that answers has made what it makes at its start
    before = len(os.listdir(f"/proc/{worker}/task"))
    body = b"b" * 200_000
    assert post(details.port, "/written", body).body == body
    assert len(os.listdir(f"/proc/{worker}/task")) == before + 1
