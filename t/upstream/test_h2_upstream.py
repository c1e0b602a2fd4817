# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""proxy_http_version 2: requests as streams of shared connections, and what peers can do to them."""

import time
from concurrent.futures import ThreadPoolExecutor

import h2.settings
import hpack
import pytest

from lib import upstreams as up
from lib.client import Client, chunked, get, post, request
from lib.h2client import END_HEADERS, HEADERS, PING, SETTINGS, WINDOW_UPDATE, H2Client, frame
from lib.ports import in_time, wait_until

CONF = """
events {}
http {
    log_format tries '$status "$upstream_addr" "$upstream_status" "$upstream_response_length" "$fail_reason"';
    log_format sizes '$upstream_bytes_received $upstream_response_length';
    access_log access.log tries;
    access_log sizes.log sizes;
    upstream app { server 127.0.0.1:%%UP%%; keepalive_timeout 50s; }
    upstream two { server 127.0.0.1:%%UP%%; server 127.0.0.1:%%OTHER%%; }
    proxy_http_version 2;
    proxy_buffering off;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        location / { proxy_pass http://app; %%MORE%% }
        location /two { proxy_pass http://two; proxy_next_upstream error timeout invalid_header; }
        location /stream { proxy_pass http://app; proxy_request_buffering off; proxy_pass_trailers on; proxy_pass_request_trailers on; }
        location /quick { proxy_pass http://app; proxy_read_timeout 300ms; }
        location /echo { proxy_pass http://app; proxy_set_header Host $host; proxy_set_header X-Up "1"; proxy_set_header Connection close; }
    }
}
"""
CODES = h2.settings.SettingCodes


def start(server, upstream, other=1, more=""):
    return server(CONF, UP=upstream.port, OTHER=other, MORE=more)


def test_a_request_becomes_a_stream(server, h2_upstream):
    u = h2_upstream(lambda s: s.reply(200, b"hello " + s.body, [("x-from", "peer"), ("content-type", "text/x")]))
    s = start(server, u)
    reply = request(s.port, "POST", "/echo?a=b", b"world", headers=["X-One: 1", "TE: gzip"], host="name.test")
    assert (reply.status, reply.body, reply.header("x-from"), reply.header("content-type")) == (200, b"hello world", "peer", "text/x")
    seen = u.requests[0]
    assert [n for n, _ in seen.headers[:4]] == [":method", ":scheme", ":authority", ":path"]
    assert (seen.header(":method"), seen.header(":scheme"), seen.header(":authority")) == ("POST", "http", "name.test")
    assert seen.path == "/echo?a=b"
    assert (seen.header("x-up"), seen.header("x-one"), seen.header("content-length")) == ("1", "1", "5")
    assert {"connection", "host", "te", "transfer-encoding"}.isdisjoint(n for n, _ in seen.headers)
    assert get(s.port, "/").status == 200
    assert u.requests[1].header(":authority") == "app"
    assert len(u.connections) == 1


def test_all_frames_of_a_stream_count_as_received(server, h2_upstream):
    fields = [(":status", "200"), ("x-from", "peer")]
    u = h2_upstream(lambda s: s.reply(200, b"hello", fields[1:]))
    s = start(server, u)
    assert get(s.port, "/").body == b"hello"
    wait_until(lambda: s.read("sizes.log"), 5, "the access log")
    received, length = map(int, s.read("sizes.log").split())
    assert length == 5
    frames = 9 + len(hpack.Encoder().encode(fields)) + 9 + 5
    assert received in (frames, frames + 9)  # an empty DATA frame may be the end


@pytest.mark.parametrize("method, status", [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_replies_without_a_body(server, h2_upstream, method, status):
    u = h2_upstream(lambda s: s.head(status, [("content-length", "7")] if status != 204 else [], end=True))
    s = start(server, u)
    with Client(s.port) as client:
        for _ in range(2):
            client.send(up_request(method))
            assert client.read_reply(method).status == status
    assert len(u.connections) == 1


def up_request(method, target="/"):
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n"


def test_many_requests_share_one_connection(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: None)
    s = start(server, u)
    with ThreadPoolExecutor(40) as pool:
        replies = [pool.submit(get, s.port, f"/{i}") for i in range(40)]
        u.wait_requests(40)
        assert len(u.connections) == 1
        for stream in reversed(u.requests):
            stream.reply(200, stream.path)
        assert [r.result().body.decode() for r in replies] == [f"/{i}" for i in range(40)]


def test_a_slow_client_holds_up_no_other(server, h2_upstream):
    big = b"x" * 12_000_000
    u = h2_upstream(lambda s: s.reply(200, big if s.path == "/big" else s.path))
    s = start(server, u)
    slow = Client(s.port)
    slow.send(up_request("GET", "/big"))
    u.wait_requests(1)
    wait_until(lambda: u.requests[0]._out and len(u.requests[0]._out) < len(big), 5, "the first bytes of the big reply")
    left = len(u.requests[0]._out)
    for i in range(30):
        assert get(s.port, f"/{i}").body == f"/{i}".encode()
    assert len(u.connections) == 1
    assert len(u.requests[0]._out) > 1_000_000 and left > 1_000_000  # nobody read it ahead
    assert slow.read_reply().body == big
    slow.close()


def test_requests_beyond_max_streams_wait_in_line(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: None)
    s = start(server, u, more="proxy_http2_max_streams 2; proxy_http2_connections 1;")
    with ThreadPoolExecutor(6) as pool:
        replies = [pool.submit(get, s.port, f"/{i}") for i in range(6)]
        for answered in range(6):
            u.wait_requests(min(answered + 2, 6))
            assert len(u.requests) == min(answered + 2, 6)  # never more than two that wait for an answer
            u.requests[answered].reply(200, u.requests[answered].path)
        assert all(r.result().status == 200 for r in replies)
    assert len(u.connections) == 1


def test_another_connection_is_made_when_one_is_full(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: None)
    s = start(server, u, more="proxy_http2_max_streams 2;")
    with ThreadPoolExecutor(6) as pool:
        replies = [pool.submit(get, s.port, f"/{i}") for i in range(6)]
        u.wait_requests(6)
        assert len(u.connections) == 3
        for stream in u.requests:
            stream.reply(200, stream.path)
        assert all(r.result().status == 200 for r in replies)


def test_the_peers_own_limit_of_streams_is_kept(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: None if s.path != "/first" else s.reply(200), settings={CODES.MAX_CONCURRENT_STREAMS: 1})
    s = start(server, u, more="proxy_http2_connections 1;")
    assert get(s.port, "/first").status == 200  # the peer's settings are known from here on
    with ThreadPoolExecutor(3) as pool:
        replies = [pool.submit(get, s.port, f"/{i}") for i in range(3)]
        for count in (2, 3, 4):
            u.wait_requests(count)
            assert len(u.requests) == count
            u.requests[-1].reply(200, b"ok")
        assert all(r.result().body == b"ok" for r in replies)
    assert len(u.connections) == 1


def test_a_peer_that_allows_no_streams_gets_no_further_connections(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: s.reply(200, b"ok"), settings={CODES.MAX_CONCURRENT_STREAMS: 0})
    s = start(server, u, more="proxy_connect_timeout 2s; proxy_send_timeout 1s; proxy_read_timeout 1s;")
    get(s.port, "/first")  # leaves before the settings of the peer are here, or waits in vain
    wait_until(lambda: u.connections, 5, "the connection")
    with ThreadPoolExecutor(4) as pool:
        replies = [pool.submit(get, s.port, f"/{i}") for i in range(4)]
        assert [r.result().status for r in replies] == [504] * 4
    before = len(u.connections)
    with ThreadPoolExecutor(2) as pool:  # more room is used at once
        replies = [pool.submit(get, s.port, f"/later/{i}") for i in range(2)]
        u.connections[0].act(lambda c: c.update_settings({CODES.MAX_CONCURRENT_STREAMS: 10}))
        assert [r.result().status for r in replies] == [200] * 2
    assert before == len(u.connections) == 1


def test_a_refused_stream_is_sent_again_whatever_it_is(server, h2_upstream):
    refused = []

    def answer(stream):
        if not refused:
            refused.append(stream)
            return stream.reset(7)
        stream.reply(200, stream.body)
    u = h2_upstream(answer)
    s = start(server, u)
    reply = post(s.port, "/", b"once")
    assert (reply.status, reply.body, len(u.requests), len(u.connections)) == (200, b"once", 2, 1)
    assert "[error]" not in s.log()


def test_a_peer_that_refuses_always_is_a_502(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: s.reset(7))
    s = start(server, u)
    assert post(s.port, "/", b"x").status == 502
    assert len(u.requests) == 3
    s.wait_for_log("upstream rejected request with error 7 while ")


def test_what_a_goaway_left_out_is_sent_on_a_new_connection(server, h2_upstream):
    def answer(stream):
        if len(u.connections) == 1:
            return stream.connection.goaway(last=0)
        stream.reply(200, stream.body)
    u = h2_upstream(answer)
    s = start(server, u)
    reply = post(s.port, "/", b"again")
    assert (reply.status, reply.body, len(u.connections)) == (200, b"again", 2)
    assert "[error]" not in s.log()  # as of a kept connection of HTTP/1 that closed


def test_a_goaway_lets_streams_finish_and_takes_no_new_ones(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: s.reply(200, b"new") if s.connection is not u.connections[0] else None)
    s = start(server, u)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(get, s.port, "/first")
        u.wait_requests(1)
        # as bytes: python3-h2 would not go on with the stream behind its own close_connection()
        u.connections[0].send_raw(b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + b"\x00\x00\x00\x01" + b"\x00\x00\x00\x0b")
        s.wait_for_log(f'upstream sent goaway with error 11, upstream: "127.0.0.1:{u.port}"')
        assert get(s.port, "/next").body == b"new"
        u.requests[0].reply(200, b"late")
        assert first.result().body == b"late"
    wait_until(lambda: u.connections[0].ended == "closed", 5, "the end of the first connection")
    assert len(u.connections) == 2


def test_trailers_go_both_ways(server, h2_upstream):
    u = h2_upstream(lambda s: s.reply(200, b"body", trailers=[("x-sum", "42")]))
    s = start(server, u)
    with Client(s.port) as client:
        client.send("POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(chunked(b"ab", b"cd", trailers=b"X-Sent: 1\r\n"))
        reply = client.read_reply("POST")
    assert (reply.status, reply.body) == (200, b"body")
    assert ("x-sum", "42") in [(n.lower(), v) for n, v in reply.trailers]
    wait_until(lambda: u.requests[0].ended, 5, "the end of the upload")
    assert u.requests[0].body == b"abcd"
    assert [(n, v) for n, v in u.requests[0].trailers if n == "x-sent"] == [("x-sent", "1")]


def test_a_reply_may_come_before_the_upload_ends(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: s.reply(403, b"no"))
    s = start(server, u)
    with Client(s.port) as client:
        client.send("POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + "x" * 1000)
        reply = client.read_reply("POST")
    assert (reply.status, reply.body) == (403, b"no")
    wait_until(lambda: u.requests[0].reset_code is not None, 5, "the end of the stream")
    assert get(s.port, "/").status == 403 and len(u.connections) == 1


def test_reply_and_upload_run_beside_each_other(server, h2_upstream):
    def answer(stream):
        stream.data(stream.body[getattr(stream, "echoed", 0):].upper(), end=False)
        stream.echoed = len(stream.body)
    u = h2_upstream(on_head=lambda s: s.head(200), on_data=answer)
    s = start(server, u)
    with Client(s.port) as client:
        client.send("POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for word in (b"one", b"two", b"three"):
            client.send(b"%x\r\n%s\r\n" % (len(word), word))
            client.reader.until(word.upper())
        u.requests[0].data(b"", end=True)
        client.reader.until(b"0\r\n\r\n")


def test_an_upload_larger_than_the_windows(server, h2_upstream):
    u = h2_upstream(lambda s: s.reply(200, str(len(s.body))))
    s = start(server, u)
    body = b"0123456789" * 100_000
    with Client(s.port) as client:
        client.send(b"POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert client.read_reply("POST").body == b"1000000"
    assert u.requests[0].body == body


def test_a_peer_that_stops_reading_meets_the_send_timeout(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: None, hold=True)
    s = start(server, u, more="proxy_send_timeout 300ms; client_max_body_size 0;")
    with Client(s.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000)
        assert client.read_reply("POST").status == 504
    wait_until(lambda: u.wait_requests(1)[0].reset_code == 8, 5, "RST_STREAM with CANCEL")


def test_a_client_that_leaves_cancels_its_stream_alone(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: None)
    s = start(server, u)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(get, s.port, "/other")
        u.wait_requests(1)
        leaver = Client(s.port)
        leaver.send(up_request("GET", "/leaver"))
        u.wait_requests(2)
        leaver.close()
        wait_until(lambda: u.requests[1].reset_code == 8, 5, "RST_STREAM with CANCEL")
        u.requests[0].reply(200, b"still here")
        assert other.result().body == b"still here"
    assert len(u.connections) == 1


def test_a_timeout_resets_the_stream_and_keeps_the_connection(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: None if s.path == "/quick" else s.reply(200))
    s = start(server, u)
    assert get(s.port, "/quick").status == 504
    wait_until(lambda: u.wait_requests(1)[0].reset_code == 8, 5, "RST_STREAM with CANCEL")
    assert get(s.port, "/").status == 200 and len(u.connections) == 1
    s.wait_for_log("upstream timed out.*while reading response header from upstream")


@pytest.mark.parametrize("code, name", [(2, "INTERNAL_ERROR"), (8, "CANCEL"), (11, "ENHANCE_YOUR_CALM"), (77, "unknown error")])
def test_a_reset_before_the_head_is_a_502(server, h2_upstream, code, name):
    u = h2_upstream(on_head=lambda s: s.reset(code))
    s = start(server, u)
    assert get(s.port, "/").status == 502
    assert get(s.port, "/").status == 502
    assert len(u.connections) == 1
    s.wait_for_log(f'upstream rejected request with error {code}: "{name}" while ')


def test_a_reset_goes_to_the_next_peer(server, h2_upstream, upstream):
    bad = h2_upstream(on_head=lambda s: s.reset(2))
    good = h2_upstream(lambda s: s.reply(200, b"good"))
    s = start(server, bad, other=good.port)
    assert [get(s.port, "/two").body for _ in range(3)] == [b"good"] * 3
    assert '"502, 200"' in s.read("access.log")


def test_a_reset_in_the_body_cuts_the_response(server, h2_upstream):
    def answer(stream):
        stream.head(200, [("content-length", "100")])
        stream.data(b"half")
        stream.reset(2)
    u = h2_upstream(on_head=answer)
    s = start(server, u)
    with Client(s.port) as client:
        client.send(up_request("GET"))
        client.read_until_close()
        assert client.received.endswith(b"half") and b"Content-Length: 100" in client.received
    s.wait_for_log("upstream prematurely closed stream while reading upstream")


def test_a_connection_that_ends_before_the_head(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: s.connection.close())
    s = start(server, u)
    assert get(s.port, "/").status == 502
    s.wait_for_log("upstream prematurely closed connection while reading response header from upstream")


def test_a_kept_connection_that_ended_is_replaced(server, h2_upstream):
    u = h2_upstream()
    s = start(server, u)
    assert get(s.port, "/").status == 200
    u.connections[0].close()
    wait_until(lambda: u.connections[0].ended, 5, "its end")
    assert [get(s.port, "/").status for _ in range(3)] == [200] * 3
    assert len(u.connections) == 2


def test_a_head_that_is_too_big(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: s.reply(200, b"", [(f"x-{i}", "y" * 500) for i in range(20)]))
    s = start(server, u)
    assert get(s.port, "/").status == 502
    s.wait_for_log("upstream sent too big header while reading response header from upstream")
    u.on_head = lambda s: s.reply(200)
    assert get(s.port, "/").status == 200 and len(u.connections) == 1


@pytest.mark.parametrize("setting, most", [("", 32), ("proxy_max_interim_responses 2;", 2)])
def test_so_many_interim_responses_and_no_more(server, h2_upstream, setting, most):
    def answer(stream):
        for _ in range(most + (stream.path == "/more")):
            stream.head(103, [("link", "x")])
        stream.reply(200, b"made")
    s = start(server, h2_upstream(on_head=answer), more=setting)
    assert get(s.port, "/").body == b"made"
    assert get(s.port, "/more").status == 502
    s.wait_for_log("upstream sent too many interim responses while reading response header from upstream")


@pytest.mark.parametrize("headers, reason", [
    ([("bad name", "x")], 'upstream sent invalid header: "bad name"'), ([("x", "a\nb")], 'upstream sent invalid header: "x"'),
    ([("x", " a")], 'upstream sent invalid header: "x"'), ([("X-Upper", "1")], "upstream sent invalid frames: .*X-Upper"),
    ([("connection", "close")], "upstream sent invalid frames: .*connection"),
    ([(":status", "200")], "upstream sent invalid frames: .*:status")])
def test_fields_that_no_reply_may_have(server, h2_upstream, headers, reason):
    u = h2_upstream(on_head=lambda s: s.reply(200, b"ok", headers) if s.path == "/" else s.reply(200, b"good"))
    s = start(server, u)
    assert get(s.port, "/").status == 502
    s.wait_for_log(reason + ".* while reading response header from upstream")
    assert get(s.port, "/good").body == b"good" and len(u.connections) == 1


def test_the_reason_of_one_call_is_not_that_of_another(server, h2_upstream):
    def answer(stream):
        if stream.path == "/first":
            return stream.reply(200, b"ok", [("X-Upper", "1")])
        return stream.connection.send_raw(frame(WINDOW_UPDATE, 0, stream.number, b"\x7f\xff\xff\xff"))
    u = h2_upstream(on_head=answer)
    s = start(server, u)
    assert [get(s.port, path).status for path in ("/first", "/second")] == [502, 502] and len(u.connections) == 1
    s.wait_for_log(r'upstream sent invalid frames: ".*X-Upper.*" while .* "GET /first ')
    s.wait_for_log(r'upstream sent invalid frames: "Flow control error in a frame of stream \d+" while .* "GET /second ')


@pytest.mark.parametrize("rest", [
    lambda c, n: c.send_data(n, b"abc", end_stream=True), lambda c, n: c.send_data(n, b"abcdefghijklm"),
    lambda c, n: c.send_headers(n, [("x", "a\nb")], end_stream=True), lambda c, n: c.send_headers(n, [("X", "1")], end_stream=True),
    lambda c, n: c._data_to_send.extend(frame(HEADERS, END_HEADERS, n, c.encoder.encode([("x", "1")]))), lambda c, n: c.reset_stream(n, 2)])
def test_a_peer_that_breaks_its_stream_behind_the_head(server, h2_upstream, rest):
    """In one packet with the head: the client gets the head, and an end that it cannot take for a whole response."""
    def answer(stream):
        def act(c):
            c.send_headers(stream.number, [(":status", "200"), ("content-length", "7")])
            rest(c, stream.number)
        stream.connection.act(act)
    u = h2_upstream(on_head=lambda s: answer(s) if s.path != "/good" else s.reply(200, b"good"))
    s = start(server, u)
    with H2Client(s.port) as client:
        reply = client.get("/")
        assert reply.status == 200 and reply.reset is not None
        assert client.get("/good").text == "good" and len(u.connections) == 1
    s.wait_for_log("upstream (sent invalid frames|prematurely closed stream) while reading upstream")


def test_a_peer_that_speaks_http_1(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(400, b"what?")))
    s = start(server, u)
    assert get(s.port, "/").status == 502
    s.wait_for_log("expected SETTINGS frame")


def test_a_refused_connect_is_a_502(server, h2_upstream):
    u = h2_upstream()
    u.refuse()
    s = start(server, u)
    assert get(s.port, "/").status == 502
    s.wait_for_log("connect.. failed.*Connection refused.*while connecting to upstream")


def test_a_silent_peer_is_given_up_by_ping(server, upstream):
    silent = upstream([up.hold()])
    s = start(server, silent, more="proxy_http2_ping_interval 200ms; proxy_http2_ping_timeout 500ms;")
    assert get(s.port, "/").status == 502
    s.wait_for_log("did not answer an HTTP/2 PING in time")
    wait_until(lambda: b"\x00\x00\x08\x06\x00" in silent.connections[0].raw, 5, "the PING")


def test_a_peer_that_answers_pings_is_kept(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: None)
    s = start(server, u, more="proxy_http2_ping_interval 100ms; proxy_http2_ping_timeout 60s;")
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(get, s.port, "/")
        u.wait_requests(1)
        wait_until(lambda: u.connections[0].pings >= 3, 5, "three pings")
        u.requests[0].reply(200)
        assert reply.result().status == 200


def test_an_idle_connection_is_closed_with_goaway(server, h2_upstream):
    u = h2_upstream()
    s = server(CONF.replace("keepalive_timeout 50s", "keepalive_timeout 300ms"), UP=u.port, OTHER=1, MORE="")
    assert get(s.port, "/").status == 200
    wait_until(lambda: u.connections[0].ended == "closed", 5, "its end")
    assert u.connections[0].goaways == [0]


def test_a_peer_that_reads_little_by_little_meets_no_send_timeout(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: s.reply(200) if s.path == "/first" else None, hold=True, settings={CODES.INITIAL_WINDOW_SIZE: 1000})
    s = start(server, u, more="proxy_send_timeout 1s; client_max_body_size 0;")
    assert get(s.port, "/first").status == 200  # the peer's settings are known from here on
    with Client(s.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000)
        stream = u.wait_requests(2)[1]
        in_time(2, lambda: reads_little_by_little(stream))
        stream.reply(200, "enough")
        assert client.read_reply("POST").body == b"enough"


def reads_little_by_little(stream):
    begun = len(stream.body)
    for taken in range(begun, begun + 1500, 200):
        wait_until(lambda: stream.is_over or len(stream.body) >= max(taken, 1000), 5, "a window full")
        assert not stream.is_over
        time.sleep(0.25)
        stream.connection.open_windows(stream.number, 200)


def test_windows_that_change_in_flight(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: s.reply(200) if s.path == "/first" else None, hold=True, settings={CODES.INITIAL_WINDOW_SIZE: 0})
    s = start(server, u)
    assert get(s.port, "/first").status == 200  # the peer's settings are known from here on
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(post, s.port, "/", b"z" * 50_000)
        stream = u.wait_requests(2)[1]
        stream.connection.act(lambda c: c.update_settings({CODES.INITIAL_WINDOW_SIZE: 1000}))
        wait_until(lambda: len(stream.body) == 1000, 5, "a window full")
        stream.connection.act(lambda c: c.update_settings({CODES.INITIAL_WINDOW_SIZE: 60_000}))
        wait_until(lambda: stream.ended, 5, "the rest")
        stream.reply(200, str(len(stream.body)))
        assert reply.result().body == b"50000"


@pytest.mark.parametrize("kind", [frame(SETTINGS), frame(PING, 0, 0, b"12345678"), frame(0x77), frame(HEADERS, END_HEADERS, 101, b"\x88")],
                         ids=["settings", "ping", "unknown", "head of no stream"])
def test_a_flood_of_frames_without_a_message_ends_the_connection(server, h2_upstream, kind):
    def flood(stream):
        try:
            for _ in range(60):
                stream.connection.send_raw(kind * 500)
        except OSError:
            pass
    u = h2_upstream(on_head=flood)
    s = start(server, u)
    assert get(s.port, "/").status == 502
    s.wait_for_log("upstream connection ended: ")


def test_a_reload_lets_streams_finish(server, h2_upstream):
    u = h2_upstream(on_head=lambda s: None)
    s = start(server, u)
    with ThreadPoolExecutor(2) as pool:
        old = pool.submit(get, s.port, "/old")
        u.wait_requests(1)
        s.reload()
        u.requests[0].reply(200, b"old worker")
        assert old.result().body == b"old worker"
        wait_until(lambda: u.connections[0].ended == "closed", 5, "the end of the old worker's connection")
        new = pool.submit(get, s.port, "/new")
        u.wait_requests(2)[1].reply(200, b"new worker")
        assert new.result().body == b"new worker"
