# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""HTTP/2 clients that mean harm: each limit ends what it should, says why, and leaves other connections alone."""

import time

import pytest

from lib.h2client import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, PRIORITY, RST_STREAM, SETTINGS,
                          WINDOW_UPDATE, H2Client, RawH2, frame)
from lib.ports import TIME_SCALE, in_time, wait_until

PRIORITY_UPDATE = 0x10
ENHANCE_YOUR_CALM, FRAME_SIZE_ERROR, PROTOCOL_ERROR, REFUSED_STREAM = 11, 6, 1, 7

CONF = """
events {}
http {
    log_format facts '$request $status $body_bytes_sent';
    access_log off;
    %%LIMITS%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        location / { return 200 ok; }
        location /big { root %%PREFIX%%/html; }
        location /wait { proxy_pass http://127.0.0.1:1; }
        location /slow { root %%PREFIX%%/html; limit_rate 1k; }
    }
}
"""


def start(server, limits=""):
    s = server(CONF, LIMITS=limits)
    s.write("html/big", b"x" * 3_000_000)
    s.write("html/slow", b"x" * 300_000)
    return s


def assert_lives(s):
    with H2Client(s.port) as other:
        assert other.get("/").text == "ok"


def test_rapid_resets_end_the_connection(server):
    s = start(server, "http2_max_resets 20; keepalive_requests 100000;")
    with RawH2(s.port) as c:
        for i in range(1, 200, 2):
            c.request(i, path="/slow")
            if not c.send(frame(RST_STREAM, 0, i, b"\0\0\0\x08")):
                break
        assert c.goaway_code() == ENHANCE_YOUR_CALM
    s.wait_for_log("too many streams were reset while processing HTTP/2 connection, client: 127.0.0.1")
    assert_lives(s)


def test_resets_among_answered_requests_are_no_offence(server):
    s = start(server, "http2_max_resets 20;")
    with H2Client(s.port) as c:
        for _ in range(60):
            c.reset(c.start("/slow"))
            assert c.get("/").text == "ok"


def flood(kind):
    return {"ping": frame(PING, 0, 0, b"12345678"), "settings": frame(SETTINGS), "priority": frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"),
            "priority update": frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=1"), "empty data": frame(DATA, 0, 1),
            "window": frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"), "unknown": frame(0x77), "last unknown": frame(0xFF, 0, 1, b"x")}[kind]


@pytest.mark.parametrize("kind", ["ping", "settings", "priority", "priority update", "empty data", "window", "unknown", "last unknown"])
def test_floods_of_frames_without_a_message_end_the_connection(server, kind):
    s = start(server, "http2_max_control_frames 100;")
    with RawH2(s.port) as c:
        c.request(1, path="/wait", method="POST", end=False)
        c.send(flood(kind) * 2000)
        assert c.goaway_code() == ENHANCE_YOUR_CALM
    s.wait_for_log("too many frames without a message")
    assert_lives(s)


def test_a_flood_of_heads_behind_the_end_of_a_stream_ends_the_connection(server):
    s = start(server, "http2_max_control_frames 100;")
    with RawH2(s.port) as c:
        for i in (1, 3):
            c.request(i)
            assert dict(c.until(HEADERS)[3])[":status"] == "200"
        for i in range(500):
            if not c.request(1 if i % 2 else 3):
                break
        assert c.goaway_code() == ENHANCE_YOUR_CALM
    s.wait_for_log("too many frames without a message")
    assert_lives(s)


def test_frames_that_carry_nothing_known_end_the_connection(server):
    s = start(server)
    with RawH2(s.port) as c:
        for _ in range(700):
            if not c.send(frame(0x77, 0, 0, b"x" * 16000)):
                break
        assert c.goaway_code() == ENHANCE_YOUR_CALM
    s.wait_for_log("frames carry too little")
    assert_lives(s)


def test_control_frames_in_measure_are_no_offence(server):
    s = start(server)
    with RawH2(s.port) as c:
        c.send((frame(0x77, 0xFF, 5, b"what is it") + frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=1")) * 100)
        c.request(1)
        assert dict(c.until(HEADERS)[3])[":status"] == "200"
    with H2Client(s.port) as c:
        for _ in range(100):
            c.h2.ping(b"abcdefgh")
            c.flush()
        c.pump_until(lambda: c.pongs == 100)
        assert c.get("/").text == "ok"


def test_a_frame_of_an_unknown_type_in_a_head_is_an_error(server):
    s = start(server)
    with RawH2(s.port) as c:
        c.send(frame(HEADERS, 0, 1, c.block()) + frame(0x77, 0, 1) + frame(CONTINUATION, END_HEADERS, 1))
        assert c.goaway_code() == PROTOCOL_ERROR  # RFC 9113 section 6.10
    assert_lives(s)


def test_a_flood_of_continuations_ends_the_connection(server):
    s = start(server)
    with RawH2(s.port) as c:
        c.send(frame(HEADERS, 0, 1, c.block()))
        for _ in range(200):
            if not c.send(frame(CONTINUATION, 0, 1, b"")):
                break
        assert c.goaway_code() == ENHANCE_YOUR_CALM
    s.wait_for_log("too many CONTINUATION frames")
    assert_lives(s)


def test_a_header_bomb_is_refused_without_growing(server):
    """One entry of the compression table, referred to again and again: few bytes on the wire, very many decoded."""
    s = start(server)
    with H2Client(s.port) as c:
        bomb = [("x-bomb", "b" * 3000)] * 2000
        assert c.get("/", headers=bomb).status == 400
        assert c.get("/").text == "ok"
    s.wait_for_log("client sent too large request")


def test_too_many_header_lines_are_400(server):
    s = start(server, "max_headers 10;")
    with H2Client(s.port) as c:
        assert c.get("/", headers=[(f"x-{i}", "1") for i in range(11)]).status == 400
        assert c.get("/").status == 200


def test_a_head_that_never_ends_times_out(server):
    s = server(CONF.replace("access_log off", "access_log logs/facts facts"), LIMITS="client_header_timeout 500ms;")
    with RawH2(s.port) as c:
        c.send(frame(HEADERS, 0, 1, c.block()))
        begin = time.monotonic()
        assert c.goaway_code() is not None
        assert time.monotonic() - begin < 4 * TIME_SCALE
    s.wait_for_log(r"client timed out \(110: .*\) while reading client request headers, .* request: \"GET / HTTP/2.0\"")
    wait_until(lambda: s.read("logs/facts") == "GET / HTTP/2.0 408 0\n", 5, "its line in the log")


def test_streams_beyond_the_limit_are_refused_then_the_connection(server):
    s = start(server, "http2_max_concurrent_streams 3; keepalive_requests 100000;")
    with RawH2(s.port) as c:
        for i in range(1, 9, 2):
            c.request(i, path="/slow")
        got = c.until(RST_STREAM)
        assert got[2] == 7 and got[3] == REFUSED_STREAM.to_bytes(4, "big")
        for i in range(9, 400, 2):
            if not c.request(i, path="/slow"):
                break
        assert c.goaway_code() == ENHANCE_YOUR_CALM
    s.wait_for_log("too many streams were refused")
    assert_lives(s)


def test_a_stream_beyond_the_announced_limit_is_refused_alone(server):
    s = start(server, "http2_max_concurrent_streams 3;")
    with RawH2(s.port) as c:
        c.until(SETTINGS)
        c.send(frame(SETTINGS, ACK))  # from here on the limit is the client's to keep
        for i in (1, 3, 5, 7, 9):
            c.request(i, path="/slow")
        refused = [c.until(RST_STREAM)[2:] for _ in range(2)]
        assert refused == [(7, REFUSED_STREAM.to_bytes(4, "big")), (9, REFUSED_STREAM.to_bytes(4, "big"))]
        c.send(frame(RST_STREAM, 0, 1, b"\0\0\0\x08"))
        c.request(11)
        while (got := c.until(HEADERS))[2] != 11:
            pass
        assert dict(got[3])[":status"] == "200"


def test_a_stream_is_refused_in_the_middle_of_its_head(server):
    s = start(server, "http2_max_concurrent_streams 1;")
    with RawH2(s.port) as c:
        c.request(1, path="/slow")
        block = c.block(path="/refused")
        c.send(frame(HEADERS, END_STREAM, 3, block[:-2]))
        assert c.until(RST_STREAM)[2:] == (3, REFUSED_STREAM.to_bytes(4, "big"))
        c.send(frame(CONTINUATION, END_HEADERS, 3, block[-2:]) + frame(RST_STREAM, 0, 1, b"\0\0\0\x08"))
        c.request(5)
        while (got := c.until(HEADERS))[2] != 5:
            pass
        assert dict(got[3])[":status"] == "200"


@pytest.mark.parametrize("most, count", [(128, 250), (128, 900), (3, 300), (1, 40)])
def test_requests_that_are_answered_at_once_hold_no_place(server, most, count):
    """However many of them come in one read."""
    s = start(server, f"http2_max_concurrent_streams {most};")
    with RawH2(s.port) as c:
        c.send(b"".join(frame(HEADERS, END_HEADERS | END_STREAM, i, c.block()) for i in range(1, 2 * count, 2)))
        for i in range(1, 2 * count, 2):
            assert dict(c.until(HEADERS)[3])[":status"] == "200", i


def test_the_announced_limit_is_the_configured_one(server):
    s = start(server, "http2_max_concurrent_streams 3; http2_body_preread_size 8k;")
    with H2Client(s.port) as c:
        c.get("/")
        assert c.server_settings[3] == 3 and c.server_settings[4] == 8192 and c.server_settings[6] == 1024 + 4 * 8192


def test_a_window_that_never_opens_times_out_its_stream_alone(server):
    s = start(server, "send_timeout 1s;")
    in_time(1, lambda: one_times_out(s))
    s.wait_for_log("client timed out")


def one_times_out(s):
    with H2Client(s.port, window=1000) as c:
        stuck = c.start("/big")
        c.hold.add(stuck)
        other = c.get("/")
        assert other.text == "ok" and not c.replies[stuck].is_over
        c.pump_until(lambda: c.replies[stuck].is_over)
        assert c.replies[stuck].reset is not None and len(c.replies[stuck].body) == 1000
        assert c.get("/").text == "ok"


def test_a_window_that_opens_little_by_little_is_no_end(server):
    """Nothing may be pulled from the response for longer than send_timeout, but bytes of it leave all the time."""
    s = start(server, "send_timeout 1s;")
    in_time(3, lambda: takes_little_by_little(s))


def takes_little_by_little(s):
    with H2Client(s.port, window=1000) as c:
        slow = c.start("/big")
        c.hold.add(slow)
        for taken in range(1000, 3001, 200):
            c.pump_until(lambda: c.replies[slow].is_over or len(c.replies[slow].body) == taken)
            assert not c.replies[slow].is_over
            time.sleep(0.25)
            c.open_window(slow, 200)
        begin = time.monotonic()
        assert c.wait_reset(slow).reset is not None  # and then no more
        assert 0.5 < time.monotonic() - begin < 1.9


def test_a_client_that_reads_nothing_is_given_up(server):
    s = start(server, "send_timeout 700ms;")
    with H2Client(s.port, window=2**31 - 1) as c:
        c.h2.increment_flow_control_window(2**31 - 1 - 65535)
        c.flush()
        for _ in range(20):
            c.start("/big")
        s.wait_for_log("sending timed out", seconds=10)


@pytest.mark.parametrize("order", [(3, 1), (1, 9, 11, 5)])
def test_a_stream_that_was_passed_over_is_not_opened_any_more(server, order):
    s = start(server)
    with RawH2(s.port) as c:
        for i in order:
            c.request(i)
        assert c.goaway_code() == PROTOCOL_ERROR
    s.wait_for_log("HEADERS frame of a stream that was passed over")


def test_garbage_in_place_of_frames_gets_a_goaway(server):
    s = start(server)
    for junk in (frame(SETTINGS, 0, 1), frame(DATA, 0, 0, b"x"), frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
                 frame(PRIORITY, 0, 0, b"\0\0\0\1\x10"), frame(PING, 0, 0, b"short"),
                 b"\0\xff\xff\x00\0\0\0\0\1" + b"x" * 66000, frame(SETTINGS, ACK, 0, b"123456")):
        with RawH2(s.port) as c:
            c.send(junk)
            assert c.goaway_code() not in (None, 0)
    assert_lives(s)


def test_a_preface_that_goes_wrong_is_http_1(server):
    s = start(server)
    with RawH2(s.port, begin=PREFACE[:18] + b"XX\r\n\r\n") as c:
        c.socket.settimeout(5 * TIME_SCALE)
        assert c.socket.recv(100).startswith(b"HTTP/1.1 ")
    with RawH2(s.port, begin=b"") as c:  # in pieces it is still one
        for byte in PREFACE + frame(SETTINGS):
            c.send(bytes([byte]))
        c.request(1)
        assert dict(c.until(HEADERS)[3])[":status"] == "200"


def test_a_connection_closed_at_any_point_disturbs_nobody(server):
    s = start(server)
    with H2Client(s.port) as other:
        for data in (PREFACE[:5], PREFACE, PREFACE + frame(SETTINGS), PREFACE + frame(SETTINGS) + frame(HEADERS, 4, 1, b"\x82")[:12]):
            RawH2(s.port, begin=data).close()
        with RawH2(s.port) as c:
            for i in range(1, 40, 2):
                c.request(i, path="/slow")
        assert other.get("/").text == "ok"


def test_frames_behind_a_goaway_of_the_client_are_served_to_the_end(server):
    s = start(server)
    with RawH2(s.port) as c:
        c.request(1, path="/big")
        c.send(frame(GOAWAY, 0, 0, b"\0" * 8))
        assert dict(c.until(HEADERS)[3])[":status"] == "200"


def test_each_fault_in_one_packet_has_its_own_reason(server):
    s = start(server)
    with RawH2(s.port) as c:
        c.send(b"".join(frame(HEADERS, END_HEADERS | END_STREAM, i, c.block(path=f"/slow?{i}")) +
                        frame(WINDOW_UPDATE, 0, i, b"\x7f\xff\xff\xff") for i in (1, 3)))
        s.wait_for_log(r'malformed request: "Flow control error in a frame of stream 1" while .* request: "GET /slow\?1 ')
        s.wait_for_log(r'malformed request: "Flow control error in a frame of stream 3" while .* request: "GET /slow\?3 ')


def test_what_ends_a_connection_is_logged_with_its_address(server):
    s = start(server)
    with RawH2(s.port) as c:
        c.send(b"\0\xff\xff\x00\0\0\0\0\1" + b"x" * 66000)
        assert c.goaway_code() == FRAME_SIZE_ERROR
    s.wait_for_log(r"\[info\] .* client sent invalid frames: too large frame size while processing HTTP/2 connection, "
                   rf"client: 127.0.0.1, server: 127.0.0.1:{s.port}\n")
