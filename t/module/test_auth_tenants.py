# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What is kept of one virtual server's authorization holds for that server alone, though the directives stand in http: the location that
they name is each server's own."""

import json
import threading

import pytest

from lib import jwt
from lib import upstreams as up
from lib.client import get

KEYS = {name: jwt.Secret(f"the key of tenant {name}, long enough for HS256".encode()) for name in "ab"}

JWT = """
events {}
http {
    auth_jwt_key_request /keys;
    auth_jwt_key_cache %%CACHE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name a;
        auth_jwt a;
        location = /keys { auth_jwt off; internal; proxy_pass http://127.0.0.1:%%UP%%/a; }
        location / { try_files /none =204; }
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name b;
        auth_jwt b;
        location = /keys { auth_jwt off; internal; proxy_pass http://127.0.0.1:%%UP%%/b; }
        location / { try_files /none =204; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        auth_jwt any;
        location = /keys { auth_jwt off; internal; proxy_pass http://127.0.0.1:%%UP%%/$host; }
        location / { try_files /none =204; }
    }
}
"""


class Issuer:
    """Gives each tenant's keys; those of `a` when `go` is set."""

    def __init__(self, upstream):
        self.go, self.asked = threading.Event(), threading.Event()
        self.at = upstream(up.serve(self.answer))

    def answer(self, request):
        name = request.target[-1]
        if name == "a":
            self.asked.set()
            self.go.wait(30)
        return up.reply(200, json.dumps({"keys": [KEYS[name].jwk]}).encode())


def bearer(name):
    return {"Authorization": "Bearer " + jwt.token(KEYS[name], "HS256", {"sub": name})}


@pytest.mark.parametrize("cache", ["0", "1h"])
def test_keys_of_one_server_are_not_anothers(server, upstream, cache):
    issuer = Issuer(upstream)
    issuer.go.set()
    s = server(JWT, UP=issuer.at.port, CACHE=cache)
    for _ in range(2):
        for host in "ab":
            for whose in "ab":
                assert get(s.port, "/", bearer(whose), host=host).status == (204 if host == whose else 401), (host, whose)


@pytest.mark.parametrize("cache, port", [("0", 0), ("1h", 0), ("0", 1)], ids=["no cache", "cache", "hosts of one server"])
def test_keys_that_are_being_loaded_for_one_are_not_anothers(server, upstream, cache, port):
    issuer = Issuer(upstream)
    s = server(JWT, UP=issuer.at.port, CACHE=cache)
    answers = []
    first = threading.Thread(target=lambda: answers.append(get(s.ports[port], "/", bearer("a"), host="a", seconds=30)))
    first.start()
    assert issuer.asked.wait(30)
    assert get(s.ports[port], "/", bearer("b"), host="b").status == 204
    assert get(s.ports[port], "/", bearer("a"), host="b").status == 401
    issuer.go.set()
    first.join()
    assert answers[0].status == 204


DECISIONS = """
events {}
http {
    auth_request /auth;
    auth_request_cache $http_authorization 1m;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name a;
        location = /auth { auth_request off; internal; return 204; }
        location / { try_files /none =204; }
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name b;
        location = /auth { auth_request off; internal; return 403; }
        location / { try_files /none =204; }
    }
}
"""


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_kept_decision_of_one_server_is_not_anothers(server, order):
    s = server(DECISIONS)
    for host in order * 2:
        assert get(s.port, "/", {"Authorization": "y"}, host=host).status == {"a": 204, "b": 403}[host]
