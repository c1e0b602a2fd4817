# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Requests over HTTP/2 in the clear: the same locations, logs and variables as HTTP/1, both on one port."""

import socket
import subprocess
import threading

import pytest

from lib import upstreams as up
from lib.client import get
from lib.h2client import DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, H2Client, RawH2, frame
from lib.ports import wait_until

CONF = """
events {}
http {
    log_format facts '$request|$server_protocol|$status|$http_host|$host|$body_bytes_sent|$request_completion|$http_cookie|$http2';
    log_format sizes '$request_length $bytes_sent $body_bytes_sent';
    access_log %%PREFIX%%/logs/facts facts;
    access_log %%PREFIX%%/logs/sizes sizes;
    client_max_body_size 200k;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        location / { return 200 "$request_method $uri $args $http_x_more"; }
        location /headers { add_header X-One 1 always; add_trailer X-Late late; return 200 abc; }
        location /empty { return 204; }
        location /file { root %%PREFIX%%/html; }
        location /up/ { proxy_pass http://127.0.0.1:%%UP%%/; }
        location /stream/ { proxy_pass http://127.0.0.1:%%UP%%/; proxy_request_buffering off; proxy_buffering off; }
        location /cut { return 444; }
    }
    server { listen 127.0.0.1:%%PORT_0%%; server_name other.example; location / { return 200 other; } }
}
"""


def facts(s, count=1):
    """So many lines of the log, or more: a line may come a moment after the last frame."""
    wait_until(lambda: s.read("logs/facts").count("\n") >= count, 5, "the access log")
    return [line.split("|") for line in s.read("logs/facts").splitlines()]


def echo(request):
    return up.reply(200, f"{request.method} {request.target} ".encode() + request.body)


@pytest.fixture
def s(server, upstream):
    return server(CONF, UP=upstream(up.serve(echo)).port)


def test_a_request_is_answered_and_logged_as_over_http_1(s):
    with H2Client(s.port) as c:
        got = c.get("/a?x=1", headers=[("x-more", "m")])
    assert (got.status, got.text) == (200, "GET /a x=1 m")
    assert got.header("content-length") == "12" and got.header("server").startswith("fairlead") and got.header("date")
    assert facts(s)[0][:5] == ["GET /a?x=1 HTTP/2.0", "HTTP/2.0", "200", "localhost", "localhost"]
    assert facts(s)[0][6] == "OK" and facts(s)[0][8] == "h2c"


# Such a text lies in the memory of the request, which is over as soon as its last frame is made, before the frame is written: one
# request's bytes must not change under the other's, nor be read after their end (the sanitizer build).
def test_a_long_text_made_for_a_request_outlives_it(s):
    texts = {name: name * 4000 for name in "abcd"}
    with H2Client(s.port) as c:
        streams = {c.start("/x", headers=[("x-more", text)], flush=False): text for text in texts.values()}
        c.flush()
        for stream, text in streams.items():
            assert c.wait(stream).text == f"GET /x  {text}"


def test_sizes_in_logs_are_those_of_nginx(s):
    """Heads of frames count in $bytes_sent alone."""
    with RawH2(s.port) as c:
        block = c.block(path="/up/x", method="POST")
        c.send(frame(HEADERS, END_HEADERS, 1, block) + frame(DATA, 0, 1, b"hel") + frame(DATA, END_STREAM, 1, b"lo"))
        frames = []
        while not frames or not frames[-1][1] & END_STREAM:
            frames.append(c.read())
            if frames[-1][2] != 1:
                frames.pop()
    wait_until(lambda: s.read("logs/sizes"), 5, "the access log")
    sent = sum(9 + len(f[3]) for f in frames)
    assert s.read("logs/sizes").split() == [str(len(block) + 5), str(sent), str(len("POST /x hello"))]


def test_a_head_of_bad_fields_is_answered_without_a_body(s):
    with H2Client(s.port) as c:
        got = c.get(pseudo=[(":own", "1"), (":method", "HEAD"), (":scheme", "http"), (":authority", "localhost"), (":path", "/")])
        assert got.status == 400 and got.body == b""


def test_http_1_stays_on_the_same_port(s):
    assert get(s.port, "/b").text == "GET /b  "
    with H2Client(s.port) as c:
        assert c.get("/c").text == "GET /c  "
    assert [f[8] for f in facts(s, 2)] == ["", "h2c"]


def test_many_streams_at_once_are_all_answered(s):
    with H2Client(s.port) as c:
        streams = [c.start(f"/up/{i}") for i in range(100)]
        for i, stream in enumerate(streams):
            assert c.wait(stream).text == f"GET /{i} "


def test_a_client_that_sends_no_more_gets_what_needs_no_waiting(s):
    for _ in range(5):
        with RawH2(s.port, begin=b"") as c:
            c.send(PREFACE + frame(SETTINGS) + frame(HEADERS, END_HEADERS | END_STREAM, 1, c.block(path="/last")))
            c.socket.shutdown(socket.SHUT_WR)
            assert dict(c.until(HEADERS)[3])[":status"] == "200"
            assert c.until(DATA)[3] == b"GET /last  "
    assert facts(s, 5)[4][2] == "200"


def test_head_and_bodiless_answers_end_with_the_head(s):
    with H2Client(s.port) as c:
        got = c.get("/a", method="HEAD")
        assert (got.status, got.body, got.header("content-length")) == (200, b"", "9")
        got = c.get("/empty")
        assert (got.status, got.body, got.header("content-length")) == (204, b"", None)


def test_trailers_follow_the_body(s):
    with H2Client(s.port) as c:
        got = c.get("/headers")
    assert got.header("x-one") == "1" and got.body == b"abc" and got.trailers == [("x-late", "late")]


def test_files_of_any_size_arrive_whole(s):
    content = bytes(range(256)) * 4000
    s.write("html/file/big", content)
    s.write("html/file/none", b"")
    with H2Client(s.port) as c:
        assert c.get("/file/big").body == content
        assert c.get("/file/none").body == b""
        assert c.get("/file/big", headers=[("range", "bytes=1000-1999")]).body == content[1000:2000]
        assert c.get("/file/absent").status == 404


@pytest.mark.parametrize("place", ["/up/x", "/stream/x"])
@pytest.mark.parametrize("size", [0, 1, 100, 150_000])
def test_bodies_reach_the_upstream(s, place, size):
    body = b"x" * size
    with H2Client(s.port) as c:
        assert c.post(place, body, headers=[("content-length", str(size))]).body == b"POST /x " + body
        assert c.post(place, body).body == b"POST /x " + body


def test_a_body_that_is_too_large_is_413_and_the_connection_lives(s):
    with H2Client(s.port) as c:
        stream = c.start("/up/x", method="POST", headers=[("content-length", "300000")], end=False)
        assert c.wait(stream).status == 413
        assert c.get("/a").status == 200
        stream = c.start("/up/x", method="POST", end=False)
        for _ in range(50):
            if c.replies[stream].is_over:
                break
            try:
                c.send(stream, b"x" * 8192)
            except Exception:
                break
        assert c.wait(stream).status == 413
        assert c.get("/a").status == 200


def test_100_continue_is_sent_when_the_body_is_wanted(s):
    with H2Client(s.port) as c:
        stream = c.start("/up/x", method="POST", headers=[("expect", "100-continue"), ("content-length", "3")], end=False)
        c.pump_until(lambda: c.replies[stream].interim)
        c.send(stream, b"abc", end=True)
        got = c.wait(stream)
    assert got.interim == ["100"] and got.body == b"POST /x abc"


def test_cookies_are_joined_and_the_authority_is_the_host(s):
    with H2Client(s.port) as c:
        c.get("/a", headers=[("cookie", "a=1"), ("cookie", "b=2")], authority="Other.Example:81")
        assert c.get("/", authority="other.example").text == "other"
    assert facts(s)[0][3:5] == ["Other.Example:81", "other.example"] and facts(s)[0][7] == "a=1; b=2"


def test_a_host_field_does_in_place_of_the_authority(s):
    with H2Client(s.port) as c:
        pseudo = [(":method", "GET"), (":scheme", "http"), (":path", "/")]
        assert c.get("/", pseudo=pseudo, headers=[("host", "other.example")]).text == "other"
        assert c.get("/", headers=[("host", "localhost")]).status == 200
        assert c.get("/", headers=[("host", "other.example")]).status == 400


@pytest.mark.parametrize("path, headers, status", [
    ("/%zz", [], 400), ("/", [("content-type", "a"), ("content-type", "b")], 400),
    ("/" + "x" * 9000, [], 414), ("/", [("x-long", "x" * 9000)], 400)])
def test_bad_heads_get_a_status_and_leave_the_connection(s, path, headers, status):
    with H2Client(s.port) as c:
        assert c.get(path, headers=headers).status == status
        assert c.get("/a").status == 200


PSEUDO = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/a")]


# RFC 9113 section 8.1.1: a stream error; the status before it says more to people, and is what nginx gives.
def assert_malformed(s, c, stream, reason):
    got = c.wait_reset(stream)
    assert (got.status, got.reset) == (400, 1) and "400 Bad Request" in got.text and got.ended
    assert c.get("/a").status == 200
    assert [f[2] for f in facts(s, 2)] == ["400", "200"]
    s.wait_for_log(reason + ".* client: 127.0.0.1")


@pytest.mark.parametrize("headers, reason", [
    (PSEUDO + [("connection", "close")], 'connection-specific header: "connection"'),
    (PSEUDO + [("X-Upper", "1")], 'invalid header field: "X-Upper"'),
    (PSEUDO + [("te", "gzip")], "connection-specific"), (PSEUDO + [("transfer-encoding", "chunked")], "connection-specific"),
    (PSEUDO + [("upgrade", "websocket")], "connection-specific"),
    (PSEUDO + [(":path", "/again")], "duplicate :path header"), (PSEUDO + [(":own", "1")], 'unknown pseudo-header: ":own"'),
    (PSEUDO[:2] + [("x", "1")] + PSEUDO[2:], "pseudo-header behind other headers"), (PSEUDO[1:], "no :method header"),
    (PSEUDO[:3] + [(":path", "")], "empty :path header"), (PSEUDO[:3] + [(":path", "a")], 'invalid :path header: "a"'),
    (PSEUDO + [("content-length", "5")], "client prematurely closed stream")])
def test_malformed_requests_are_answered_and_reset_alone(s, headers, reason):
    with H2Client(s.port) as c:
        assert_malformed(s, c, c.start(pseudo=headers), reason)


@pytest.mark.parametrize("name, value", [("x", "a\nb"), ("x", "a\rb"), ("x", "a\0b"), ("x", "a\x01b"), ("x", " a"), ("x", "a\t"),
                                         ("x\r\ny", "1"), ("x:y", "1"), ("x\0", "1"), ("x y", "1"), ("x\u00e9", "1")])
def test_fields_that_no_message_may_have_are_400(s, name, value):
    with H2Client(s.port) as c:
        assert c.get("/", headers=[(name, value)]).status == 400
        assert c.get("/a").status == 200
    s.wait_for_log("client sent invalid header field")
    assert [f[2] for f in facts(s, 2)] == ["400", "200"]


def test_names_that_http_1_would_leave_out_are_left_out(s):
    with H2Client(s.port) as c:
        assert c.get("/a", headers=[("x@y", "1"), ("x_y", "2"), ("x-more", "m")]).text == "GET /a  m"


@pytest.mark.parametrize("fields, ended, reason", [
    ([("x", "a\nb")], True, "invalid trailer field"), ([(":path", "/")], True, "invalid trailer field"),
    ([("x", "1")], False, "trailers that do not end the stream")])
def test_malformed_trailers_are_answered_and_reset_alone(s, fields, ended, reason):
    with H2Client(s.port) as c:
        stream = c.start("/stream/x", method="POST", end=False)
        c.send(stream, b"abc")
        c.trailers(stream, fields, end=ended)
        assert_malformed(s, c, stream, "client sent " + reason)


@pytest.mark.parametrize("place", ["/up/x", "/stream/x"])
@pytest.mark.parametrize("body, reason", [(b"toolong", "client intended to send body data larger than declared"),
                                          (b"few", "client prematurely closed stream: only 3 out of 5 bytes")])
@pytest.mark.parametrize("more", [[], [("expect", "100-continue")]])
def test_a_body_unlike_its_length_is_answered_and_reset(s, place, body, reason, more):
    with H2Client(s.port) as c:
        stream = c.start(place, method="POST", headers=[("content-length", "5")] + more, end=False)
        if more:
            c.pump_until(lambda: c.replies[stream].interim)  # the request has begun
        c.send(stream, body, end=True)
        assert_malformed(s, c, stream, r"\[info\] .*" + reason)


@pytest.mark.parametrize("headers", [PSEUDO[:3], PSEUDO[1:]])
def test_a_head_that_makes_no_request_line_is_logged_without_one(s, headers):
    with H2Client(s.port) as c:
        assert c.wait(c.start(pseudo=headers)).status == 400
    assert facts(s)[0][0] == "-"


def test_return_444_resets_the_stream_alone(s):
    with H2Client(s.port) as c:
        got = c.get("/cut")
        assert got.reset is not None and not got.headers
        assert c.get("/a").status == 200


def test_plain_connect_is_not_allowed(s):
    with H2Client(s.port) as c:
        assert c.get(pseudo=[(":method", "CONNECT"), (":authority", "h:443")]).status == 405


def test_curl_and_nghttp_get_the_same(s):
    url = f"http://127.0.0.1:{s.port}/a"
    for command in (["curl", "-s", "--http2-prior-knowledge", "-m", "60", url], ["nghttp", "-t", "60", url]):
        assert subprocess.run(command, capture_output=True, timeout=120, check=True).stdout == b"GET /a  "


NUMBERS = """
events {}
http {
    log_format number '$uri $connection_requests';
    access_log %%PREFIX%%/logs/numbers number;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        location /quick { return 200; }
        location /slow { proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""


def test_a_request_has_its_own_number(server, upstream):
    may_end = threading.Event()
    u = upstream([up.request(), up.wait_for(may_end), up.send(up.reply(200, "slow"))])
    s = server(NUMBERS, UP=u.port)
    with H2Client(s.port) as c:
        slow = c.start("/slow")
        assert c.wait(c.start("/quick")).status == 200
        may_end.set()
        assert c.wait(slow).body == b"slow"
    wait_until(lambda: s.read("logs/numbers").splitlines() == ["/quick 2", "/slow 1"], 5)
