# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Static files, ranges, conditions, gzip: the same requests to Debian's nginx and to fairlead. Server, Date and the order of fields do not count."""

import gzip
import os
import re

from lib.client import raw, request_bytes
from lib.fairlead import Server
from lib.nginx import Nginx

CONF = """
events {}
http {
    types { text/html html; text/plain txt; text/css css; }
    default_type application/octet-stream;
    sendfile on;
    server_tokens off;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%/html;
        port_in_redirect off;
        location / { }
        location /alias/ { alias %%PREFIX%%/html/sub/; index none b.txt; }
        location /gz/ { alias %%PREFIX%%/html/; gzip on; gzip_types text/plain; gzip_vary on; gzip_min_length 100; gzip_proxied expired no-cache auth; }
        location /one/ { alias %%PREFIX%%/html/; max_ranges 1; }
        location /before/ { alias %%PREFIX%%/html/; if_modified_since before; etag off; }
        location /add/ { alias %%PREFIX%%/html/; add_header X-A "$uri"; add_header X-B b always; expires max; error_page 404 /sub/b.txt; error_page 416 = /sub/b.txt; }
        location /page/ { alias %%PREFIX%%/html/; error_page 404 403 /sub/b.txt; error_page 405 =200 /sub/b.txt; error_page 412 416 /a.txt; }
        location ~ ^/re/(.+)$ { alias %%PREFIX%%/html/$1; expires -10; }
    }
}
"""
FILES = {"html/a.txt": "0123456789" * 20, "html/page.html": "<p>" + "again and " * 500, "html/sub/index.html": "index", "html/sub/b.txt": "beta",
         "html/empty.txt": "", "html/bare/x": "x", "html/with space.txt": "space", "html/per%cent.css": "p{}"}
WHEN = 784111777
TAG = f'"{WHEN:x}-c8"'
DATE, LATER, EARLIER = ("Sun, 06 Nov 1994 08:49:%d GMT" % s for s in (37, 38, 36))

# What differs on purpose, with the reason: condition lines, whatever the target.
KNOWN = {
    # RFC 9110 section 13.1.4: a date that is none is ignored; nginx fails the condition.
    "If-Unmodified-Since: rubbish",
    # Section 13.2.2: a tag decides alone; nginx wants both to hold.
    f"If-None-Match: {TAG}\r\nIf-Modified-Since: {LATER}",
    f"If-Match: {TAG}\r\nIf-Unmodified-Since: {EARLIER}",
}
# nginx leaves fields of the response that a 416 replaces on the 416 (some twice); here they go with it.
OF_416 = {"connection", "content-type", "content-length", "location", "transfer-encoding"}


def requests():
    """(method, target, header lines)"""
    targets = ["/", "/a.txt", "/page.html", "/sub", "/sub/", "/sub?q=1", "/sub/b.txt", "/sub/b.txt/", "/empty.txt", "/bare/", "/bare", "/none", "/none/", "/none/x",
               "/with%20space.txt", "/per%25cent.css", "/per%cent.css", "/sub/../a.txt", "/sub/./b.txt", "//sub//b.txt", "/sub%2fb.txt", "/a.txt%00", "/a.txt?x", "/a.txt#x",
               "/%2e%2e/a.txt", "/sub/%2e%2e/a.txt", "/..", "/a.txt/..", "/alias/", "/alias", "/alias/b.txt", "/alias/none", "/gz/page.html", "/gz/a.txt", "/one/a.txt",
               "/before/a.txt", "/add/a.txt", "/add/none", "/page/none", "/page/a.txt", "/page/bare/", "/re/a.txt", "/re/none", "/re/", "/" + "n" * 300]
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        for target in targets:
            yield method, target, []
    for target in ("/a.txt", "/empty.txt", "/one/a.txt", "/page/a.txt", "/add/a.txt", "/gz/a.txt"):
        for ranges in ("0-0", "5-", "-5", "0-", "199-", "200-", "-0", "-1000", "5-2", "x", "", "1-2,4-5", "1-2, 4-5 ,-1", "1-2,500-", "0-199,0-0", "0-100,50-199", "1-2,x", ",", "1-2,,3-4",
                       "1 - 2", "18446744073709551616-", "0-18446744073709551616", "9223372036854775807-", "1-2,"):
            yield "GET", target, ["Range: bytes=" + ranges]
    for condition in ("If-None-Match: *", f"If-None-Match: {TAG}", f"If-None-Match: W/{TAG}", f'If-None-Match: "x", {TAG}', 'If-None-Match: "x"', f"If-Match: {TAG}", "If-Match: *", 'If-Match: "x"',
                      *(f"{name}: {date}" for name in ("If-Modified-Since", "If-Unmodified-Since") for date in (DATE, LATER, EARLIER, "rubbish")),
                      f"If-None-Match: {TAG}\r\nIf-Modified-Since: {LATER}", f"If-None-Match: {TAG}\r\nIf-Modified-Since: {DATE}", f"If-Match: {TAG}\r\nIf-Unmodified-Since: {EARLIER}",
                      f"If-Range: {TAG}\r\nRange: bytes=0-1", f"If-Range: {DATE}\r\nRange: bytes=0-1", f"If-Range: {LATER}\r\nRange: bytes=0-1", 'If-Range: "x"\r\nRange: bytes=0-1',
                      f"If-Range: W/{TAG}\r\nRange: bytes=0-1", f"If-None-Match: {TAG}\r\nRange: bytes=0-1", "Accept-Encoding: gzip\r\nRange: bytes=0-1"):
        for target in ("/a.txt", "/before/a.txt", "/gz/a.txt", "/page/a.txt"):
            yield "GET", target, [condition]
    for accept in ("gzip", "gzip;q=0", "gzip;q=0.5", "gzip;q=1.0", "gzip;q=1.5", "gzip;q=", "deflate, gzip", "gzip,", "x-gzip", "*", "GZIP", "gzip ;q=0", "gzip; q=0"):
        for more in ([], ["Via: 1.1 p"], ["Via: 1.1 p", "Authorization: Basic eDp4"], ["User-Agent: MSIE 6.0"]):
            yield "GET", "/gz/page.html", ["Accept-Encoding: " + accept, *more]


def ask(server, method, target, lines):
    return raw(server.port, request_bytes(method, target, headers=["Connection: close", *lines], host="files.test"))


def unchunked(body):
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole, body = whole + body[:int(size, 16)], body[int(size, 16) + 2:]
    return whole


def picture(reply, server):
    """A reply without what may differ: Server, Date, order, boundaries, how deflate found its matches, the name in pages."""
    head, _, body = reply.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    named = sorted((n.lower(), v.replace(server.prefix, "PREFIX")) for n, v in (f.split(": ", 1) if ": " in f else (f.rstrip(":"), "") for f in fields) if n not in ("Server", "Date"))
    if not body and ("content-type", "text/html") in named:  # HEAD of a built-in page: its length has the server's name in it
        named = [(n, v) for n, v in named if n != "content-length"]
    if " 416 " in status:
        named = [(n, v) for n, v in named if n in OF_416]
    boundary = re.search(rb"boundary=(\d+)", head)
    if boundary:
        body = body.replace(boundary.group(1), b"B")
        named = [(n, v.replace(boundary.group(1).decode(), "B")) for n, v in named]
    if ("content-encoding", "gzip") in named and body:
        body = gzip.decompress(unchunked(body) if ("transfer-encoding", "chunked") in named else body)
    body = re.sub(rb"<center>(nginx|fairlead)</center>", b"<center>NAME</center>", body)
    if b"<center>NAME</center>" in body:
        named = [(n, v) for n, v in named if n != "content-length"]
        padding = body.find(b"<!-- a padding")
        body = body[:padding] if padding >= 0 else body
    return status, named, body


def test_static_replies_are_the_same():
    pairs, different = list(requests()), []
    with Nginx(CONF, files=FILES) as theirs, Server(CONF, files=FILES) as ours:
        for server in (theirs, ours):
            for name in FILES:
                os.utime(os.path.join(server.prefix, name), (WHEN, WHEN))
        for method, target, lines in pairs:
            want = picture(ask(theirs, method, target, lines), theirs)
            got = picture(ask(ours, method, target, lines), ours)
            if want != got and "\r\n".join(lines) not in KNOWN:
                different.append(f"{method} {target} {lines}\n  nginx:    {str(want)[:600]}\n  fairlead: {str(got)[:600]}")
    assert len(pairs) > 400
    assert not different, f"{len(different)} of {len(pairs)} differ\n" + "\n".join(different)
