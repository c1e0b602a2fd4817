# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""auth_jwt: who comes with a token that one of the keys has signed and whose time is now; what is wrong with a token is a 401, what is
wrong with the keys a 500. What the token says is there in variables. Algorithms and forged tokens: test_auth_jwt_signatures.py."""

import json
import os
import threading
import time

import pytest

from lib import jwt
from lib import upstreams as up
from lib.certs import Authority
from lib.client import get
from lib.ports import wait_until

CONF = """
events {}
http {
    auth_jwt_claim_set $city address city;
    auth_jwt_claim_set $roles roles;
    auth_jwt_header_set $kind typ;
    map $jwt_claim_admin $is_admin { default 0; true 1; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        auth_jwt "closed $host";
        auth_jwt_key_file keys/main.json;
        add_header X-Claims "$jwt_claim_sub|$city|$roles|$jwt_claim_level|$jwt_claim_admin|$jwt_claim_deep|$kind|$jwt_header_alg" always;
        add_header X-Payload $jwt_payload;
        location / { try_files /none =204; }
        location /shown { error_page 401 /why; try_files /none =204; }
        location /off { auth_jwt off; try_files /none =204; }
        location /cookie { auth_jwt shop token=$cookie_token; try_files /none =204; }
        location /leeway { auth_jwt_leeway 2m; try_files /none =204; }
        location /admin { auth_jwt_require $jwt_claim_sub $is_admin error=403; try_files /none =204; }
        location /adult { auth_jwt_require $jwt_claim_adult; try_files /none =204; }
        location /two { auth_jwt_key_file keys/main.json; auth_jwt_key_file keys/second.json; try_files /none =204; }
        location /half { auth_jwt_key_file keys/main.json; auth_jwt_key_file keys/broken.json; try_files /none =204; }
        location /missing { auth_jwt_key_file keys/none.json; try_files /none =204; }
        location /empty { auth_jwt_key_file keys/empty.json; try_files /none =204; }
        location /folder { auth_jwt_key_file keys; try_files /none =204; }
        location /long { auth_jwt_key_max_size 100; auth_jwt_key_file keys/kept.json; try_files /none =204; }
        location /any { satisfy any; deny all; try_files /none =204; }
        location /both { auth_basic basic; auth_basic_user_file none; satisfy any; try_files /none =204; }
        location /up { proxy_set_header X-User $jwt_claim_sub; proxy_pass http://127.0.0.1:%%UP%%; }
        location /kept { auth_jwt_key_cache 1h; auth_jwt_key_file keys/kept.json; try_files /none =204; }
        location = /metrics { auth_jwt off; metrics; }
        location /by-name { auth_jwt_key_file keys/$arg_who.json; try_files /none =204; }
        location /get { limit_except GET { auth_jwt limited; } auth_jwt off; try_files /none =204; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        auth_jwt nobody;
        try_files /none =204;
    }
}
"""
KEY = jwt.Secret(kid="main")
SECOND = jwt.Secret(b"another secret")


def bearer(token):
    return {"Authorization": "Bearer " + token}


def signed(payload, key=KEY):
    return bearer(jwt.token(key, "HS256", payload))


@pytest.fixture
def s(server, upstream):
    u = upstream(up.serve(lambda request: up.reply(200, (request.header("X-Evil") or request.header("X-User") or "nobody").encode())))
    return server(CONF, UP=u.port, files={
        "keys/main.json": jwt.key_set(KEY), "keys/second.json": jwt.key_set(SECOND), "keys/broken.json": "{ keys",
        "keys/empty.json": '{"keys": []}', "keys/kept.json": jwt.key_set(KEY)})


def test_without_a_token_the_client_is_asked_for_one(s):
    reply = get(s.port, "/", host="a.example")
    assert reply.status == 401
    assert reply.header("WWW-Authenticate") == 'Bearer realm="closed a.example"'
    behind_it = get(s.port, "/shown", host="a.example")  # the page is behind the same check
    assert (behind_it.status, behind_it.header("WWW-Authenticate")) == (401, 'Bearer realm="closed a.example"')
    assert get(s.port, "/", headers={"Authorization": "Basic YTpi"}).status == 401
    assert get(s.port, "/", headers={"Authorization": "Bearer"}).status == 401
    s.wait_for_log(r'\[info\] .* authorization: challenged by auth_jwt "no token"')
    assert get(s.port, "/off").status == 204


def test_a_good_token_comes_in_and_its_claims_are_variables(s):
    payload = {"sub": "alice", "address": {"city": "Riga"}, "roles": ["a", "b", 3], "level": 7.5, "admin": True,
               "deep": {"x": [1, None]}, "none": None}
    reply = get(s.port, "/", headers=signed(payload))
    assert reply.status == 204
    assert reply.header("X-Claims") == 'alice|Riga|a,b,3|7.5|true|{"x":[1,null]}|JWT|HS256'
    assert json.loads(reply.header("X-Payload")) == payload
    s.wait_for_log(r'\[info\] .* authorization: allowed by auth_jwt "token", identity "alice"')
    again = get(s.port, "/", headers=signed(payload))
    assert again.header("X-Claims") == reply.header("X-Claims"), "the same of a token that is known"


def test_the_scheme_is_read_without_case_and_a_variable_may_hold_the_token(s):
    token = jwt.token(KEY, "HS256", {"sub": "bob"})
    assert get(s.port, "/", headers={"Authorization": "bEARER   " + token}).status == 204
    assert get(s.port, "/cookie", headers={"Cookie": "token=" + token}).status == 204
    assert get(s.port, "/cookie", headers=bearer(token)).header("WWW-Authenticate") == 'Bearer realm="shop"'


@pytest.mark.parametrize("path, claims, status", [
    ("/", {"exp": -1}, 401), ("/", {"exp": 60}, 204), ("/", {"nbf": 60}, 401), ("/", {"nbf": -1}, 204),
    ("/leeway", {"exp": -60}, 204), ("/leeway", {"exp": -180}, 401), ("/leeway", {"nbf": 60}, 204), ("/leeway", {"nbf": 180}, 401),
])
def test_times(s, path, claims, status):
    now = time.time()
    reply = get(s.port, path, headers=signed({name: now + offset for name, offset in claims.items()}))
    assert reply.status == status
    if status == 401:
        assert reply.header("WWW-Authenticate").endswith(', error="invalid_token"')
        s.wait_for_log(r'authorization: denied by auth_jwt "time"')


def test_times_that_are_no_numbers_are_refused(s):
    for wrong in ("tomorrow", None, [], "9999999999"):
        assert get(s.port, "/", headers=signed({"exp": wrong})).status == 401
        assert get(s.port, "/", headers=signed({"nbf": wrong})).status == 401


def test_a_known_token_expires_all_the_same(s):
    fields = signed({"exp": time.time() + 4})
    assert get(s.port, "/", headers=fields).status == 204
    wait_until(lambda: get(s.port, "/", headers=fields).status == 401, 10, "the end of the token")


def test_requirements(s):
    assert get(s.port, "/admin", headers=signed({"sub": "a", "admin": True})).status == 204
    for claims in ({"sub": "a", "admin": False}, {"admin": True}, {"sub": "a"}):
        reply = get(s.port, "/admin", headers=signed(claims))
        assert (reply.status, reply.header("WWW-Authenticate")) == (403, None)
    assert get(s.port, "/adult", headers=signed({"adult": 1})).status == 204
    assert get(s.port, "/adult", headers=signed({"adult": 0})).status == 401
    s.wait_for_log(r'authorization: denied by auth_jwt "require"')


def test_several_sources_and_what_a_broken_one_means(s):
    assert get(s.port, "/two", headers=signed({}, SECOND)).status == 204
    assert get(s.port, "/two", headers=signed({})).status == 204
    assert get(s.port, "/", headers=signed({}, SECOND)).status == 401
    for path, line in (("/half", r'the keys of ".*broken.json" cannot be used: it is not JSON'),
                       ("/missing", r'open\(\) ".*none.json" failed \(2: No such file'),
                       ("/empty", r'the keys of ".*empty.json" cannot be used: it has no key'),
                       ("/folder", r'open\(\) ".*keys" failed \(21: Is a directory'),
                       ("/long", r"cannot be used: more than 100 bytes")):
        assert get(s.port, path, headers=signed({})).status == 500
        s.wait_for_log(line)
    assert get(s.ports[1], "/", headers=signed({})).status == 500
    s.wait_for_log('there is no "auth_jwt_key_file" or "auth_jwt_key_request"')
    s.wait_for_log(r'\[error\] .* authorization: failed by auth_jwt "keys"')
    assert get(s.port, "/", headers=signed({})).status == 204, "the worker goes on"


def test_a_changed_file_holds_at_once(s):
    fields, other = signed({}), signed({}, SECOND)
    assert (get(s.port, "/", headers=fields).status, get(s.port, "/", headers=other).status) == (204, 401)
    s.write("keys/new.json", jwt.key_set(SECOND))
    os.rename(os.path.join(s.prefix, "keys/new.json"), os.path.join(s.prefix, "keys/main.json"))
    assert (get(s.port, "/", headers=fields).status, get(s.port, "/", headers=other).status) == (401, 204)
    for broken in ("broken for a while", '{"keys": []}', "x" * 300_000):
        s.write("keys/main.json", broken)
        assert [get(s.port, "/", headers=other).status for _ in range(3)] == [500] * 3, "the keys of before are gone for good"
    s.write("keys/main.json", jwt.key_set(SECOND))
    assert get(s.port, "/", headers=other).status == 204


def test_a_cached_file_is_not_looked_at(s):
    assert get(s.port, "/kept", headers=signed({})).status == 204
    s.write("keys/kept.json", jwt.key_set(SECOND))
    assert get(s.port, "/kept", headers=signed({})).status == 204
    assert get(s.port, "/kept", headers=signed({}, SECOND)).status == 401


def test_the_name_of_the_file_may_have_variables(s):
    assert get(s.port, "/by-name?who=second", headers=signed({}, SECOND)).status == 204
    assert get(s.port, "/by-name?who=main", headers=signed({}, SECOND)).status == 401


def test_with_other_checks(s):
    assert get(s.port, "/any", headers=signed({})).status == 204
    assert get(s.port, "/any").status == 401
    reply = get(s.port, "/both", headers=signed({}))
    assert (reply.status, reply.header("WWW-Authenticate")) == (204, None)
    assert get(s.port, "/get").status == 204


def test_claims_go_upstream_and_cannot_end_a_field(s):
    assert get(s.port, "/up", headers=signed({"sub": "alice"})).text == "alice"
    reply = get(s.port, "/up", headers=signed({"sub": "x\r\nX-Evil: 1"}))
    assert (reply.status, reply.text) == (200, "x X-Evil: 1"), "a line break is a space"


def test_decisions_are_counted(s):
    for fields in ({}, signed({}), signed({}), signed({}, SECOND), bearer("a.b"), signed({"exp": 1})):
        get(s.port, "/", headers=fields)
    get(s.port, "/missing", headers=signed({}))
    text = get(s.port, "/metrics").text
    for rule, decision, count in (("no token", "challenged", 1), ("token", "allowed", 2), ("signature", "denied", 1),
                                  ("malformed", "denied", 1), ("time", "denied", 1), ("keys", "failed", 1)):
        line = f'fairlead_http_authorization_decisions_total{{check="auth_jwt",rule="{rule}",decision="{decision}"}} {count}\n'
        assert line in text


REQUEST_CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        auth_jwt closed;
        auth_jwt_key_request /keys?of=all;
        location = /keys { internal; proxy_pass http://127.0.0.1:%%KEYS%%; }
        location / { try_files /none =204; }
        location /kept { auth_jwt_key_cache 1h; auth_jwt_key_request /keys?of=kept; try_files /none =204; }
        location /short { auth_jwt_key_cache 300ms; auth_jwt_key_request /keys?of=short; try_files /none =204; }
        location /both { auth_jwt_key_request /keys; auth_jwt_key_file file.json; try_files /none =204; }
        location /dead { auth_jwt_key_request /gone; try_files /none =204; }
        location = /gone { internal; proxy_pass http://127.0.0.1:1; }
        location /long { auth_jwt_key_max_size 1k; auth_jwt_key_request /keys?long; try_files /none =204; }
    }
}
"""


class Keys:
    def __init__(self, upstream):
        self.asked = []
        self.answer = (200, jwt.key_set(KEY))
        self.hold = None
        self.up = upstream(up.serve(self.serve))

    def serve(self, request):
        self.asked.append(request)
        if self.hold:
            self.hold.wait(60)
        status, text = self.answer
        if "long" in request.target:
            text = text + " " * 2000
        return up.reply(status, text.encode(), headers=[("Content-Type", "application/json")])


@pytest.fixture
def keys(upstream):
    return Keys(upstream)


@pytest.fixture
def r(server, keys):
    return server(REQUEST_CONF, KEYS=keys.up.port, files={"file.json": jwt.key_set(SECOND)})


def test_keys_of_a_location(r, keys):
    fields = {**signed({}), "If-None-Match": "*", "Accept-Encoding": "gzip", "Range": "bytes=0-1"}
    assert get(r.port, "/", headers=fields).status == 204
    assert keys.asked[0].target == "/keys?of=all"
    for name in ("If-None-Match", "Accept-Encoding", "Range", "Authorization"):
        assert keys.asked[0].header(name) is None, "the client's fields are not for the keys"
    get(r.port, "/", headers=fields)
    assert len(keys.asked) == 2, "asked for each request"
    keys.answer = (200, jwt.key_set(SECOND))
    assert get(r.port, "/", headers=fields).status == 401


def test_keys_of_a_location_are_kept_for_a_time(r, keys):
    for _ in range(3):
        assert get(r.port, "/kept", headers=signed({})).status == 204
    assert len(keys.asked) == 1
    assert get(r.port, "/short", headers=signed({})).status == 204
    keys.answer = (200, jwt.key_set(SECOND))
    wait_until(lambda: get(r.port, "/short", headers=signed({})).status == 401, 10, "the end of the keys' time")


def test_a_location_and_a_file(r, keys):
    assert get(r.port, "/both", headers=signed({})).status == 204
    assert get(r.port, "/both", headers=signed({}, SECOND)).status == 204


@pytest.mark.parametrize("answer", [(404, "{}"), (200, "oops"), (200, "[]"), (200, '{"keys": {}}'), (204, ""), (304, "")])
def test_an_answer_that_is_no_key_set_is_a_500(r, keys, answer):
    keys.answer = answer
    assert get(r.port, "/", headers=signed({})).status == 500
    r.wait_for_log(r'the keys of "/keys\?of=all" cannot be used: ')


def test_a_dead_service_and_a_long_answer(r, keys):
    assert get(r.port, "/dead", headers=signed({})).status == 500
    r.wait_for_log('the keys of "/gone" cannot be used: status 502')
    assert get(r.port, "/long", headers=signed({})).status == 500
    r.wait_for_log("a response of more than 1024 bytes")
    assert get(r.port, "/", headers=signed({})).status == 204


TLS_CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        proxy_ssl_trusted_certificate %%CERTS%%/ca.pem; proxy_ssl_verify on; proxy_ssl_server_name on;
        proxy_ssl_certificate %%CERTS%%/sidecar.test.pem; proxy_ssl_certificate_key %%CERTS%%/sidecar.test.key;
        location / { auth_jwt x; auth_jwt_key_request /keys; try_files /none =204; }
        location /other { auth_jwt x; auth_jwt_key_request /false; try_files /none =204; }
        location = /keys { internal; proxy_ssl_name keys.test; proxy_pass https://127.0.0.1:%%KEYS%%; }
        location = /false { internal; proxy_ssl_name other.test; proxy_pass https://127.0.0.1:%%KEYS%%; }
    }
}
"""


def test_keys_over_tls_both_sides_known(server, upstream, tmp_path):
    authority = Authority(tmp_path / "certs")
    authority.leaf("sidecar.test", client=True)
    context = authority.server_context(authority.leaf("keys.test"), client_ca=True)
    u = upstream(up.serve(lambda r: up.reply(200, jwt.key_set(KEY))), tls=context)
    s = server(TLS_CONF, KEYS=u.port, CERTS=authority.folder)
    assert get(s.port, "/", headers=signed({})).status == 204
    assert get(s.port, "/other", headers=signed({})).status == 500
    s.wait_for_log('upstream SSL certificate does not match "other.test" while SSL handshaking to upstream')
    s.wait_for_log('the keys of "/false" cannot be used: status 502')


def test_requests_at_once_ask_once_and_survive_who_leaves(r, keys):
    from lib.client import Client, request_bytes
    keys.hold = threading.Event()
    first = Client(r.port)
    first.send(request_bytes("GET", "/kept", headers=signed({})))
    wait_until(lambda: keys.asked, 5, "the first question")
    replies = []
    waiting = [threading.Thread(target=lambda: replies.append(get(r.port, "/kept", headers=signed({})).status)) for _ in range(5)]
    for thread in waiting:
        thread.start()
    first.close()  # who was asking leaves: another one asks
    wait_until(lambda: len(keys.asked) >= 2, 10, "the second question")
    keys.hold.set()
    for thread in waiting:
        thread.join(20)
    assert replies == [204] * 5
    assert len(keys.asked) == 2
