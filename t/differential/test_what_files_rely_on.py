# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Small things that files written for nginx rely on: names that `set` may take over, redirects to the slash, what is passed of replies, and
the lines of both logs. The same configuration and requests through Debian's nginx."""

import itertools
import os
import re

import pytest

from lib import upstreams as up
from lib.client import raw
from lib.nginx import BINARY
from lib.ports import wait_until

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

CONF = r"""
events {}
http {
    log_format line "$request|$args|$uri|$server_protocol|$unreached";
    access_log logs/lines line;
    map $host $ssl_client_verify { default mapped; }
    geo $invalid_referer { default from_geo; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name a;
        proxy_intercept_errors on;
        location = /exact/ { proxy_pass http://127.0.0.1:%%UP%%; }
        location /x/ { location = /x/exact/ { proxy_pass http://127.0.0.1:%%UP%%; } return 200 x; }
        location = /both { return 200 "no slash"; }
        location = /both/ { proxy_pass http://127.0.0.1:%%UP%%; }
        location = /plain/ { return 200 plain; }
        location /typed { proxy_pass http://127.0.0.1:%%UP%%; }
        location /try { try_files /none /index; }
        location = /index { return 200 index; }
        location /page { error_page 404 /index; return 404; }
        location /made { set $to /index; error_page 404 $to; return 404; }
        location /rewritten { rewrite ^/rewritten(.*) $1 break; return 200; }
        location /none { error_page 404 @none; proxy_pass http://127.0.0.1:%%UP%%; }
        location /gone { error_page 502 @none; proxy_pass http://127.0.0.1:1; }
        location /sent { proxy_pass http://127.0.0.1:%%UP%%; }
        location /nowhere { try_files /none @none; }
        location /cycle { error_page 404 /cycle/again; recursive_error_pages on; proxy_pass http://127.0.0.1:%%UP%%; }
        location /taken {
            set $proxy_host own;
            set $ssl_protocol $proxy_host;
            return 200 "$proxy_host $ssl_protocol $ssl_client_verify $invalid_referer";
        }
        location /unreached { if ($arg_never) { set $unreached 1; } return 200; }
    }
}
"""
TARGETS = ["/exact", "/exact?a=b", "/exact/", "/x/exact", "/both", "/both/", "/plain", "/typed", "/try", "/try?a", "/page?a",
           "/made?a", "/rewritten", "/rewritten?a", "/none", "/gone", "/sent", "/nowhere", "/cycle", "/taken", "/unreached"]
CASES = [f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode() for target in TARGETS] + [
    b"\x01\r\n\r\n", b"GET /index HTTP/1.1\r\n\r\n"]


def answer(asked):
    if asked.target == "/typed":
        return b"HTTP/1.1 204 X\r\nContent-Type: text/x-own\r\n\r\n"
    if asked.target == "/sent":
        return up.reply(200, headers={"X-Accel-Redirect": "@none"})
    return up.reply(404 if asked.target.startswith(("/none", "/cycle")) else 200, b"ok")


def picture(reply, port):
    head = reply.partition(b"\r\n\r\n")[0].decode().replace(str(port), "PORT")
    status, *fields = head.split("\r\n")
    body = b"" if b"<center>" in reply else reply.partition(b"\r\n\r\n")[2]
    kept = [re.sub("^Date: .*", "Date", field) for field in fields if not field.startswith(("Server:", "Content-Length:"))]
    return status, sorted(kept), body


def problems(log, prefix):
    """What is said before `client:`, of the lines at level error and warn."""
    return re.findall(r"\[(?:error|warn)\] .*?\*\d+ (.*?), client:", log.replace(prefix, "PREFIX"))


def test_the_same_as_in_nginx(server, nginx, upstream):
    peer = upstream(up.serve(answer))
    pictures, lines, logs = [], [], []
    for make in (server, nginx):
        s = make(CONF, files={"logs/lines": ""}, UP=peer.port)
        pictures.append([picture(raw(s.port, case), s.port) for case in CASES])
        wait_until(lambda: s.read("logs/lines").count("\n") == len(CASES), 10, "the last line of the log")
        lines.append(s.read("logs/lines").splitlines())
        logs.append(problems(s.log(), s.prefix))
    for ours, theirs in (pictures, lines, logs):
        different = [(a, b) for a, b in itertools.zip_longest(ours, theirs) if a != b]
        assert not different, "\n".join(f"\n   ours: {a}\n  nginx: {b}" for a, b in different)
