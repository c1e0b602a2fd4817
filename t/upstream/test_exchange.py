# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""One exchange with a peer: reuse of its connection, bodies in both directions, buffering, clients that leave, tunnels."""

import os
import re
import threading
import time

import pytest

from lib import upstreams as up
from lib.client import Client, chunked, get, raw, request
from lib.h2client import H2Client
from lib.ports import TIME_SCALE, wait_until

CONF = """
events {}
http {
    log_format end '$status [$request_completion]';
    upstream pool { server 127.0.0.1:%%UP%%; {pool} }
    client_max_body_size 0;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        {server}
        location / { proxy_pass http://pool; {location} }
    }
}
"""


def conf(**parts):
    text = CONF
    for name in ("pool", "server", "location"):
        text = text.replace("{" + name + "}", parts.get(name, ""))
    return text


def lines(server, level):
    return [line for line in server.log().split("\n") if f"[{level}]" in line]


KEPT = {
    "length": ("GET", up.reply(200, b"body")), "empty": ("GET", up.reply(200, b"")), "HEAD with a length": ("HEAD", up.reply(200, b"",
        length=10)),
    "HEAD chunked": ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), "HEAD bare": ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
    "304": ("GET", b"HTTP/1.1 304 N\r\n\r\n"), "304 with a length": ("GET", b"HTTP/1.1 304 N\r\nContent-Length: 7\r\n\r\n"),
    "204": ("GET", b"HTTP/1.1 204 N\r\n\r\n"), "chunked": ("GET",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"ab", b"c")),
    "no chunks": ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked()),
    "trailers": ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"ab", trailers=b"T: u\r\n")),
    "1.0 with keep-alive": ("GET", up.reply(200, b"body", {"Connection": "keep-alive"}, version="HTTP/1.0")),
    "POST": ("POST", up.reply(200, b"done")),
}


@pytest.mark.parametrize("kind", KEPT)
def test_the_connection_is_used_again(server, upstream, kind):
    method, answer = KEPT[kind]
    u = upstream(up.serve(lambda r: answer))
    s = server(conf(), UP=u.port)
    for _ in range(3):
        assert request(s.port, method, "/", body=b"x" if method == "POST" else None).status in (200, 204, 304)
    assert len(u.connections) == 1, [c.requests for c in u.connections]


@pytest.mark.parametrize("answer", [
    up.reply(200, b"x", {"Connection": "close"}), up.reply(200, b"x", version="HTTP/1.0"), b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
])
def test_the_connection_is_not_used_again(server, upstream, answer):
    u = upstream([up.request(), up.send(answer), up.close()])
    s = server(conf(), UP=u.port)
    for _ in range(2):
        assert get(s.port, "/").status == 200
    assert len(u.connections) == 2


@pytest.mark.parametrize("limits, connections", [("keepalive 0;", 4), ("keepalive_requests 2;", 2), ("", 1), ("keepalive_timeout 50ms;",
    4), ("keepalive_timeout 0;", 4)])
def test_limits_of_kept_connections(server, upstream, limits, connections):
    u = upstream()
    s = server(conf(pool=limits), UP=u.port)
    for _ in range(4):
        get(s.port, "/")
        time.sleep(0.5 if "timeout 50ms" in limits else 0)
    assert len(u.connections) == connections


def test_no_more_than_keepalive_idle_connections(server, upstream):
    gate = threading.Barrier(3)

    def answer(r):
        gate.wait(5 * TIME_SCALE)
        return up.reply(200, b"x")
    u = upstream(up.serve(answer))
    s = server(conf(pool="keepalive 1;"), UP=u.port)
    threads = [threading.Thread(target=get, args=(s.port, "/")) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    wait_until(lambda: sum(1 for c in u.connections if not c.ended) == 1, 3, "one connection left")


# -- upload

@pytest.mark.parametrize("buffering", ["on", "off"])
@pytest.mark.parametrize("size", [0, 1, 5000, 3_000_000])
@pytest.mark.parametrize("as_chunks", [False, True])
def test_uploads_arrive_whole(server, upstream, buffering, size, as_chunks):
    u = upstream(up.serve(lambda r: up.reply(200, str(len(r.body)))))
    s = server(conf(location=f"proxy_request_buffering {buffering};"), UP=u.port)
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    with Client(s.port) as c:
        for _ in range(2):
            if as_chunks:
                pieces = [data[i:i + 100_001] for i in range(0, size, 100_001)]
                c.send(b"POST /u HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(*pieces))
                assert c.read_reply().text == str(size)
            else:
                assert c.request("POST", "/u", body=data).text == str(size)
            assert u.last.body == data
    streamed = as_chunks and buffering == "off"
    assert bool(u.last.chunks is not None) == streamed


def test_an_unbuffered_upload_streams(server, upstream):
    got = threading.Event()

    def note(seen):
        seen.reader.exactly(5)
        got.set()
    u = upstream([up.head(), note, up.read(5), up.send(up.reply(200, "all"))])
    s = server(conf(location="proxy_request_buffering off;"), UP=u.port)
    with Client(s.port) as c:
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello")
        assert got.wait(5 * TIME_SCALE)
        c.send(b"world")
        assert c.read_reply().text == "all"


def test_a_pipelined_request_behind_an_unbuffered_body(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, r.target.encode() + r.body)))
    s = server(conf(location="proxy_request_buffering off;"), UP=u.port)
    with Client(s.port) as c:
        c.send(b"POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcPOST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"2\r\nde\r\n0\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n")
        assert [c.read_reply().text for _ in range(3)] == ["/1abc", "/2de", "/3"]


@pytest.mark.parametrize("buffering", ["on", "off"])
def test_a_chunked_body_over_the_limit_is_413(server, upstream, buffering):
    u = upstream()
    s = server(conf(location=f"client_max_body_size 100; proxy_request_buffering {buffering};"), UP=u.port)
    with Client(s.port) as c:
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"x" * 60, b"y" * 60))
        assert c.read_reply().status == 413
    s.wait_for_log(r"\[error\].*client intended to send too large chunked body")


@pytest.mark.parametrize("buffering", ["on", "off"])
def test_a_chunk_size_beyond_the_limit_is_413_before_its_bytes_come(server, upstream, buffering):
    u = upstream()
    s = server(conf(location=f"client_max_body_size 100; proxy_request_buffering {buffering};"), UP=u.port)
    with Client(s.port) as c:
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"x" * 60)[:-5] + b"29\r\n")
        assert c.read_reply().status == 413


def test_an_early_reply_reaches_the_client_while_it_uploads(server, upstream):
    u = upstream([up.head(), up.send(up.reply(200, "early")), up.hold()])
    s = server(conf(location="proxy_request_buffering off;"), UP=u.port)
    with Client(s.port) as c:
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nsome")
        assert c.read_reply().text == "early"
    assert wait_until(lambda: u.connections[0].ended, 5, "the end of the upstream connection")


def test_both_directions_at_once(server, upstream):
    def echo(seen):
        left = 4_000_000
        seen.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n")
        while left:
            if not seen.reader.buffer:
                seen.reader.need()
            piece, seen.reader.buffer = seen.reader.buffer, b""
            seen.socket.sendall(piece)
            left -= len(piece)
    u = upstream([up.head(), echo])
    s = server(conf(location="proxy_request_buffering off; proxy_buffering off;"), UP=u.port)
    data = bytes(range(250)) * 16000
    with Client(s.port) as c:
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n")
        sender = threading.Thread(target=c.send, args=(data,))
        sender.start()
        assert c.read_reply().body == data
        sender.join()


def test_expect_100_is_answered_by_us(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, r.body)))
    s = server(conf(), UP=u.port)
    with Client(s.port) as c:
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert c.read_reply().status == 100
        c.send(b"abc")
        assert c.read_reply().text == "abc"
    assert u.last.header("Expect") is None


def test_an_error_page_before_the_body_was_read_keeps_the_connection(server, upstream):
    refused = up.Refused()
    s = server(conf(location="proxy_request_buffering off;"), UP=refused.port)
    with Client(s.port) as c:
        c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
        assert c.read_reply().status == 502
        c.send(b"helloGET /x HTTP/1.1\r\nHost: h\r\n\r\n")
        assert c.read_reply().status == 502
    refused.stop()


# -- the reply

@pytest.mark.parametrize("more", ["", "proxy_buffering off;", "proxy_max_temp_file_size 0;",
    "proxy_buffers 2 4k; proxy_busy_buffers_size 4k;"])
def test_a_slow_client_gets_all_of_a_large_reply(server, upstream, more):
    data = bytes(range(256)) * 40_000
    u = upstream(up.serve(lambda r: up.reply(200, data)))
    s = server(conf(location=more), UP=u.port)
    with Client(s.port) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        time.sleep(0.4)
        assert c.read_reply().body == data
        assert c.get("/").body == data
    assert len(u.connections) == 1


def test_buffering_frees_the_peer_while_the_client_is_slow(server, upstream):
    data = b"z" * 20_000_000
    done = threading.Event()
    u = upstream([up.request(), up.send(up.reply(200, data)), lambda seen: done.set()])
    s = server(conf(), UP=u.port)
    with Client(s.port) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert done.wait(5 * TIME_SCALE)
        assert c.read_reply().body == data


def test_request_timeout_cuts_a_reply_that_takes_too_long(server, upstream):
    u = upstream([up.request(), up.send(up.reply(200, b"half", length=8)), up.hold()])
    s = server(conf(location="proxy_request_timeout 1s; proxy_read_timeout 20s;"), UP=u.port)
    with Client(s.port) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert c.read_until_close().endswith(b"\r\n\r\nhalf")
    s.wait_for_log(r"\[error\].*upstream timed out: the request's time is over while forwarding")
    wait_until(lambda: u.connections[0].ended, 5, "the end of the upstream connection")


def test_limit_rate_holds_the_peer_back(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, b"x" * 100_000)))
    s = server(conf(location="proxy_limit_rate 200k;"), UP=u.port)
    began = time.monotonic()
    assert len(get(s.port, "/").body) == 100_000
    assert 0.3 < time.monotonic() - began < 3 * TIME_SCALE


@pytest.mark.parametrize("location", ["", "proxy_buffering off;"])
def test_the_head_that_a_get_sent_on_as_head_brings(server, upstream, location):
    """As with nginx the length is the peer's, which no body follows: the connection ends, so that nobody waits for it."""
    u = upstream(up.serve(lambda r: up.reply(200, b"", {"X-Method": r.method}, length=65)))
    s = server(conf(server="http2 on;", location="proxy_method HEAD; " + location), UP=u.port)
    pipelined = raw(s.port, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * 2)
    head, behind = pipelined.split(b"\r\n\r\n")
    fields = head.decode().split("\r\n")
    assert fields[0] == "HTTP/1.1 200 X" and behind == b""
    assert {"X-Method: HEAD", "Content-Length: 65", "Connection: close"} <= set(fields)
    assert lines(s, "error") == []
    wait_until(lambda: len(u.requests) == 1, 5, "the request")
    with Client(s.port) as client:  # a HEAD loses nothing by it
        for _ in range(2):
            client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert client.read_reply("HEAD").header("Content-Length") == "65"
    with H2Client(s.port) as client:  # RFC 9113 section 8.1.1: another length than the body's would be malformed
        reply = client.get("/")
        assert (reply.status, reply.header("x-method"), reply.header("content-length"), reply.body) == (200, "HEAD", "0", b"")


@pytest.mark.parametrize("reply", [up.reply(200, b"abc"), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"ab", b"c")])
def test_clients_of_1_0_get_no_chunks(server, upstream, reply):
    u = upstream(up.serve(lambda r: reply))
    s = server(conf(), UP=u.port)
    got = raw(s.port, b"GET / HTTP/1.0\r\nHost: h\r\n\r\n")
    head, body = got.split(b"\r\n\r\n", 1)
    assert body == b"abc" and b"chunked" not in head and head.startswith(b"HTTP/1.1 200")


def test_trailers_are_passed_on_if_wanted(server, upstream):
    u = upstream(up.serve(lambda r: b"HTTP/1.1 200 OK\r\nTrailer: T\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"ab",
        trailers=b"T: u\r\n")))
    s = server(conf(server="location /t { proxy_pass http://pool; proxy_pass_trailers on; }"), UP=u.port)
    assert get(s.port, "/t").trailers == [("T", "u")]
    assert get(s.port, "/").trailers == []


@pytest.mark.parametrize("close", [True, False])
def test_the_log_shows_the_reply_though_its_connection_is_gone_or_busy(server, upstream, close):
    fields = b"Connection: close\r\n" if close else b""
    u = upstream(up.serve(lambda r: b"HTTP/1.1 200 OK\r\nX-A: one\r\nSet-Cookie: c=d\r\n" + fields + b"Transfer-Encoding: chunked\r\n\r\n" +
                          chunked(b"ab" * 5000, trailers=b"X-T: last\r\n")))
    form = "log_format shown '$upstream_http_x_a $sent_http_x_a $upstream_cookie_c $upstream_trailer_x_t $upstream_status $upstream_response_length';"
    s = server(conf(server="access_log %%PREFIX%%/logs/a.log shown;").replace("http {", "http { " + form), UP=u.port)
    for _ in range(3):
        assert len(get(s.port, "/").body) == 10_000
    wait_until(lambda: s.read("logs/a.log").count("\n") == 3, 3, "the access log")
    assert s.read("logs/a.log") == "one one d last 200 10000\n" * 3


@pytest.mark.parametrize("status, headers", [(200, {"X-Accel-Redirect": "/in", "Set-Cookie": "a=b"}), (404, {})])
def test_variables_of_a_reply_that_was_not_passed_on(server, upstream, status, headers):
    u = upstream(up.serve(lambda r: up.reply(status, b"x" * 3000, {"X-A": "kept", "Connection": "close", **headers})))
    s = server(conf(server="location = /in { return 200 '$upstream_http_x_a $upstream_status'; }",
                    location="proxy_intercept_errors on; error_page 404 = /in;"), UP=u.port)
    for _ in range(3):
        reply = get(s.port, "/")
        assert (reply.text, reply.header("Set-Cookie")) == (f"kept {status}", headers.get("Set-Cookie"))


@pytest.mark.parametrize("form, logged", [("$status", "200"), ("$upstream_http_set_cookie", "a=b; Path=/in")])
def test_the_cookies_of_an_accel_redirect_are_rewritten(server, upstream, form, logged):
    u = upstream(up.serve(lambda r: up.reply(200, b"", {"X-Accel-Redirect": "/led", "Set-Cookie": "a=b; Path=/in"})))
    text = conf(server="location = /led { return 200 led; }", location="proxy_cookie_path /in /out; proxy_cookie_flags a secure;")
    s = server(text.replace("http {", f"http {{ log_format one '{form}'; access_log access.log one;"), UP=u.port)
    reply = get(s.port, "/")
    assert (reply.text, reply.all("Set-Cookie")) == ("led", ["a=b; Path=/out; Secure"])
    wait_until(lambda: s.read("access.log"), 5, "the access log")
    assert s.read("access.log") == logged + "\n"


@pytest.mark.parametrize("target, content_type", [("/untyped", "x/y"), ("/typed", "a/b"), ("/gone", "p/q")])
def test_the_type_given_with_an_accel_redirect(server, upstream, target, content_type):
    replies = {
        "/in/untyped": up.reply(200, b"x"),
        "/in/typed": up.reply(200, b"x", {"Content-Type": "a/b"}),
        "/in/gone": up.reply(404, b"x"),
    }
    led_on = {"X-Accel-Redirect": "/in" + target, "Content-Type": "x/y"}
    u = upstream(up.serve(lambda r: replies.get(r.target) or up.reply(200, b"", led_on)))
    s = server(conf(server="""
        location /in/ { internal; proxy_intercept_errors on; error_page 404 =200 /page; proxy_pass http://pool; }
        location = /page { default_type p/q; return 200 page; }"""), UP=u.port)
    assert get(s.port, target).all("Content-Type") == [content_type]


# -- clients that leave

STAGES = {
    "reading response header from upstream": [up.request(), up.hold()],
    "reading upstream": [up.request(), up.send(up.reply(200, b"half", length=8)), up.hold()],
}


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_client_that_leaves_takes_the_upstream_connection_with_it(server, upstream, stage, leave):
    u = upstream(STAGES[stage])
    s = server(conf(server="access_log %%PREFIX%%/logs/a.log tried; ").replace("http {",
        "http { log_format tried '$status $upstream_status $upstream_addr';"),
               UP=u.port)
    c = Client(s.port)
    c.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    u.wait_requests(1)
    if stage == "reading upstream":
        c.reader.until(b"half")
    getattr(c, leave)()
    wait_until(lambda: u.connections[0].ended, 5, "the end of the upstream connection")
    s.wait_for_log(rf"client prematurely closed connection, so upstream connection is closed too.* while {stage}, client")
    wait_until(lambda: s.read("logs/a.log"), 3, "the access log")
    assert s.read("logs/a.log").startswith("200 200 " if stage == "reading upstream" else "499 - ")


def test_a_client_that_leaves_while_its_upload_is_read(server, upstream):
    u = upstream([up.head(), up.hold()])
    s = server(conf(location="proxy_request_buffering off;"), UP=u.port)
    c = Client(s.port)
    c.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nsome")
    u.wait_requests(1)
    c.close()
    wait_until(lambda: u.connections[0].ended, 5, "the end of the upstream connection")


def test_ignore_client_abort_lets_the_peer_finish(server, upstream):
    gate, done = threading.Event(), threading.Event()
    u = upstream([up.request(), up.wait_for(gate), up.send(up.reply(200, b"x" * 10)), lambda seen: done.set(), up.request(),
        up.send(up.reply(200, "2"))])
    s = server(conf(location="proxy_ignore_client_abort on;"), UP=u.port)
    c = Client(s.port)
    c.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    u.wait_requests(1)
    c.close()
    time.sleep(0.1)
    gate.set()
    assert done.wait(5 * TIME_SCALE)
    assert u.connections[0].ended is None or u.connections[0].ended == "closed"


def test_a_half_closed_client_is_a_gone_client(server, upstream):
    """As in nginx."""
    u = upstream([up.request(), up.hold()])
    s = server(conf(), UP=u.port)
    with Client(s.port) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        u.wait_requests(1)
        assert c.half_close().read_until_close() == b""
    wait_until(lambda: u.connections[0].ended, 5, "the end of the upstream connection")


# -- tunnels

UPGRADE = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
SWITCH = b"HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n"


def test_an_upgraded_connection_is_a_tunnel_with_the_pipelined_bytes(server, upstream):
    def echo(seen):
        while True:
            if not seen.reader.buffer and not seen.reader.fill():
                return
            piece, seen.reader.buffer = seen.reader.buffer, b""
            seen.socket.sendall(piece.upper())
    u = upstream([up.head(), up.send(SWITCH + b"HELLO "), echo])
    s = server(conf(location=UPGRADE), UP=u.port)
    with Client(s.port) as c:
        c.send(b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nearly ")
        reply = c.read_reply()
        assert (reply.status, reply.header("Upgrade")) == (101, "echo") and reply.header("Connection").lower() == "upgrade"
        c.reader.exactly(len("HELLO EARLY "))
        for i in range(20):
            c.send(f"ping {i} ".encode())
            assert c.reader.exactly(len(f"ping {i} ")) == f"PING {i} ".encode()
        big = b"q" * 2_000_000
        threading.Thread(target=c.send, args=(big,)).start()
        assert c.reader.exactly(len(big)) == big.upper()
        c.half_close()
        assert c.read_until_close() == b""
    assert u.last.header("Upgrade") == "echo"


def test_a_client_that_asked_for_no_upgrade_gets_no_tunnel(server, upstream):
    """Though the configuration says Upgrade on its own, and the peer switches."""
    u = upstream([up.head(), up.send(SWITCH + b"hello"), up.hold()])
    s = server(conf(location='proxy_set_header Upgrade echo; proxy_set_header Connection "Upgrade";'), UP=u.port)
    assert get(s.port, "/ws").status == 502
    s.wait_for_log("upstream sent unexpected 101 response while reading response header from upstream")
    assert u.last.header("Upgrade") == "echo"


def test_the_fields_of_a_101_are_those_of_any_reply(server, upstream):
    more = b"\r\nX-Hidden: h\r\nX-Kept: k\r\nDate: d\r\nX-Accel-Expires: 1\r\nSet-Cookie: a=b; path=/in/x\r\n\r\n"
    switch = SWITCH.replace(b"\r\n\r\n", more)
    u = upstream([up.head(), up.send(switch), up.close()])
    s = server(conf(location=UPGRADE + "proxy_hide_header X-Hidden; proxy_cookie_path /in/ /out/;"), UP=u.port)
    with Client(s.port) as c:
        c.send(b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        reply = c.read_reply()
    assert reply.status == 101 and reply.header("Upgrade") == "echo" and reply.all("Connection") == ["upgrade"]
    assert reply.header("X-Kept") == "k" and reply.header("Set-Cookie") == "a=b; path=/out/x"
    assert reply.header("X-Hidden") is None and reply.header("X-Accel-Expires") is None and reply.header("Date") != "d"


def test_the_end_of_the_peer_ends_the_tunnel(server, upstream):
    u = upstream([up.head(), up.send(SWITCH + b"bye"), up.close()])
    s = server(conf(location=UPGRADE), UP=u.port)
    got = raw(s.port, b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
    assert got.endswith(b"bye")


def test_an_idle_tunnel_ends_after_read_timeout(server, upstream):
    u = upstream([up.head(), up.send(SWITCH), up.hold()])
    s = server(conf(location=UPGRADE + "proxy_read_timeout 1s;"), UP=u.port)
    got = raw(s.port, b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
    assert re.match(rb"HTTP/1.1 101 .*\r\n\r\n$", got, re.S)


@pytest.mark.parametrize("how, want", [
    ("peer resets", r"\[error\] .* recv\(\) failed \(104: Connection reset by peer\) while proxying upgraded connection"),
    ("client resets", r"\[info\] .* recv\(\) failed \(104: Connection reset by peer\) while proxying upgraded connection"),
    ("idle", r"\[info\] .* upstream timed out \(110: Connection timed out\) while proxying upgraded connection"),
    ("closed", None)])
def test_what_the_logs_say_of_the_end_of_a_tunnel(server, upstream, how, want):
    """As in nginx; of the two messages that began it the client has all."""
    client_is_there = threading.Event()
    end = {"peer resets": up.reset(), "closed": up.close()}.get(how, up.hold())
    u = upstream([up.head(), up.send(SWITCH), up.wait_for(client_is_there), end])
    s = server(conf(location=UPGRADE + f"proxy_read_timeout {'300ms' if how == 'idle' else '60s'};",
                    server="access_log logs/end.log end;"), UP=u.port)
    with Client(s.port) as c:
        c.send(b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        assert c.read_reply().status == 101
        client_is_there.set()
        if how == "client resets":
            c.reset()
        else:
            assert c.read_until_close() == b""
    wait_until(lambda: s.read("logs/end.log") == "101 [OK]\n", 5, "the access log")
    assert s.wait_for_log(want) if want else "while proxying" not in s.log()


def test_a_refused_upgrade_is_an_ordinary_reply(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(403, "no")))
    s = server(conf(location=UPGRADE), UP=u.port)
    reply = get(s.port, "/ws", {"Upgrade": "echo"})
    assert (reply.status, reply.text) == (403, "no")


def test_worker_connections_count_those_to_peers(server, upstream):
    u = upstream([up.request(), up.hold()])
    s = server(conf(server="location = /here { return 204; }").replace("events {}", "events { worker_connections 8; }"), UP=u.port)
    clients = [Client(s.port) for _ in range(5)]
    for c in clients:  # all five are accepted before any of them takes a connection to the peer
        assert c.send(b"GET /here HTTP/1.1\r\nHost: h\r\n\r\n").read_reply().status == 204
    for c in clients:
        c.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    s.wait_for_log("8 worker_connections are not enough while connecting to upstream")
    for c in clients:
        c.close()


def test_a_reply_that_goes_to_a_file_is_told_while_it_comes(server, upstream):
    data = b"0123456789abcdef" * 2_000_000
    s = server(conf(location="proxy_buffers 4 4k;"), UP=upstream(up.serve(lambda r: up.reply(200, data))).port)
    said = r"\[warn\] .*an upstream response is buffered to a temporary file \S+ while reading upstream, client: 127.0.0.1, .* upstream: "
    with Client(s.port) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        s.wait_for_log(said)
        assert c.read_reply().body == data
    assert len(re.findall(said, s.log())) == 1


def test_a_temporary_file_that_cannot_be_made_costs_no_byte(server, upstream):
    """nginx cuts the reply. Here the peer is read as fast as the client reads."""
    data = bytes(range(256)) * 40_000
    u = upstream(up.serve(lambda r: up.reply(200, data)))
    s = server(conf(location="proxy_temp_path %%PREFIX%%/temp; proxy_buffers 4 4k;"), UP=u.port)
    os.rmdir(os.path.join(s.prefix, "temp"))
    s.write("temp", "in the way")
    with Client(s.port) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        time.sleep(0.3)
        assert c.read_reply().body == data
        assert c.get("/").body == data
    s.wait_for_log(r"\[crit\].*open\(\) of a temporary file failed \(20: Not a directory\) while reading upstream, client")
