# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""gzip: which responses are compressed, and that the bytes come back whole."""

import gzip
import random
import zlib

import pytest

from lib import upstreams as up
from lib.client import Client, get, raw

CONF = """
events {}
http {
    types { text/html html; text/css css; image/png png; text/plain txt; }
    sendfile %%SENDFILE%%;
    gzip on;
    gzip_types text/css;
    gzip_types image/*;
    gzip_vary on;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%/html;
        location / { }
        location /all/ { alias %%PREFIX%%/html/; gzip_types *; gzip_comp_level 9; gzip_window 512; gzip_hash 512; gzip_buffers 2 64; postpone_gzipping 100; }
        location /long/ { alias %%PREFIX%%/html/; gzip_min_length 1000; }
        location /old/ { alias %%PREFIX%%/html/; gzip_http_version 1.0; }
        location /agent/ { alias %%PREFIX%%/html/; gzip_disable msie6 "bad.*bot"; }
        location /expired/ { alias %%PREFIX%%/html/; gzip_proxied expired no_etag; expires -1; }
        location /fresh/ { alias %%PREFIX%%/html/; gzip_proxied expired; expires 1h; }
        location /auth/ { alias %%PREFIX%%/html/; gzip_proxied auth no_last_modified; }
        location /private/ { alias %%PREFIX%%/html/; gzip_proxied private; add_header Cache-Control "private, x"; }
        location /any/ { alias %%PREFIX%%/html/; gzip_proxied any; }
        location /off/ { alias %%PREFIX%%/html/; gzip off; }
    }
}
"""
PAGE = b"<html>" + b"a page that repeats itself, " * 40 + b"</html>"
NOISE = random.Random(1).randbytes(300_000) + bytes(1_000_000)
ACCEPT = {"Accept-Encoding": "gzip"}


@pytest.fixture(params=["on", "off"])
def zipping(server, request):
    return server(CONF, files={"html/a.html": PAGE, "html/a.css": PAGE, "html/a.png": PAGE, "html/short.html": "x" * 19, "html/twenty.html": "x" * 20,
                               "html/noise.html": NOISE, "html/empty.html": ""}, SENDFILE=request.param)


def is_zipped(reply, content=PAGE):
    if reply.header("content-encoding") is None:
        assert reply.body == content
        return False
    assert reply.header("content-encoding") == "gzip" and reply.header("content-length") is None
    assert gzip.decompress(reply.body) == content
    return True


def test_a_page_is_compressed_for_who_asks(zipping):
    tag = get(zipping.port, "/a.html").header("etag")
    with Client(zipping.port) as client:
        reply = client.get("/a.html", ACCEPT)
        assert is_zipped(reply) and len(reply.body) < 120
        assert (reply.header("etag"), reply.header("vary"), reply.header("accept-ranges")) == ("W/" + tag, "Accept-Encoding", None)
        reply = client.get("/a.html")
        assert not is_zipped(reply) and (reply.header("vary"), reply.header("etag")) == ("Accept-Encoding", tag)


@pytest.mark.parametrize("accept, wanted", [
    ("gzip", True), ("GZIP", True), ("deflate, gzip", True), ("gzip;q=0", False), ("gzip; q=0.000", False), ("gzip;q=0.001", True), ("gzip;q=1.000", True),
    ("gzip;q=1.001", False), ("gzip;q=x", False), ("gzip;q=", False), ("br;q=1, gzip ; q=0.5 , *;q=0", True), ("x-gzip", False), ("gzipped", False),
    ("*", False), ("identity", False), ("", False), ("deflate,gzip;q=0,br", False),
])
def test_accept_encoding(zipping, accept, wanted):
    assert is_zipped(get(zipping.port, "/a.html", {"Accept-Encoding": accept})) == wanted


def test_types(zipping):
    assert is_zipped(get(zipping.port, "/a.css", ACCEPT))
    reply = get(zipping.port, "/a.png", ACCEPT)
    assert not is_zipped(reply) and reply.header("vary") is None
    assert is_zipped(get(zipping.port, "/all/a.png", ACCEPT))


def test_lengths(zipping):
    assert not is_zipped(get(zipping.port, "/short.html", ACCEPT), b"x" * 19)
    assert is_zipped(get(zipping.port, "/twenty.html", ACCEPT), b"x" * 20)
    assert is_zipped(get(zipping.port, "/long/a.html", ACCEPT))
    assert not is_zipped(get(zipping.port, "/long/twenty.html", ACCEPT), b"x" * 20)
    assert not is_zipped(get(zipping.port, "/empty.html", ACCEPT), b"")


@pytest.mark.parametrize("folder", ["/", "/all/"])
def test_a_large_file_that_hardly_shrinks(zipping, folder):
    assert is_zipped(get(zipping.port, folder + "noise.html", ACCEPT), NOISE)


def test_http_1_0(zipping):
    with Client(zipping.port) as client:
        assert not is_zipped(client.get("/a.html", ACCEPT, version="HTTP/1.0"))
    with Client(zipping.port) as client:
        assert is_zipped(client.get("/old/a.html", ACCEPT, version="HTTP/1.0"))


def test_user_agents(zipping):
    for agent, wanted in (("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT)", False), ("MSIE 6.0; SV1", True), ("MSIE 5.5", False), ("MSIE 7.0", True),
                          ("a BAD little BOT", False), ("good bot", True)):
        assert is_zipped(get(zipping.port, "/agent/a.html", {**ACCEPT, "User-Agent": agent})) == wanted, agent


@pytest.mark.parametrize("folder, wanted", [("/", False), ("/any/", True), ("/expired/", True), ("/fresh/", False), ("/auth/", False), ("/private/", True)])
def test_proxied_requests(zipping, folder, wanted):
    assert is_zipped(get(zipping.port, folder + "a.html", {**ACCEPT, "Via": "1.1 proxy"})) == wanted
    assert is_zipped(get(zipping.port, folder + "a.html", ACCEPT))


def test_proxied_with_authorization(zipping):
    assert is_zipped(get(zipping.port, "/auth/a.html", {**ACCEPT, "Via": "1.1 proxy", "Authorization": "Basic eDp5"}))


def test_off_and_head_and_ranges(zipping):
    assert not is_zipped(get(zipping.port, "/off/a.html", ACCEPT))
    assert is_zipped(get(zipping.port, "/a.html", {**ACCEPT, "Range": "bytes=0-1"}))
    with Client(zipping.port) as client:
        reply = client.request("HEAD", "/a.html", headers=ACCEPT)
        assert (reply.header("content-encoding"), reply.header("content-length"), reply.header("transfer-encoding")) == ("gzip", None, None)
        assert is_zipped(client.get("/a.html", ACCEPT))


def test_a_404_page_is_compressed(zipping):
    reply = get(zipping.port, "/gone", ACCEPT)
    assert reply.status == 404 and b"404 Not Found" in gzip.decompress(reply.body)


def test_not_modified_matches_the_weak_tag(zipping):
    tag = get(zipping.port, "/a.html", ACCEPT).header("etag")
    assert get(zipping.port, "/a.html", {**ACCEPT, "If-None-Match": tag}).status == 304


@pytest.mark.parametrize("line, error", [
    ("gzip_comp_level 10", "value must be between 1 and 9"), ("gzip_window 3k", "must be 512, 1k, 2k, 4k, 8k, 16k, or 32k"),
    ("gzip_http_version 1.2", 'invalid value "1.2"'), ("gzip_proxied never", 'invalid value "never"'), ("gzip_disable ("'"("'")", "pcre2_compile() failed"),
])
def test_bad_lines(idle_server, line, error):
    done = idle_server(f"events {{}} http {{ server {{ listen 127.0.0.1:%%PORT_0%%; {line}; }} }}").run("-t")
    assert done.returncode == 1 and error in done.stderr, done.stderr


CUT = """
events {}
http {
    gzip on;
    gzip_types *;
    gzip_proxied any;
    gzip_min_length 0;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://127.0.0.1:%%UP%%; }
        location /streamed { proxy_buffering off; proxy_pass http://127.0.0.1:%%UP%%; }
        location /late { postpone_gzipping 100k; proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""


@pytest.mark.parametrize("target", ["/", "/streamed", "/late"])
@pytest.mark.parametrize("content", [b"a few bytes", NOISE[:200_000]], ids=["short", "long"])
def test_what_came_before_a_source_broke_off_is_sent(server, upstream, target, content):
    peer = upstream([up.request(), up.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(content), content)),
                     up.half_close(), up.hold()])
    s = server(CUT, UP=peer.port)
    answer = raw(s.port, f"GET {target} HTTP/1.1\r\nAccept-Encoding: gzip\r\nHost: h\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    unpacker, sent = zlib.decompressobj(31), b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        assert int(size, 16) > 0, "the end of a body that has none"
        sent += unpacker.decompress(rest[:int(size, 16)])
        body = rest[int(size, 16) + 2:]
    assert sent == content
