# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""$fail_reason of requests that no peer has seen: who refused them. (t/upstream has those of failed tries.)"""

import threading

import pytest

from lib import upstreams as up
from lib.client import Client, get, post, raw
from lib.ports import wait_until

CONF = """
events {}
http {
    log_format reasons "$status $uri $fail_reason";
    access_log logs/reasons.log reasons;
    limit_req_zone $uri zone=rate:64k rate=1r/m;
    limit_conn_zone $uri zone=number:64k;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 ok; }
        location /rate { limit_req zone=rate; }
        location /dry { limit_req zone=rate; limit_req_dry_run on; try_files /none =404; }
        location /denied { deny all; }
        location /rbac { rbac { default deny; } }
        location /large { client_max_body_size 1; proxy_pass http://127.0.0.1:1; }
        location /any { satisfy any; deny all; auth_basic realm; auth_basic_user_file none; }
        location /let { satisfy any; allow all; auth_basic realm; auth_basic_user_file none; try_files /none =404; }
    }
}
"""


def wait_for_line(server, line):
    wait_until(lambda: line in server.read("logs/reasons.log").splitlines(), 5, f"{line!r} in the log")


@pytest.mark.parametrize("path, times, line", [
    ("/", 1, "200 / -"), ("/rate", 2, "503 /rate RL"), ("/dry", 2, "404 /dry -"), ("/denied", 1, "403 /denied UAEX"),
    ("/any", 1, "401 /any UAEX"), ("/rbac", 1, "403 /rbac UAEX"), ("/let", 1, "404 /let -")])
def test_who_refused_it(server, path, times, line):
    s = server(CONF)
    for _ in range(times):
        get(s.port, path)
    wait_for_line(s, line)


BODIES = CONF.replace("location /denied", """client_body_timeout 300ms;
        location /kept { proxy_pass http://127.0.0.1:%%UP%%; }
        location /passed { proxy_request_buffering off; proxy_pass http://127.0.0.1:%%UP%%; }
        location /mirrored { mirror /passed; proxy_pass http://127.0.0.1:%%UP%%; }
        location /script { lua_need_request_body on; content_by_lua_block { ngx.say("x") } }
        location /asked { auth_request /let; auth_request_body 16; proxy_pass http://127.0.0.1:%%UP%%; }
        location /denied""")
PLACES = ["/kept", "/passed", "/mirrored", "/script", "/asked"]


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("line, sent, stays, want", [
    ("Content-Length: 9", "123", False, "400 {} DC"),
    ("Content-Length: 9", "123", True, "408 {} SI"),
    ("Transfer-Encoding: chunked", "4\r\n1", False, "400 {} DC"),
    ("Transfer-Encoding: chunked", "x\r\n", True, "400 {} DPE")])
def test_a_body_that_does_not_come(server, upstream, path, line, sent, stays, want):
    at_peer = threading.Event()
    s = server(BODIES, UP=upstream([up.read(len(f"POST {path}")), lambda seen: at_peer.set(), up.hold()]).port)
    with Client(s.port) as client:
        client.send(f"POST {path} HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n{sent}".encode())
        if stays:
            client.read_until_close()
        elif path == "/passed":  # one that leaves before is a client that does not wait for its answer
            assert at_peer.wait(30)
    wait_for_line(s, want.format(path))


def test_a_body_that_is_too_large(server):
    s = server(CONF)
    post(s.port, "/large", b"12")
    wait_for_line(s, "413 /large DPE")
    with Client(s.port) as client:
        client.send(b"POST /large HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n12\r\n0\r\n\r\n")
        assert client.read_reply().status == 413
    wait_until(lambda: s.read("logs/reasons.log").splitlines().count("413 /large DPE") == 2, 5, "the second line")


def test_a_request_that_is_none(server):
    s = server(CONF)
    raw(s.port, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
    wait_for_line(s, "400 / DPE")


def test_a_request_that_does_not_come(server):
    s = server(CONF.replace("server {", "server {\n        client_header_timeout 1s;"))
    raw(s.port, b"GET /slow HTTP/1.1\r\n")
    wait_for_line(s, "408 /slow SI")
    s.wait_for_log(r"client timed out \(110: .*\) while reading client request headers, client: 127.0.0.1")
