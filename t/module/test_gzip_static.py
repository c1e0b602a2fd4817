# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""gzip_static and gunzip: who gets the compressed file, and who its bytes."""

import gzip
import os
import zlib

import pytest

from lib import upstreams as up
from lib.client import Client, get, request

CONF = """
events {}
http {
    types { text/html html; }
    gzip_vary on;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { root %%PREFIX%%/html; gzip_static on; }
        location /always/ { alias %%PREFIX%%/html/; gzip_static always; }
        location /plain/ { alias %%PREFIX%%/html/; gzip_static always; gunzip on; gunzip_buffers 4 16; }
        location /off/ { alias %%PREFIX%%/html/; }
        location /up { proxy_pass http://127.0.0.1:%%UP%%; gunzip on; }
        location /slow { proxy_pass http://127.0.0.1:%%UP%%; gunzip on; proxy_buffering off; }
    }
}
"""
PAGE = b"a page that repeats itself, " * 1000
ACCEPT = {"Accept-Encoding": "gzip"}
FILES = {"html/a.html": PAGE, "html/a.html.gz": gzip.compress(PAGE), "html/alone.html.gz": gzip.compress(b"alone"), "html/b.html": "b",
         "html/folder.html": "file", "html/folder.html.gz/x": ""}


@pytest.fixture
def s(server, upstream):
    def answer(asked):
        body = {"/up/two": gzip.compress(b"one, ") + gzip.compress(PAGE), "/up/cut": gzip.compress(PAGE)[:-9], "/up/bad": b"no gzip at all",
                "/up/none": b"", "/up/plain": b"plain"}.get(asked.target, gzip.compress(PAGE))
        coding = [] if asked.target == "/up/plain" else [("Content-Encoding", "gzip"), ("ETag", '"t"')]
        return up.reply(200, body, headers=coding)
    return server(CONF, files=FILES, UP=upstream(up.serve(answer)).port)


def test_the_compressed_file_for_who_takes_it(s):
    with Client(s.port) as client:
        reply = client.get("/a.html", ACCEPT)
        assert gzip.decompress(reply.body) == PAGE and reply.header("Content-Length") == str(len(FILES["html/a.html.gz"]))
        assert [reply.header(n) for n in ("Content-Encoding", "Content-Type", "Vary")] == ["gzip", "text/html", "Accept-Encoding"]
        reply = client.get("/a.html")
        assert (reply.body, reply.header("Content-Encoding"), reply.header("Vary")) == (PAGE, None, "Accept-Encoding")


def test_what_is_served_as_it_is(s):
    for target, body in (("/b.html", b"b"), ("/off/a.html", PAGE)):
        reply = get(s.port, target, ACCEPT)
        assert (reply.body, reply.header("Content-Encoding"), reply.header("Vary")) == (body, None, None), target
    assert get(s.port, "/folder.html", ACCEPT).body == b"file"
    assert get(s.port, "/alone.html").status == 404
    assert request(s.port, "POST", "/a.html", b"x").status == 405


def test_always(s):
    reply = get(s.port, "/always/alone.html")
    assert gzip.decompress(reply.body) == b"alone" and reply.header("Content-Encoding") == "gzip"


def test_what_cannot_be_opened_is_logged_and_the_file_served(s):
    s.write("html/x.html", "plain")
    os.symlink("x.html.gz", os.path.join(s.prefix, "html/x.html.gz"))
    assert get(s.port, "/x.html", ACCEPT).body == b"plain"
    s.wait_for_log("open.. .*x.html.gz. failed .*symbolic links")


def test_gunzip_for_who_does_not_take_gzip(s):
    with Client(s.port) as client:
        for target in ("/up", "/slow", "/plain/a.html"):
            reply = client.get(target)
            assert reply.body == PAGE and reply.header("Content-Encoding") is None and reply.header("Content-Length") is None, target
            assert gzip.decompress(client.get(target, ACCEPT).body) == PAGE
        reply = client.get("/up")
        assert reply.header("ETag") == 'W/"t"' and reply.header("Vary") == "Accept-Encoding"
        assert client.get("/up/two").body == b"one, " + PAGE
        assert client.get("/up/none").body == b"" and client.get("/up/plain").body == b"plain"


@pytest.mark.parametrize("target, log", [("/up/cut", "cut short"), ("/up/bad", "no valid gzip")])
def test_broken_gzip_never_looks_complete(s, target, log):
    with Client(s.port) as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
        received = client.read_until_close()
    assert not received.endswith(b"0\r\n\r\n")
    s.wait_for_log(log)
    assert get(s.port, "/up").body == PAGE


def test_bytes_that_come_one_by_one(server, upstream):
    packed = gzip.compress(PAGE)
    steps = [up.request(), up.send(f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode())]
    steps += [step for byte in packed for step in (up.send(bytes([byte])),)]
    s = server(CONF, files=FILES, UP=upstream(steps).port)
    assert get(s.port, "/slow").body == PAGE


def test_a_body_that_grows_a_thousandfold(server, upstream):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(4)) + packer.flush()
    s = server(CONF, files=FILES, UP=upstream(up.serve(lambda r: up.reply(200, packed, headers=[("Content-Encoding", "gzip")]))).port)
    assert get(s.port, "/up").body == bytes(4 << 20)


@pytest.mark.parametrize("line, error", [("gzip_static yes", 'invalid value "yes"'), ("gunzip_buffers 4", "invalid number of arguments"),
                                         ("gunzip_buffers 4 0", '"gunzip_buffers" directive invalid value')])
def test_bad_lines(idle_server, line, error):
    done = idle_server(f"events {{}} http {{ server {{ listen 127.0.0.1:%%PORT_0%%; {line}; }} }}").run("-t")
    assert done.returncode == 1 and error in done.stderr, done.stderr
