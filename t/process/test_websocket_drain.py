# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""websocket_drain: WebSockets of a worker that leaves end with code 1012, between two frames, spread over time."""

import asyncio
import signal
import threading
import time

import h2.settings
import pytest
import websockets

from lib import upstreams as up
from lib.client import Client
from lib.fairlead import title_of
from lib.h2client import H2Client
from lib.ports import TIME_SCALE, claim_port, in_time, release_port, wait_until

CONF = """
worker_shutdown_timeout %%SHUTDOWN%%;
events {}
http {
    proxy_websocket on;
    websocket_drain %%DRAIN%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        location / { proxy_pass http://127.0.0.1:%%UP%%; }
        location /two { proxy_pass http://127.0.0.1:%%UP%%; proxy_http_version 2; }
        location /upgrade { proxy_pass http://127.0.0.1:%%UP%%; proxy_set_header Upgrade other; proxy_set_header Connection upgrade; }
    }
}
"""
OPEN = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
RESTART = b"\x88\x02\x03\xf4"
ANSWER = b"\x88\x82\x00\x00\x00\x00\x03\xf4"  # of a client: masked with zeros
MESSAGE = b"\x82\x7e\x01\x00" + b"m" * 256
PING = b"\x89\x00"


def start(server, port, drain="spread=0", shutdown="60s"):
    return server(CONF, UP=port, DRAIN=drain, SHUTDOWN=shutdown)


def opened(s):
    c = Client(s.port)
    c.send(OPEN)
    assert c.reader.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101")
    return c


def test_clients_are_told_to_reconnect_each_at_its_time(server):
    """Real clients and a real service, 20 connections: all see 1012, the service too, no message is lost, and it takes its time."""
    ends, codes, talking = [], [], set()
    port = claim_port()

    async def echo(socket):
        try:
            async for message in socket:
                await socket.send(message)
        except websockets.ConnectionClosed:
            pass
        codes.append(socket.close_code)

    async def talk(where, number):
        async with websockets.connect(f"ws://127.0.0.1:{where}/", max_size=None) as socket:
            text, sent = "x" * (1 + number * 2000), 0
            try:
                while True:
                    await socket.send(text)
                    sent += 1
                    assert await socket.recv() == text
                    talking.add(number)
                    await asyncio.sleep(0.01)
            except websockets.ConnectionClosed:
                ends.append((socket.close_code, sent, time.monotonic()))

    async def all_talk():
        while len(talking) < 20:
            await asyncio.sleep(0.01)

    async def all_ended():
        while len(codes) < 20:
            await asyncio.sleep(0.01)

    async def run():
        async with websockets.serve(echo, "127.0.0.1", port, max_size=None):
            s = start(server, port, "spread=2s")
            (old,) = s.wait_workers()
            clients = [asyncio.create_task(talk(s.port, i)) for i in range(20)]
            await asyncio.wait_for(all_talk(), 20 * TIME_SCALE)  # with the old worker
            await asyncio.get_running_loop().run_in_executor(None, s.reload)
            await asyncio.wait_for(asyncio.gather(*clients), 20 * TIME_SCALE)
            await asyncio.wait_for(all_ended(), 20 * TIME_SCALE)  # before the service's own end, which has another code
            return s, old
    s, old = asyncio.run(run())
    release_port(port)
    assert [code for code, _, _ in ends] == [1012] * 20 and codes == [1012] * 20
    times = sorted(at for _, _, at in ends)
    assert times[-1] - times[0] > 0.2
    wait_until(lambda: not title_of(old), 10, "the end of the drained worker")


def test_a_quit_ends_them_too(server, upstream):
    u = upstream([up.head(), up.send(SWITCH), up.read(8), up.close()])
    s = start(server, u.port)
    with opened(s) as c:
        s.signal(signal.SIGQUIT)
        assert c.reader.exactly(4) == RESTART
        c.send(ANSWER)
        assert c.read_until_close() == b""
    assert s.wait() == 0
    wait_until(lambda: u.connections[0].raw.endswith(ANSWER), 5, "the client's answer")


@pytest.mark.parametrize("at", [1, 3, 4, 100, 259])
def test_a_frame_under_way_is_finished_before(server, upstream, at):
    rest = threading.Event()
    u = upstream([up.head(), up.send(SWITCH + PING + MESSAGE[:at]), up.wait_for(rest), up.send(MESSAGE[at:] + MESSAGE + PING),
                  up.read(8), up.close()])
    s = start(server, u.port)
    with opened(s) as c:
        assert c.reader.exactly(2 + at) == PING + MESSAGE[:at]
        s.reload()
        assert c.is_quiet(0.3)
        rest.set()
        assert c.reader.exactly(len(MESSAGE) - at + 4) == MESSAGE[at:] + RESTART
        c.send(ANSWER)
        assert c.read_until_close() == b""


def test_a_service_that_closes_first_is_left_alone(server, upstream):
    u = upstream([up.head(), up.send(SWITCH + b"\x88\x02\x03\xe8"), up.read(8), up.close()])
    s = start(server, u.port)
    with opened(s) as c:
        assert c.reader.exactly(4) == b"\x88\x02\x03\xe8"
        s.reload()
        assert c.is_quiet(0.3)
        c.send(ANSWER)
        assert c.read_until_close() == b""


def test_a_client_that_does_not_answer_is_cut_off(server, upstream):
    u = upstream([up.head(), up.send(SWITCH), up.hold()])
    s = start(server, u.port, "spread=0 timeout=300ms")
    with opened(s) as c:
        s.reload()
        assert c.reader.exactly(4) == RESTART
        assert c.read_until_close() == b""
    wait_until(lambda: u.connections[0].closed, 5, "the end of the service's connection")


def test_over_http_2(server, upstream):
    u = upstream([up.head(), up.send(SWITCH + PING), up.read(8), up.close()])
    s = start(server, u.port)
    with H2Client(s.port) as c:
        pseudo = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "h"), (":path", "/")]
        stream = c.start(pseudo=pseudo, headers=[("sec-websocket-version", "13")], end=False)
        c.pump_until(lambda: c.replies[stream].body == PING)
        s.reload()
        c.pump_until(lambda: c.replies[stream].body == PING + RESTART)
        c.send(stream, ANSWER)
        assert c.wait(stream).ended
    wait_until(lambda: u.connections[0].raw.endswith(ANSWER), 5, "the client's answer")


def test_a_service_of_http_2_is_told_and_its_stream_ends(server, h2_upstream):
    def begin(stream):
        stream.head(200)
        stream.data(PING + MESSAGE[:100])

    def go_on(stream):
        if stream.body == b"go":
            stream.data(MESSAGE[100:] + PING)
        elif stream.body.endswith(ANSWER):
            stream.data(b"", end=True)

    u = h2_upstream(on_head=begin, on_data=go_on, settings={h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})
    s = start(server, u.port)
    with Client(s.port) as c:
        c.send(OPEN.replace(b"GET / ", b"GET /two "))
        assert c.reader.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101")
        assert c.reader.exactly(2 + 100) == PING + MESSAGE[:100]
        s.reload()
        assert c.is_quiet(0.3)
        c.send(b"go")
        assert c.reader.exactly(len(MESSAGE) - 100 + 4) == MESSAGE[100:] + RESTART
        c.send(ANSWER)
        assert c.read_until_close() == b""
    wait_until(lambda: u.requests[0].is_over, 5, "the end of the stream")


def test_the_spread_ends_before_worker_shutdown_timeout(server, upstream):
    """A spread of an hour in a worker that has 8 s left: all are told, and can answer."""
    u = upstream([up.head(), up.send(SWITCH), up.read(8), up.close()])
    s = start(server, u.port, "spread=1h timeout=4s", "8s")
    ended = []

    def answer(c):
        with c:
            told = c.reader.exactly(4)
            c.send(ANSWER)
            ended.append((told, c.read_until_close()))
    threads = [threading.Thread(target=answer, args=(opened(s),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    s.reload()
    for thread in threads:
        thread.join()
    assert ended == [(RESTART, b"")] * 8
    wait_until(lambda: sum(one.raw.endswith(ANSWER) for one in u.connections) == 8, 5, "all answers")


def test_a_half_closed_one_ends_when_it_is_silent(server, upstream):
    """A service that does not answer the end of its client holds no worker."""
    over = threading.Event()
    u = upstream([up.head(), up.send(SWITCH), up.read_to_end(), up.send(b"late"), up.wait_for(over)])
    s = start(server, u.port, "off")
    (old,) = s.wait_workers()
    with opened(s) as c:
        c.half_close()
        assert c.reader.exactly(4) == b"late"
        s.reload()
        c.socket.settimeout(10 * TIME_SCALE)
        assert c.read_until_close() == b""
    wait_until(lambda: not title_of(old), 5, "the end of the drained worker")
    over.set()


@pytest.mark.parametrize("drain, request_bytes", [("off", OPEN), ("spread=0", OPEN.replace(b"GET / ", b"GET /upgrade "))])
def test_others_stay_until_worker_shutdown_timeout(server, upstream, drain, request_bytes):
    in_time(3, lambda: stays_to_the_end(server, upstream, drain, request_bytes))


def stays_to_the_end(server, upstream, drain, request_bytes):
    switch = SWITCH if drain == "off" else SWITCH.replace(b"websocket", b"other")
    u = upstream([up.head(), up.send(switch), up.read(4), up.send(b"pong"), up.read_to_end()])
    s = start(server, u.port, drain, "3s")
    with Client(s.port) as c:
        c.send(request_bytes)
        assert c.reader.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101")
        s.reload()
        assert c.send(b"ping").reader.exactly(4) == b"pong"
        assert c.read_until_close() == b""
