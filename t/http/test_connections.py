# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Client connections: how long they are kept, what a head may take, pipelining, and how they end."""

import errno
import select
import socket
import time

import pytest

from lib import upstreams as up
from lib.client import Client, raw
from lib.ports import TIME_SCALE, in_time, wait_until

CONF = """
events {}
http {
    client_header_buffer_size 256;
    large_client_header_buffers 2 1k;
    max_headers 20;
    log_format kept '$uri $status $connection_requests $pipe';
    access_log logs/kept.log kept;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name first;
        location / { return 200 "first $uri $http_x_long"; }
        location /two { keepalive_requests 2; return 200 two; }
        location /never { keepalive_timeout 0; return 200 never; }
        location /told { keepalive_timeout 20s 9; return 200 told; }
        location /short { keepalive_timeout 200ms; return 200 short; }
        location /young { keepalive_time 1ms; return 200 young; }
        location /up { client_max_body_size 10; proxy_pass http://127.0.0.1:%%UP%%; }
        location /unread { return 200 unread; }
    }
    server { listen 127.0.0.1:%%PORT_0%%; server_name second; location / { return 200 "second $uri $http_x_long"; } }
    server { listen 127.0.0.1:%%PORT_1%%; client_header_timeout 200ms; keepalive_timeout 5s; location / { return 200 ok; } }
    server { listen 127.0.0.1:%%PORT_2%%; lingering_close off; location / { client_max_body_size 1; return 200 ok; } }
    server {
        listen 127.0.0.1:%%PORT_3%%;
        lingering_time 400ms;
        lingering_timeout 300ms;
        location / { client_max_body_size 1; root /nowhere; }
    }
    server { listen 127.0.0.1:%%PORT_4%% sndbuf=8k; send_timeout 300ms; root %%PREFIX%%/html;
             location /reset/ { reset_timedout_connection on; alias %%PREFIX%%/html/; } }
}
"""


@pytest.fixture
def kept(server, upstream):
    return server(CONF, UP=upstream(up.serve(lambda r: up.reply(200, r.body))).port, files={"html/big": b"x" * 30_000_000})


def ask(client, target, *fields, host="first"):
    client.send("\r\n".join((f"GET {target} HTTP/1.1", f"Host: {host}", *fields)) + "\r\n\r\n")
    return client.read_reply()


def test_a_connection_has_a_number_of_requests(kept):
    c = Client(kept.port)
    assert not ask(c, "/two").has_word("connection", "close")
    assert ask(c, "/two").has_word("connection", "close")
    assert c.is_closed()
    wait_until(lambda: kept.read("logs/kept.log").splitlines() == ["/two 200 1 .", "/two 200 2 ."], 5, "two lines")


def test_a_connection_has_an_age(kept):
    c = Client(kept.port)
    assert not ask(c, "/unread").has_word("connection", "close"), "accepted: its age begins"
    time.sleep(0.02)
    assert ask(c, "/young").has_word("connection", "close")
    assert c.is_closed()


def test_an_idle_connection_ends_after_its_time(kept):
    c = Client(kept.port)
    assert not ask(c, "/short").has_word("connection", "close")
    assert c.is_closed()
    assert ask(Client(kept.port), "/never").has_word("connection", "close")


def test_a_client_that_closes_is_told_of(kept):
    c = Client(kept.port)
    c.get("/")
    c.close()
    kept.wait_for_log(r"\[info\] \d+#\d+: \*\d+ client 127.0.0.1 closed keepalive connection\n")
    Client(kept.port).close()
    kept.wait_for_log(r"\[info\] .* client closed connection while waiting for request, client: 127.0.0.1, server: ")


def test_what_the_client_is_told(kept):
    c = Client(kept.port)
    assert ask(c, "/told").header("keep-alive") == "timeout=9"
    assert ask(c, "/two").header("keep-alive") is None
    assert ask(Client(kept.port), "/told", "Connection: close").header("keep-alive") is None


def test_a_head_that_does_not_come_is_a_408(kept):
    got = raw(kept.ports[1], b"GET / HTTP/1.1\r\nHost: h\r\n", half_close=False)
    assert got.startswith(b"HTTP/1.1 408 ") and b"\r\nConnection: close\r\n" in got
    assert raw(kept.ports[1], b"") == b""  # nothing said, nothing answered
    assert raw(kept.ports[1], b"\r\n", half_close=False) == b""  # as good as nothing, but for the log
    wait_until(lambda: kept.read("logs/kept.log").splitlines()[-1].split()[:2] == ["-", "408"], 5, "its line in the log")


def test_bytes_that_trickle_do_not_move_the_end(kept):
    c = Client(kept.ports[1])
    c.send("GET / HTTP/1.1\r\nX: ")
    end = time.monotonic() + 5 * TIME_SCALE
    while not select.select([c.socket], [], [], 0.02)[0]:
        assert time.monotonic() < end, "the head may go on for ever"
        c.send("x")
    assert c.read_reply().status == 408
    whole = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    assert in_time(0.2, lambda: raw(kept.ports[1], whole).endswith(b"ok") or answered_408())


def answered_408():
    raise AssertionError("a head that came in time is a 408")


@pytest.mark.parametrize("request_line, status", [("GET /" + "a" * 985, 200), ("GET /" + "a" * 1200, 414), ("GET /" + "a" * 9000, 414)])
def test_the_request_line_has_a_limit(kept, request_line, status):
    got = raw(kept.port, request_line.encode() + b" HTTP/1.1\r\nHost: first\r\nConnection: close\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 %d " % status), got[:100]
    if status != 200:
        kept.wait_for_log("client sent too long URI")


@pytest.mark.parametrize("fields, good", [
    (["X-Long: " + "v" * 900], True), (["X-Long: " + "v" * 1100], False), (["X-Long: " + "v" * 700, "X-More: " + "v" * 700], True),
    ([f"X-{n}: " + "v" * 700 for n in range(4)], False),
])
def test_header_lines_have_limits(kept, fields, good):
    got = raw(kept.port, "\r\n".join(["GET / HTTP/1.1", "Host: first", "Connection: close", *fields]).encode() + b"\r\n\r\n")
    if good:
        assert got.startswith(b"HTTP/1.1 200 ")
        return
    assert got.startswith(b"HTTP/1.1 400 ") and b"Request Header Or Cookie Too Large" in got
    kept.wait_for_log("client sent too l(ong header line|arge request)")


def test_header_lines_have_a_number(kept):
    for count, status in ((17, 200), (30, 400)):
        fields = "".join(f"X-{n}: v\r\n" for n in range(count))
        got = raw(kept.port, f"GET / HTTP/1.1\r\nHost: first\r\nConnection: close\r\n{fields}\r\n".encode())
        assert got.startswith(b"HTTP/1.1 %d " % status), (count, got[:100])
    kept.wait_for_log("client sent too many header lines")


def test_pipelined_requests_of_all_sizes_stay_in_order(kept):
    """Heads that fit the first buffer and heads that do not, for two servers, cut anywhere."""
    whole, wanted = b"", []
    for number in range(40):
        host = ("first", "second")[number % 2]
        value = chr(97 + number % 26) * (number * 53 % 900)
        whole += f"GET /{number} HTTP/1.1\r\nHost: {host}\r\nX-Long: {value}\r\n\r\n".encode()
        wanted.append(f"{host} /{number} {value}")
    for size in (len(whole), 1000, 777, 256, 131):
        c = Client(kept.port)
        for at in range(0, len(whole), size):
            c.send(whole[at:at + size])
        assert [c.read_reply().text for _ in wanted] == wanted
        c.close()


def test_bodies_that_nobody_reads_do_not_disturb_what_follows(kept):
    c = Client(kept.port)
    body = b"GET /inside HTTP/1.1\r\nHost: first\r\n\r\n"
    for _ in range(3):
        c.send(b"POST /unread HTTP/1.1\r\nHost: first\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        c.send(b"POST /unread HTTP/1.1\r\nHost: first\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
    assert [c.read_reply("POST").text for _ in range(6)] == ["unread"] * 6
    assert ask(c, "/after").text.startswith("first /after")


def test_a_body_that_is_too_large(kept):
    got = raw(kept.port, b"POST /up HTTP/1.1\r\nHost: first\r\nContent-Length: 11\r\n\r\n" + b"x" * 11)
    assert got.startswith(b"HTTP/1.1 413 ")
    got = raw(kept.port, b"POST /up HTTP/1.1\r\nHost: first\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n" + b"x" * 11 + b"\r\n0\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 413 ") and b"\r\nConnection: close\r\n" in got
    kept.wait_for_log("client intended to send too large body: 11 bytes")


def test_continue_is_said_once_and_only_when_the_body_is_wanted(kept):
    c = Client(kept.port)
    c.send("POST /up HTTP/1.1\r\nHost: first\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert c.reader.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert c.send("body").read_reply("POST").text == "body"
    c.send("POST /up HTTP/1.1\r\nHost: first\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n")
    assert c.read_reply("POST").status == 413


def test_a_lingering_close_reads_on_for_its_time(kept):
    """Without it the kernel answers unread bytes with a reset, which may overtake the response."""
    c = Client(kept.ports[3])
    begin = time.monotonic()
    c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n")
    assert c.read_reply("POST").status == 413
    with pytest.raises(OSError):
        for _ in range(1000):
            c.send("x" * 1000)
            time.sleep(0.02)
    assert 0.2 < time.monotonic() - begin < 3 * TIME_SCALE


def test_a_close_over_requests_that_are_not_read_loses_no_answer(kept):
    """The last request of a connection stands before others: a socket closed over unread bytes would be reset."""
    c = Client(kept.port)
    request = b"GET /two HTTP/1.1\r\nHost: first\r\n\r\n"
    c.send(request * 500)
    assert [c.read_reply().text for _ in range(2)] == ["two"] * 2
    assert c.read_until_close() == b"" and c.reader.ended == "closed"
    request = b"GET / HTTP/1.1\r\nHost: first\r\nConnection: close\r\n\r\n"
    in_time(4, lambda: ends_at_once(kept.port, request, 200))  # nothing is unread: nobody waits for the client


def ends_at_once(port, request, status):
    """Not after lingering_timeout, which is 5 s."""
    c, begin = Client(port), time.monotonic()
    c.send(request)
    assert c.read_reply().status == status
    assert c.is_closed() and time.monotonic() - begin < 4


def test_without_lingering_the_close_comes_at_once(kept):
    in_time(4, lambda: ends_at_once(kept.ports[2], "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n", 413))


@pytest.mark.parametrize("path, reset", [("/big", False), ("/reset/big", True)])
def test_a_client_that_takes_nothing_is_given_up(kept, path, reset):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(10 * TIME_SCALE)
    s.connect(("127.0.0.1", kept.ports[4]))
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    kept.wait_for_log(r"client timed out \(110: .*\) while sending response to client")
    got = None
    try:
        while s.recv(1 << 20):
            pass
    except ConnectionResetError as error:
        got = error.errno
    assert (got == errno.ECONNRESET) is reset
    s.close()


@pytest.mark.parametrize("begin", ["", "PRI * HT"])
def test_a_client_that_does_not_begin_has_the_time_of_one_head(server, begin):
    timeout = 3
    both = f"server {{ listen 127.0.0.1:%%PORT_0%%; http2 on; client_header_timeout {int(timeout * 1000)}ms; }}"
    s = server("events {} http { " + both + " }")
    began = time.monotonic()
    with Client(s.port) as client:
        assert client.send(begin).read_until_close() == b"" and client.received == b""
    assert 0.9 * timeout < time.monotonic() - began < 1.8 * timeout  # whichever protocol it might have spoken
