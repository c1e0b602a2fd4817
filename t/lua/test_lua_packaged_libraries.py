# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Libraries written for OpenResty as Debian packages them (lua-nginx-*: the lua-resty-* ones, renamed), unmodified, at work with real
peers: redis-server, a name server, WebSocket peers in Python."""

import asyncio
import hashlib
import threading

import pytest
import websockets

from lib import upstreams as up
from lib.client import get
from lib.dns import NameServer
from lib.redis import redis  # noqa: F401

CONF = r"""
events {}
http {
    lua_socket_log_errors off;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { content_by_lua_block { SCRIPT } }
        location /echo { content_by_lua_block {
            local server = require "nginx.websocket.server"
            local ws, err = server:new({ timeout = 10000, max_payload_len = 100000 })
            if not ws then ngx.log(ngx.ERR, "no websocket: ", err) return ngx.exit(444) end
            while true do
                local data, kind, err = ws:recv_frame()
                if kind == "text" then assert(ws:send_text("echo " .. data))
                elseif kind == "binary" then assert(ws:send_binary(data))
                elseif kind == "ping" then ws:send_pong(data)
                elseif kind == "close" then ws:send_close(1000, "bye") return
                elseif not data then ngx.log(ngx.ERR, "receiving: ", err) return end
            end
        } }
    }
}
"""


def run(server, script, **names):
    return get(server(CONF.replace("SCRIPT", script), **names).port, "/", headers={"Cookie": "a=1; b=two"})


def test_redis_commands_pipelines_and_subscriptions(server, redis):  # noqa: F811
    text = run(server, """
        local redis = require "nginx.redis"
        local function connected()
            local red = redis:new()
            red:set_timeout(5000)
            assert(red:connect("127.0.0.1", %%REDIS%%))
            return red
        end
        local red = connected()
        ngx.say(red:set("dog", "an animal"), " ", red:get("dog"), " ", red:get("none") == ngx.null, " ", red:incr("n"))
        red:init_pipeline()
        red:rpush("list", "a") red:rpush("list", "b") red:lrange("list", 0, -1) red:hmset("h", "x", 1, "y", 2) red:hgetall("h") red:foo()
        local results = assert(red:commit_pipeline())
        ngx.say(results[2], " ", table.concat(results[3], ","), " ", red:array_to_hash(results[5]).y, " ", tostring(results[6][1]))
        local listener = connected()
        assert(listener:subscribe("news"))
        local heard = ngx.thread.spawn(function() return listener:read_reply() end)
        red:publish("news", "hello")
        local _, reply = ngx.thread.wait(heard)
        ngx.say(table.concat(reply, " "))
        ngx.say(red:set_keepalive(10000, 10), " ", connected():get_reused_times())
        ngx.say((red:get("dog")))""", REDIS=redis().port).body.decode()
    assert text == "OK an animal true 1\n2 a,b 2 false\nmessage news hello\n1 1\nnil\n"


def test_redis_by_a_connector(server, redis):  # noqa: F811
    text = run(server, """
        local connector = require("nginx.redis.connector").new()
        local red, err = connector:connect({ url = "redis://127.0.0.1:%%REDIS%%/3" })
        ngx.say(red:set("a", "b"), " ", red:get("a"), " ", red:ping())
        ngx.say(require("nginx.redis.connector").new():connect({ url = "redis://127.0.0.1:1" }) == nil)""",
        REDIS=redis().port).body.decode()
    assert text == "OK b PONG\ntrue\n"


def test_memcached(server, upstream):
    u = upstream([up.read(len(b"set dog 3 0 6\r\nanimal\r\n")), up.send(b"STORED\r\n"), up.read(len(b"get dog\r\n")),
                  up.send(b"VALUE dog 3 6\r\nanimal\r\nEND\r\n"), up.read(len(b"get none\r\n")), up.send(b"END\r\n"),
                  up.read(len(b"version\r\n")), up.send(b"VERSION 1.6\r\n")])
    text = run(server, """
        local cache = require("nginx.memcached"):new()
        cache:set_timeout(5000) assert(cache:connect("127.0.0.1", %%UP%%))
        ngx.say(cache:set("dog", "animal", 0, 3)) ngx.say(cache:get("dog")) ngx.say(tostring((cache:get("none")))) ngx.say(cache:version())
        ngx.say(cache:set_keepalive(1000, 1))""", UP=u.port).body.decode()
    assert text == "1\nanimal3\nnil\n1.6\n1\n"


@pytest.fixture
def names():
    server = NameServer({"one.test": [("A", "127.0.0.2", 60), ("A", "127.0.0.3", 60)], "alias.test": [("CNAME", "one.test", 5)],
                         "big.test": [("A", "127.0.0.4", 1)], "six.test": [("AAAA", "::1", 9)]}, truncate=["big.test"])
    yield server
    server.stop()


def test_names(server, names):
    text = run(server, """
        local resolver = require "nginx.dns.resolver"
        local r = assert(resolver:new{ nameservers = { {"127.0.0.1", %%DNS%%} }, retrans = 2, timeout = 5000 })
        for _, ask in ipairs { { "one.test", r.TYPE_A }, { "six.test", r.TYPE_AAAA }, { "alias.test", r.TYPE_CNAME },
                               { "big.test", r.TYPE_A }, { "none.test", r.TYPE_A } } do
            local answers, err = r:query(ask[1], { qtype = ask[2] })
            if not answers then ngx.say("failed: ", err)
            elseif answers.errcode then ngx.say(answers.errcode, " ", answers.errstr)
            else
                for _, a in ipairs(answers) do ngx.print(a.address or a.cname, "/", a.ttl, " ") end
                ngx.say()
            end
        end""", DNS=names.port).body.decode()
    assert text == "127.0.0.2/60 127.0.0.3/60 \n0:0:0:0:0:0:0:1/9 \none.test/5 \n127.0.0.4/1 \n3 name error\n"


def test_digests_ciphers_and_random_bytes(server):
    text = run(server, """
        local to_hex = require("nginx.string").to_hex
        for _, name in ipairs { "md5", "sha1", "sha224", "sha256", "sha384", "sha512" } do
            local digest = require("nginx." .. name):new()
            digest:update("hel") digest:update("lo")
            ngx.say(to_hex(digest:final()))
        end
        local aes = require("nginx.aes")
        local box = aes:new("secret key", nil, aes.cipher(256, "cbc"), aes.hash.sha256)
        ngx.say(box:decrypt(box:encrypt("a text")), " ", tostring((box:decrypt("nonsense"))))
        ngx.say(#require("nginx.random").bytes(20), " ", require("nginx.string").atoi("42"))""").body.decode()
    wanted = [hashlib.new(name, b"hello").hexdigest() for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")]
    assert text.splitlines() == [*wanted, "a text nil", "20 42"]


def test_cookies(server):
    reply = run(server, """
        local cookie = require("nginx.cookie"):new()
        ngx.header["X-Seen"] = cookie:get("b") .. " " .. tostring(cookie:get("c")) .. " " .. cookie:get_all().a
        assert(cookie:set({ key = "c", value = "3", path = "/", httponly = true })) assert(cookie:set({ key = "d", value = "4" }))
        ngx.say("ok")""")
    assert reply.header("x-seen") == "two nil 1"
    assert reply.all("set-cookie") == ["c=3; Path=/; HttpOnly", "d=4"]


def test_a_websocket_server(server):
    s = server(CONF.replace("SCRIPT", ""))

    async def talk():
        async with websockets.connect(f"ws://127.0.0.1:{s.port}/echo") as ws:
            await ws.send("one")
            first = await ws.recv()
            await ws.send(b"\0" * 70000)
            second = await ws.recv()
            await (await ws.ping())
            return first, len(second)
    assert asyncio.run(talk()) == ("echo one", 70000)


class Echo:
    """A WebSocket server in Python."""

    def __enter__(self):
        started = threading.Event()

        async def serve():
            async def answer(ws, *_):
                async for message in ws:
                    await ws.send(message if isinstance(message, bytes) else message.upper())
            self.stopped, self.loop = asyncio.Event(), asyncio.get_running_loop()
            async with websockets.serve(answer, "127.0.0.1", 0) as served:
                self.port = served.sockets[0].getsockname()[1]
                started.set()
                await self.stopped.wait()
        self.thread = threading.Thread(target=lambda: asyncio.run(serve()))
        self.thread.start()
        assert started.wait(60)
        return self

    def __exit__(self, *unused):
        self.loop.call_soon_threadsafe(self.stopped.set)
        self.thread.join(10)


def test_a_websocket_client(server):
    with Echo() as echo:
        text = run(server, """
            local ws = require("nginx.websocket.client"):new({ timeout = 30000, max_payload_len = 100000 })
            ngx.say(ws:connect("ws://127.0.0.1:%%WS%%/x"))
            ws:send_text("hello") ngx.say((ws:recv_frame()))
            ws:send_binary(("x"):rep(70000)) ngx.say(#(ws:recv_frame()))
            ws:send_ping("p") ngx.say((select(2, ws:recv_frame())))
            ngx.say(ws:close())""", WS=echo.port).body.decode()
    assert text == "1\nHELLO\n70000\npong\n1\n"


def test_a_log_for_kafka_can_be_made(server):
    text = run(server, """
        local producer = require("nginx.kafka.producer"):new({ { host = "127.0.0.1", port = 1 } }, { max_retry = 0, socket_timeout = 100 })
        ngx.say((producer:send("topic", "key", "a message")))
        ngx.say(producer:offset())""").body.decode()
    assert text == "nil\n0\n"
