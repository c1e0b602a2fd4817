# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What a token claims is there before it is verified, for limits, rewriting and the choice of its keys. Whoever lets somebody in, and what
is told of him afterwards, goes by verified tokens alone. internal_redirect: limits by verified claims."""

import pytest

from lib import jwt
from lib import upstreams as up
from lib.client import get
from lib.ports import wait_until

CONF = """
events {}
http {
    auth_jwt_claim_set $of_team team;
    limit_req_zone $jwt_claim_sub zone=users:1m rate=1r/m;
    limit_req_zone $jwt_claim_sub zone=verified:1m rate=1r/m;
    map $jwt_claim_iss $keys_of_issuer { default main.json; other other.json; }
    map $arg_through $through { a $arg_token; b $arg_token$jwt_claim_sub; }
    log_format told '$uri "$jwt_claim_sub" $status';
    access_log told.log told;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        auth_jwt closed;
        auth_jwt_key_file main.json;
        location / { return 204; }
        location /limited { limit_req zone=users; try_files /none =204; }
        location /issuer { auth_jwt_key_file $keys_of_issuer; try_files /none =204; }
        location /asked { auth_jwt_key_request /keys; try_files /none =204; }
        location = /keys { internal; proxy_pass http://127.0.0.1:%%UP%%/keys/$jwt_claim_iss; }
        location /if { if ($jwt_claim_sub = "mallory") { return 403; } if ($of_team) { return 202; } try_files /none =204; }
        location /off { auth_jwt off; return 200 "<$jwt_claim_sub>"; }
        location /argument { auth_jwt closed token=$through; if ($jwt_claim_sub) { return 202; } try_files /none =204; }
        location /kind { auth_jwt_type nested; if ($jwt_claim_sub) { return 202; } return 204; }
        location /any { satisfy any; allow all; add_header X-User "<$jwt_claim_sub>"; proxy_set_header X-User $jwt_claim_sub;
                        proxy_pass http://127.0.0.1:%%UP%%; }
        location /required { satisfy any; auth_require $jwt_claim_admin; try_files /none =204; }
        location /behind { internal_redirect @counted; }
        location /elsewhere { internal_redirect /$arg_to?by=$jwt_claim_sub; try_files /none =204; }
        location /nowhere { internal_redirect $arg_to; try_files /none =204; }
        location /round { internal_redirect /round; }
        location /told { internal; return 200 "$uri $args"; }
        location @counted { internal; limit_req zone=verified; proxy_set_header X-User $jwt_claim_sub;
                            proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""
KEY, OTHER = jwt.Secret(b"main secret"), jwt.Secret(b"another secret")


def bearer(payload, key=KEY):
    return {"Authorization": "Bearer " + jwt.token(key, "HS256", payload)}


def forged(payload):
    return bearer(payload, jwt.Secret(b"made up"))


@pytest.fixture
def s(server, upstream):
    def serve(request):
        if request.target.startswith("/keys/"):
            return up.reply(200, jwt.key_set(OTHER if request.target == "/keys/other" else KEY).encode())
        return up.reply(200, (request.header("X-User") or "nobody").encode())
    return server(CONF, UP=upstream(up.serve(serve)).port, files={"main.json": jwt.key_set(KEY), "other.json": jwt.key_set(OTHER)})


def test_a_limit_goes_by_what_is_claimed(s):
    assert [get(s.port, "/limited", headers=bearer({"sub": "alice"})).status for _ in range(3)] == [204, 503, 503]
    assert get(s.port, "/limited", headers=bearer({"sub": "bob"})).status == 204
    assert get(s.port, "/limited", headers=forged({"sub": "bob"})).status == 503
    assert get(s.port, "/limited").status == 401, "without a token there is nothing to count by"


@pytest.mark.parametrize("path", ["/issuer", "/asked"])
def test_keys_may_depend_on_who_says_to_have_signed(s, path):
    assert get(s.port, path, headers=bearer({"iss": "main"})).status == 204
    assert get(s.port, path, headers=bearer({"iss": "other"}, OTHER)).status == 204
    assert get(s.port, path, headers=bearer({"iss": "other"})).status == 401
    assert get(s.port, path, headers=forged({"iss": "other"})).status == 401


def test_the_script_of_a_location_sees_it(s):
    assert get(s.port, "/if", headers=bearer({"sub": "mallory"})).status == 403
    assert get(s.port, "/if", headers=bearer({"team": "a"})).status == 202
    assert get(s.port, "/if", headers=bearer({"sub": "alice"})).status == 204
    for text in ("Bearer", "Bearer a.b.c", "Bearer " + "x" * 100):
        assert get(s.port, "/if", headers={"Authorization": text}).status == 401
    assert get(s.port, "/kind", headers=bearer({"sub": "alice"})).status == 204, "what is encrypted is not looked into"
    assert get(s.port, "/off", headers=bearer({"sub": "alice"})).text == "<>", "nobody will verify it"


def test_the_place_of_the_token_may_depend_on_the_token(s):
    token = jwt.token(KEY, "HS256", {"sub": "alice"})
    for through in "ab":
        assert get(s.port, f"/argument?through={through}&token={token}").status == 202


def test_nobody_comes_in_or_is_passed_on_by_a_claim(s):
    verified, claimed = bearer({"sub": "alice", "admin": 1}), forged({"sub": "alice", "admin": 1})
    assert get(s.port, "/required", headers=verified).status == 204
    assert get(s.port, "/required", headers=claimed).status in (401, 403)
    reply = get(s.port, "/any", headers=claimed)
    assert (reply.status, reply.text, reply.header("X-User")) == (200, "nobody", "<>")
    assert get(s.port, "/limited", headers=forged({"sub": "carol"})).status == 401
    wait_until(lambda: '/limited "-" 401' in s.read("told.log"), 5, "the line of who was refused")


def test_behind_the_checks_it_goes_on_elsewhere(s):
    reply = [get(s.port, "/behind", headers=bearer({"sub": "alice"})) for _ in range(2)]
    assert [r.status for r in reply] == [200, 503] and reply[0].text == "alice"
    assert get(s.port, "/behind", headers=forged({"sub": "bob"})).status == 401
    assert get(s.port, "/behind", headers=bearer({"sub": "bob"})).status == 200, "nothing was counted for who was not let in"


def test_it_goes_on_to_a_uri_with_arguments_or_nowhere(s):
    fields = bearer({"sub": "alice"})
    assert get(s.port, "/elsewhere?to=told", headers=fields).text == "/told by=alice"
    assert get(s.port, "/elsewhere?to=told").status == 401
    assert get(s.port, "/nowhere", headers=fields).status == 204
    assert get(s.port, "/nowhere?to=@unknown", headers=fields).status == 500
    assert get(s.port, "/round", headers=fields).status == 500
    s.wait_for_log("internal redirection cycle")
