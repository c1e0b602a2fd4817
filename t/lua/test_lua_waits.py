# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What ends a wait of a script other than what it waits for: the client leaves, the time is over, the configuration is reloaded, the
worker is stopped. One row for each kind of wait."""

import signal
import socket
import threading

import pytest

from lib import upstreams as up
from lib.client import Client
from lib.dns import NameServer
from lib.ports import TIME_SCALE, wait_until

CONF = r"""
error_log logs/error.log info;
worker_shutdown_timeout SHUTDOWN;
events {}
http {
    lua_socket_log_errors off;
    lua_shared_dict said 1m;
    resolver 127.0.0.1:%%DNS%% ipv6=off;
    resolver_timeout 30s;
    init_by_lua_block {
        MS = 30000
        function waiting() ngx.shared.said:incr("waiting", 1, 0) end
        function connected()
            local s = ngx.socket.tcp()
            s:settimeout(MS)
            assert(s:connect("127.0.0.1", %%UP%%))
            waiting()
            return s
        end
    }
    log_by_lua_block { ngx.log(ngx.NOTICE, "over ", ngx.var.uri, " ", ngx.status) }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        lua_check_client_abort on;
        LOCATIONS
        location /waiting { log_by_lua_block { } content_by_lua_block { ngx.print(ngx.shared.said:get("waiting") or 0) } }
    }
}
"""
# A wait: the script, whose upstream says "line" and a newline once it may; what the script says then, and when its time is over.
WAITS = {
    "sleep": ("waiting() ngx.sleep(MS / 1000) ngx.say('slept')", None, "slept"),
    "receive": ("ngx.say(connected():receive(5))", "line\n\n", "niltimeout"),
    "receive_line": ("ngx.say(connected():receive())", "line\n", "niltimeout"),
    "receive_any": ("ngx.say(connected():receiveany(10))", "line\n\n", "niltimeout"),
    "receive_until": ("ngx.say(connected():receiveuntil('ne')())", "li\n", "niltimeout"),
    "send": ("ngx.say(connected():send(('x'):rep(1.2e7)))", "12000000\n", "niltimeout"),
    "receive_datagram": ("local u = ngx.socket.udp() u:setpeername('127.0.0.1', %%UDP%%) u:settimeout(MS) u:send('x') waiting() "
                         "ngx.say(u:receive())", "line\n", "niltimeout"),
    "resolve": ("waiting() local s = ngx.socket.tcp() s:settimeout(MS) ngx.say(s:connect('silent.test', 80))", None, None),
    "semaphore": ("local m = require('ngx.semaphore').new() local s = connected() "
                  "ngx.thread.spawn(function() if s:receive() then m:post() end end) ngx.say(m:wait(MS / 1000))", "true\n", "falsetimeout"),
    "thread": ("local s = connected() ngx.say(ngx.thread.wait(ngx.thread.spawn(function() return s:receive() end)))", "trueline\n",
               "truenil"),
    "coroutine": ("local s = connected() ngx.say(coroutine.wrap(function() return s:receive() end)())", "line\n", "niltimeout"),
    "deep": ("local s = connected() ngx.say(pcall(function() return coroutine.wrap(function() return s:receive() end)() end))",
             "trueline\n", "truenil"),
}
# These wait for the client.
CLIENT_WAITS = {
    "body": "waiting() ngx.req.read_body() ngx.say(#ngx.req.get_body_data())",
    "flush": "ngx.print(('x'):rep(8e6)) waiting() ngx.say(ngx.flush(true))",
}
ALL = {**{name: row[0] for name, row in WAITS.items()}, **CLIENT_WAITS}


class Peers:
    """The upstream, the name server that is silent and a UDP socket, and whether they may go on."""

    def __init__(self, upstream):
        self.may = threading.Event()
        self.up = upstream([up.wait_for(self.may), up.send(b"line\n"), up.read_to_end()])
        self.names = NameServer(silent=["silent.test"])
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.answering = threading.Thread(target=self._answer, daemon=True)
        self.answering.start()

    def _answer(self):
        while True:
            data, sender = self.udp.recvfrom(100)
            if data == b"end":
                return
            assert self.may.wait(60 * TIME_SCALE)
            self.udp.sendto(b"line", sender)

    def stop(self):
        self.may.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", self.udp.getsockname())
        self.answering.join(10)
        self.udp.close()
        self.names.stop()


@pytest.fixture
def peers(upstream):
    made = Peers(upstream)
    yield made
    made.stop()


def start(server, peers, ms=30000, shutdown="60s", **more):
    places = "\n".join(f"location = /{name} {{ content_by_lua_block {{ {script} }} }}" for name, script in ALL.items())
    text = CONF.replace("LOCATIONS", places).replace("MS = 30000", f"MS = {ms}").replace("SHUTDOWN", shutdown)
    return server(text, UP=peers.up.port, DNS=peers.names.port, UDP=peers.udp.getsockname()[1], **more)


def ask(s, name):
    client = Client(s.port, seconds=30)
    if name == "body":
        return client.send(f"POST /{name} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
    return client.send(f"GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n")


def wait_waiting(s, count):
    with Client(s.port) as c:
        wait_until(lambda: int(c.get("/waiting").body) >= count)


def test_the_client_leaves(server, peers):
    s = start(server, peers)
    for number, name in enumerate(ALL, 1):
        client = ask(s, name)
        wait_waiting(s, number)
        client.reset()
        s.wait_for_log(f"over /{name} ")
    peers.may.set()
    wait_until(lambda: all(seen.ended or seen.closed for seen in peers.up.connections))


def test_the_client_leaves_in_good_order(server, peers):
    s = start(server, peers)
    for number, name in enumerate((n for n in WAITS), 1):
        client = ask(s, name)
        wait_waiting(s, number)
        client.close()
        s.wait_for_log(f"over /{name} 499")


def test_the_time_is_over(server, peers):
    s = start(server, peers, ms=200)
    for name, (_, _, told) in WAITS.items():
        if told:
            with ask(s, name) as client:
                reply = client.read_reply()
                assert (reply.status, reply.body.decode()[:len(told)]) == (200, told), name


def release(peers, clients):
    peers.may.set()
    for name, client in clients.items():
        if name == "body":
            client.send("67890")
            assert client.read_reply().body == b"10\n"
        elif name == "flush":
            assert client.read_reply().body.endswith(b"x1\n")
        else:
            assert client.read_reply().body.decode() == WAITS[name][1], name


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reload_lets_them_end(server, peers, workers):
    s = start(server, peers)
    s.set_conf(s.conf if workers == 1 else f"worker_processes {workers};\n" + s.conf)
    clients = {name: ask(s, name) for name in ALL if name in CLIENT_WAITS or WAITS[name][1]}
    wait_waiting(s, len(clients))
    old = s.workers()
    s.reload()
    assert set(old) <= set(s.workers())
    release(peers, clients)
    for client in clients.values():
        client.close()
    wait_until(lambda: not set(old) & set(s.workers()))


def test_a_worker_that_may_not_wait_ends_them(server, peers):
    s = start(server, peers, shutdown="300ms")
    clients = [ask(s, name) for name in ALL]
    wait_waiting(s, len(ALL))
    s.signal(signal.SIGQUIT)
    s.wait()
    for client in clients:
        client.close()


def test_the_server_is_stopped(server, peers):
    s = start(server, peers)
    clients = [ask(s, name) for name in ALL]
    wait_waiting(s, len(ALL))
    s.signal(signal.SIGTERM)
    s.wait()
    for client in clients:
        client.close()
