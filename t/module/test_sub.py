# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""sub_filter: texts in responses are replaced, wherever the pieces of the response begin and end."""

import random

import pytest

from lib import upstreams as up
from lib.client import Client, get, raw, request

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        proxy_buffering off;
        location / { proxy_pass http://127.0.0.1:%%UP%%; sub_filter abcab <1>; sub_filter abd "<$arg_x>"; sub_filter bd "";
            sub_filter_once off; }
        location /once { proxy_pass http://127.0.0.1:%%UP%%; sub_filter a A; sub_filter b B; }
        location /vars { proxy_pass http://127.0.0.1:%%UP%%; sub_filter $arg_from $arg_to; sub_filter_once off; sub_filter_types *; }
        location /keep { proxy_pass http://127.0.0.1:%%UP%%; sub_filter a b; sub_filter_last_modified on; }
        location /file/ { alias %%PREFIX%%/html/; default_type text/html; sub_filter hello "good bye"; }
    }
}
"""
HTML = [("Content-Type", "text/html; charset=utf-8"), ("ETag", '"t"'), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")]


def replaced(text):
    """What the first location makes of it."""
    out, at = "", 0
    while at < len(text):
        for wanted, to in (("abcab", "<1>"), ("abd", "<y>"), ("bd", "")):
            if text[at:at + len(wanted)].lower() == wanted:
                out, at = out + to, at + len(wanted)
                break
        else:
            out, at = out + text[at], at + 1
    return out


TEXTS = ["", "a", "ab", "abc", "abca", "abcab", "abcabcab", "ababcab", "aababd", "xxABDyy", "abcaabcab", "bdbd", "abcabd", "ABCABabd",
         "abdb",
         "".join(random.Random(7).choice("abcd") for _ in range(5000))]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100_000])
def test_every_cut_gives_the_same(server, upstream, size):
    def pieces(text):
        yield up.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(text), size):
            piece = text[at:at + size]
            yield up.send(f"{len(piece):x}\r\n{piece}\r\n".encode())
        yield up.send(b"0\r\n\r\n")
    steps = [step for text in TEXTS for step in (up.request(), *pieces(text))]
    s = server(CONF, UP=upstream(steps).port)
    for text in TEXTS:
        assert get(s.port, "/?x=y").text == replaced(text), text[:100]


@pytest.fixture
def s(server, upstream):
    def answer(asked):
        kind = [("Content-Type", "text/plain")] if "plain" in asked.target else HTML
        return up.reply(404 if "missing" in asked.target else 200, "a b a b hello", headers=kind)
    return server(CONF, UP=upstream(up.serve(answer)).port, files={"html/x": "Hello, hello! " + "x" * 100_000})


def test_short_pieces_leave_as_one(server, upstream):
    text = "abcab abd " * 2000
    s = server(CONF, UP=upstream(up.serve(lambda _: up.reply(200, text, HTML))).port)
    answer = raw(s.port, b"GET /?x=y HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    head, _, chunks = answer.partition(b"\r\n\r\n")
    wanted = replaced(text).encode()
    sizes, body = [], b""
    while True:
        size, _, chunks = chunks.partition(b"\r\n")
        sizes.append(int(size, 16))
        body += chunks[:sizes[-1]]
        if sizes[-1] == 0:
            break
        chunks = chunks[sizes[-1] + 2:]
    assert body == wanted and len(sizes) < 20, f"{len(sizes)} chunks for {len(body)} bytes"


def test_once_is_once_for_each_text(s):
    assert get(s.port, "/once").text == "A B a b hello"
    assert get(s.port, "/once/missing").text == "A B a b hello"
    assert get(s.port, "/once/plain").text == "a b a b hello"


def test_variables(s):
    assert get(s.port, "/vars?from=a&to=%20").text == "%20 b %20 b hello"
    assert get(s.port, "/vars?from=HELLO&to=").text == "a b a b "
    assert get(s.port, "/vars/plain?to=x").text == "a b a b hello"


def test_fields_that_no_longer_hold(s):
    with Client(s.port) as client:
        reply = client.get("/once")
        assert [reply.header(n) for n in ("ETag", "Last-Modified", "Content-Length")] == [None, None, None]
        reply = client.get("/keep")
        assert [reply.header(n) for n in ("ETag", "Last-Modified")] == ['W/"t"', "Sun, 06 Nov 1994 08:49:37 GMT"]
    assert request(s.port, "HEAD", "/once").status == 200


def test_a_file_and_no_range_of_it(s):
    for fields in ({}, {"Range": "bytes=0-3"}):
        reply = get(s.port, "/file/x", fields)
        assert (reply.status, reply.text) == (200, "good bye, hello! " + "x" * 100_000) and reply.header("Accept-Ranges") is None
