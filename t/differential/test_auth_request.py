# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""auth_request through Debian's nginx and through fairlead: status, challenge and variables that the client and the upstream get, and
what the service is asked, must agree."""

import itertools
import os

import pytest

from lib import upstreams as up
from lib.client import Client, request_bytes
from lib.nginx import BINARY

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

CONF = """
events {}
http {
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    server {
        listen 127.0.0.1:%%PORT_0%%;
        auth_request /auth;
        auth_request_set $user $upstream_http_x_user;
        auth_request_set $code $upstream_status;
        location = /auth { internal; proxy_pass_request_body off; proxy_set_header Content-Length "";
                           proxy_set_header X-URI $request_uri; proxy_set_header X-Method $request_method;
                           proxy_set_header Connection ""; set $inner "in the subrequest"; proxy_pass http://127.0.0.1:%%AUTH%%; }
        location / { proxy_set_header Connection ""; proxy_set_header X-Seen "$user|$code|$inner|$uri|$args";
                     proxy_pass http://127.0.0.1:%%UP%%; }
        location /off { auth_request off; proxy_pass http://127.0.0.1:%%UP%%; }
        location /any { satisfy any; deny all; proxy_pass http://127.0.0.1:%%UP%%; }
        location /anyok { satisfy any; allow all; proxy_pass http://127.0.0.1:%%UP%%; }
        location /all { deny all; proxy_pass http://127.0.0.1:%%UP%%; }
        location /page { error_page 401 403 500 = /said; proxy_pass http://127.0.0.1:%%UP%%; }
        location /said { auth_request off; return 200 "said: $user|$code|$uri"; }
        location /none { auth_request /missing; proxy_pass http://127.0.0.1:%%UP%%; }
        location /self { auth_request /self/auth; proxy_pass http://127.0.0.1:%%UP%%; }
        location /self/auth { auth_request /auth; return 204; }
        location /error { auth_request /error/auth; proxy_pass http://127.0.0.1:%%UP%%; }
        location = /error/auth { error_page 404 = /error/page; return 404; }
        location = /error/page { return 204; }
    }
}
"""
LOCATIONS = ["/", "/off", "/any", "/anyok", "/all", "/page", "/none", "/self", "/error"]
STATUSES = [200, 204, 301, 400, 401, 403, 404, 500, 503]
ASKS = [("GET", None), ("HEAD", None), ("POST", b"a body")]
# nginx 1.22 never answers these: its file handler waits for the body within the subrequest.
UNANSWERED = [("/none", "POST")]


def visible(reply):
    kept = [(n, v) for n, v in reply.headers if n.lower() in ("www-authenticate", "location", "content-type", "x-echo")]
    body = reply.body.replace(b"nginx/1.22.1", b"SERVER").replace(b"fairlead/0.1.0", b"SERVER")
    return reply.status, sorted(kept), body


def test_auth_request(server, nginx, upstream):
    asked = []

    def decide(request):
        status = int(request.header("X-URI").rpartition("s=")[2])
        asked.append((request.method, request.target, request.header("X-URI"), request.header("X-Method"), request.all("Content-Length"),
                      request.body, request.header("X-A"), request.header("Cookie")))
        fields = [("X-User", "alice")] + ([("WWW-Authenticate", "Basic realm=\"r\"")] if status in (401, 403) else [])
        return up.reply(status, b"" if status == 204 else b"the service says", headers=fields)

    service = upstream(up.serve(decide))
    app = upstream(up.serve(lambda r: up.reply(200, (r.header("X-Seen") or "").encode() + b"|" + r.body)))
    ours, theirs = server(CONF, AUTH=service.port, UP=app.port), nginx(CONF, AUTH=service.port, UP=app.port)
    for place, status, (method, body) in itertools.product(LOCATIONS, STATUSES, ASKS):
        if (place, method) in UNANSWERED:
            continue
        seen = []
        for s in (ours, theirs):
            del asked[:]
            with Client(s.port) as client:
                client.send(request_bytes(method, f"{place}?s={status}", body, [("X-A", "1"), ("Cookie", "c=d"), ("Connection", "close")]))
                seen.append((visible(client.read_reply(method)), list(asked)))
        assert seen[0] == seen[1], (place, status, method)
