# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""fault: requests that are held up, refused or answered slowly on purpose."""

import re
import signal
import time

import pytest

from lib import upstreams as up
from lib.client import Client, get, request
from lib.ports import TIME_SCALE, in_time, wait_until

CONF = """
events {}
http {
    log_format faults "$request_uri $status $fault $fail_reason";
    access_log %%PREFIX%%/logs/access.log faults;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { fault { %%FAULT%% } proxy_pass http://127.0.0.1:%%UP%%; }
        location /none { fault {} proxy_pass http://127.0.0.1:%%UP%%; }
        location /metrics { metrics; }
        location /file { fault { rate 2k; } root %%PREFIX%%; }
    }
}
"""
ANSWER = up.serve(lambda request: up.reply(200, "ok"))
DELAY = "x-envoy-fault-delay-request"
ABORT = "x-envoy-fault-abort-request"
GRPC = "x-envoy-fault-abort-grpc-request"
RATE = "x-envoy-fault-throughput-response"


@pytest.fixture
def faulty(server, upstream):
    return lambda fault, **more: server(CONF, FAULT=fault, UP=upstream(ANSWER).port, **more)


def timed(port, path="/", **how):
    begin = time.monotonic()
    got = get(port, path, **how)
    return got, time.monotonic() - begin


def log_of(s, lines=1):
    return wait_until(lambda: len(s.read("logs/access.log").splitlines()) >= lines and s.read("logs/access.log").splitlines(), 5, "the log")


def faults(s, kind):
    found = re.search(rf'fairlead_http_faults_total\{{kind="{kind}"\}} (\d+)', get(s.port, "/metrics").text)
    return int(found.group(1)) if found else 0


def test_a_delay(faulty):
    s = faulty("delay 1500ms;")
    got, seconds = timed(s.port)
    assert (got.status, got.text) == (200, "ok") and seconds > 1.4
    in_time(1.5, lambda: is_not_held_up(s))
    assert log_of(s, 2)[:2] == ["/ 200 delay -", "/none 200 - -"]
    assert faults(s, "delay") == 1


def is_not_held_up(s):
    got, seconds = timed(s.port, "/none")
    assert (got.status, got.text) == (200, "ok") and seconds < 1.5


def test_an_abort_reaches_no_upstream(server, upstream):
    u = upstream(ANSWER)
    s = server(CONF, FAULT="abort 503;", UP=u.port)
    got = get(s.port, "/")
    assert (got.status, got.text) == (503, "fault injected\n")
    assert log_of(s) == ["/ 503 abort FI"]
    assert faults(s, "abort") == 1 and not u.requests


def test_delay_then_abort(faulty):
    s = faulty("abort 429; delay 200ms;")
    got, seconds = timed(s.port)
    assert got.status == 429 and seconds > 0.19
    assert log_of(s) == ["/ 429 delay,abort FI"]


def test_an_abort_of_grpc(faulty):
    s = faulty("grpc_abort 14;")
    got = request(s.port, "POST", "/", body="", headers={"Content-Type": "application/grpc"})
    assert (got.status, got.header("Content-Type"), got.header("grpc-status"), got.header("grpc-message")) == (
        200, "application/grpc", "14", "fault injected")
    assert got.text == ""


def test_a_rate(faulty):
    s = faulty("")
    s.write("file", b"x" * 4096)
    got, seconds = timed(s.port, "/file")
    assert got.text == "x" * 4096 and seconds >= 0.8  # a second's worth at once, the other 2 KiB in a second
    assert log_of(s) == ["/file 200 rate -"]


def test_percentages(faulty):
    s = faulty("abort 503 25%;")
    with Client(s.port) as client:
        statuses = [client.get("/").status for _ in range(400)]
    # 100 are expected; six standard deviations are 52.
    assert 48 < statuses.count(503) < 152 and statuses.count(200) == 400 - statuses.count(503)


@pytest.mark.parametrize("fault, fields, status, least_s", [
    ("headers on;", {ABORT: "418"}, 418, 0),
    ("headers on;", {DELAY: "300"}, 200, 0.3),
    ("headers on;", {DELAY: "200", ABORT: "500"}, 500, 0.2),
    ("headers on;", {ABORT: "418", ABORT + "-percentage": "0"}, 200, 0),
    ("headers on; abort 503;", {ABORT: "418"}, 418, 0),            # the request goes before the configuration
    ("headers on; abort 503;", {}, 503, 0),
    ("headers on;", {ABORT: "199"}, 200, 0),                       # not a status
    ("headers on;", {ABORT: "600"}, 200, 0),
    ("headers on;", {ABORT: "5x"}, 200, 0),
    ("headers on;", {DELAY: "-1"}, 200, 0),
    ("headers on; max_delay 200ms;", {DELAY: "3600000"}, 200, 0.2),
    ("headers off;", {ABORT: "418", DELAY: "60000"}, 200, 0),
    ("", {ABORT: "418", DELAY: "60000"}, 200, 0),
])
def test_requests_may_ask_for_it(faulty, fault, fields, status, least_s):
    s = faulty(fault)
    got, seconds = timed(s.port, headers=fields)
    assert got.status == status and least_s <= seconds < least_s + 2 * TIME_SCALE


def test_a_request_may_ask_for_a_status_of_grpc_and_for_a_rate(faulty):
    s = faulty("headers on;")
    assert get(s.port, "/", headers={GRPC: "0"}).header("grpc-status") == "0"
    assert get(s.port, "/", headers={GRPC: "17"}).header("grpc-status") is None
    assert get(s.port, "/", headers={GRPC: "5", ABORT: "501"}).status == 501
    assert get(s.port, "/", headers={RATE: "1"}).text == "ok"
    assert [line.split()[2] for line in log_of(s, 4)] == ["abort", "-", "abort", "rate"]


def test_the_share_of_those_that_may_ask_is_capped(faulty):
    s = faulty("headers 25%;")
    with Client(s.port) as client:
        statuses = [client.get("/", headers={ABORT: "418", ABORT + "-percentage": "90"}).status for _ in range(400)]
    assert 48 < statuses.count(418) < 152


@pytest.mark.parametrize("target, status", [("/?fault=1", 503), ("/?fault=0", 200), ("/", 200)])
def test_a_condition(faulty, target, status):
    assert get(faulty("abort 503; if $arg_fault;").port, target).status == status


def test_no_more_than_max_active_at_a_time(faulty):
    s = faulty("delay 60s; max_active 2; abort 503;")
    held = [Client(s.port) for _ in range(2)]
    for client in held:
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    wait_until(lambda: faults(s, "delay") == 2, 5, "two delayed requests")
    got, seconds = timed(s.port)
    assert got.status == 200 and seconds < 30
    assert faults(s, "overflow") == 1
    for client in held:  # a client that goes away ends its delay
        client.close()
    wait_until(lambda: len(log_of(s)) >= 3 and all(" 499 " in line for line in log_of(s, 3)[-2:]), 5, "the end of the delays")
    with Client(s.port) as client:
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_until(lambda: faults(s, "delay") == 3, 5, "room for another")


def test_a_fast_end_does_not_wait_for_delays(faulty):
    s = faulty("delay 60s;")
    with Client(s.port) as client:
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_until(lambda: faults(s, "delay") == 1, 5, "the delayed request")
        s.signal(signal.SIGTERM)
        assert s.wait() == 0
