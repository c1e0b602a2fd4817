# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Which peer is tried next, when, and what stands in $upstream_*; peers that fail, are full, down or backups."""

import threading
import time

import pytest

from lib import upstreams as up
from lib.client import Client, get, post, request
from lib.ports import in_time, wait_until

CONF = """
events {}
http {
    upstream pool { server 127.0.0.1:%%A%% {a}; server 127.0.0.1:%%B%% {b}; {more} }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        {server}
        location / { proxy_pass http://pool; error_page 500 502 503 504 = /told; {location} }
        location = /told { return 200 "$upstream_status|$upstream_addr|$fail_reason"; }
    }
}
"""


def conf(**parts):
    text = CONF
    for name in ("a", "b", "more", "server", "location"):
        text = text.replace("{" + name + "}", parts.get(name, ""))
    return text


def errors(server, what="[error]"):
    return [line for line in server.log().split("\n") if what in line]


def always(status, content=b"x", **more):
    return up.serve(lambda r: up.reply(status, content, **more))


def ok(name):
    return up.serve(lambda r: up.reply(200, name))


@pytest.mark.parametrize("fault, listed", [
    ([up.request(), up.reset()], "error"), ([up.request(), up.close()], "error"), ([up.request(), up.hold()], "timeout"),
    ([up.request(), up.send(b"HTTP/1.1 200 OK\r\nbad\r\n\r\n")], "invalid_header"), (always(500), "http_500"), (always(502), "http_502"),
    (always(503), "http_503"), (always(504), "http_504"), (always(403), "http_403"), (always(404), "http_404"), (always(429), "http_429"),
])
def test_a_listed_case_tries_the_next_peer(server, upstream, fault, listed):
    bad, good = upstream(fault), upstream(ok("good"))
    wait = "proxy_read_timeout 2s;" if listed == "timeout" else ""
    s = server(conf(location=f"{wait} proxy_next_upstream {listed}; add_header X-Tries $upstream_status always;"), A=bad.port, B=good.port)
    assert get(s.port, "/").text == "good"
    assert len(bad.requests) == 1 and len(good.requests) == 1


@pytest.mark.parametrize("fault, status", [([up.request(), up.reset()], "502"), ([up.request(), up.hold()], "504")])
def test_what_is_not_listed_is_answered_at_once(server, upstream, fault, status):
    bad, good = upstream(fault), upstream(ok("good"))
    wait = "proxy_read_timeout 1s;" if status == "504" else ""
    s = server(conf(location=wait + "proxy_next_upstream http_500;"), A=bad.port, B=good.port)
    assert get(s.port, "/").text.startswith(f"{status}|127.0.0.1:{bad.port}|")
    assert not good.requests


def test_a_status_that_is_not_listed_is_the_reply(server, upstream):
    bad, good = upstream(always(503, b"mine")), upstream(ok("good"))
    s = server(conf(), A=bad.port, B=good.port)
    reply = get(s.port, "/")
    assert (reply.status, reply.body) == (503, b"mine") and not good.requests


def test_the_last_reply_is_passed_on_when_all_were_tried(server, upstream):
    one, two = upstream(always(503, b"one")), upstream(always(503, b"two"))
    s = server(conf(a="max_fails=0", b="max_fails=0", location="proxy_next_upstream http_503;"), A=one.port, B=two.port)
    reply = get(s.port, "/")
    assert (reply.status, reply.body) == (503, b"two")
    assert len(one.requests) == len(two.requests) == 1


def test_a_peer_that_is_down_does_not_turn_the_last_reply_into_no_live_upstreams(server, upstream):
    one, two = upstream(always(503, b"one")), upstream(ok("never"))
    s = server(conf(b="down", location="proxy_next_upstream http_503;"), A=one.port, B=two.port)
    assert get(s.port, "/").body == b"one"
    assert not two.requests and not errors(s)


@pytest.mark.parametrize("method, retried", [("GET", True), ("PUT", True), ("DELETE", True), ("POST", False), ("PATCH", False), ("LOCK",
    False)])
def test_what_was_sent_is_only_repeated_if_that_is_safe(server, upstream, method, retried):
    bad, good = upstream([up.request(), up.close()]), upstream(ok("good"))
    s = server(conf(), A=bad.port, B=good.port)
    reply = request(s.port, method, "/", body=b"data" if method != "GET" else None)
    assert reply.text == "good" if retried else reply.text == f"502|127.0.0.1:{bad.port}|non_idempotent"
    assert len(good.requests) == (1 if retried else 0)


def test_non_idempotent_repeats_a_post_with_its_body(server, upstream):
    bad, good = upstream([up.request(), up.close()]), upstream(ok("good"))
    s = server(conf(location="proxy_next_upstream error non_idempotent;"), A=bad.port, B=good.port)
    assert post(s.port, "/", b"data" * 9000).text == "good"
    assert good.last.body == b"data" * 9000


def test_a_post_that_could_not_even_connect_goes_to_the_next(server, upstream):
    refused, good = up.Refused(), upstream(ok("good"))
    s = server(conf(), A=refused.port, B=good.port)
    assert post(s.port, "/", b"data").text == "good" and good.last.body == b"data"
    refused.stop()


def test_a_failed_post_with_a_listed_404_passes_the_reply_itself_on(server, upstream):
    one, two = upstream(always(404, b"own page")), upstream(ok("two"))
    s = server(conf(location="proxy_next_upstream http_404;"), A=one.port, B=two.port)
    reply = post(s.port, "/", b"x")
    assert (reply.status, reply.body) == (404, b"own page")


def test_tries_bound_the_peers_that_are_asked(server, upstream):
    three = [upstream(always(503, n)) for n in (b"1", b"2", b"3")]
    s = server(conf(a="max_fails=0", b="max_fails=0", more=f"server 127.0.0.1:{three[2].port} max_fails=0;",
                    location="proxy_next_upstream http_503; proxy_next_upstream_tries 2;"), A=three[0].port, B=three[1].port)
    assert get(s.port, "/").body == b"2"
    assert [len(u.requests) for u in three] == [1, 1, 0]


def test_tries_count_backups_too(server, upstream):
    three = [upstream(always(503, n)) for n in (b"1", b"2", b"3")]
    s = server(conf(a="max_fails=0", b="max_fails=0 backup", more=f"server 127.0.0.1:{three[2].port} backup;",
                    location="proxy_next_upstream http_503; proxy_next_upstream_tries 2;"), A=three[0].port, B=three[1].port)
    assert get(s.port, "/").body == b"2"


def test_no_try_begins_after_the_time_for_tries(server, upstream):
    slow, good = upstream([up.request(), up.hold()]), upstream(ok("good"))
    s = server(conf(location="proxy_read_timeout 1s; proxy_next_upstream_timeout 100ms;"), A=slow.port, B=good.port)
    assert get(s.port, "/").text == f"504|127.0.0.1:{slow.port}|timeout"
    assert not good.requests


def test_404_does_not_mark_a_peer_failed_and_500_does(server, upstream):
    for status, asked in ((404, 3), (500, 1)):
        bad, good = upstream(always(status)), upstream(ok("good"))
        s = server(conf(a="max_fails=1 fail_timeout=30", location=f"proxy_next_upstream http_{status};"), A=bad.port, B=good.port)
        for _ in range(6):
            assert get(s.port, "/").text == "good"
        assert len(bad.requests) == asked, status


def test_a_failed_peer_rests_for_fail_timeout(server, upstream):
    refused, good = up.Refused(), upstream(ok("good"))
    s, began = in_time(3, lambda: rests(server, refused, good))

    def is_tried_again():
        assert get(s.port, "/").text == "good"
        return len(errors(s)) == 2
    wait_until(is_tried_again, 20, "another try")
    assert time.monotonic() - began > 2.9
    refused.stop()


def rests(server, refused, good):
    s, began = server(conf(a="fail_timeout=3"), A=refused.port, B=good.port), time.monotonic()
    for _ in range(4):
        assert get(s.port, "/").text == "good"
    assert len(errors(s)) == 1 and len(errors(s, "upstream server temporarily disabled while connecting to upstream")) == 1
    return s, began


def test_all_failed_is_no_live_upstreams(server, upstream):
    one, two = up.Refused(), up.Refused()
    s = server(conf(), A=one.port, B=two.port)
    assert get(s.port, "/").text == f"502, 502|127.0.0.1:{one.port}, 127.0.0.1:{two.port}|tries"
    assert get(s.port, "/a").text == "502|pool|UH"
    assert any('no live upstreams while connecting to upstream, client: 127.0.0.1, server: , request: "GET /a HTTP/1.1", '
               'upstream: "http://pool/a"' in line for line in errors(s))
    one.stop(), two.stop()


def test_a_single_peer_is_never_disabled(server, upstream):
    refused = up.Refused()
    s = server(conf().replace("server 127.0.0.1:%%B%% ;", ""), A=refused.port)
    for _ in range(3):
        assert get(s.port, "/").text == f"502|127.0.0.1:{refused.port}|tries"
    refused.stop()


def test_max_conns_skips_a_full_peer_and_then_takes_the_backup(server, upstream):
    held = threading.Event()
    full = upstream([up.request(), up.wait_for(held), up.send(up.reply(200, "full"))])
    backup = upstream(ok("backup"))
    s = server(conf(a="max_conns=1", b="backup"), A=full.port, B=backup.port)
    with Client(s.port) as first:
        first.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n")
        full.wait_requests(1)
        assert get(s.port, "/2").text == "backup"
        held.set()
        assert first.read_reply().text == "full"
    assert len(full.requests) == 1


def test_try_timeout_bounds_one_try_and_request_timeout_all(server, upstream):
    slow, good = upstream([up.request(), up.hold()]), upstream(ok("good"))
    s = server(conf(location="proxy_read_timeout 60s; proxy_try_timeout 1500ms;"), A=slow.port, B=good.port)
    began = time.monotonic()
    assert get(s.port, "/").text == "good"
    assert time.monotonic() - began > 1.4
    two = upstream([up.request(), up.hold()])
    s = server(conf(location="proxy_read_timeout 60s; proxy_try_timeout 1s; proxy_request_timeout 1900ms;"), A=slow.port, B=two.port)
    assert get(s.port, "/").text.startswith("504, ")
    assert len(errors(s)) == 2


def test_backoff_waits_before_the_next_try(server, upstream):
    refused, good = up.Refused(), upstream(ok("good"))
    s = server(conf(a="max_fails=0", location="proxy_retry_backoff base=200ms max=200ms;"), A=refused.port, B=good.port)
    took = 0
    for _ in range(8):
        began = time.monotonic()
        assert get(s.port, "/").text == "good"
        took += time.monotonic() - began
    assert took > 0.1
    refused.stop()


def test_an_unbuffered_body_cannot_be_given_again(server, upstream):
    bad, good = upstream([up.head(), up.body(), up.close()]), upstream(ok("good"))
    s = server(conf(location="proxy_request_buffering off; proxy_next_upstream error non_idempotent;"), A=bad.port, B=good.port)
    with Client(s.port) as c:
        c.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n")
        bad.wait_requests(1)
        c.send(b"data")
        assert c.read_reply().text == f"502|127.0.0.1:{bad.port}|body"
    # One that came with its head was never given away: it can.
    assert request(s.port, "PUT", "/", body=b"data").text == "good" and good.last.body == b"data"


def test_a_large_body_is_replayed_from_its_file(server, upstream):
    bad, good = upstream([up.request(), up.close()]), upstream(ok("good"))
    s = server(conf(server="client_max_body_size 0; client_body_buffer_size 1k;"), A=bad.port, B=good.port)
    data = bytes(range(256)) * 8000
    assert request(s.port, "PUT", "/", body=data).text == "good"
    assert bad.last.body == data and good.last.body == data
    assert "a client request body is buffered to a temporary file" in s.log()


# -- a kept connection that the peer closes

def test_a_closed_idle_connection_is_left_silently(server, upstream):
    u = upstream([up.request(), up.send(up.reply(200, "first")), up.close()], ok("again"))
    s = server(conf(b="down"), A=u.port, B=1)
    assert get(s.port, "/").text == "first"
    time.sleep(0.1)
    for method in ("GET", "POST"):
        assert request(s.port, method, "/", body=b"x" if method == "POST" else None).text == "again"
    assert not errors(s)


@pytest.mark.parametrize("method, retried", [("GET", True), ("POST", False)])
def test_a_kept_connection_that_closes_on_the_request_is_a_race(server, upstream, method, retried):
    u = upstream([up.request(), up.send(up.reply(200, "first")), up.request(), up.close()], ok("again"))
    s = server(conf(b="down"), A=u.port, B=1)
    assert get(s.port, "/").text == "first"
    reply = request(s.port, method, "/", body=b"x" if method == "POST" else None)
    if retried:
        assert reply.text == "again" and not errors(s)
    else:
        assert reply.text.startswith("502|") and len(errors(s)) == 1


def test_non_idempotent_repeats_a_post_on_a_fresh_connection(server, upstream):
    u = upstream([up.request(), up.send(up.reply(200, "first")), up.request(), up.close()], ok("again"))
    s = server(conf(b="down", location="proxy_next_upstream error non_idempotent;"), A=u.port, B=1)
    assert get(s.port, "/").text == "first"
    assert post(s.port, "/", b"x").text == "again" and not errors(s)


@pytest.mark.parametrize("method, location", [("POST", ""), ("GET", "proxy_next_upstream_tries 1;")])
def test_a_status_that_is_passed_on_is_no_failure_of_the_peer(server, upstream, method, location):
    both = [upstream(up.serve(lambda r: up.reply(503 if r.target == "/bad" else 200, "x"))) for _ in range(2)]
    s = server(conf(location=f"proxy_next_upstream error http_503; {location}").replace("error_page 500 502 503 504 = /told; ", ""),
               A=both[0].port, B=both[1].port)
    for _ in range(4):
        assert request(s.port, method, "/bad", body="b" if method == "POST" else None).status == 503
    assert get(s.port, "/").status == 200


def test_a_peer_that_ends_a_kept_connection_on_each_post_has_failed(server, upstream):
    """Only a try that is made again is as if it had not been."""
    bad = upstream(up.serve(lambda r: None if r.method == "POST" else up.reply(200, "x")))
    s = server(conf(a="max_fails=1 fail_timeout=60"), A=bad.port, B=upstream(ok("x")).port)
    seen = []
    for _ in range(4):
        for method in ("GET", "GET", "POST", "POST"):
            seen.append(request(s.port, method, "/", body="b" if method == "POST" else None).text)
    assert [text[:3] for text in seen if text != "x"] == ["502"]
    assert len([r for r in bad.requests if r.method == "POST"]) == 1
