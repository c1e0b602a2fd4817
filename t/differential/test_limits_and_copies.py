# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""limit_req, limit_conn, slice and mirror through Debian's nginx and through fairlead: who is let in, in which order; what the upstream is
asked for; what the copy is."""

import itertools
import os
import re
import threading

import pytest

from lib import upstreams as up
from lib.client import Client, request
from lib.nginx import BINARY
from lib.ports import wait_until

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

CONF = """
events {}
http {
    server_tokens off;
    limit_req_zone $arg_k zone=few:1m rate=1r/m;
    limit_req_zone $arg_l zone=other:1m rate=1r/m;
    limit_conn_zone $arg_k zone=at_once:1m;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /one { limit_req zone=few; try_files /none =204; }
        location /burst { limit_req zone=few burst=2 nodelay; try_files /none =204; }
        location /both { limit_req zone=few burst=3 nodelay; limit_req zone=other burst=1 nodelay; try_files /none =204; }
        location /dry { limit_req zone=few; limit_req_dry_run on; add_header X-Limit $limit_req_status; try_files /none =204; }
        location /status { limit_req zone=few; limit_req_status 429; add_header X-Limit $limit_req_status always; try_files /none =204; }
        location /conn { limit_conn at_once 2; add_header X-Limit $limit_conn_status always; proxy_pass http://127.0.0.1:%%UP%%; }
        location /conn/dry { limit_conn at_once 1; limit_conn_dry_run on; add_header X-Limit $limit_conn_status;
                             proxy_pass http://127.0.0.1:%%UP%%; }
        location /slice { slice 100; proxy_set_header Range $slice_range; proxy_http_version 1.1; proxy_pass http://127.0.0.1:%%UP%%; }
        location /mirror { mirror /copy; mirror /copy2; proxy_http_version 1.1; proxy_pass http://127.0.0.1:%%UP%%; }
        location /mirror/bare { mirror /bare; mirror_request_body off; proxy_http_version 1.1; proxy_pass http://127.0.0.1:%%UP%%; }
        location /mirror/off { mirror off; proxy_pass http://127.0.0.1:%%UP%%; }
        location = /copy { internal; proxy_set_header X-Original $request_uri; proxy_http_version 1.1;
                           proxy_pass http://127.0.0.1:%%COPY%%$request_uri; }
        location = /bare { internal; proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_http_version 1.1;
                           proxy_pass http://127.0.0.1:%%COPY%%; }
        location = /copy2 { internal; proxy_http_version 1.1; proxy_pass http://127.0.0.1:%%COPY%%/second; }
    }
}
"""
WHOLE = "".join(f"{n:02}" for n in range(100)) * 5  # 1000 bytes


def ranged(asked, length, fields=()):
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", asked.header("Range") or "")
    if not found:
        return up.reply(200, WHOLE[:length])
    first, last = int(found.group(1)), min(int(found.group(2)), length - 1)
    if first >= length:
        return up.reply(416, "", headers=[("Content-Range", f"bytes */{length}")])
    return up.reply(206, WHOLE[first:last + 1], headers=[("Content-Range", f"bytes {first}-{last}/{length}"), *fields])


COMPARED = ("content-range", "content-length", "etag", "x-limit", "accept-ranges")


class Side:
    """One server with an upstream and a target of copies of its own."""

    def __init__(self, make, upstream):
        self.hold = threading.Event()
        self.hold.set()
        self.asked, self.copies = [], []
        self.server = make(CONF, UP=upstream(up.serve(self.answer)).port, COPY=upstream(up.serve(self.copy)).port)
        self.port = self.server.port

    def answer(self, asked):
        self.asked.append((asked.method, asked.target, asked.header("Range")))
        if asked.target.startswith("/slice"):
            length = int(re.search(r"\d+", asked.target).group(0))
            changed = "changes" in asked.target and len(self.asked) > 2
            return ranged(asked, length, [("ETag", '"b"' if changed else '"a"'), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")])
        self.hold.wait(60)
        return up.reply(200, asked.target)

    def copy(self, asked):
        self.copies.append((asked.method, asked.target, asked.header("X-Original"), asked.body))
        return up.reply(500, "nobody reads this")

    def get(self, target, method="GET", fields=(), body=None):
        reply = request(self.port, method, target, headers=list(fields), body=body)
        kept = sorted((n.lower(), v) for n, v in reply.headers if n.lower() in COMPARED)
        return reply.status, kept if reply.status < 300 else [], reply.body if reply.status < 300 else b""


@pytest.fixture
def both(server, nginx, upstream):
    return Side(server, upstream), Side(nginx, upstream)


def test_who_is_let_in(both):
    paths = ["/one", "/burst", "/both", "/dry", "/status"]
    turns = [f"{path}?k={key}&l={other}" for path, key, other in itertools.product(paths, ["", "a", "b"], ["", "x", "y"]) for _ in range(2)]
    # Keys of a place are of the place alone.
    turns = [turn.replace("k=a", "k=a" + turn[1:4]).replace("k=b", "k=b" + turn[1:4]) for turn in turns]
    seen = [[(turn, side.get(turn)) for turn in turns] for side in both]
    assert seen[0] == seen[1]


def test_how_many_at_once(both):
    seen = []
    for side in both:
        side.hold.clear()
        waiting = [Client(side.port) for _ in range(3)]
        for i, client in enumerate(waiting):
            client.send(f"GET /conn?k={'a' if i < 2 else 'b'} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        wait_until(lambda side=side: len(side.asked) == 3, 10, "requests in the upstream")
        refused = [side.get("/conn?k=a")[0] for _ in range(2)]
        side.hold.set()
        passed = [client.read_reply().status for client in waiting]
        for client in waiting:
            client.close()
        wait_until(lambda side=side: side.get("/conn?k=a")[0] == 200, 10, "room again")
        seen.append((refused, passed, side.get("/conn?k="), side.get("/conn/dry?k=a")))
    assert seen[0] == seen[1]


LENGTHS = ["0", "1", "99", "100", "101", "950", "1000"]
RANGES = [None, "bytes=0-0", "bytes=99-100", "bytes=150-", "bytes=-10", "bytes=5-2", "bytes=0-99,200-250", "bytes=2000-", "x"]


def test_slices(both):
    different = []
    for method, length, ranges in itertools.product(["GET", "HEAD"], LENGTHS, RANGES):
        seen = []
        for side in both:
            side.asked.clear()
            reply = side.get(f"/slice/{length}", method, [("Range", ranges)] if ranges else [])
            seen.append((reply, list(side.asked)))
        if seen[0] != seen[1]:
            different.append(f"{method} {length} {ranges}\n  ours  {str(seen[0])[:600]}\n  nginx {str(seen[1])[:600]}")
    assert not different, f"{len(different)} differ\n" + "\n".join(different)


@pytest.mark.parametrize("path, method, body", [
    ("/mirror", "GET", None), ("/mirror?a=b", "POST", "some text"), ("/mirror/bare", "POST", "some text"), ("/mirror/off", "GET", None),
    ("/mirror", "PUT", "")])
def test_copies(both, path, method, body):
    seen = []
    for side in both:
        reply = side.get(path, method, body=body)
        count = 0 if "off" in path else 1 if "bare" in path else 2
        wait_until(lambda side=side: len(side.copies) >= count, 10, "the copies")
        seen.append((reply, sorted(side.copies)))
    assert seen[0] == seen[1]
