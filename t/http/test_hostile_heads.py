# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Requests that two parsers could read in two ways (request smuggling), and other broken ones: refused, closed, nothing passed on."""

import re

import pytest

from lib import upstreams as up
from lib.client import Client, chunked, raw

CONF = """
events {}
http {
    lingering_timeout 300ms;
    client_body_timeout 10s;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name first;
        location / { proxy_pass http://127.0.0.1:%%UP%%; }
        location /unbuffered { proxy_request_buffering off; proxy_pass http://127.0.0.1:%%UP%%; }
        location /own { return 200 "$uri $host"; }
    }
}
"""
SECOND = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture
def guarded(server, upstream):
    peer = upstream(up.serve(lambda r: up.reply(200, f"{r.method} {r.target} ".encode() + r.body)))
    started = server(CONF, UP=peer.port)
    started.peer = peer
    return started


def refused(server, request, status):
    """The answer is the status, the last of its connection, and no peer has seen anything."""
    got = raw(server.port, request)
    assert got.startswith(b"HTTP/1.1 %d " % status), got[:200]
    assert got.count(b"HTTP/1.1 ") == 1, got
    assert b"\r\nConnection: close\r\n" in got
    assert [r.target for r in server.peer.requests] == []


def post(*fields, body=b""):
    return b"".join(line.encode("latin-1") + b"\r\n" for line in ("POST / HTTP/1.1", "Host: h", *fields)) + b"\r\n" + body


LENGTHS = ["+5", "-5", "5,5", "5, 5", "0x5", "5a", "", "5 5", "99999999999999999999", "18446744073709551616", "5;", "\x0b5", "\u00b25"]


@pytest.mark.parametrize("value", LENGTHS)
def test_a_length_that_is_no_number(guarded, value):
    refused(guarded, post("Content-Length: " + value, body=b"hello") + SECOND, 400)


def test_two_lengths(guarded):
    refused(guarded, post("Content-Length: 5", "Content-Length: 5", body=b"hello") + SECOND, 400)
    refused(guarded, post("Content-Length: 5", "Content-Length: 6", body=b"hello") + SECOND, 400)


def test_a_length_and_a_coding(guarded):
    refused(guarded, post("Content-Length: 5", "Transfer-Encoding: chunked", body=chunked()) + SECOND, 400)
    refused(guarded, post("Transfer-Encoding: chunked", "Content-Length: 5", body=chunked()) + SECOND, 400)
    refused(guarded, post("Content-Length: 5", "Transfer-Encoding: identity", body=b"hello") + SECOND, 501)


@pytest.mark.parametrize("coding", [
    "chunked, chunked", "gzip, chunked", "identity", "chunked, identity", "xchunked", "chunked x", "chunked;a=b", '"chunked"',
    "", "chunked,",
    ",chunked", "gzip", "chunk", "chunked\xa0",
])
def test_a_coding_that_is_not_known(guarded, coding):
    refused(guarded, post("Transfer-Encoding: " + coding, body=chunked(b"hello")) + SECOND, 501)


def test_two_codings(guarded):
    refused(guarded, post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=chunked()) + SECOND, 400)
    refused(guarded, post("Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=chunked()) + SECOND, 400)


def test_chunks_in_an_old_version(guarded):
    refused(guarded, post("Transfer-Encoding: chunked", body=chunked()).replace(b"HTTP/1.1", b"HTTP/1.0") + SECOND, 400)


@pytest.mark.parametrize("line", [
    "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked", "Transfer\x00-Encoding: chunked",
    "Content-Length : 5", "X: a\rb", "X: a\x00b", "X: a\x01b", "X: a\x7fb", "X", "X\r", ": x", "A B: c", "Transfer-Encoding\x0b: chunked",
])
def test_a_line_that_is_none(guarded, line):
    refused(guarded, post(line, body=b"hello") + SECOND, 400)


def test_a_folded_line(guarded):
    refused(guarded, post("X: a\r\n b") + SECOND, 400)
    refused(guarded, post("Transfer-Encoding:\r\n chunked") + SECOND, 400)


def test_bare_carriage_returns(guarded):
    refused(guarded, b"GET / HTTP/1.1\rHost: h\r\r" + SECOND, 400)
    refused(guarded, b"GET / HTTP/1.1\r\nHost: h\r\r\n\r\n" + SECOND, 400)


@pytest.mark.parametrize("host", ["h\r\nHost: h", "a b", "a/b", "h:x", "h:65536", "[::1", "[::1]x", "a@b", "..", "h\x00"])
def test_a_host_that_is_none(guarded, host):
    refused(guarded, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1") + SECOND, 400)


def test_no_host(guarded):
    refused(guarded, b"GET / HTTP/1.1\r\n\r\n" + SECOND, 400)


@pytest.mark.parametrize("place", ["/", "/unbuffered"])
@pytest.mark.parametrize("body", ids=lambda b: repr(b[:30]), argvalues=[
    b"5\nhello\n0\n\n", b"-5\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"g\r\n", b"\r\nhello", b"5\r\nhelloX\r\n0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"FFFFFFFFFFFFFFFFF\r\nhello", b"8000000000000000\r\nhello", b"5\rhello\r0\r\r", b" 5\r\nhello\r\n0\r\n\r\n",
    b"5;a=\x01\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\r\nT: v\n\n", b"5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
    b"5\r\nhello\r\n0\r\nT : v\r\n\r\n",
])
def test_chunks_that_are_none(guarded, place, body):
    got = raw(guarded.port, post("Transfer-Encoding: chunked", body=body).replace(b"POST /", b"POST " + place.encode()) + SECOND)
    assert got.startswith(b"HTTP/1.1 400 ") and got.count(b"HTTP/1.1 ") == 1, got[:300]
    assert b"\r\nConnection: close\r\n" in got
    # Unbuffered the head is on its way before the chunks are looked at; its request never becomes whole, and nothing follows it.
    assert [r.target for r in guarded.peer.requests] in ([], [place] if place == "/unbuffered" else [])
    assert all(b"hello" not in r.body or not r.raw.endswith(b"0\r\n\r\n") for r in guarded.peer.requests)


def test_chunk_extensions_have_a_limit(guarded):
    refused(guarded, post("Transfer-Encoding: chunked", body=b"5;" + b"a" * 20000 + b"\r\nhello\r\n0\r\n\r\n") + SECOND, 413)


@pytest.mark.parametrize("line", [
    "get /", "G@T /", "GET", "GET /\x01", "GET /\x7f", "GET a", "GET /a b", "GET / HTTP/2.0", "GET / HTTP/1", "GET / HTTP/1.1 x",
    "GET / XTTP/1.1", "GET /%", "GET /%zz", "GET /%00", "GET /../", "GET /a/../../b", " GET /", "GE\x00T /", "GET http:///x",
])
def test_a_request_line_that_is_none(guarded, line):
    version = b"" if "TP/" in line else b" HTTP/1.1"
    got = raw(guarded.port, line.encode("latin-1") + version + b"\r\nHost: h\r\n\r\n" + SECOND)
    assert got.startswith(b"HTTP/1.1 %d " % (505 if "/2.0" in line else 400)), got[:100]
    assert got.count(b"HTTP/1.1 ") == 1 and guarded.peer.requests == []


def test_what_is_let_through_is_written_anew(guarded):
    """Odd but allowed: one LF at line ends, blanks around values, empty lines before; the peer gets plain CRLF."""
    got = raw(guarded.port, b"\r\n\nPOST /own HTTP/1.1\nHost:  h \t\nContent-Length: 5\nConnection: close\n\nhello")
    assert got.endswith(b"/own h")
    raw(guarded.port, b"\nPOST /x HTTP/1.1\nHost:\th \nX-A:  b \t\nContent-Length: 5\nConnection: close\n\nhello")
    seen = guarded.peer.last
    assert seen.header("X-A") == "b" and b"\n" not in seen.raw_head.replace(b"\r\n", b"") and seen.body == b"hello"


def test_names_that_no_token_may_hold_are_dropped(guarded):
    raw(guarded.port, post("X(A: 1", "X_B: 2", "X-C: 3", 'X"D: 4', "X\x80E: 5", "Connection: close", "Content-Length: 0"))
    names = [n.lower() for n, _ in guarded.peer.last.headers]
    assert "x-c" in names
    assert not [n for n in names if n[0] == "x" and n != "x-c"]
    for line in ("X(A: 1", "X_B: 2"):
        guarded.wait_for_log(re.escape(f'client sent invalid header line: "{line}" while reading client request headers, client: '))


@pytest.mark.parametrize("request_bytes, said", [
    (b"get / HTTP/1.1\r\nHost: h\r\n\r\n", "client sent invalid method while reading client request line, client"),
    (b"GET / HTTP/1.1\r\nHost: h\r\n\r\nget / HTTP/1.1\r\n\r\n",
     "client sent invalid method while reading client pipelined request line, client"),
    (b"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", "client sent invalid request while reading client request line, client"),
    (b"TRACE / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "client sent TRACE method while reading client request headers, client"),
    (post("Content-Length: 1", "Content-Length: 2"),
     'client sent duplicate header line: "Content-Length: 2", previous value: "Content-Length: 1" while reading client request headers, ')])
def test_the_log_says_what_was_wrong_where(guarded, request_bytes, said):
    raw(guarded.port, request_bytes)
    guarded.wait_for_log(re.escape(said))


@pytest.mark.parametrize("head, part", [(b"GET /x HT", "line"), (b"GET / HTTP/1.1\r\nHo", "headers")])
def test_a_head_that_breaks_off_is_logged(guarded, head, part):
    raw(guarded.port, head, half_close=True)
    guarded.wait_for_log(f"client prematurely closed connection while reading client request {part}, client: 127.0.0.1")


def test_a_body_that_stops_gets_a_408_and_the_end(server, upstream):
    s = server(CONF.replace("client_body_timeout 10s", "client_body_timeout 200ms"), UP=upstream(up.serve(lambda r: up.reply(200))).port)
    got = raw(s.port, post("Content-Length: 50", body=b"short"))
    assert got.startswith(b"HTTP/1.1 408 ") and b"\r\nConnection: close\r\n" in got


def test_slow_bytes_are_as_good_as_fast_ones(guarded):
    c = Client(guarded.port)
    c.send_pieces(post("Transfer-Encoding: chunked", "Connection: close", body=chunked(b"he", b"llo", trailers=b"T: v\r\n")), 1, 0.001)
    assert c.read_reply("POST").body == b"POST / hello"


@pytest.mark.parametrize("rest", [b" / HTTP/1.1\r\nBad Name: x\r\n\r\n", b" \x01 HTTP/1.1\r\n\r\n", b" / HTTP/1.1\r\n\r\n",
                                  b" /%zz HTTP/1.1\r\nHost: h\r\n\r\n"])
def test_a_malformed_head_request_is_answered_without_a_body(guarded, rest):
    assert raw(guarded.port, b"HEAD" + rest).partition(b"\r\n\r\n")[2] == b""
    assert b"<html>" in raw(guarded.port, b"GET" + rest).partition(b"\r\n\r\n")[2]
    assert guarded.peer.requests == []
