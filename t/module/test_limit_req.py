# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""limit_req: a rate per key over all workers; what exceeds it waits, and what exceeds the burst is refused."""

import concurrent.futures
import time

import pytest

from lib.client import Client, get
from lib.ports import wait_until

# One request a minute: within a test no bucket drains by as much as one request.
CONF = """
worker_processes 2;
events {}
http {
    limit_req_zone $arg_k zone=slow:64k rate=1r/m;
    limit_req_zone $arg_other zone=other:64k rate=1r/m;
    limit_req_zone $arg_k zone=fast:64k rate=2;  # a second, if nothing is said
    limit_req_zone $arg_k zone=steady:64k rate=40r/m;
    limit_req_zone $http_x_key zone=field:64k rate=1r/m;
    limit_req_zone $arg_k zone=full:32k rate=1r/m;
    large_client_header_buffers 4 16k;
    keepalive_requests 10000;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        add_header X-Status $limit_req_status always;
        location /none { limit_req zone=slow; try_files /x =204; }
        location /burst { limit_req zone=slow burst=2 nodelay; try_files /x =204; }
        location /full { limit_req zone=full; try_files /x =204; }
        location /code { limit_req zone=slow; limit_req_status 429; limit_req_log_level warn; try_files /x =204; }
        location /dry { limit_req zone=slow; limit_req_dry_run on; try_files /x =204; }
        location /both { limit_req zone=slow burst=9 nodelay; limit_req zone=other; try_files /x =204; }
        location /wait { limit_req zone=steady burst=5; try_files /x =204; }
        location /partly { limit_req zone=fast burst=5 delay=2; try_files /x =204; }
        location /waits/dry { limit_req zone=fast burst=5; limit_req_dry_run on; try_files /x =204; }
        location /long { limit_req zone=slow burst=5; limit_req_dry_run off; try_files /x =204; }
        location /again { limit_req zone=field; error_page 404 = /again/page; try_files /x =404; }
        location /again/page { limit_req zone=field; try_files /x =204; }
    }
}
"""


@pytest.fixture
def s(server):
    return server(CONF, allow_log=[r'limit_req "slow" uses the'])


def statuses(s, target, count):
    return [get(s.port, target).status for _ in range(count)]


def test_without_burst_the_second_is_refused(s):
    assert statuses(s, "/none?k=a", 3) == [204, 503, 503]
    s.wait_for_log(r'\[error\] .* limiting requests, excess: (1.000|0.9\d\d) by zone "slow", client: 127.0.0.1')
    assert statuses(s, "/none?k=b", 1) == [204], "another key"
    assert statuses(s, "/none", 5) == [204] * 5, "an empty key is not limited"


def test_burst(s):
    assert statuses(s, "/burst?k=a", 5) == [204, 204, 204, 503, 503]


def test_status_and_level(s):
    replies = [get(s.port, "/code?k=a") for _ in range(2)]
    assert [(r.status, r.header("X-Status")) for r in replies] == [(204, "PASSED"), (429, "REJECTED")]
    s.wait_for_log(r"\[warn\] .* limiting requests")


def test_dry_run(s):
    replies = [get(s.port, "/dry?k=a") for _ in range(2)]
    assert [(r.status, r.header("X-Status")) for r in replies] == [(204, "PASSED"), (204, "REJECTED_DRY_RUN")]
    s.wait_for_log(r'limiting requests, dry run, excess: .* by zone "slow"')
    wait_until(lambda: get(s.port, "/waits/dry?k=a").header("X-Status") == "DELAYED_DRY_RUN", 5, "two within half a second")
    s.wait_for_log(r'\[warn\] .* delaying request, dry run, excess: .*, by zone "fast"')


def test_a_refusal_by_one_limit_fills_no_other_bucket(s):
    assert statuses(s, "/both?k=a&other=x", 4) == [204, 503, 503, 503]
    assert statuses(s, "/burst?k=a", 3) == [204, 204, 503], "of the ten only the first one counted here"


def test_requests_above_the_rate_wait_their_turn(s):
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: get(s.port, "/wait?k=a", seconds=20), range(4)))
    took = time.monotonic() - began
    assert [r.status for r in replies] == [204] * 4 and took >= 4.4, "three of them came at 1500, 3000 and 4500 ms"
    assert sorted(r.header("X-Status") for r in replies) == ["DELAYED"] * 3 + ["PASSED"]
    s.wait_for_log(r'\[warn\] .* delaying request, excess: .*, by zone "steady"')


def test_delay_says_from_where_on(s):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: get(s.port, "/partly?k=p"), range(4)))
    assert sorted(r.header("X-Status") for r in replies).count("PASSED") >= 3


def test_a_client_that_leaves_while_it_waits(s):
    assert get(s.port, "/long?k=a").status == 204
    with Client(s.port) as client:
        client.send(b"GET /long?k=a HTTP/1.1\r\nHost: a\r\n\r\n")
        s.wait_for_log("delaying request")
        client.reset()
    s.wait_for_log("client prematurely closed connection")


def test_a_request_is_asked_once(s):
    assert [get(s.port, "/again", headers={"X-Key": "a"}).status for _ in range(2)] == [204, 503]


def test_buckets_survive_a_reload(s):
    assert statuses(s, "/none?k=r", 2) == [204, 503]
    s.reload(CONF.replace("worker_processes 2", "worker_processes 1"))
    assert statuses(s, "/none?k=r", 1) == [503]


def test_a_zone_keeps_its_key(s):
    """What it holds is by that key; with another size it begins anew."""
    assert statuses(s, "/none?k=r", 2) == [204, 503]
    s.set_conf(CONF.replace("$arg_k zone=slow:64k", "$arg_j zone=slow:64k"))
    told = s.run("-s", "reload")
    assert told.returncode == 1
    assert 'reload failed: limit_req "slow" uses the "$arg_j" key while previously it used the "$arg_k" key' in told.stderr
    assert statuses(s, "/none?k=r&j=x", 1) == [503]
    s.set_conf(CONF.replace("$arg_k zone=slow:64k", "$arg_j zone=slow:128k"))
    told = s.run("-s", "reload")
    assert told.returncode == 0, told.stderr
    assert statuses(s, "/none?k=r&j=x", 2) == [204, 503]


def test_a_full_zone_forgets_the_oldest(s):
    """64k hold some hundred keys."""
    with Client(s.port) as client:
        for i in range(1500):
            assert client.get(f"/none?k={i}").status == 204
        assert client.get("/none?k=1499").status == 503
        assert client.get("/none?k=0").status == 204


def test_a_zone_without_room_for_a_key_is_an_alert(server):
    """The oldest few that make room do not make enough for a key as long as this one."""
    s = server(CONF, allow_log=[r"\[alert\] .* could not allocate node in limit_req zone"])
    with Client(s.port) as client:
        for i in range(1500):
            assert client.get(f"/full?k={i}").status == 204
        assert client.get("/full?k=" + "y" * 3000).status == 503
    s.wait_for_log(r'\[alert\] .* could not allocate node in limit_req zone "full", client: 127.0.0.1')
    assert "limiting requests" not in s.log()
