# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""autoindex through Debian's nginx and through fairlead: every byte of the lists must agree."""

import itertools
import os
import re

import pytest

from lib.client import request
from lib.nginx import BINARY

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

CONF = """
events {}
http {
    server_tokens off;
    autoindex on;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%/html;
        port_in_redirect off;
        location / { }
        location /round/ { alias %%PREFIX%%/html/d/; autoindex_exact_size off; autoindex_localtime on; }
        location /utf/ { alias %%PREFIX%%/html/d/; charset utf-8; }
        location /json/ { alias %%PREFIX%%/html/d/; autoindex_format json; charset utf-8; }
        location /xml/ { alias %%PREFIX%%/html/d/; autoindex_format xml; }
        location /jsonp/ { alias %%PREFIX%%/html/d/; autoindex_format jsonp; }
        location /random/ { alias %%PREFIX%%/html/one/; random_index on; }
        location /empty/ { alias %%PREFIX%%/html/none/; random_index on; }
    }
}
"""
NAMES = ["a", "b.txt", "a&b<c>\"d'", "with space", "per%cent", "q?x=y", "sharp#", "plus+", "semi;", "back\\slash", "colon:x", "tab\there",
         "new\nline", "z" * 49, "z" * 50,
         "z" * 51, "z" * 60, "<" * 30 + "y" * 30, "ü" * 20, "ü" * 25, "ü" * 50, "ü" * 60, "日本" * 30, "\x7f", "A", "~", "€", "𐍈" * 51,
         "-x", "_", "caf\udce9", "bad\udcff" + "x" * 60]
SIZES = [0, 1, 1023, 9999, 10000, 10239, 10240, 524287, 1048575, 1048576, 1572863, 1572864, 5 << 30]
TARGETS = ["/d/", "/d", "/round/", "/utf/", "/json/", "/xml/", "/jsonp/", "/jsonp/?callback=a", "/jsonp/?callback=a.b_9",
           "/jsonp/?callback=", "/jsonp/?callback=a-b", "/jsonp/?x=callback=a",
           "/jsonp/?callback=a%2eb", "/jsonp/?callback=" + "a" * 128, "/jsonp/?callback=" + "a" * 129, "/none", "/none/", "/missing/",
           "/d/b.txt/", "/random/", "/empty/", "/d/%3Cf%3E/",
           "/d/sub/../", "/d/deep%20er/"]


def make(server):
    root = os.path.join(server.prefix, "html")
    for folder in ("d/sub", "d/deep er", "d/<f>", "d/" + "f" * 49, "d/" + "f" * 50, "d/" + "é" * 49, "one", "none", "none/.x"):
        os.makedirs(os.path.join(root, folder))
    for name in NAMES:
        with open(os.path.join(root.encode(), b"d", name.encode(errors="surrogateescape")), "wb"):
            pass
    for size in SIZES:
        with open(os.path.join(root, "d", f"size{size}"), "wb") as f:
            f.truncate(size)
    with open(os.path.join(root, "one", "only"), "wb") as f:
        f.write(b"the only one")
    os.symlink("/nowhere", os.path.join(root, "d/broken"))
    os.symlink("loop", os.path.join(root, "d/loop"))
    os.symlink("sub", os.path.join(root, "d/link"))
    os.mkfifo(os.path.join(root, "d/fifo"))
    for folder, folders, names in os.walk(root):
        for name in [*names, *folders]:
            os.utime(os.path.join(folder, name), (784111777, 784111777), follow_symlinks=False)


def visible(reply, server):
    kept = sorted((n.lower(), v) for n, v in reply.headers if n.lower() not in ("server", "date", "last-modified", "etag",
                                                                                "content-length"))
    return reply.status, kept, re.sub(rb"<center>(nginx|fairlead)</center>", b"NAME", reply.body)


def test_lists_are_the_same(server, nginx):
    ours, theirs = server(CONF), nginx(CONF)
    make(ours), make(theirs)
    different = []
    for method, target in itertools.product(["GET", "HEAD", "POST", "PUT"], TARGETS):
        got, want = [visible(request(s.port, method, target), s) for s in (ours, theirs)]
        if got == want:
            continue
        lines = [(a, b) for a, b in itertools.zip_longest(got[2].split(b"\n"), want[2].split(b"\n")) if a != b]
        different.append(f"{method} {target}\n  {got[:2]}\n  {want[:2]}\n  {str(lines[:3])[:600]}")
    assert not different, f"{len(different)} differ\n" + "\n".join(different)
