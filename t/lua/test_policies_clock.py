# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The policies of conf/lua while the machine's clock is set back: what they measure goes on."""

import pytest

from lib import upstreams as up
from lib.client import get
from lib.jwt import Secret, token
from lib.policies import CONF, start, with_options
from lib.ports import claim_port, wait_until
from lib.redis import redis  # noqa: F401

# Lua's clock, that GET /back sets back by an hour in the one worker.
STEPPED = CONF.replace("IN_HTTP", """init_by_lua_block {
        local now, back = ngx.now, 0
        ngx.now = function() return now() - back end
        ngx.time = function() return math.floor(ngx.now()) end
        set_back = function() back = back + 3600 end
    }
    IN_HTTP""").replace("location /metrics", """location /back { content_by_lua_block { set_back() } }
        location /metrics""")


@pytest.fixture
def stepped(server, upstream):
    """make(policy, variable, edit): a server whose clock can be set back, with an upstream that answers the state's status."""
    def make(policy, variable, edit, **more):
        state = {"status": 200}
        u = upstream(up.serve(lambda r: up.reply(state["status"], b"x")))
        return start(server, policy, variable, edit, conf=STEPPED, UP=u.port, **more), state
    return make


def test_an_open_breaker_probes_in_time(stepped):
    s, state = stepped("circuit_breaker", "circuit", lambda text: text.replace('"app"', '"app", { failures = 1, open_s = 1 }'))
    state["status"] = 500
    assert [get(s.port).status for _ in range(2)] == [500, 503]
    state["status"] = 200
    assert get(s.port, "/back").status == 200
    assert get(s.port).header("retry-after") in ("1", None)
    wait_until(lambda: get(s.port).status == 200)
    s.wait_for_log("closes")


def test_a_breaker_of_a_longer_time_before_a_reload(stepped):
    s, state = stepped("circuit_breaker", "circuit", lambda text: text.replace('"app"', '"app", { failures = 1, open_s = 1000 }'))
    state["status"] = 500
    assert [get(s.port).status for _ in range(2)] == [500, 503]
    state["status"] = 200
    with open(s.conf_path, encoding="utf-8") as f:
        s.reload(f.read().replace("open_s = 1000", "open_s = 1"))
    wait_until(lambda: get(s.port).status == 200)


def test_an_empty_bucket_fills(stepped):
    s, state = stepped("rate_limit", "rate_limit_decision", with_options("rate = 1, burst = 5"))
    wait_until(lambda: get(s.port).status == 429)
    assert get(s.port, "/back").status == 200
    assert get(s.port).header("retry-after") in ("1", None)
    wait_until(lambda: get(s.port).status == 200)


def test_an_authorization_does_not_hold_for_longer(server, upstream):
    opa = upstream(up.serve(lambda r: up.reply(200, b'{"result": true}')))
    u = upstream(up.serve(lambda r: up.reply(200, b"x")))
    # To a dictionary an entry lives longer when the clock is set back.
    conf = STEPPED.replace("set_back()", "local d = ngx.shared.authorize for _, key in ipairs(d:get_keys(0)) do d:expire(key, 3600) end")
    s = start(server, "authorize", "authorization_decision",
              lambda text: text.replace("8181", str(opa.port)).replace("cache_s = 10", "cache_s = 0.5"), conf=conf, UP=u.port)
    assert get(s.port).status == 200
    assert get(s.port, "/back").status == 200
    wait_until(lambda: get(s.port).status == 200 and len(opa.requests) == 2)


def test_redis_is_asked_again(stepped, redis):  # noqa: F811
    port = claim_port()
    s, state = stepped("redis_rate_limit", "redis_rate_limit_decision", lambda text: with_options(
        "fail_open = false, pause_s = 0.2, timeout_ms = 5000")(text).replace("6379", str(port)))
    assert get(s.port).status == 503
    redis(port=port)
    assert get(s.port, "/back").status == 200
    wait_until(lambda: get(s.port).status == 200)


def test_a_bucket_of_redis_fills_when_its_clock_is_set_back(stepped, redis):  # noqa: F811
    r = redis()
    s, state = stepped("redis_rate_limit", "redis_rate_limit_decision", lambda text: with_options(
        "rate = 4, burst = 2, fail_open = false, timeout_ms = 5000")(text).replace("6379", str(r.port)))
    now = int(r.ask("TIME").split(b"\r\n")[2])
    r.ask("SET", "rate_limit|api|127.0.0.1", str((now + 3600) * 1000000))
    refused = get(s.port)
    assert (refused.status, refused.header("retry-after")) == (429, "1")


@pytest.mark.parametrize("policy,second,said", [
    ("api_key", b"#\nbad", "keys:2: want OWNER:SHA256"),
    ("jwt", b'{"keys": [' + b"{}," * 100 + b"{}]}", "more than 100 keys")], ids=["api_key", "jwt"])
def test_files_are_read_again(stepped, policy, second, said):
    def edit(text):
        text = text.replace("/etc/fairlead/api_keys", "%%PREFIX%%/keys").replace("/etc/fairlead/jwks.json", "%%PREFIX%%/keys")
        return with_options("file_check_s = 0.05")(text)
    s, state = stepped(policy, policy + "_decision", edit, files={"keys": b"bad"})

    def ask():
        return get(s.port, headers={"X-API-Key": "x", "Authorization": "Bearer " + token(Secret(), "HS256", {})}).status
    assert ask() == 401
    assert get(s.port, "/back").status == 200
    s.write("keys", second)
    wait_until(lambda: ask() == 401 and said in s.log())
