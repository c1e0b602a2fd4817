# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The policies of conf/lua, used as their README says."""

import json
import os
import re

from lib import upstreams as up
from lib.client import get
from lib.ports import wait_until

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../conf/lua")
CONF = r"""
events {}
http {
    lua_package_path "%%LUA%%/?.lua;;";
    log_format decided "$circuit$authorization_decision $status";
    access_log logs/access.log decided;
    IN_HTTP
    server {
        listen 127.0.0.1:%%PORT_0%%;
        set $circuit "";
        set $authorization_decision "";
        location /metrics { content_by_lua_block { require("POLICY").metrics() } }
        location @sorry { return 200 sorry; }
        location / {
            IN_LOCATION
            proxy_pass http://127.0.0.1:%%UP%%;
        }
    }
}
"""


def lines_of(policy):
    """The lines that the README shows for a policy: (those for http, those for a location)."""
    with open(os.path.join(FOLDER, "README.md")) as f:
        block = next(b for b in re.findall(r"```nginx\n(.*?)```", f.read(), re.S) if policy in b)
    lines = block.strip().split("\n")
    assert len(lines) <= 3
    return "\n".join(x for x in lines if "in http" in x), "\n".join(x for x in lines if "in http" not in x)


def start(server, policy, edit=lambda text: text, **names):
    in_http, in_location = lines_of(policy)
    text = CONF.replace("IN_HTTP", in_http).replace("IN_LOCATION", edit(in_location)).replace("POLICY", policy)
    return server(text, LUA=FOLDER, **names)


def flaky(upstream):
    """An upstream whose status the test sets."""
    state = {"status": 500}
    return state, upstream(up.serve(lambda r: up.reply(state["status"], b"x")))


def test_the_breaker_opens_probes_and_closes(server, upstream):
    state, u = flaky(upstream)
    s = start(server, "circuit_breaker", lambda text: text.replace('"app"', '"app", { open_s = 0.3, failures = 3 }'), UP=u.port)
    assert [get(s.port, "/").status for _ in range(3)] == [500] * 3
    s.wait_for_log('circuit breaker "app" opens: 3 failures one after another')
    refused = get(s.port, "/")
    assert (refused.status, refused.header("retry-after")) == (503, "1")
    assert len(u.requests) == 3
    wait_until(lambda: get(s.port, "/").status == 500)  # a probe, which fails
    s.wait_for_log("a probe failed")
    state["status"] = 200
    wait_until(lambda: get(s.port, "/").status == 200)
    s.wait_for_log('circuit breaker "app" closes')
    assert [get(s.port, "/").status for _ in range(3)] == [200] * 3
    metrics = get(s.port, "/metrics").body.decode()
    assert re.search(r'decisions_total{name="app",decision="opened"} [2-9]', metrics)
    assert 'circuit_breaker_open{name="app"} 0' in metrics
    wait_until(lambda: "refused 503" in s.read("logs/access.log") and "passed 500" in s.read("logs/access.log"))


def test_the_breaker_opens_by_ratio_and_falls_back(server, upstream):
    state, u = flaky(upstream)
    s = start(server, "circuit_breaker", lambda text: text.replace(
        '"app"', '"app", { failures = 0, ratio = 0.5, requests_min = 6, window_s = 1000, fallback = "@sorry" }'), UP=u.port)
    for status in (200, 500, 200, 500, 200, 500):
        state["status"] = status
        assert get(s.port, "/").status == status
    s.wait_for_log("3 of 6 requests failed")
    assert get(s.port, "/").body == b"sorry"


def policy_service(upstream, answer):
    def reply(request):
        result = answer(json.loads(request.body)["input"])
        return up.reply(200, json.dumps({"result": result}).encode())
    return upstream(up.serve(reply))


def authorized(server, upstream, answer, options=""):
    opa = policy_service(upstream, answer)
    u = upstream(up.serve(lambda r: up.reply(200, (r.header("x-user") or "-").encode())))
    s = start(server, "authorize", lambda text: text.replace("8181", str(opa.port)).replace("cache_s = 10", "cache_s = 10" + options),
              UP=u.port)
    return s, opa, u


def test_a_policy_service_decides(server, upstream):
    def answer(asked):
        assert asked["method"] == "GET" and asked["source"]["address"] == "127.0.0.1" and "host" in asked["headers"]
        if asked["path"] == "/plain":
            return True
        if asked["path"] == "/user":
            return {"allow": True, "headers": {"X-User": asked["query"]["name"]}}
        return {"allow": False, "status": 401, "body": "who are you"} if asked["path"] == "/login" else False
    s, opa, u = authorized(server, upstream, answer)
    assert get(s.port, "/plain").body == b"-"
    assert get(s.port, "/user?name=eve").body == b"eve"
    login = get(s.port, "/login")
    assert (login.status, login.body) == (401, b"who are you\n")
    assert get(s.port, "/other").status == 403
    assert len(opa.connections) == 1
    asked = len(opa.requests)
    assert get(s.port, "/user?name=eve").body == b"eve"
    assert len(opa.requests) == asked
    assert 'authorize_decisions_total{decision="allowed_cached"} 1' in get(s.port, "/metrics").body.decode()
    wait_until(lambda: "denied 403" in s.read("logs/access.log"))


def test_a_service_that_does_not_answer(server, upstream):
    s, opa, u = authorized(server, upstream, lambda asked: True)
    opa.refuse()
    assert get(s.port, "/").status == 503
    s.wait_for_log("authorize: no answer from .*connection refused")
    assert len(u.requests) == 0
    s, opa, u = authorized(server, upstream, lambda asked: True, ", fail_open = true")
    opa.refuse()
    assert get(s.port, "/").status == 200
