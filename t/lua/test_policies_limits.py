# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The rate limits and the canary of conf/lua, used as their README says; Redis is the real one."""

import signal

import pytest

from lib import upstreams as up
from lib.client import get, request
from lib.policies import CONF, start, with_options
from lib.ports import claim_port, wait_until
from lib.redis import redis  # noqa: F401


def backend(upstream, text=b"x"):
    return upstream(up.serve(lambda r: up.reply(200, text)))


# -- one machine

def limited(server, upstream, edit, **more):
    return start(server, "rate_limit", "rate_limit_decision", edit, UP=backend(upstream).port, **more)


def test_a_bucket_empties_and_fills(server, upstream):
    s = limited(server, upstream, with_options("rate = 2, burst = 3"))
    first = get(s.port)
    assert [first.header("ratelimit-" + n) for n in ("limit", "remaining", "reset")] == ["3", "2", "1"]
    assert [get(s.port).status for _ in range(2)] == [200, 200]
    refused = get(s.port)
    while refused.status == 200:  # a slow machine: tokens came meanwhile
        refused = get(s.port)
    assert (refused.status, refused.header("retry-after"), refused.header("ratelimit-remaining")) == (429, "1", "0")
    wait_until(lambda: get(s.port).status == 200)
    metrics = get(s.port, "/metrics").body.decode()
    assert 'rate_limit_decisions_total{name="api",decision="passed"}' in metrics
    assert 'rate_limit_decisions_total{name="api",decision="refused"}' in metrics
    wait_until(lambda: "refused 429" in s.read("logs/access.log"))


def test_clients_have_buckets_of_their_own_over_all_workers(server, upstream):
    edit = with_options('rate = 0.001, burst = 5, key = ngx.var.http_x_who, headers = false, status = 503')
    s = limited(server, upstream, edit, conf="worker_processes 3;\n" + CONF)
    for who in ("a", "b"):
        statuses = [get(s.port, headers={"X-Who": who}).status for _ in range(12)]
        assert statuses == [200] * 5 + [503] * 7
    assert get(s.port, headers={"X-Who": "c"}).header("ratelimit-limit") is None


def test_a_request_may_cost_more(server, upstream):
    s = limited(server, upstream, with_options("rate = 0.001, burst = 10, cost = tonumber(ngx.var.arg_cost)"))
    assert [get(s.port, f"/?cost={c}").status for c in (4, 7, 5, 2, 1, 1)] == [200, 429, 200, 429, 200, 429]


def test_numbers_that_make_no_bucket(server, upstream):
    bad = (("rate", "0"), ("rate", "-1"), ("rate", "0/0"), ("rate", "1/0"), ("burst", "0"), ("burst", "-1"), ("burst", "'x'"),
           ("cost", "0"), ("cost", "-1"), ("cost", "0/0"))
    allowed = ("must be a number above 0",)
    for policy, make in (("rate_limit", lambda o: limited(server, upstream, with_options(o), allow_log=allowed)),
                         ("redis_rate_limit", lambda o: globally(server, upstream, 1, o, allow_log=allowed))):
        chosen = " or ".join("ngx.var.arg_n == '%d' and { '%s', %s }" % (n, *pair) for n, pair in enumerate(bad))
        s = make("[(%s or { 'status' })[1]] = (%s or { 1, 429 })[2]" % (chosen, chosen))
        for n, (name, value) in enumerate(bad):
            assert get(s.port, f"/?n={n}").status == 500, (policy, name, value)
            s.wait_for_log(f'{policy} "api": {name} must be a number above 0, not ')
        assert get(s.port).status == 200


def test_a_fast_bucket_leaves_no_entry_for_ever(server, upstream):
    conf = CONF.replace("location /metrics {", """location /ttl { content_by_lua_block {
            local d = ngx.shared.rate_limit
            for _, key in ipairs(d:get_keys(0)) do if key:find("^api") and d:ttl(key) == 0 then ngx.say("for ever") end end } }
        location /metrics {""")
    s = limited(server, upstream, with_options("rate = 5000, burst = 1000"), conf=conf)
    for _ in range(20):
        assert get(s.port).status == 200
        assert get(s.port, "/ttl").body == b""


def test_a_bucket_of_a_slower_rate_before_a_reload_does_not_shut_out(server, upstream):
    s = limited(server, upstream, with_options("rate = 0.001, burst = 1"))
    assert [get(s.port).status for _ in range(2)] == [200, 429]
    with open(s.conf_path, encoding="utf-8") as f:
        s.reload(f.read().replace("rate = 0.001", "rate = 20"))
    wait_until(lambda: get(s.port).status == 200)


def test_a_full_dictionary_does_not_stop_requests(server, upstream):
    s = limited(server, upstream, lambda text: with_options('key = ngx.var.arg_who .. ("x"):rep(3000)')(text).replace("10m", "64k"))
    assert [get(s.port, f"/?who={n}").status for n in range(60)] == [200] * 60
    too_long = 'key = ("x"):rep(70000)'
    s = limited(server, upstream, with_options(too_long))
    assert get(s.port).status == 200
    s.wait_for_log('rate_limit "api": key too long')
    s = limited(server, upstream, with_options(too_long + ", fail_open = false"))
    assert get(s.port).status == 503


# -- all machines

def globally(server, upstream, port, options, **more):
    return start(server, "redis_rate_limit", "redis_rate_limit_decision",
                 lambda text: with_options(options)(text).replace("6379", str(port)), UP=backend(upstream).port, **more)


def connections_of(redis):
    return int(next(x for x in redis.ask("INFO", "stats").split(b"\r\n") if x.startswith(b"total_connections")).split(b":")[1])


def test_machines_share_a_bucket(server, upstream, redis):
    r = redis()
    options = "rate = 0.001, burst = 6, fail_open = false, timeout_ms = 5000"
    machines = [globally(server, upstream, r.port, options) for _ in range(2)]
    before = connections_of(r)
    replies = [get(machines[n % 2].port) for n in range(10)]
    assert [x.status for x in replies] == [200] * 6 + [429] * 4
    assert [x.header("ratelimit-remaining") for x in replies[:3]] == ["5", "4", "3"]
    assert int(replies[-1].header("retry-after")) > 900
    assert connections_of(r) - before <= 3  # one pooled connection for each machine, and the one that asks here
    assert 'redis_rate_limit_decisions_total{name="api",decision="refused"} 2' in get(machines[0].port, "/metrics").body.decode()
    wait_until(lambda: "refused 429" in machines[1].read("logs/access.log"))
    assert b":1\r\n" in r.ask("EXISTS", "rate_limit|api|127.0.0.1")
    r.ask("SCRIPT", "FLUSH")
    assert get(machines[0].port).status == 429


def test_a_bucket_in_redis_fills_again_and_goes(server, upstream, redis):
    r = redis()
    s = globally(server, upstream, r.port, "rate = 4, burst = 1, fail_open = false, timeout_ms = 5000")
    assert get(s.port).status == 200
    wait_until(lambda: get(s.port).status == 200)
    wait_until(lambda: b":0\r\n" in r.ask("EXISTS", "rate_limit|api|127.0.0.1"))


def test_passwords_and_databases(server, upstream, redis):
    r = redis("--requirepass", "secret")
    s = globally(server, upstream, r.port, 'password = "secret", user = "default", database = 3, fail_open = false, timeout_ms = 5000')
    assert [get(s.port).status for _ in range(3)] == [200] * 3
    s = globally(server, upstream, r.port, 'password = "wrong", fail_open = false, timeout_ms = 5000')
    assert get(s.port).status == 503
    s.wait_for_log("WRONGPASS")
    either = 'password = ngx.var.arg_p, fail_open = false, timeout_ms = 5000, pause_s = 0'
    s = globally(server, upstream, r.port, either)  # a connection that one has opened is not for the other
    assert [get(s.port, "/?p=" + p).status for p in ("secret", "wrong", "secret")] == [200, 503, 200]


def test_a_unix_socket(server, upstream, redis):
    r = redis("--unixsocket", "FOLDER/socket")
    options = f'host = "unix:{r.folder}/socket", rate = 0.001, burst = 2, fail_open = false, timeout_ms = 5000'
    s = globally(server, upstream, r.port, options)
    assert [get(s.port).status for _ in range(3)] == [200, 200, 429]


def test_without_redis_it_is_open_or_closed(server, upstream, redis):
    port = claim_port()
    s = globally(server, upstream, port, "burst = 1, pause_s = 1000")
    assert [get(s.port).status for _ in range(5)] == [200] * 5
    s.wait_for_log('redis_rate_limit "api": .*connection refused')
    assert s.log().count("redis_rate_limit \"api\": ") == 1  # and no second try within pause_s
    assert 'decision="failed_open"} 5' in get(s.port, "/metrics").body.decode()
    s = globally(server, upstream, port, "fail_open = false, pause_s = 0.05, timeout_ms = 5000")
    assert get(s.port).status == 503
    redis(port=port)
    wait_until(lambda: get(s.port).status == 200)
    wait_until(lambda: "failed_closed 503" in s.read("logs/access.log"))


def test_redis_that_hangs_costs_its_timeout_once(server, upstream, redis):
    r = redis()
    s = globally(server, upstream, r.port, "timeout_ms = 200, pause_s = 1000")
    assert get(s.port).status == 200
    r.process.send_signal(signal.SIGSTOP)
    assert get(s.port).status == 200
    s.wait_for_log('redis_rate_limit "api": .*timeout')
    assert [get(s.port).status for _ in range(3)] == [200] * 3
    assert s.log().count('redis_rate_limit "api": ') == 1


def test_replies_that_are_none_of_redis(server, upstream):
    bad = [b"HTTP/1.1 400\r\n", b"$99999999999\r\n", b"*2\r\n:1\r\n", b"*2\r\n$1\r\nab\r\n",
           b"*2\r\n" + b"*1\r\n" * 5 + b":1\r\n:1\r\n",
           b":x\r\n", b"*99999\r\n", b"*2\r\n+a\r\n+b\r\n", b"$-1\r\n", b"-ERR no\r\n", b"+OK\r\n", b""]
    fake = upstream(*[[up.read(4), up.send(data), up.close()] for data in bad])
    s = globally(server, upstream, fake.port, "fail_open = false, pause_s = 0, timeout_ms = 5000")
    assert [get(s.port).status for _ in bad] == [503] * len(bad)


# -- canary

CANARY = CONF.replace("location = /sorry", """location /admin { content_by_lua_block { require("canary").admin("app") } }
        location = /sorry""")


def canary(server, upstream, edit=lambda text: text):
    stable, new = backend(upstream, b"stable"), backend(upstream, b"new")
    more = "upstream app { server 127.0.0.1:%d; } upstream app_next { server 127.0.0.1:%d; }" % (stable.port, new.port)
    more += "\nlua_shared_dict canary 32k; lua_shared_dict decisions 100k;"
    return start(server, "canary", "canary_decision", edit, more, CANARY)


def chosen(s, **headers):
    return get(s.port, headers={k.replace("_", "-"): v for k, v in headers.items()}).body


def test_a_share_of_the_clients_gets_the_canary_and_keeps_it(server, upstream):
    s = canary(server, upstream, with_options("weight = 30, key = ngx.var.http_x_who"))
    first = {who for who in map(str, range(200)) if chosen(s, X_Who=who) == b"new"}
    assert 30 < len(first) < 95
    assert {who for who in map(str, range(200)) if chosen(s, X_Who=who) == b"new"} == first
    assert request(s.port, "PUT", "/admin?weight=60").body == b"60\n"
    second = {who for who in map(str, range(200)) if chosen(s, X_Who=who) == b"new"}
    assert first < second
    assert request(s.port, "PUT", "/admin?weight=100").status == 200
    assert chosen(s, X_Who="1") == b"new"
    assert request(s.port, "PUT", "/admin?weight=0").status == 200
    assert chosen(s, X_Who=min(first)) == b"stable"
    assert get(s.port, "/admin").body == b"0\n"
    for bad in ("101", "-1", "x", ""):
        assert request(s.port, "PUT", "/admin?weight=" + bad).status == 400
    assert request(s.port, "DELETE", "/admin").body == b"as configured\n"
    assert request(s.port, "POST", "/admin").status == 405
    assert chosen(s, X_Who=min(first)) == b"new"


def test_who_asks_gets_it(server, upstream):
    s = canary(server, upstream, with_options('weight = 0, cookie = "side"'))
    assert chosen(s) == b"stable"
    assert chosen(s, X_Canary="always") == b"new"
    assert chosen(s, Cookie="side=always") == b"new"
    assert chosen(s, X_Canary="never", Cookie="side=always") == b"stable"
    assert chosen(s, X_Canary="sometimes") == b"stable"
    metrics = get(s.port, "/metrics").body.decode()
    for decision, count in (("stable", 2), ("canary_asked", 2), ("stable_asked", 1)):
        assert f'canary_decisions_total{{name="app",decision="{decision}"}} {count}\n' in metrics
    wait_until(lambda: "canary_asked 200" in s.read("logs/access.log"))
    s = canary(server, upstream, with_options("weight = 100, header = false"))
    assert chosen(s, X_Canary="never") == b"new"
