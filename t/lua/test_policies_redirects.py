# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The policies of conf/lua where an internal redirect leads a request to another location: to them it is the same request."""

import threading

import pytest

from lib import upstreams as up
from lib.client import Client, get
from lib.h2client import H2Client
from lib.jwt import Secret, token
from lib.policies import FOLDER
from lib.ports import wait_until
from lib.redis import redis  # noqa: F401

CONF = r"""
events {}
http {
    lua_package_path "%%LUA%%/?.lua;;";
    lua_shared_dict circuit_breaker 1m;
    lua_shared_dict rate_limit 1m;
    lua_shared_dict decisions 1m;
    access_log logs/access.log;
    IN_HTTP
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        root %%PREFIX%%;
        error_page 404 401 429 /page.html;
        error_page 502 503 /page.html;
        IN_SERVER
        location /up { IN_LOCATION proxy_pass http://127.0.0.1:%%UP%%; }
        location = /page.html { IN_PAGE }
        location /accel/ { internal; IN_LOCATION proxy_pass http://127.0.0.1:%%UP%%; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        location / { content_by_lua_block { require("decisions").metrics() } }
        location /kilobytes { content_by_lua_block { collectgarbage() collectgarbage() ngx.say(collectgarbage("count")) } }
    }
}
"""


@pytest.fixture
def policies(server):
    """make(in_http=, in_server=, location=, page=): a server with these lines at these places."""
    def make(in_http="", in_server="", location="", page="", files=None, UP=1):
        text = CONF.replace("IN_HTTP", in_http).replace("IN_SERVER", in_server).replace("IN_LOCATION", location).replace("IN_PAGE", page)
        return server(text, LUA=FOLDER, files={"page.html": b"page", "index.html": b"index", **(files or {})}, UP=UP)
    return make


def counts(s, policy):
    lines = get(s.ports[1]).body.decode().split("\n")
    return {x.partition('decision="')[2].partition('"')[0]: int(x.split()[-1]) for x in lines if x.startswith(policy + "_decisions")}


# -- circuit breaker

NOTE = 'log_by_lua_block { require("circuit_breaker").note() }'
CHECK = 'access_by_lua_block { require("circuit_breaker").check("app", { failures = 3, open_s = %s }) }'


@pytest.mark.parametrize("place", ["location", "in_server"])
def test_failures_that_an_error_page_tells_of_open_the_breaker(policies, upstream, place):
    gone = upstream()
    gone.refuse()
    s = policies(NOTE, UP=gone.port, **{place: CHECK % 1000})
    replies = [get(s.port, "/up") for _ in range(5)]
    assert [(r.status, r.body) for r in replies] == [(502, b"page")] * 3 + [(503, b"page")] * 2
    assert replies[3].header("retry-after") is not None
    assert counts(s, "circuit_breaker") == {"passed": 3, "opened": 1, "refused": 2}


def test_pages_whose_hooks_use_a_context_of_their_own(policies, upstream):
    gone = upstream()
    gone.refuse()
    page = "rewrite_by_lua_block { ngx.ctx.mine = 1 collectgarbage() collectgarbage() }"
    s = policies(NOTE, location=CHECK % 1000, page=page, UP=gone.port)
    assert [get(s.port, "/up").status for _ in range(5)] == [502] * 3 + [503] * 2


def test_a_page_of_another_upstream_says_nothing_about_the_first(policies, upstream):
    pages = upstream(up.serve(lambda r: up.reply(200, b"x")))
    gone = upstream()
    gone.refuse()
    s = policies(NOTE, location=CHECK % 1000, page="proxy_pass http://127.0.0.1:%d;" % pages.port, UP=gone.port)
    assert [get(s.port, "/up").status for _ in range(5)] == [502] * 3 + [503] * 2


def test_the_upstream_that_redirects_is_the_one_that_counts(policies, upstream):
    state = {"accel": True}

    def answer(request):
        if request.target == "/up" and state["accel"]:
            return b"HTTP/1.1 200 OK\r\nX-Accel-Redirect: /accel/x\r\nContent-Length: 0\r\n\r\n"
        return up.reply(500, b"x")
    u = upstream(up.serve(answer))
    s = policies(NOTE, in_server=CHECK % 1000, UP=u.port)
    assert [get(s.port, "/up").status for _ in range(6)] == [500] * 6  # 200 : 500
    assert counts(s, "circuit_breaker") == {"passed": 6}
    state["accel"] = False
    assert [get(s.port, "/up").status for _ in range(4)] == [500] * 3 + [503]


def test_a_probe_whose_failure_an_error_page_tells_of(policies, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, b"x")))
    u.refuse()
    s = policies(NOTE, in_server=CHECK % 0.2, UP=u.port)
    assert [get(s.port, "/up").status for _ in range(3)] == [502] * 3
    s.wait_for_log('circuit breaker "app" opens: 3 failures')
    wait_until(lambda: get(s.port, "/up").status == 502)
    s.wait_for_log("a probe failed")
    wait_until(lambda: get(s.port, "/up").status == 502)  # the place of the probe is free again


def test_a_fallback_of_a_server_wide_breaker(policies, upstream):
    gone = upstream()
    gone.refuse()
    check = CHECK.replace("failures = 3", "failures = 1") % '1000, fallback = "/page.html"'
    s = policies(NOTE, in_server=check, UP=gone.port)
    assert [(r.status, r.body) for r in (get(s.port, "/up"), get(s.port, "/up"))] == [(502, b"page"), (200, b"page")]
    assert counts(s, "circuit_breaker") == {"passed": 1, "opened": 1, "refused": 1}


# -- API keys and tokens

KEY = 'access_by_lua_block { require("api_key").check { keys = { opensesame = "alice" }, argument = "key" } }'


@pytest.mark.parametrize("headers,query", [({"X-API-Key": "opensesame"}, ""), ({}, "?key=opensesame")])
def test_a_key_is_known_after_a_redirect(policies, upstream, headers, query):
    u = upstream(up.serve(lambda r: up.reply(200, "|".join([r.header(n) or "-" for n in ("x-consumer", "x-api-key")]).encode())))
    s = policies(in_server=KEY, page="proxy_pass http://127.0.0.1:%d;" % u.port)
    r = get(s.port, "/missing" + query, headers=headers)
    assert (r.status, r.body) == (404, b"alice|-")
    assert get(s.port, "/" + query, headers=headers).body == b"index"
    assert get(s.port, "/up" + query, headers=headers).status == 502
    assert get(s.port, "/missing").status == 401


def test_a_key_is_of_one_request_only(policies):
    s = policies(in_server=KEY)
    client = Client(s.port)
    for key, status in ((b"X-API-Key: opensesame\r\n", 404), (b"", 401), (b"X-Consumer: alice\r\n", 401)):
        client.send(b"GET /missing HTTP/1.1\r\nHost: a\r\n" + key + b"\r\n")
        assert client.read_reply().status == status


def test_a_key_is_of_one_stream_only(policies, upstream):
    gate = threading.Event()
    u = upstream([up.read(1), lambda seen: gate.wait(60), up.close()])
    s = policies(in_server=KEY, UP=u.port)
    with H2Client(s.port) as client:
        with_key = [client.start("/up", headers=[("x-api-key", "opensesame")]) for _ in range(2)]
        wait_until(lambda: len(u.connections) == 2, 10)  # both are at work
        without = [client.start(path) for path in ("/missing", "/", "/up")]
        assert [client.wait(stream).status for stream in without] == [401] * 3
        gate.set()
        assert [client.wait(stream).status for stream in with_key] == [502] * 2


def test_a_long_request_is_remembered_and_those_that_ended_are_not(policies, upstream):
    gate = threading.Event()
    u = upstream([up.read(1), lambda seen: gate.wait(60), up.close()])
    s = policies('init_by_lua_block { require("request_memory").newest_max = 100 }', in_server=KEY, UP=u.port)
    before = float(get(s.ports[1], "/kilobytes").body)
    request = "GET %s HTTP/1.1\r\nHost: a\r\nX-API-Key: opensesame\r\n\r\n"
    with Client(s.port) as long:
        long.send(request % "/up")
        wait_until(lambda: u.connections, 10)
        for _ in range(10):
            with Client(s.port) as many:
                many.send(request % "/" * 100)
                assert {many.read_reply().status for _ in range(100)} == {200}
        assert float(get(s.ports[1], "/kilobytes").body) - before < 200
        gate.set()
        reply = long.read_reply()
        assert (reply.status, reply.body) == (502, b"page")


def test_a_location_that_is_led_to_may_want_another_key(policies):
    page = 'access_by_lua_block { require("api_key").check { keys = { other = "bob" } } }'
    s = policies(in_server=KEY, page=page)
    assert get(s.port, "/missing", headers={"X-API-Key": "opensesame"}).status == 401
    s = policies(page=page)  # nobody asked for a key before
    assert get(s.port, "/missing").status == 401
    assert get(s.port, "/missing", headers={"X-API-Key": "other"}).status == 404


def test_a_token_in_the_query_is_known_on_an_error_page(policies):
    secret = Secret()
    options = 'secret = "%s", argument = "t", expires = false' % secret.secret.decode()
    s = policies(in_server='access_by_lua_block { require("jwt").check { %s } }' % options)
    good = token(secret, "HS256", {"sub": "eve"})
    assert get(s.port, "/missing?t=" + good).status == 404
    assert get(s.port, "/missing?t=" + good[:-2]).status == 401


# -- rate limits

def limit(policy, options):
    check = 'access_by_lua_block { require("%s").check("api", { rate = 0.001, burst = 4, %s }) }' % (policy, options)
    return check + ' set $%s_decision "";' % policy


def takes_one_token(s, policy):
    replies = [get(s.port, target) for target in ("/missing", "/", "/up", "/missing", "/missing", "/")]
    assert [(r.status, r.body) for r in replies[:4]] == [(404, b"page"), (200, b"index"), (502, b"page"), (404, b"page")]
    assert [(r.status, r.body) for r in replies[4:]] == [(429, b"page")] * 2
    assert [r.header("ratelimit-remaining") for r in replies] == ["3", "2", "1", "0", "0", "0"]
    assert replies[4].header("retry-after") is not None
    assert counts(s, policy) == {"passed": 4, "refused": 2}


def test_a_redirected_request_takes_one_token(policies):
    s = policies(in_server=limit("rate_limit", ""))
    takes_one_token(s, "rate_limit")
    s = policies(in_server=limit("rate_limit", 'key = ngx.var.uri'))
    assert get(s.port, "/missing").header("ratelimit-remaining") == "3"  # another bucket is asked


def test_a_redirected_request_takes_one_token_of_redis(policies, redis):  # noqa: F811
    s = policies(in_server=limit("redis_rate_limit", "port = %d, fail_open = false, timeout_ms = 5000" % redis().port))
    takes_one_token(s, "redis_rate_limit")


def test_the_log_says_what_was_decided_before_the_redirect(policies):
    s = policies('log_format own "$rate_limit_decision $status"; access_log logs/own.log own;', in_server=limit("rate_limit", ""))
    assert get(s.port, "/missing").status == 404
    wait_until(lambda: "passed 404" in s.read("logs/own.log"))
