# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Byte ranges: 206 with one part or several, 416, If-Range, max_ranges."""

import os
import re
import time

import pytest

from lib import upstreams as up
from lib.client import Client, get, request

CONF = """
events {}
http {
    types { text/plain txt; }
    sendfile %%SENDFILE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%/html;
        location /one/ { alias %%PREFIX%%/html/; max_ranges 1; }
        location /none/ { alias %%PREFIX%%/html/; max_ranges 0; }
        location /peer { proxy_force_ranges on; proxy_pass http://127.0.0.1:%%UP%%; }
        location /led/ { alias %%PREFIX%%/html/; error_page 416 = /answer; }
        location = /answer { return 200; }
        location /page/ { alias %%PREFIX%%/html/; error_page 416 /whole.txt; add_header X-Sent yes; }
    }
}
"""
TEXT = b"0123456789" * 10


@pytest.fixture(params=["on", "off"])
def ranged(server, upstream, request):
    peer = upstream(up.serve(lambda _: up.reply(200, TEXT, [("Vary", "X-U"), ("Cache-Control", "no-store"), ("X-A", "1"),
                                                            ("Content-Encoding", "x")])))
    return server(CONF, files={"html/a.txt": TEXT, "html/whole.txt": "all of it", "html/empty.txt": ""}, SENDFILE=request.param,
                  UP=peer.port)


def ask(server, ranges, target="/a.txt", **more):
    return get(server.port, target, {"Range": ranges, **{k.replace("_", "-"): v for k, v in more.items()}})


@pytest.mark.parametrize("ranges, first, last", [
    ("bytes=0-0", 0, 0), ("bytes=0-9", 0, 9), ("bytes=90-", 90, 99), ("bytes=-7", 93, 99), ("bytes=95-1000", 95, 99), ("bytes=-1000", 0, 99),
    ("BYTES=3-4", 3, 4), ("bytes= 3 - 4 ", 3, 4), ("bytes=1-2,200-300", 1, 2),
])
def test_one_range(ranged, ranges, first, last):
    reply = ask(ranged, ranges)
    assert (reply.status, reply.body) == (206, TEXT[first:last + 1])
    assert reply.header("content-range") == f"bytes {first}-{last}/100"
    assert reply.header("content-length") == str(last + 1 - first)
    assert reply.header("accept-ranges") is None


def test_several_ranges_come_as_multipart(ranged):
    reply = ask(ranged, "bytes=0-4,50-51,-2")
    assert reply.status == 206
    boundary = re.fullmatch(r"multipart/byteranges; boundary=(\d{20})", reply.header("content-type")).group(1)
    want = b""
    for part, where in ((TEXT[:5], "0-4"), (TEXT[50:52], "50-51"), (TEXT[-2:], "98-99")):
        want += f"\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes {where}/100\r\n\r\n".encode() + part
    assert reply.body == want + f"\r\n--{boundary}--\r\n".encode()
    assert reply.header("content-range") is None


@pytest.mark.parametrize("ranges", ["bytes=100-", "bytes=200-300", "bytes=", "bytes=x", "bytes=5", "bytes=1-2;3-4", "bytes=-0", "bytes=5-1",
                                    "bytes=99999999999999999999-", "bytes=--5"])
def test_what_no_range_touches_is_416(ranged, ranges):
    if ranges == "bytes=":
        assert ask(ranged, ranges).status == 200
        return
    reply = ask(ranged, ranges)
    assert (reply.status, reply.header("content-range")) == (416, "bytes */100")
    assert reply.header("etag") is None and reply.header("last-modified") is None
    assert "416 Requested Range Not Satisfiable" in reply.text


@pytest.mark.parametrize("ranges", ["items=0-1", "bytes 0-1", "bytes=0-60,0-60"])
def test_other_units_and_too_many_bytes_get_the_whole(ranged, ranges):
    reply = ask(ranged, ranges)
    assert (reply.status, reply.body, reply.header("accept-ranges")) == (200, TEXT, "bytes")


def test_an_empty_file_is_whole_or_not_satisfiable(ranged):
    assert ask(ranged, "bytes=0-", "/empty.txt").status == 200
    assert ask(ranged, "bytes=5-", "/empty.txt").status == 416


def test_max_ranges(ranged):
    assert ask(ranged, "bytes=0-1", "/one/a.txt").status == 206
    assert ask(ranged, "bytes=0-1,3-4", "/one/a.txt").status == 200
    reply = ask(ranged, "bytes=0-1", "/none/a.txt")
    assert (reply.status, reply.header("accept-ranges")) == (200, None)


def test_if_range_by_date_and_by_tag(ranged):
    os.utime(os.path.join(ranged.prefix, "html/a.txt"), (784111777, 784111777))
    tag = get(ranged.port, "/a.txt").header("etag")
    assert ask(ranged, "bytes=0-1", If_Range=tag).status == 206
    assert ask(ranged, "bytes=0-1", If_Range='"other"').status == 200
    assert ask(ranged, "bytes=0-1", If_Range="Sun, 06 Nov 1994 08:49:37 GMT").status == 206
    assert ask(ranged, "bytes=0-1", If_Range="Sun, 06 Nov 1994 08:49:38 GMT").status == 200
    assert ask(ranged, "bytes=0-1", If_Range="rubbish").status == 200


def test_head_of_a_range(ranged):
    reply = request(ranged.port, "HEAD", "/a.txt", headers={"Range": "bytes=10-19"})
    assert (reply.status, reply.header("content-range"), reply.header("content-length")) == (206, "bytes 10-19/100", "10")


def test_a_416_varies_as_the_reply_does(ranged):
    reply = ask(ranged, "bytes=1000-", "/peer")
    assert (reply.status, reply.header("Content-Range"), reply.header("Vary")) == (416, "bytes */100", "X-U")
    assert [reply.header(name) for name in ("Cache-Control", "X-A", "Content-Encoding")] == [None] * 3


def test_a_416_may_have_an_error_page_and_no_fields_of_the_response(ranged):
    assert ask(ranged, "bytes=0-", "/page/a.txt").all("x-sent") == ["yes"]
    reply = ask(ranged, "bytes=500-", "/page/a.txt")
    assert (reply.status, reply.body, reply.header("content-range")) == (416, b"all of it", "bytes */100")
    assert reply.all("x-sent") == []
    reply = ask(ranged, "bytes=500-", "/led/a.txt")
    assert (reply.status, reply.header("content-range")) == (200, None), "an answer of its own"


@pytest.mark.parametrize("if_range, status", [
    ('"x"', 206), ('"y"', 200), ("Mon, 28 Sep 1970 06:00:00 GMT", 206), ("Mon, 28 Sep 1970 06:00:01 GMT", 200)])
def test_if_range_knows_the_fields_of_the_peer(server, upstream, if_range, status):
    peer = upstream(up.serve(lambda r: up.reply(200, TEXT, headers=[("ETag", '"x"'), ("Last-Modified", "Mon, 28 Sep 1970 06:00:00 GMT")])))
    location = "location / { proxy_pass http://127.0.0.1:%%UP%%; proxy_force_ranges on; }"
    s = server("events {} http { server { listen 127.0.0.1:%%PORT_0%%; " + location + " } }", UP=peer.port)
    assert get(s.port, "/", headers={"Range": "bytes=2-4", "If-Range": if_range}).status == status


def test_a_proxied_response_is_refused_with_its_own_reason(server, upstream):
    peer = upstream(up.serve(lambda r: up.reply(200, TEXT, headers=[("ETag", '"x"')])))
    location = "location / { proxy_pass http://127.0.0.1:%%UP%%; proxy_force_ranges on; }"
    proxying = "events {} http { server { listen 127.0.0.1:%%PORT_0%%; " + location + " } }"
    with Client(server(proxying, UP=peer.port).port) as client:
        client.send("GET / HTTP/1.1\r\nHost: h\r\nRange: bytes=200-\r\nConnection: close\r\n\r\n").read_until_close()
        assert client.received.startswith(b"HTTP/1.1 416 Requested Range Not Satisfiable\r\n")


LATE_CONF = """
events {}
http {
    proxy_http_version 1.1;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /cut { proxy_force_ranges on; proxy_set_header Range ""; include rules; proxy_pass http://127.0.0.1:%%UP%%; }
        location /slice { slice 7000; proxy_set_header Range $slice_range; include rules; proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""
LATE = bytes(n * n % 251 for n in range(30000))


def in_two_parts(seen):
    """Answers with the range that is asked for, all but the first bytes of it late: what lies before the client's range comes alone."""
    while True:
        up.request()(seen)
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", seen.requests[-1].header("Range") or "")
        begin, end = (int(asked[1]), min(int(asked[2]) + 1, len(LATE))) if asked else (0, len(LATE))
        fields = {"ETag": '"t"', **({"Content-Range": f"bytes {begin}-{end - 1}/{len(LATE)}"} if asked else {})}
        whole = up.reply(206 if asked else 200, LATE[begin:end], fields)
        early = len(whole) - (end - begin) + 3000
        seen.socket.sendall(whole[:early])
        time.sleep(0.05)
        seen.socket.sendall(whole[early:])


@pytest.mark.parametrize("rules", ["limit_rate 400k;", "postpone_output 2000;",
                                   "limit_rate 400k; postpone_output 2000; proxy_buffering off;"])
@pytest.mark.parametrize("location", ["/cut", "/slice"])
def test_what_comes_before_the_range_is_not_in_it(server, upstream, location, rules):
    s = server(LATE_CONF, files={"rules": rules}, UP=upstream([in_two_parts]).port)
    for first, last in ((5000, 20000), (5000, 6000), (13000, 14500)):
        reply = ask(s, f"bytes={first}-{last}", location)
        assert (reply.status, reply.header("Content-Range")) == (206, f"bytes {first}-{last}/{len(LATE)}")
        assert reply.body == LATE[first:last + 1], (first, last)
