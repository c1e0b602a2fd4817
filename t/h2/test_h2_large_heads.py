# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Heads and trailers that do not fit one frame, or no frames at all: of requests and of responses, towards clients and towards peers."""

import pytest

from lib.client import get, request
from lib.h2client import CONTINUATION, DATA, END_HEADERS, HEADERS, H2Client, RawH2, frame
from lib.ports import wait_until

CONF = """
events {}
http {
    log_format facts '$request_uri $status $upstream_status';
    log_format sizes '$bytes_sent';
    access_log %%PREFIX%%/logs/facts facts;
    access_log %%PREFIX%%/logs/sizes sizes;
    large_client_header_buffers 10 %%LARGE%%;
    proxy_buffer_size 256k;
    proxy_busy_buffers_size 256k;
    proxy_buffers 8 256k;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        location / { add_header X-A $http_x; add_header X-B $http_x; return 200 "ok $http_x_last"; }
        location /huge { add_header X-A "%%MANY%%"; return 200 ok; }
        location /trailers { add_trailer X-T $http_x$http_x; return 200 ok; }
        location /peer { proxy_http_version 2; proxy_pass http://127.0.0.1:%%PORT_0%%/; }
        location /peer/huge { proxy_http_version 2; proxy_set_header X-A "%%MANY%%"; proxy_pass http://127.0.0.1:%%PORT_0%%/; }
    }
}
"""
FIELD = ";" * 45_000  # of 8 bits in HPACK's code, too
TOO_MANY = "$http_x" * 400  # 18 MB


def start(server, large="60k"):
    return server(CONF, MANY=TOO_MANY, LARGE=large)


def client(s):
    c = H2Client(s.port)
    c.h2.decoder.max_header_list_size = 1 << 24
    return c


def test_a_large_response_head_arrives_whole(server):
    with client(start(server)) as c:
        got = c.get("/", headers=[("x", FIELD)])
        assert (got.header("x-a"), got.header("x-b"), got.text) == (FIELD, FIELD, "ok ")


def test_each_frame_of_a_large_head_counts_as_sent(server):
    s = start(server)
    with RawH2(s.port) as c:
        send_head(c, c.block(("x", FIELD)))
        frames = []
        while not frames or frames[-1][0] != DATA:
            if (got := c.read())[2] == 1:
                frames.append(got)
    assert [f[0] for f in frames] == [HEADERS] + [CONTINUATION] * 5 + [DATA]
    wait_until(lambda: s.read("logs/sizes") == f"{sum(9 + len(f[3]) for f in frames)}\n", 5, "its line in the log")


def send_head(c, block):
    pieces = [block[i:i + 16_384] for i in range(0, len(block), 16_384)]
    for i, piece in enumerate(pieces):
        c.send(frame(CONTINUATION if i else HEADERS, (0 if i else 1) | (END_HEADERS if piece is pieces[-1] else 0), 1, piece))


def test_large_trailers_arrive_whole(server):
    with client(start(server)) as c:
        got = c.get("/trailers", headers=[("x", FIELD)])
        assert got.body == b"ok" and got.trailers == [("x-t", FIELD * 2)] and got.ended


def test_a_response_head_that_no_frames_hold_is_our_fault_and_ends_its_stream_alone(server):
    s = start(server)
    with client(s) as c:
        assert c.wait_reset(c.start("/huge", headers=[("x", FIELD)])).reset == 2
        assert c.get("/").text == "ok "
    s.wait_for_log("header section is too large for HTTP/2 frames while sending to client")
    assert "[error]" in next(line for line in s.log().splitlines() if "too large for HTTP/2 frames" in line)


def test_a_large_request_head_arrives_whole(server):
    with client(start(server)) as c:
        fields = [(f"x-{i}", FIELD) for i in range(8)] + [("x-last", "end")]  # some twenty frames
        assert c.get("/", headers=fields).text == "ok end"


def test_continuations_beyond_what_a_head_may_need_end_the_connection(server):
    s = start(server)
    with RawH2(s.port) as c:
        c.send(frame(HEADERS, 0, 1, c.block()))
        for _ in range(100):
            if not c.send(frame(CONTINUATION, 0, 1, b"")):
                break
        assert c.goaway_code() == 11
    s.wait_for_log("too many CONTINUATION frames")
    wait_until(lambda: s.read("logs/facts") == "/ 400 -\n", 5, "its line in the log")


@pytest.mark.parametrize("count", [1, 3, 6])
def test_a_large_request_head_reaches_a_peer(server, count):
    s = start(server)
    got = request(s.port, "GET", "/peer", headers=[f"X-{i}: {FIELD}" for i in range(count)] + ["X-Last: end"])
    assert (got.status, got.body) == (200, b"ok end")


def test_a_request_head_that_no_frames_hold_is_our_fault_not_the_peers(server):
    s = start(server)
    assert request(s.port, "GET", "/peer/huge", headers=[f"X: {FIELD}"]).status == 500
    assert "header section is too large for HTTP/2 frames while sending request to upstream" in s.log()
    assert get(s.port, "/peer").status == 200
    wait_until(lambda: "/peer/huge 500 500\n" in s.read("logs/facts"), 5, "its line in the log")


def test_a_field_beyond_64k_ends_the_connection_and_the_logs_say_why(server):
    s = start(server)
    with RawH2(s.port) as c:
        send_head(c, c.block(("x", ";" * 70_000), path="/long"))
        assert c.goaway_code() == 9
    why = "header field of more than 65536 bytes, or broken compression"
    s.wait_for_log(why + " while processing HTTP/2 connection")
    assert f'client sent a malformed request: "{why}" while reading client request headers' in s.log()
    wait_until(lambda: s.read("logs/facts") == "/long 400 -\n", 5, "its line in the log")


@pytest.mark.parametrize("large, announced", [("60k", 1024 + 10 * 60 * 1024), ("100k", 1024 + 10 * 65_536)])
def test_the_announced_size_counts_on_fields_that_can_be_taken(server, large, announced):
    with client(start(server, large=large)) as c:
        c.get("/")
        assert c.server_settings[6] == announced
