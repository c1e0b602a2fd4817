# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""metrics: requests by server, tries by peer, times; the bound on series."""

from lib import upstreams as up
from lib.client import get, post

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
        location / { return 200 "x"; }
    }
    server { listen 127.0.0.1:%%PORT_0%%; server_name second; }
}
"""


def start(server, upstream, http=""):
    dead = upstream([up.close()])
    dead.stop()
    u = upstream(up.serve(lambda r: up.reply(200, r.target)))
    return server(CONF, HTTP=http, UP=u.port, DEAD=dead.port), u.port, dead.port


def metrics(s):
    """Sample (name with labels) to value."""
    reply = get(s.port, "/metrics", headers={"Host": "first"})
    assert reply.status == 200 and reply.header("content-type").startswith("text/plain; version=0.0.4")
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in reply.text.splitlines() if not line.startswith("#"))}


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


def test_series_beyond_the_bound_are_counted_together(server, upstream):
    s, _, _ = start(server, upstream, "metrics_max_series 1;")
    for path, host in (("/", "first"), ("/no", "first"), ("/none", "second")):
        get(s.port, path, headers={"Host": host})
    m = metrics(s)
    requests = {name: value for name, value in m.items() if name.startswith("fairlead_http_requests_total")}
    assert requests == {'fairlead_http_requests_total{server="other",class="other"}': 3}


def test_counts_survive_a_reload(server, upstream):
    s, _, _ = start(server, upstream)
    get(s.port, "/", headers={"Host": "first"})
    s.reload()
    assert metrics(s)['fairlead_http_requests_total{server="first",class="2xx"}'] == 1


def test_openmetrics_and_other_methods(server, upstream):
    s, _, _ = start(server, upstream)
    assert get(s.port, "/metrics", headers={"Accept": "application/openmetrics-text"}).text.endswith("# EOF\n")
    assert post(s.port, "/metrics", b"x").status == 405
