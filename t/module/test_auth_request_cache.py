# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""auth_request_cache: what the service said holds for a time, for requests of the same key and settings."""

import pytest

from lib import upstreams as up
from lib.client import get
from lib.ports import wait_until

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        auth_request /auth;
        auth_request_cache $http_authorization 1h;
        auth_request_set $user $upstream_http_x_user;
        auth_request_copy_headers to_client X-Seen;
        location = /auth { internal; proxy_set_header X-Uri $request_uri; proxy_pass http://127.0.0.1:%%AUTH%%; }
        location / { add_header X-User $user; try_files /none =204; }
        location /short { auth_request_cache $http_authorization 300ms; try_files /none =204; }
        location /few { auth_request_cache $http_authorization 1h max=2; try_files /none =204; }
        location /off { auth_request_cache off; try_files /none =204; }
        location /denial { auth_request_pass_denial 1k; try_files /none =204; }
        location /open { auth_request_fail open; try_files /none =204; }
    }
}
"""


class Service:
    def __init__(self, upstream):
        self.asked, self.status = [], 200
        self.up = upstream(up.serve(self.answer))

    def answer(self, request):
        self.asked.append(request)
        who = request.header("Authorization") or "nobody"
        return up.reply(self.status, b"why", headers=[("X-User", "user of " + who), ("X-Seen", str(len(self.asked))),
                                                      ("WWW-Authenticate", "Bearer"), ("Content-Type", "text/x")])


@pytest.fixture
def service(upstream):
    return Service(upstream)


@pytest.fixture
def s(server, service):
    return server(CONF, AUTH=service.up.port)


def ask(s, who, path="/"):
    return get(s.port, path, headers={"Authorization": who})


def test_consent_holds_with_all_that_was_said(s, service):
    for _ in range(3):
        reply = ask(s, "a")
        assert (reply.status, reply.header("X-User"), reply.header("X-Seen")) == (204, "user of a", "1")
    service.status = 403
    assert ask(s, "a").status == 204
    assert ask(s, "b").status == 403
    assert len(service.asked) == 2
    assert s.log().count('authorization: allowed by auth_request "service"') == 4, "each request is a decision"


def test_denials_hold_too(s, service):
    service.status = 401
    for _ in range(2):
        reply = ask(s, "a")
        assert (reply.status, reply.header("WWW-Authenticate"), reply.header("X-Seen")) == (401, "Bearer", "1")
    for _ in range(2):
        reply = ask(s, "a", "/denial")
        assert (reply.status, reply.text, reply.header("Content-Type"), reply.header("X-Seen")) == (401, "why", "text/x", "2")
    assert len(service.asked) == 2, "blocks with other settings have decisions of their own"


def test_failures_do_not(s, service):
    service.status = 503
    assert ask(s, "a").status == 500
    assert ask(s, "a", "/open").status == 204
    service.status = 200
    assert ask(s, "a").status == 204
    service.status = 403
    assert ask(s, "a", "/open").status == 403


def test_without_a_key_the_service_is_asked(s, service):
    get(s.port, "/")
    get(s.port, "/")
    assert ask(s, "a", "/off").status == ask(s, "a", "/off").status == 204
    assert len(service.asked) == 4


def test_it_ends(s, service):
    assert ask(s, "a", "/short").status == 204
    service.status = 403
    wait_until(lambda: ask(s, "a", "/short").status == 403, 10, "the end of what was said")


def test_the_number_is_bounded(s, service):
    for who in "abc":
        ask(s, who, "/few")
    ask(s, "c", "/few")
    ask(s, "b", "/few")
    assert len(service.asked) == 3
    ask(s, "a", "/few")
    assert len(service.asked) == 4
