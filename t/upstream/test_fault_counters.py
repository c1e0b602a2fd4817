# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The matrix of upstream faults: for each its status, log line, decision about another try, and what the counters say."""

import re
import threading

import pytest

from lib import exposition
from lib import upstreams as up
from lib.client import Client, get
from lib.ports import wait_until

CONF = """
events {}
http {
    log_format tried '$status|$upstream_status|$upstream_fail_reason|$fail_reason';
    access_log %%PREFIX%%/logs/tried.log tried;
    upstream pair { server 127.0.0.1:%%BAD%% max_fails=1 fail_timeout=60s; server 127.0.0.1:%%GOOD%% backup; }
    proxy_read_timeout %%WAIT%%;
    proxy_buffer_size 1k; proxy_buffers 4 1k; proxy_busy_buffers_size 2k; proxy_temp_file_write_size 2k;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name matrix;
        location / { proxy_next_upstream error timeout invalid_header; proxy_pass http://pair; }
        location /once { proxy_next_upstream off; proxy_pass http://pair; }
        location = /metrics { access_log off; metrics; }
    }
}
"""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"
SEEN = object()  # a step: waits until the client has seen the beginning of the body
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# What the peer does; status without another try; whether there is another one; line; reason; class of the first try.
FAULTS = {
    "refused": (None, 502, True, r"connect\(\) failed \(111: Connection refused\) while connecting to upstream", "UF", "5xx"),
    "reset before the head": ([up.request(), up.reset()], 502, True, r"recv\(\) failed \(104.* while reading response header", "UR", "5xx"),
    "reset in the head": ([up.request(), up.send(b"HTTP/1.1 200"), up.sleep(0.05), up.reset()], 502, True, r"recv\(\) failed \(104", "UR",
                          "5xx"),
    "closed before the head": ([up.request(), up.close()], 502, True, "upstream prematurely closed connection while reading response h",
                               "UC", "5xx"),
    "silent": ([up.request(), up.hold()], 504, True, r"upstream timed out \(110.* while reading response header", "UT", "5xx"),
    "slow head": ([up.request(), up.send_slowly(HEAD, 1, 0.1), up.hold()], 504, True, r"upstream timed out \(110.* header", "UT", "5xx"),
    "malformed": ([up.request(), up.send(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n")], 502, True, "upstream sent invalid header", "DPE", "5xx"),
    "two lengths": ([up.request(), up.send(HEAD[:-2] + b"Content-Length: 8\r\n\r\n")], 502, True, "upstream sent duplicate header", "DPE",
                    "5xx"),
    "oversized header": ([up.request(), up.send(up.reply(200, b"x", {"X": "y" * 2000}))], 502, True, "upstream sent too big header", "DPE",
                         "5xx"),
    "truncated": ([up.request(), up.send(HEAD + b"half"), up.close()], 200, False, "upstream prematurely closed connection while reading u",
                  "UC", "2xx"),
    "reset in the body": ([up.request(), up.send(HEAD + b"half"), SEEN, up.reset()], 200, False,
                          r"recv\(\) failed \(104: .*\) while reading upstream", "UR", "2xx"),
    "silent body": ([up.request(), up.send(HEAD + b"half"), up.hold()], 200, False, r"upstream timed out \(110.* while reading upstream",
                    "UT", "2xx"),
    "malformed chunk": ([up.request(), up.send(CHUNKS + b"4\r\nhalfx\r\n"), up.hold()], 200, False,
                        "upstream sent invalid chunked response", "DPE", "2xx"),
}


def metrics(s):
    return exposition.read(get(s.port, "/metrics", headers={"Host": "matrix"}).text)


def start(server, upstream, script, wait="60s"):
    bad = upstream(script) if script else up.Refused()
    good = upstream(up.serve(lambda r: up.reply(200, "good")))
    s = server(CONF, BAD=bad.port, GOOD=good.port, WAIT=wait)
    return s, f"127.0.0.1:{bad.port}", f"127.0.0.1:{good.port}", bad


def errors(s):
    return [line for line in s.log().split("\n") if "[error]" in line]


@pytest.mark.parametrize("again", [False, True], ids=["once", "again"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault(server, upstream, fault, again):
    script, status, retried, line, reason, first_class = FAULTS[fault]
    seen = threading.Event()  # that the client has what came before the fault
    script = script and [up.wait_for(seen) if step is SEEN else step for step in script]
    s, bad, good, peer = start(server, upstream, script, "2s" if reason == "UT" else "60s")
    retried = retried and again
    with Client(s.port) as c:
        c.send(f"GET {'/' if again else '/once'} HTTP/1.1\r\nHost: matrix\r\nConnection: close\r\n\r\n")
        while FAULTS[fault][0] and SEEN in FAULTS[fault][0] and b"half" not in c.received:
            c.reader.need()
        seen.set()
        c.read_until_close()
        got = c.received
    want = 200 if retried else status
    assert got.startswith(f"HTTP/1.1 {want} ".encode()) and (b"good" in got) == retried, got
    if first_class == "2xx":
        assert b"half" in got and not got.endswith(b"0\r\n\r\n")
    assert len(errors(s)) == 1 and re.search(line, errors(s)[0]), errors(s)
    first_status = 200 if first_class == "2xx" else status
    refused = reason if not retried else "-"
    wait_until(lambda: s.read("logs/tried.log"), 3, "the access log")
    twice, once = f"200|{first_status}, 200|{reason}, -|-\n", f"{want}|{first_status}|{reason}|{refused}\n"
    assert s.read("logs/tried.log") == (twice if retried else once)

    m = metrics(s)
    failed = first_class == "5xx"
    assert m[f'fairlead_upstream_tries_total{{upstream="pair",peer="{bad}",class="{first_class}"}}'] == 1
    assert m[f'fairlead_upstream_failures_total{{upstream="pair",peer="{bad}",reason="{reason}"}}'] == 1
    assert m.get(f'fairlead_upstream_retries_total{{upstream="pair",reason="{reason}"}}') == (1 if retried else None)
    assert m.get(f'fairlead_upstream_tries_total{{upstream="pair",peer="{good}",class="2xx"}}') == (1 if retried else None)
    assert m[f'fairlead_upstream_peer_up{{upstream="pair",peer="{bad}"}}'] == (0 if failed else 1)
    assert m[f'fairlead_upstream_peer_up{{upstream="pair",peer="{good}"}}'] == 1
    assert m[f'fairlead_upstream_peer_in_flight{{upstream="pair",peer="{bad}"}}'] == 0
    assert m[f'fairlead_http_requests_total{{server="matrix",class="{want // 100}xx"}}'] >= 1
    if not script:
        peer.stop()


def test_a_closed_idle_connection(server, upstream):
    """No line, no failure: the request goes out again, and the record of the stale try says so."""
    script = [up.request(), up.send(up.reply(200, "first")), up.request(), up.close()]
    bad = upstream(script, up.serve(lambda r: up.reply(200, "again")))
    good = upstream(up.serve(lambda r: up.reply(200, "good")))
    s = server(CONF, BAD=bad.port, GOOD=good.port, WAIT="60s")
    peer = f"127.0.0.1:{bad.port}"
    with Client(s.port) as c:
        assert [c.get("/", {"Host": "matrix"}).text for _ in range(2)] == ["first", "again"]
    assert not errors(s)
    m = metrics(s)
    assert m[f'fairlead_upstream_tries_total{{upstream="pair",peer="{peer}",class="2xx"}}'] == 2
    assert m[f'fairlead_upstream_failures_total{{upstream="pair",peer="{peer}",reason="UC"}}'] == 1
    assert m['fairlead_upstream_retries_total{upstream="pair",reason="UC"}'] == 1
    assert m[f'fairlead_upstream_peer_up{{upstream="pair",peer="{peer}"}}'] == 1
    assert not good.requests


def test_a_slow_reply_is_counted_by_its_time(server, upstream):
    s, bad, _, _ = start(server, upstream, [up.request(), up.sleep(0.25), up.send(HEAD + b"complete")])
    assert get(s.port, "/", {"Host": "matrix"}).text == "complete"
    m = metrics(s)
    assert m[f'fairlead_upstream_header_time_ms_count{{upstream="pair",peer="{bad}"}}'] == 1
    assert m[f'fairlead_upstream_header_time_ms_sum{{upstream="pair",peer="{bad}"}}'] >= 240
    assert m[f'fairlead_upstream_header_time_ms_bucket{{upstream="pair",peer="{bad}",le="100"}}'] == 0
    assert f'fairlead_upstream_failures_total{{upstream="pair",peer="{bad}",reason="UC"}}' not in m
