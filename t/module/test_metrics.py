# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""metrics: requests by server, tries by peer, times; the bound on series."""

import os
import signal
import threading

import pytest

from lib import exposition
from lib import upstreams as up
from lib.client import Client, get, post
from lib.ports import wait_until

CONF = """
events {}
http {
    %%HTTP%%
    upstream u { server 127.0.0.1:%%DEAD%% max_fails=0; server 127.0.0.1:%%UP%%; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name first;
        location /metrics { metrics; }
        location /no { return 404; }
        location /up { proxy_pass http://u; }
        location /named { proxy_pass http://127.0.0.$arg_n:1; }
        location / { return 200 "x"; }
    }
    server { listen 127.0.0.1:%%PORT_0%%; server_name second; }
}
"""


def start(server, upstream, http=""):
    dead = upstream([up.close()])
    dead.refuse()
    u = upstream(up.serve(lambda r: up.reply(200, r.target)))
    return server(CONF, HTTP=http, UP=u.port, DEAD=dead.port), u.port, dead.port


def metrics(s):
    """Sample (name with labels) to value."""
    reply = get(s.port, "/metrics", headers={"Host": "first"})
    assert reply.status == 200 and reply.header("content-type").startswith("text/plain; version=0.0.4")
    return exposition.read(reply.text)


def test_requests_are_counted_by_server_and_class(server, upstream):
    s, _, _ = start(server, upstream)
    for path, host in (("/", "first"), ("/", "first"), ("/no", "first"), ("/none", "second")):
        get(s.port, path, headers={"Host": host})
    m = metrics(s)
    assert m['fairlead_http_requests_total{server="first",class="2xx"}'] == 2
    assert m['fairlead_http_requests_total{server="first",class="4xx"}'] == 1
    assert m['fairlead_http_requests_total{server="second",class="4xx"}'] == 1
    assert m['fairlead_http_request_time_ms_count{server="first"}'] == 3
    assert m['fairlead_http_request_time_ms_bucket{server="first",le="+Inf"}'] == 3
    assert m['fairlead_http_sent_bytes_total{server="first"}'] > 300
    assert metrics(s)['fairlead_http_requests_total{server="first",class="2xx"}'] == 3


def test_tries_are_counted_by_peer(server, upstream):
    s, live, dead = start(server, upstream)
    for _ in range(4):
        assert get(s.port, "/up", headers={"Host": "first"}).status == 200
    m = metrics(s)
    assert m[f'fairlead_upstream_tries_total{{upstream="u",peer="127.0.0.1:{live}",class="2xx"}}'] == 4
    failed = m[f'fairlead_upstream_failures_total{{upstream="u",peer="127.0.0.1:{dead}",reason="UF"}}']
    assert failed >= 2
    assert m['fairlead_upstream_retries_total{upstream="u",reason="UF"}'] == failed
    assert m[f'fairlead_upstream_header_time_ms_count{{upstream="u",peer="127.0.0.1:{live}"}}'] == 4
    assert m[f'fairlead_upstream_peer_up{{upstream="u",peer="127.0.0.1:{live}"}}'] == 1
    assert m[f'fairlead_upstream_peer_in_flight{{upstream="u",peer="127.0.0.1:{live}"}}'] == 0


PEERS = """
worker_processes 2;
events {}
http {
    upstream u { zone u 64k; server 127.0.0.1:%%UP%% max_conns=1; server 127.0.0.1:%%DEAD%% down; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /metrics { metrics; }
        location / { proxy_pass http://u; }
    }
}
"""


def test_peers_are_shown_whichever_worker_answers(server, upstream):
    answers = threading.Event()
    u = upstream([up.request(), up.wait_for(answers), up.send(up.reply(200, "x"))])
    s = server(PEERS, UP=u.port, DEAD=1)

    def up_of(port):
        return exposition.read(get(s.port, "/metrics").text)[f'fairlead_upstream_peer_up{{upstream="u",peer="127.0.0.1:{port}"}}']
    for _ in range(8):
        assert (up_of(u.port), up_of(1)) == (1, 0), "before any traffic"
    with Client(s.port) as client:
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        u.wait_requests(1)
        assert up_of(u.port) == 1, "all its connections are in use: it is well"
        answers.set()
        assert client.read_reply().status == 200


def test_tries_of_subrequests_are_counted_but_are_no_requests(server, upstream):
    text = "0123456789" * 10

    def part(asked):
        first, last = (int(n) for n in asked.header("Range").partition("=")[2].split("-"))
        body = text[first:last + 1]
        return up.reply(206, body, headers={"Content-Range": f"bytes {first}-{first + len(body) - 1}/{len(text)}"})
    parts, asked = upstream(up.serve(part)), upstream(up.serve(lambda r: up.reply(204, b"")))
    silent = upstream([up.head(), up.hold()])
    s = server("""
        events {}
        http {
            upstream parts { server 127.0.0.1:%%PARTS%%; }
            upstream asked { server 127.0.0.1:%%ASKED%%; }
            upstream policy { server 127.0.0.1:%%ASKED%%; }
            upstream silent { server 127.0.0.1:%%SILENT%%; }
            server {
                listen 127.0.0.1:%%PORT_0%%;
                server_name first;
                location /metrics { metrics; }
                location /sliced { slice 30; proxy_set_header Range $slice_range; proxy_pass http://parts; }
                location /auth { auth_request /asked; try_files /none =404; }
                location /logged { log_subrequest on; auth_request /asked; try_files /none =404; }
                location /policy { ext_authz http://policy; ext_authz_timeout 20s; try_files /none =404; }
                location /mirrored { mirror /asked; try_files /none =404; }
                location /timed { auth_request /silent; auth_request_timeout 200ms; try_files /none =404; }
                location = /asked { internal; proxy_pass http://asked; }
                location = /silent { internal; proxy_pass http://silent; }
            }
        }
        """, PARTS=parts.port, ASKED=asked.port, SILENT=silent.port)
    assert get(s.port, "/sliced").text == text
    for path in ("/auth", "/logged", "/policy", "/mirrored", "/timed"):
        get(s.port, path)

    def tries(group, number, port):
        return metrics(s).get(f'fairlead_upstream_tries_total{{upstream="{group}",peer="127.0.0.1:{port}",class="{number}"}}')
    assert tries("parts", "2xx", parts.port) == 4
    wait_until(lambda: tries("asked", "2xx", asked.port) == 3, 5, "the copy's end")
    assert tries("policy", "2xx", asked.port) == 1
    assert tries("silent", "none", silent.port) == 1
    served = [value for name, value in metrics(s).items() if name.startswith("fairlead_http_requests_total") and "2xx" not in name]
    assert sum(served) == 5


def test_peers_with_the_same_address_have_one_series(server, upstream):
    u = upstream([up.head(), up.hold()], up.serve(lambda r: up.reply(200, "x")))
    s = server(CONF.replace("%%DEAD%% max_fails=0;", "%%UP%%; server 127.0.0.1:%%UP%% down;"), HTTP="", UP=u.port)
    with Client(s.port) as waiting:
        waiting.send(b"GET /up HTTP/1.1\r\nHost: first\r\n\r\n")
        u.wait_requests(1)
        lines = get(s.port, "/metrics", headers={"Host": "first"}).text.splitlines()
        assert [line.split()[-1] for line in lines if line.startswith('fairlead_upstream_peer_up{upstream="u"')] == ["1"]
        assert [line.split()[-1] for line in lines if line.startswith('fairlead_upstream_peer_in_flight{upstream="u"')] == ["1"]


def test_series_beyond_the_bound_are_counted_together(server, upstream):
    s, _, _ = start(server, upstream, "metrics_max_series 1;")
    for path, host in (("/", "first"), ("/no", "first"), ("/none", "second")):
        get(s.port, path, headers={"Host": host})
    m = metrics(s)
    requests = {name: value for name, value in m.items() if name.startswith("fairlead_http_requests_total")}
    assert requests == {'fairlead_http_requests_total{server="other",class="other"}': 3}


def test_a_peer_beyond_the_bound_is_not_remembered(server, upstream):
    """Whoever may name peers could fill the memory with them. What a worker remembers of one it has looked up, and what it looks up is
    counted; here that is the reason of the failure alone, which is looked up each time."""
    s, _, _ = start(server, upstream, "metrics_max_series 2;")

    def folded_by(numbers):
        before = metrics(s)["fairlead_metrics_folded_total"]
        for number in numbers:
            assert get(s.port, f"/named?n={number}", headers={"Host": "first"}).status == 502
        return metrics(s)["fairlead_metrics_folded_total"] - before

    folded_by(range(1, 4))
    assert folded_by(range(4, 14)) == 10
    m = metrics(s)
    assert m['fairlead_upstream_tries_total{upstream="other",peer="other",class="other"}'] + sum(
        value for name, value in m.items() if name.startswith("fairlead_upstream_tries_total") and "127.0.0." in name) == 13


def test_counts_survive_a_reload(server, upstream):
    s, _, _ = start(server, upstream)
    get(s.port, "/", headers={"Host": "first"})
    s.reload()
    assert metrics(s)['fairlead_http_requests_total{server="first",class="2xx"}'] == 1


def test_openmetrics_and_other_methods(server, upstream):
    s, _, _ = start(server, upstream)
    for _ in range(3):
        get(s.port, "/up", headers={"Host": "first"})
    reply = get(s.port, "/metrics", headers={"Host": "first", "Accept": "application/openmetrics-text"})
    assert reply.header("content-type") == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    m = exposition.read(reply.text, openmetrics=True)
    assert m['fairlead_http_requests_total{server="first",class="2xx"}'] == 3
    assert post(s.port, "/metrics", b"x").status == 405


ODD = """
events {}
http {
    server { listen 127.0.0.1:%%PORT_0%%; server_name 'quo"te' first; location / { return 200; } location = /metrics { metrics; } }
    server { listen 127.0.0.1:%%PORT_0%%; server_name ""; location / { return 200; } }
    server { listen 127.0.0.1:%%PORT_0%%; server_name é.test; location / { return 200; } }
}
"""


def test_odd_names_leave_the_text_whole(server):
    s = server(ODD)
    for host in ("first", "\xc3\xa9.test", "nobody"):
        get(s.port, "/", headers={"Host": host})
    for accept, openmetrics in (("text/plain;version=0.0.4", False), ("application/openmetrics-text", True)):
        reply = get(s.port, "/metrics", headers={"Host": "first", "Accept": accept})
        m = exposition.read(reply.body.decode("utf-8"), openmetrics)
        assert any(name.startswith('fairlead_http_requests_total{server="quo\\"te"') for name in m), m


def test_counts_are_those_of_all_workers_and_outlive_a_killed_one(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, r.target)))
    dead = up.Refused()
    s = server(CONF.replace("events {}", "worker_processes 2;\nevents {}"), HTTP="", UP=u.port, DEAD=dead.port,
               allow_log=[r"\[alert\].*exited on signal 9"])
    workers = s.wait_workers(2)
    requests = 'fairlead_http_requests_total{server="first",class="2xx"}'
    for _ in range(40):
        get(s.port, "/", headers={"Host": "first"})
    assert metrics(s)[requests] == 40
    os.kill(workers[0], signal.SIGKILL)
    wait_until(lambda: workers[0] not in s.workers() and len(s.workers()) == 2, 5, "a new worker")
    after = metrics(s)
    assert after[requests] == 41  # with the scrape before this one
    assert after["fairlead_connections_accepted_total"] == 42 and after["fairlead_connections_active"] == 1
    dead.stop()


def test_gauges_forget_a_killed_worker(server, upstream):
    gate = threading.Event()
    u = upstream([up.request(), up.wait_for(gate), up.send(up.reply(200))])
    dead = up.Refused()
    s = server(CONF.replace("upstream u {", "upstream u { zone u 256k;").replace("events {}", "worker_processes 2;\nevents {}"), HTTP="",
               UP=u.port, DEAD=dead.port, allow_log=[r"\[alert\].*exited on signal 9"])
    workers = s.wait_workers(2)
    in_flight = f'fairlead_upstream_peer_in_flight{{upstream="u",peer="127.0.0.1:{u.port}"}}'
    with Client(s.port) as c:
        c.send(b"GET /up HTTP/1.1\r\nHost: first\r\n\r\n")
        u.wait_requests(1)
        wait_until(lambda: metrics(s).get(in_flight) == 1, 10, "the try in flight")
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(set(s.workers()) - set(workers)) == 2, 5, "new workers")
        gate.set()
    get(s.port, "/up", headers={"Host": "first"})
    assert all(metrics(s).get(in_flight, 0) == 0 for _ in range(10))
    dead.stop()


@pytest.mark.parametrize("line, reason", [("metrics_max_series 0;", 'invalid value "0"'), ("metrics_max_series 2000000;", "invalid value"),
                                          ("metrics_max_series x;", '"metrics_max_series" directive invalid number')])
def test_the_bound_is_checked(idle_server, line, reason):
    s = idle_server(CONF, HTTP=line, UP=1, DEAD=2)
    done = s.run("-t")
    assert done.returncode == 1 and reason in done.stderr
