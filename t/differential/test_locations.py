# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Which location and which server a request belongs to, and whose settings hold for what is answered on the way there, against Debian's
nginx: the same configuration, the same bytes, the same replies and lines of the log."""

import os
import re

import pytest

from lib.client import raw
from lib.nginx import BINARY
from lib.ports import wait_until

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

CONF = """
events {}
http {
    log_format line "$request|$status|$uri";
    access_log logs/lines line;
    upstream pool { server 127.0.0.1:1; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name .dot.test;
        add_header X-Server dot always;

        location ~ txt { return 200 "outer regex"; }
        location /a/ {
            location ^~ /a/b/ { return 200 "nested, no regex"; location /a/b/c/ { return 200 "nested twice"; } }
            location ~ inner { return 200 "inner regex"; }
        }
        location ^~ /n/ { return 200 "no regex"; location /n/x/ { return 200 "below"; } location ~ inner { return 200 "inner regex"; } }
        location /d/ { location = /d/e.txt { return 200 "exact"; } }

        location /hidden/ { internal; proxy_pass http://pool; }
        location /o/ { internal; location /o/p/ { proxy_pass http://pool; } }
        location /relative/ { absolute_redirect off; add_header X-Place relative; proxy_pass http://pool; }
        location /port/ { port_in_redirect off; proxy_pass http://pool; }
        location /page/ { error_page 301 =403 /ok; proxy_pass http://pool; }
        location /unlogged/ { access_log off; proxy_pass http://pool; }
        location /tokens/ { server_tokens off; proxy_pass http://pool; }
        location /small/ { client_max_body_size 3; proxy_pass http://pool; }
        location /old/ { absolute_redirect off; rewrite ^ /port last; }
        location /limited/ { limit_except GET { deny all; } proxy_pass http://pool; }
        location /folder/ { root %%PREFIX%%; }
        location /ok { return 200 ok; }
    }
    server { listen 127.0.0.1:%%PORT_1%% default_server; server_name _; add_header X-Server default always; access_log off; return 200 d; }
    server { listen 127.0.0.1:%%PORT_1%%; server_name ""; add_header X-Server nameless always; return 200 n; }
    server { listen 127.0.0.1:%%PORT_1%%; server_name own.test; add_header X-Server own always; return 200 o; }
    server {  # nothing but its name is a valid referer, and it has none
        listen 127.0.0.1:%%PORT_2%%;
        valid_referers none blocked server_names;
        return 200 "[$invalid_referer]";
    }
}
"""
FOUND = ["/a/b/f.txt", "/a/b/f.css", "/a/b/c/f.txt", "/a/b/c/f", "/a/f.txt", "/a/b/inner", "/a/inner.txt", "/n/x/f.txt",
         "/n/inner.txt", "/n/x/inner", "/d/e.txt", "/d/f.txt", "/f.txt"]
WITHOUT_SLASH = ["/hidden", "/hidden/", "/o/p", "/relative", "/relative?a=b", "/port", "/page",
                 "/unlogged", "/tokens", "/old/x", "/limited", "/folder/x"]


def get(target, *fields, version="1.1", host="a.dot.test"):
    lines = [f"GET {target} HTTP/{version}", *([f"Host: {host}"] if host is not None else []), *fields, "Connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


# The listening socket, and what is sent to it.
CASES = [(0, get(target)) for target in FOUND + WITHOUT_SLASH] + [
    (0, get("/small", "Content-Length: 5") + b"abcde"), (0, get("/small", "Content-Length: 2") + b"ab"),
    *((0, get(target, version="1.0", host=None)) for target in ("/port", "/relative", "/tokens")),
    (0, get("/tokens").replace(b"GET", b"POST").replace(b"Host", b"Content-Length: 0\r\nHost")),
    (1, get("/", host="a/b")), (1, get("http:/x")), (1, get("/", host=None)), (1, get("/", host=None, version="1.0")),
    (1, get("/", host="zz")),
    (1, get("/", "Content-Length: x", host="own.test")), (1, get("/%zz", host="own.test")), (1, get("/", host="own.test")),
    (2, get("/")), (2, get("/", "Referer: http://x.test/")), (2, get("/", "Referer: x"))]


def picture(reply, ports):
    """Without what may differ: Date, order, the server's name, and the length of pages it stands in."""
    head, _, body = reply.decode("latin-1").partition("\r\n\r\n")
    for i, port in enumerate(ports):
        head = head.replace(str(port), f"PORT_{i}")
    body = re.sub(r"<center>(nginx|fairlead)(/[\d.]+)?</center>", r"<center>NAME\2</center>", body)
    body = re.sub(r"NAME/[\d.]+", "NAME/VERSION", body)
    status, *fields = head.split("\r\n")
    dropped = ("Date:", "Server:") + (("Content-Length:",) if "NAME" in body else ())
    return status, sorted(f for f in fields if not f.startswith(dropped)), body


def test_places_and_what_holds_there(server, nginx):
    pictures, lines = [], []
    for make in (server, nginx):
        s = make(CONF, files={"folder/x/y": "z", "logs/lines": ""})
        pictures.append([picture(raw(s.ports[listener], data), s.ports) for listener, data in CASES])
        last = get("/ok?last")
        raw(s.ports[0], last)
        wait_until(lambda: "/ok?last" in s.read("logs/lines"), 10, "the last line of the log")
        lines.append(s.read("logs/lines").replace("\\x22", '"').splitlines())
    wrong = [f"{data!r}\n   ours: {a}\n  nginx: {b}" for (_, data), a, b in zip(CASES, *pictures) if a != b]
    assert not wrong, f"{len(wrong)} of {len(CASES)} differ\n" + "\n".join(wrong)
    assert lines[0] == lines[1]
