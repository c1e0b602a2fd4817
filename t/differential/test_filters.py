# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""gzip_static, gunzip, sub_filter through Debian's nginx and through fairlead: status, fields and bytes must agree."""

import gzip
import itertools
import os
import re

import pytest

from lib import upstreams as up
from lib.client import request
from lib.nginx import BINARY

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

CONF = """
events {}
http {
    types { text/html html; text/plain txt; }
    default_type application/octet-stream;
    server_tokens off;
    proxy_http_version 1.1;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%/html;
        location / { }
        location /on/ { alias %%PREFIX%%/html/; gzip_static on; gzip_vary on; }
        location /quiet/ { alias %%PREFIX%%/html/; gzip_static on; }
        location /always/ { alias %%PREFIX%%/html/; gzip_static always; gzip_vary on; }
        location /both/ { alias %%PREFIX%%/html/; gzip_static always; gunzip on; gunzip_buffers 2 64; gzip_vary on; gzip_proxied off; }
        location /rules/ { alias %%PREFIX%%/html/; gzip_static on; gzip_http_version 1.1; gzip_proxied any; gzip_disable bad;
            gzip_vary on; }
        location /sub/ { alias %%PREFIX%%/html/; sub_filter hello "good bye $arg_x"; sub_filter "world" ""; sub_filter_once off; }
        location /once/ { alias %%PREFIX%%/html/; sub_filter o 0; sub_filter hell heaven; sub_filter_last_modified on; }
        location /txt/ { alias %%PREFIX%%/html/; sub_filter aab X; sub_filter ab Y; sub_filter_types text/plain; sub_filter_once off; }
        location /vars/ { alias %%PREFIX%%/html/; sub_filter $arg_p <$arg_p>; sub_filter "a$arg_q" [q]; sub_filter_types *;
            sub_filter_once off; }
        location /up/ { proxy_pass http://127.0.0.1:%%UP%%; gunzip on; sub_filter hello bye; sub_filter_types *; }
        location /zip/ { proxy_pass http://127.0.0.1:%%UP%%; gunzip on; gzip on; gzip_types *; gzip_min_length 1; sub_filter hello bye; }
    }
}
"""
PAGE = "hello World, Hello world: HELLO\n" * 200
FILES = {"html/a.html": PAGE, "html/a.html.gz": gzip.compress(PAGE.encode(), mtime=0), "html/b.txt": "aaab aab ab b" * 30,
         "html/empty.html": "",
         "html/only.html.gz": gzip.compress(b"only here", mtime=0), "html/folder.html": "f", "html/folder.html.gz/x": "x",
         "html/two.html": "two", "html/two.html.gz": gzip.compress(b"one ", mtime=0) + gzip.compress(b"two", mtime=0),
         "html/bare.html.gz": b"", "html/bare.html": "plain"}
TARGETS = [p + f for p, f in itertools.product(["/", "/on/", "/quiet/", "/always/", "/both/", "/rules/", "/sub/", "/once/", "/txt/"],
                                              ["a.html", "b.txt", "only.html", "folder.html", "empty.html", "two.html", "none.html", ""])]
TARGETS += ["/sub/a.html?x=y", "/vars/b.txt?p=aab", "/vars/b.txt?q=b", "/vars/b.txt", "/vars/a.html?p=hello+w&q=", "/vars/a.html?p=World,"]
TARGETS += [p + f for p, f in itertools.product(["/up/", "/zip/"], ["plain", "zipped", "404", "etag", "weak"])]
FIELDS = [[], [("Accept-Encoding", "gzip")], [("Accept-Encoding", "gzip"), ("Via", "1.1 x")],
          [("Accept-Encoding", "gzip"), ("User-Agent", "bad")],
          [("Range", "bytes=2-5")], [("Accept-Encoding", "gzip"), ("Range", "bytes=2-5")]]


def answer(asked):
    name = asked.target.rpartition("/")[2]
    fields = [("Content-Type", "text/html")]
    if name != "plain":
        fields.append(("Content-Encoding", "gzip"))
    fields += {"etag": [("ETag", '"x"'), ("Accept-Ranges", "bytes"), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")],
               "weak": [("ETag", "x")]}.get(name, [])
    body = b"hello from there" * 20
    return up.reply(404 if name == "404" else 200, body if name == "plain" else gzip.compress(body, mtime=0), headers=fields)


# Accept-Ranges: nginx passes an upstream's on, though sub_filter has changed what it was said of.
LEFT_OUT = ("server", "date", "connection", "content-length", "transfer-encoding", "accept-ranges")


def visible(reply, server):
    fields = sorted((n.lower(), v.replace(server.prefix, "P")) for n, v in reply.headers if n.lower() not in LEFT_OUT)
    body = reply.body
    if reply.status == 416:  # nginx leaves fields of the response that it replaces
        return 416
    if reply.status == 405:  # replaced are letters of the server's name, too
        return 405
    if "gzip" in (reply.header("Content-Encoding") or "") and body and reply.status == 200:
        body = gzip.decompress(body)
    return reply.status, fields, re.sub(rb"nginx|fairlead", b"NAME", body), reply.header("Content-Length") if reply.status < 400 else ""


def test_filters(server, nginx, upstream):
    peer = upstream(up.serve(answer))
    ours, theirs = server(CONF, files=FILES, UP=peer.port), nginx(CONF, files=FILES, UP=peer.port)
    for s in (ours, theirs):
        for name in FILES:
            os.utime(os.path.join(s.prefix, name), (784111777, 784111777))
    different = []
    for method, target, fields in itertools.product(["GET", "HEAD", "POST"], TARGETS, FIELDS):
        if method != "GET" and len(fields) > 1:
            continue
        got, want = [visible(request(s.port, method, target, headers=fields), s) for s in (ours, theirs)]
        if got != want:
            different.append(f"{method} {target} {fields}\n  ours  {str(got)[:400]}\n  nginx {str(want)[:400]}")
    assert not different, f"{len(different)} differ\n" + "\n".join(different[:40])
