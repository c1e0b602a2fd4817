# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Streams that share a connection: windows, slow ones among fast ones, resets, the end of the connection in two steps."""

import os
import signal
import socket
import struct
import subprocess
import threading

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.h2client import (ACK, DATA, END_STREAM, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE, H2Client, RawH2,
                          frame)
from lib.ports import in_time, wait_until

CONF = """
worker_shutdown_timeout 60s;
events {}
http {
    log_format facts '$uri $status $request_completion';
    access_log %%PREFIX%%/logs/facts facts;
    %%MORE%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        location / { return 200 $pid; }
        location /up { proxy_pass http://127.0.0.1:%%UP%%; proxy_buffering off; proxy_request_buffering off; }
        location /big { root %%PREFIX%%/html; }
        location /status { stub_status; }
    }
}
"""
BIG = b"0123456789abcdef" * 40_000
HEAD = b"HTTP/1.1 200 X\r\nContent-Length: 6\r\n\r\n"


def start(server, upstream_port=1, more=""):
    s = server(CONF, UP=upstream_port, MORE=more)
    s.write("html/big", BIG)
    return s


def test_a_slow_stream_among_fast_ones_holds_up_none(server):
    s = start(server)
    with H2Client(s.port, window=100_000) as c:
        slow = [c.start("/big") for _ in range(5)]
        c.hold.update(slow)  # their windows stay shut; the connection's opens below
        c.h2.increment_flow_control_window(50_000_000)
        c.flush()
        for _ in range(20):
            assert c.get("/big").body == BIG
        assert all(len(c.replies[i].body) == 100_000 for i in slow)
        for i in slow:
            c.hold.discard(i)
            c.h2.increment_flow_control_window(1_000_000, i)
            c.flush()
            assert c.wait(i).body == BIG


def test_uploads_that_nobody_reads_hold_up_none(server, upstream):
    go = threading.Event()
    u = upstream([up.head(), up.wait_for(go), up.body(), up.send(HEAD + b"thanks")])
    s = start(server, u.port)
    with H2Client(s.port) as c:
        slow = c.start("/up", method="POST", headers=[("content-length", str(len(BIG)))], end=False)
        sent = 0
        while (room := min(c.h2.local_flow_control_window(slow), 16384)) > 0 and sent < len(BIG):  # as far as its window goes
            c.send(slow, BIG[sent:sent + room])
            sent += min(room, len(BIG) - sent)
        for _ in range(10):
            assert c.get("/").status == 200
        go.set()
        c.send(slow, BIG[sent:], end=True)
        assert c.wait(slow).body == b"thanks"
    assert u.wait_requests(1)[0].body == BIG


@pytest.mark.parametrize("preread", ["0", "4k", "64k"])
def test_an_upload_that_began_before_the_settings_were_known_goes_on(server, upstream, preread):
    """Its window began with the protocol's default, which they shift (RFC 9113 section 6.9.2)."""
    u = upstream([up.request(), up.send(HEAD + b"thanks")])
    s = start(server, u.port, f"http2_body_preread_size {preread};")
    with RawH2(s.port) as c:
        c.request(1, ("content-length", str(len(BIG))), end=False, path="/up", method="POST")
        c.send(b"".join(frame(DATA, 0, 1, BIG[at:at + 13107]) for at in range(0, 65535, 13107)))
        in_time(10, lambda: send_rest(c, BIG[65535:]))
        assert dict(c.until(HEADERS)[3])[":status"] == "200"
    assert u.wait_requests(1)[0].body == BIG


def send_rest(c, unsent):
    rooms, updates = [0, 0], 0  # of the connection, of the stream
    while unsent:
        kind, flags, stream, payload = c.read()
        if kind == SETTINGS and not flags & ACK:
            values = dict(struct.unpack_from(">HI", payload, at) for at in range(0, len(payload), 6))
            rooms[1] += values[4] - 65535
            c.send(frame(SETTINGS, ACK))
        if kind == WINDOW_UPDATE:
            rooms[stream] += int.from_bytes(payload, "big")
            updates += 1
            assert updates < 1000, f"{len(unsent)} bytes are left, the window is {rooms[1]}"
        while unsent and (room := min(*rooms, 16384)) > 0:
            c.send(frame(DATA, END_STREAM if room >= len(unsent) else 0, 1, unsent[:room]))
            rooms = [rooms[0] - room, rooms[1] - room]
            unsent = unsent[room:]


def test_a_large_response_and_small_ones_take_turns(server):
    s = start(server)
    with H2Client(s.port, window=10_000_000) as c:
        c.h2.increment_flow_control_window(100_000_000)
        c.flush()
        large = c.start("/big", flush=False)
        small = c.start("/")
        assert c.wait(large).body == BIG and c.wait(small).status == 200
        assert c.ends == [small, large], "the small one came between pieces of the large one"


def test_a_reset_stream_ends_its_request_and_upstream_alone(server, upstream):
    u = upstream([up.request(), up.send(HEAD + b"abc"), up.hold()])
    s = start(server, u.port)
    with H2Client(s.port) as c:
        stream = c.start("/up")
        c.pump_until(lambda: c.replies[stream].body == b"abc")
        c.reset(stream)
        wait_until(lambda: u.connections[0].ended or "prematurely closed" in s.log(), 5, "the end of the request")
        s.wait_for_log("client prematurely closed connection, so upstream connection is closed too")
        assert c.get("/").status == 200
    wait_until(lambda: "/up 200 \n" in s.read("logs/facts"), 5, "its line in the log")


def end_with_reset(c):
    c.send(frame(HEADERS, 5, 1, c.block(path="/up")) + frame(RST_STREAM, 0, 1, b"\0\0\0\x08"))


def end_with_connection(c):
    c.send(frame(HEADERS, 5, 1, c.block(path="/up")))
    c.socket.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("end", [end_with_reset, end_with_connection])
def test_a_request_that_comes_with_its_end_is_logged_and_not_forwarded(server, upstream, end):
    """In one segment: the server reads both before it begins anything."""
    u = upstream([up.request(), up.send(HEAD + b"thanks")])
    s = start(server, u.port)
    (worker,) = s.wait_workers()
    os.kill(worker, signal.SIGSTOP)
    with RawH2(s.port) as c:
        end(c)
        os.kill(worker, signal.SIGCONT)
        s.wait_for_log("client prematurely closed connection")
    wait_until(lambda: s.read("logs/facts") == "/up 499 \n", 5, "its line in the log")
    assert not u.connections


@pytest.mark.parametrize("end", [end_with_reset, end_with_connection])
def test_its_log_phase_has_no_script(server, end):
    """A script settles there what its earlier hooks began; those have not run."""
    s = start(server, more='''lua_shared_dict counts 64k;
        rewrite_by_lua_block { ngx.shared.counts:incr("open", 1, 0) }
        log_by_lua_block { ngx.log(ngx.WARN, ngx.var.uri, " leaves ", ngx.shared.counts:incr("open", -1, 0)) }''')
    (worker,) = s.wait_workers()
    os.kill(worker, signal.SIGSTOP)
    with RawH2(s.port) as c:
        end(c)
        os.kill(worker, signal.SIGCONT)
        wait_until(lambda: s.read("logs/facts") == "/up 499 \n", 5, "its line in the log")
    with H2Client(s.port) as c:
        assert c.get("/big").status == 200
    s.wait_for_log("/big leaves 0")
    assert "/up leaves" not in s.log()


def test_a_head_that_comes_with_the_end_of_its_connection_is_logged(server):
    s = start(server)
    with RawH2(s.port) as c:
        c.send(frame(HEADERS, 1, 1, c.block(path="/x")))  # CONTINUATION does not come
        c.socket.shutdown(socket.SHUT_WR)
        wait_until(lambda: s.read("logs/facts") == "/x 400 \n", 5, "its line in the log")
    s.wait_for_log("client prematurely closed connection while reading client request headers")


@pytest.mark.parametrize("end", ["reset", "close"])
def test_a_client_that_leaves_in_its_body_is_499(server, end):
    s = start(server, more="mirror /copy;")
    with H2Client(s.port) as c:
        stream = c.start("/up", method="POST", end=False)
        c.send(stream, b"x" * 1000)
        c.get("/")
        if end == "reset":
            c.reset(stream)
        else:
            c.close()
        s.wait_for_log("client prematurely closed")
    wait_until(lambda: "/up 499 \n" in s.read("logs/facts"), 5, "its line in the log")


def test_an_upstream_that_breaks_off_resets_the_stream_alone(server, upstream):
    u = upstream([up.request(), up.send(HEAD + b"abc"), up.close()])
    s = start(server, u.port)
    with H2Client(s.port) as c:
        got = c.get("/up")
        assert got.reset == 2 and got.body == b"abc" and not got.ended
        assert c.get("/").status == 200
    s.wait_for_log("upstream prematurely closed connection")


def test_an_early_answer_ends_the_upload(server, upstream):
    u = upstream([up.head(), up.send(b"HTTP/1.1 403 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"), up.close()])
    s = start(server, u.port)
    with H2Client(s.port) as c:
        stream = c.start("/up", method="POST", headers=[("content-length", "1000000")], end=False)
        c.send(stream, b"x" * 1000)
        got = c.wait(stream)
        assert got.status == 403 and got.body == b"no"
        assert c.get("/").status == 200


def test_an_unfinished_request_body_is_cut_off_with_no_error(server):
    s = start(server)
    with RawH2(s.port) as c:
        c.request(1, method="POST", end=False)
        assert c.until(RST_STREAM)[3] == b"\0\0\0\0"


def test_keepalive_requests_ends_the_connection_in_two_steps(server):
    s = start(server, more="keepalive_requests 3;")
    with H2Client(s.port) as c:
        for _ in range(3):
            assert c.get("/").status == 200
        assert c.wait_goaway() == (2**31 - 1, 0)
        assert c.wait_goaway(2) == (5, 0)
        assert c.wait_end() == "closed"


@pytest.mark.parametrize("more", ["keepalive_requests 1;", "keepalive_timeout 0;"])
def test_the_last_answer_leaves_before_the_goaway(server, more):
    """Clients (hyper-h2 is one) that see the end of the connection first drop what follows."""
    s = start(server, more=more)
    with RawH2(s.port) as c:
        c.request(1)
        frames = []
        while not frames or frames[-1][0] != GOAWAY:
            frames.append(c.read())
        assert [f[0] for f in frames if f[0] in (HEADERS, DATA, GOAWAY)] == [HEADERS, DATA, GOAWAY]


def test_an_idle_connection_is_told_and_closed(server):
    s = start(server, more="keepalive_timeout 1s;")
    in_time(1, lambda: told_and_closed(s))


def told_and_closed(s):
    with H2Client(s.port) as c:
        assert c.get("/").status == 200
        assert c.wait_goaway(2) == (1, 0)
        assert c.wait_end() == "closed"


def test_requests_under_way_at_a_reload_end_where_they_began(server, upstream):
    go = threading.Event()
    u = upstream([up.request(), up.send(HEAD + b"abc"), up.wait_for(go), up.send(b"def")])
    s = start(server, u.port)
    (old,) = s.wait_workers()
    with H2Client(s.port) as c:
        stream = c.start("/up")
        c.pump_until(lambda: c.replies[stream].body == b"abc")
        s.signal(1)
        c.pump_until(lambda: c.goaways)
        assert c.goaways[0] == (2**31 - 1, 0)
        go.set()
        assert c.wait(stream).body == b"abcdef"
        assert c.wait_end() == "closed" and c.goaways[-1][1] == 0
    wait_until(lambda: old not in s.workers(), 5, "the end of the drained worker")


def test_a_request_sent_before_the_client_knew_is_served(server, upstream):
    """Between the two GOAWAYs: the client answers no PING until its late request is out."""
    go = threading.Event()
    u = upstream([up.request(), up.send(HEAD + b"abc"), up.wait_for(go), up.send(b"def")])
    s = start(server, u.port)
    (old,) = s.wait_workers()
    with RawH2(s.port) as c:
        c.request(1, path="/up")
        u.wait_requests(1)  # by the old worker: before, the connection may fall to either
        s.signal(1)
        assert c.until(GOAWAY)[3][:4] == b"\x7f\xff\xff\xff"
        c.request(3, path="/")
        got = c.until(0, stream=3)
        assert got[3] == str(old).encode()
        c.send(frame(6, 1, 0, b"\0" * 8))
        assert c.until(GOAWAY)[3][:4] == b"\0\0\0\3"
        go.set()
        assert c.until(0, stream=1)[3] in (b"abc", b"def", b"abcdef")
        assert c.goaway_code() is None  # nothing more, then the end


def test_quit_is_not_held_up_by_idle_connections(server):
    s = start(server)
    with H2Client(s.port) as c:
        assert c.get("/").status == 200
        s.quit()
        assert c.wait_end() == "closed"


def test_requests_are_counted(server):
    s = start(server)
    with H2Client(s.port) as c:
        for _ in range(4):
            c.get("/")
        lines = c.get("/status").text.splitlines()
    assert lines[2].split()[2] == "5" and lines[3].startswith("Reading: 0 Writing: 1")


def test_the_preface_may_follow_a_proxy_header_at_once(server):
    s = server(CONF.replace("%%PORT_0%%;", "%%PORT_0%% proxy_protocol;").replace("return 200 $pid", "return 200 $proxy_protocol_addr"),
               UP=1, MORE="")
    with RawH2(s.port, begin=b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n" + PREFACE + frame(4)) as c:
        c.request(1)
        assert c.until(0)[3] == b"192.0.2.7"


@pytest.mark.parametrize("listen, http2", [("ssl", "http2 on;"), ("ssl http2", "")])
def test_alpn_chooses_http_2_over_tls(server, tmp_path, listen, http2):
    authority = Authority(tmp_path)
    certificate, key = authority.leaf("localhost")
    conf = CONF.replace("listen 127.0.0.1:%%PORT_0%%;\n        http2 on;", f"listen 127.0.0.1:%%PORT_0%% {listen}; {http2}\n"
                        "        ssl_certificate %%CERT%%; ssl_certificate_key %%KEY%%;")
    s = server(conf, UP=1, MORE="", CERT=certificate, KEY=key)
    with H2Client(s.port, tls=authority.client_context(alpn=["h2"]), server_name="localhost") as c:
        assert [c.get("/").status for _ in range(3)] == [200] * 3
    url = f"https://127.0.0.1:{s.port}/status"
    for option, version in (("--http2", "2"), ("--http1.1", "1.1")):
        got = subprocess.run(["curl", "-sk", option, "-m", "60", "-w", "%{http_version}", url], capture_output=True, text=True, timeout=120)
        assert got.stdout.startswith("Active connections") and got.stdout.endswith("\n" + version)
