# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The breaker and the authorization of conf/lua, used as their README says."""

import json
import re
import select
import threading
import time

from lib import upstreams as up
from lib.client import Client, get
from lib.policies import CONF, start
from lib.ports import wait_until


def flaky(upstream):
    """An upstream whose status the test sets."""
    state = {"status": 500}
    return state, upstream(up.serve(lambda r: up.reply(state["status"], b"x")))


def test_the_breaker_opens_probes_and_closes(server, upstream):
    state, u = flaky(upstream)
    s = start(server, "circuit_breaker", "circuit", lambda text: text.replace('"app"', '"app", { open_s = 1, failures = 3 }'), UP=u.port)
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
    s = start(server, "circuit_breaker", "circuit", lambda text: text.replace(
        '"app"', '"app", { failures = 0, ratio = 0.5, requests_min = 6, window_s = 1000, fallback = "@sorry" }'), UP=u.port)
    for status in (200, 500, 200, 500, 200, 500):
        state["status"] = status
        assert get(s.port, "/").status == status
    s.wait_for_log("3 of 6 requests failed")
    assert get(s.port, "/").body == b"sorry"


def test_a_fallback_is_logged_as_what_it_is(server, upstream):
    for place in ("@sorry", "/sorry"):
        state, u = flaky(upstream)
        options = '"app", { failures = 1, fallback = "%s" }' % place
        s = start(server, "circuit_breaker", "circuit", lambda text: text.replace('"app"', options), UP=u.port)
        assert [get(s.port, "/").status, get(s.port, "/").status] == [500, 200]
        assert 'decisions_total{name="app",decision="refused"} 1' in get(s.port, "/metrics").body.decode()
        if place == "@sorry":  # an internal redirect runs the server's `set` again
            wait_until(lambda: "refused 200" in s.read("logs/access.log"))


def test_workers_share_a_breaker(server, upstream):
    state, u = flaky(upstream)
    s = start(server, "circuit_breaker", "circuit", lambda text: text.replace('"app"', '"app", { failures = 4, open_s = 1000 }'),
              conf="worker_processes 3;\n" + CONF, UP=u.port)
    wait_until(lambda: get(s.port, "/").status == 503)
    assert len(u.requests) == 4
    assert [get(s.port, "/").status for _ in range(10)] == [503] * 10


def slow(upstream):
    """An upstream that fails at /bad and answers /slow once told to; what counts the requests that came there; what tells."""
    came, go_on = threading.Semaphore(0), threading.Event()

    def answer(request):
        if request.target == "/slow":
            came.release()
            go_on.wait(60)
        return up.reply(500 if request.target == "/bad" else 200, b"x")
    return upstream(up.serve(answer)), came, go_on


def is_probe(client, came):
    """Whether a request to /slow went through; one that is refused has its answer at once."""
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    while not came.acquire(timeout=0.02):
        if select.select([client.socket], [], [], 0)[0]:
            assert client.read_reply().status == 503
            return False
    return True


def test_a_probe_whose_client_leaves_says_nothing(server, upstream):
    u, came, go_on = slow(upstream)
    s = start(server, "circuit_breaker", "circuit", lambda text: text.replace('"app"', '"app", { failures = 1, open_s = 0.2 }'), UP=u.port)
    assert get(s.port, "/bad").status == 500
    probe = Client(s.port)
    wait_until(lambda: is_probe(probe, came))
    assert get(s.port, "/ok").status == 503  # while a probe is on its way
    probe.reset()
    s.wait_for_log("client prematurely closed connection")
    assert 'circuit_breaker_open{name="app"} 1' in get(s.port, "/metrics").body.decode()
    go_on.set()
    wait_until(lambda: get(s.port, "/ok").status == 200)
    s.wait_for_log('circuit breaker "app" closes')


def test_a_slow_probe_stays_the_only_one(server, upstream):
    u, came, go_on = slow(upstream)
    s = start(server, "circuit_breaker", "circuit", lambda text: text.replace('"app"', '"app", { failures = 1, open_s = 0.05 }'), UP=u.port)
    assert get(s.port, "/bad").status == 500
    s.wait_for_log("opens")
    probe = Client(s.port)
    wait_until(lambda: is_probe(probe, came))
    end = time.monotonic() + 0.5  # ten times open_s
    while time.monotonic() < end:
        assert get(s.port, "/ok").status == 503
    go_on.set()
    assert probe.read_reply().status == 200
    s.wait_for_log('circuit breaker "app" closes')
    assert get(s.port, "/ok").status == 200


def test_what_was_answered_here_says_nothing_about_the_upstream(server, upstream):
    state, u = flaky(upstream)
    options = '"app", { failures = 3, open_s = 0.05 }) if ngx.var.arg_here then ngx.exit(tonumber(ngx.var.arg_here)) end --'
    s = start(server, "circuit_breaker", "circuit",
              lambda text: "client_max_body_size 10;" + text.replace('"app")', options + "\n"), UP=u.port)

    def too_large():
        client = Client(s.port)
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n" + "a" * 32 + "\r\n0\r\n\r\n")
        return client.read_reply().status
    assert [get(s.port, "/?here=503").status for _ in range(4)] == [503] * 4
    assert [get(s.port, "/").status for _ in range(2)] == [500] * 2
    assert [too_large(), get(s.port, "/?here=404").status] == [413, 404]  # a success would begin a new row of failures
    assert get(s.port, "/").status == 500
    s.wait_for_log("opens: 3 failures one after another")
    wait_until(lambda: too_large() == 413)  # as the probe
    assert 'circuit_breaker_open{name="app"} 1' in get(s.port, "/metrics").body.decode()
    wait_until(lambda: get(s.port, "/").status == 500)
    s.wait_for_log("a probe failed")


def test_an_upstream_that_cannot_be_reached_has_failed(server, upstream):
    gone = upstream()
    gone.refuse()
    peers = "upstream app { server 127.0.0.1:%d max_fails=1 fail_timeout=1000; server 127.0.0.1:%d down; }" % (gone.port, gone.port)
    conf = CONF.replace("PASS", "proxy_pass http://app;")
    s = start(server, "circuit_breaker", "circuit", lambda text: text.replace('"app"', '"app", { failures = 3 }'), more=peers, conf=conf)
    assert [get(s.port, "/").status for _ in range(4)] == [502] * 3 + [503]
    s.wait_for_log("opens: 3 failures one after another")
    s.wait_for_log("no live upstreams")


def policy_service(upstream, answer):
    def reply(request):
        result = answer(json.loads(request.body)["input"])
        return up.reply(200, json.dumps({"result": result}).encode())
    return upstream(up.serve(reply))


def authorized(server, upstream, answer, options=""):
    opa = policy_service(upstream, answer)
    u = upstream(up.serve(lambda r: up.reply(200, (r.header("x-user") or "-").encode())))
    s = start(server, "authorize", "authorization_decision",
              lambda text: text.replace("8181", str(opa.port)).replace("cache_s = 10", "cache_s = 10" + options), UP=u.port)
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


def test_a_denial_is_never_a_success(server, upstream):
    bad = ["0", "200", "204", "299", "600", "-1", "0.5", "403.5", '"0"', '"x"', "true", "null", "[]", "1e99", "100", '"nan"']
    opa = policy_service(upstream, lambda asked: {"allow": False, "status": json.loads(asked["query"]["status"])})
    u = upstream(up.serve(lambda r: up.reply(200, b"in")))
    s = start(server, "authorize", "authorization_decision", lambda text: text.replace("8181", str(opa.port)), UP=u.port)
    for _ in ("asked", "cached"):
        assert {x: get(s.port, "/?status=" + x).status for x in bad} == {x: 403 for x in bad}
        for status, wanted in (("401", 401), ('"451"', 451), ("302", 302), ("503", 503), ("404.0", 404)):
            assert get(s.port, "/?status=" + status).status == wanted
    assert len(u.requests) == 0


def test_words_of_an_answer_in_any_case(server, upstream):
    body = b'{"result":true}'
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n%s\r\nf\r\n" + body + b"\r\n0\r\n\r\n"
    sized = b"HTTP/1.%d 200 OK\r\nContent-Length: 15\r\n\r\n" + body
    opa = upstream([up.request(), up.send(chunked % b""), up.request(), up.send(chunked % b"Connection: x, Close\r\n"), up.hold()],
                   [up.request(), up.send(sized % 0), up.hold()], [up.request(), up.send(sized % 1), up.hold()])
    u = upstream(up.serve(lambda r: up.reply(200, b"x")))
    s = start(server, "authorize", "authorization_decision", lambda text: text.replace("8181", str(opa.port)), UP=u.port)
    assert [get(s.port, f"/{n}").status for n in range(4)] == [200] * 4
    assert len(opa.connections) == 3
    assert "no answer from" not in s.log()


def test_a_service_that_does_not_answer(server, upstream):
    s, opa, u = authorized(server, upstream, lambda asked: True)
    opa.refuse()
    assert get(s.port, "/").status == 503
    s.wait_for_log("authorize: no answer from .*connection refused")
    assert len(u.requests) == 0
    s, opa, u = authorized(server, upstream, lambda asked: True, ", fail_open = true")
    opa.refuse()
    assert get(s.port, "/").status == 200


def test_fields_of_the_service_are_not_the_clients(server, upstream):
    s, opa, u = authorized(server, upstream, lambda asked: True, ', clear_fields = { "X-User" }')
    assert get(s.port, "/", headers={"X-User": "root"}).body == b"-"


def test_a_kept_connection_that_broke_is_replaced(server, upstream):
    opa = upstream([up.request(), up.send(up.reply(200, b'{"result": true}')), up.request(), up.reset()],
                   [up.request(), up.send(up.reply(200, b'{"result": true}')), up.hold()])
    u = upstream(up.serve(lambda r: up.reply(200, b"x")))
    s = start(server, "authorize", "authorization_decision", lambda text: text.replace("8181", str(opa.port)), UP=u.port)
    assert [get(s.port, "/1").status, get(s.port, "/2").status] == [200, 200]
    assert len(opa.connections) == 2


def test_answers_that_are_none(server, upstream):
    bad = [b"junk\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
           b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n",
           b'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 15\r\n\r\n{"result":true}',
           b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200,
           up.reply(200, b"[]x"), up.reply(500, b'{"result": true}')]
    opa = upstream(*[[up.request(), up.send(data), up.close()] for data in bad])
    u = upstream(up.serve(lambda r: up.reply(200, b"x")))
    s = start(server, "authorize", "authorization_decision", lambda text: text.replace("8181", str(opa.port)), UP=u.port)
    assert [get(s.port, f"/{i}").status for i in range(len(bad))] == [503] * len(bad)
    assert len(u.requests) == 0
