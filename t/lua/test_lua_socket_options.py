# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.socket.tcp and udp: sockets as tables that libraries extend, options, the local address, pools with a backlog, a store of trusted
certificates of the script's own."""

import socket
import threading

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import get

CONF = r"""
events {}
http {
    lua_socket_log_errors off;
    lua_socket_send_lowat 1;
    lua_socket_read_timeout 60ms;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { content_by_lua_block {
            local function connected(options)
                local s = ngx.socket.tcp()
                s:settimeout(30000)
                assert(s:connect("127.0.0.1", %%UP%%, options))
                return s
            end
            SCRIPT
        } }
    }
}
"""
STORE = r"""
            local ffi = require "ffi"
            ffi.cdef[[
                typedef struct x509_store_st X509_STORE; typedef struct x509_st X509; typedef struct bio_st BIO;
                X509_STORE *X509_STORE_new(void); void X509_STORE_free(X509_STORE *); int X509_STORE_add_cert(X509_STORE *, X509 *);
                BIO *BIO_new_file(const char *, const char *); int BIO_free(BIO *);
                X509 *PEM_read_bio_X509(BIO *, X509 **, void *, void *); void X509_free(X509 *);
            ]]
            local function store_of(path)
                local store = ffi.gc(ffi.C.X509_STORE_new(), ffi.C.X509_STORE_free)
                local bio = ffi.C.BIO_new_file(path, "r")
                local cert = ffi.C.PEM_read_bio_X509(bio, nil, nil, nil)
                ffi.C.X509_STORE_add_cert(store, cert)
                ffi.C.X509_free(cert) ffi.C.BIO_free(bio)
                return store
            end
"""


def run(server, u, script, **names):
    return get(server(CONF.replace("SCRIPT", script), **{"UP": u.port, **names}).port, "/").body.decode()


def lines(*actions):
    return [action for line in actions for action in (up.read(2), up.send(line))]


def test_a_socket_is_a_table(server, upstream):
    u = upstream(lines(b"one\n", b"two\n"))
    text = run(server, u, """
        local s = connected()
        s.name = "mine"
        local receive = s.receive
        s.receive = function(self, ...) return "[" .. receive(self, ...) .. "]" end
        s:send("a\\n")
        ngx.say(type(s), " ", s.name, " ", s:receive())
        local Sub = { hello = function(self) return "hello " .. self.name end }
        Sub.__index = function(_, key) return Sub[key] or getmetatable(ngx.socket.tcp()).__index[key] end
        setmetatable(s, Sub)
        s:send("b\\n")
        ngx.say(s:hello(), " ", s:receive(), " ", s:close())
        ngx.say((select(2, pcall(getmetatable(ngx.socket.tcp()).send, {}, "x")):gsub("^.-: ", "")))
        ngx.say((select(2, pcall(ngx.socket.tcp().send, ngx.socket.udp(), "x")):gsub("^.-: ", "")))""")
    assert text == ("table mine [one]\nhello mine [two] 1\nbad argument #1 to '?' (socket expected)\n"
                    "bad argument #1 to '?' (socket expected)\n")


def test_options(server, upstream):
    u = upstream([up.read_to_end()])
    text = run(server, u, """
        local s = connected()
        for _, name in ipairs { "keepalive", "reuseaddr", "tcp-nodelay", "keepidle", "keepintvl", "keepcnt" } do
            ngx.say(name, " ", s:setoption(name, 1), " ", s:getoption(name))
        end
        ngx.say(s:setoption("keepalive", false), " ", s:getoption("keepalive"))
        ngx.say(s:setoption("rcvbuf", 8192), " ", s:getoption("rcvbuf") >= 8192, " ", s:setoption("sndbuf", 8192))
        ngx.say(s:getoption("linger")) ngx.say(s:getoption()) ngx.say(s:setoption("keepalive")) ngx.say(s:setoption("keepcnt", -1))
        s:close() ngx.say(s:getoption("keepalive"))
        ngx.say(select(2, pcall(ngx.socket.tcp().getoption, ngx.socket.tcp(), "keepalive")))""")
    assert text == ("keepalive true 1\nreuseaddr true 1\ntcp-nodelay true 1\nkeepidle true 1\nkeepintvl true 1\nkeepcnt true 1\n"
                    "true 0\ntrue true true\nnilunsupported option linger\nnilmissing the \"option\" argument\n"
                    "nilmissing the \"value\" argument\nnilinvalid argument\nnilclosed\nsocket is never created nor connected\n")


def test_the_local_address(server, upstream):
    peers = []
    u = upstream([lambda seen: peers.append(seen.socket.getpeername()[0]), *lines(b"hello\n")])
    text = run(server, u, """
        local s = ngx.socket.tcp()
        s:settimeout(30000)
        ngx.say(s:bind("localhost")) ngx.say(s:bind("127.0.0.1", 70000)) ngx.say(s:bind("127.0.0.9"))
        assert(s:connect("127.0.0.1", %%UP%%)) s:send("x\\n") ngx.say(s:receive())
        s:bind("192.0.2.1") ngx.say(s:connect("127.0.0.1", %%UP%%))""")
    assert text == "nilbad address\nnilport number out of range\ntrue\nhello\nnilcannot assign requested address\n"
    assert peers == ["127.0.0.9"]


def test_the_local_address_of_datagrams(server, upstream):
    u = upstream([up.close()])
    seen = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(10)

        def answer():
            data, sender = peer.recvfrom(100)
            seen.append(sender[0])
            peer.sendto(data, sender)
        answering = threading.Thread(target=answer)
        answering.start()
        text = run(server, u, """
            local s = ngx.socket.udp()
            s:settimeout(30000)
            ngx.say(s:bind("localhost")) ngx.say(s:bind("127.0.0.8")) s:setpeername("127.0.0.1", PEER) s:send("x") ngx.say(s:receive())
            """.replace("PEER", str(peer.getsockname()[1])))
        answering.join()
    assert (text, seen) == ("nilbad address\ntrue\nx\n", ["127.0.0.8"])


def test_a_pool_with_a_backlog_counts_connections_in_use(server, upstream):
    u = upstream(lines(b"1\n", b"2\n"))
    text = run(server, u, """
        local options = { pool = "few", pool_size = 1, backlog = 1 }
        local first, said = connected(options), {}
        local function wait_for_place()
            local s = connected(options)
            s:send("b\\n")
            said[1] = s:receive() .. " over connection " .. s:getreusedtimes()
            s:close()
        end
        local waiting = ngx.thread.spawn(wait_for_place)
        ngx.say(ngx.socket.tcp():connect("127.0.0.1", %%UP%%, options))
        first:send("a\\n") ngx.say(first:receive()) ngx.say(first:setkeepalive())
        ngx.thread.wait(waiting)
        ngx.say(said[1])""")
    assert text == "niltoo many waiting connect operations\n1\n1\n2 over connection 1\n"
    assert len(u.connections) == 1


def test_a_place_in_a_pool_is_free_when_its_connection_ends(server, upstream):
    u = upstream([up.read_to_end()], [up.read_to_end()], [up.read_to_end()])
    text = run(server, u, """
        local options = { pool = "one", pool_size = 1, backlog = 1 }
        local first = connected(options)
        local late = ngx.socket.tcp() late:settimeout(30)
        ngx.say(late:connect("127.0.0.1", %%UP%%, options))
        first:close()
        ngx.say(late:connect("127.0.0.1", %%UP%%, options))
        ngx.say(late:connect("127.0.0.1", %%UP%%, options))
        late:close()
        ngx.say(late:connect("127.0.0.1", 1, { pool = "one" })) ngx.say(late:connect("127.0.0.1", %%UP%%, options))""")
    assert text == "niltimeout\n1\n1\nnilconnection refused\n1\n"


def test_a_request_that_ends_gives_its_places_back(server, upstream):
    u = upstream([up.read_to_end()], [up.read_to_end()])
    s = server(CONF.replace("SCRIPT", """
        local s = ngx.socket.tcp()
        ngx.say(s:connect("127.0.0.1", %%UP%%, { pool = "x", pool_size = 1, backlog = 0 }))"""), UP=u.port)
    assert [get(s.port, "/").body for _ in range(2)] == [b"1\n", b"1\n"]


@pytest.mark.parametrize(("options", "wrong"), [
    ("{ pool_size = 0 }", 'bad "pool_size" option value: 0'), ("{ pool_size = {} }", 'bad "pool_size" option type: table'),
    ("{ backlog = -1 }", 'bad "backlog" option value: -1'), ("{ backlog = print }", 'bad "backlog" option type: function'),
    ("{ pool = {} }", 'bad "pool" option type: table'),
])
def test_options_of_connect_that_are_none(server, upstream, options, wrong):
    text = run(server, upstream([up.close()]), f"""
        local s = ngx.socket.tcp()
        ngx.say((select(2, pcall(s.connect, s, "127.0.0.1", %%UP%%, {options}))))""")
    assert text == f"bad argument #4 to '?' ({wrong})\n"


def test_a_store_of_the_scripts_own_is_trusted_once(server, upstream, tmp_path):
    ca = Authority(tmp_path / "ca")
    u = upstream([up.read_to_end()], [up.read_to_end()], [up.read_to_end()], tls=ca.server_context(ca.leaf("a.test")))
    text = run(server, u, STORE + """
        local s = connected()
        ngx.say(s:settrustedstore("x")) ngx.say(s:settrustedstore(store_of("%%CA%%")))
        collectgarbage()
        ngx.say(s:sslhandshake(false, "a.test", true)) ngx.say(type(s:getsslsession()), " ", (connected():getsslsession()))
        s:close()
        ngx.say(s:settrustedstore(store_of("%%CA%%")))
        s = connected()
        ngx.say((s:sslhandshake(false, "a.test", true)))""", CA=ca.path)
    assert text == "nilbad store arg: cdata expected, got string\ntrue\ntrue\ncdata nil\nnilclosed\nnil\n"


def test_a_timeout_of_nothing_is_the_configured_one(server, upstream):
    u = upstream([up.read_to_end()])
    text = run(server, u, """
        local s = connected()
        s:settimeout(60000) s:settimeout(0) ngx.say(s:receive())
        s:settimeouts(60000, 60000, 60000) s:settimeouts(1, 1, nil) ngx.say(s:receive())
        s:settimeout(60000) s:settimeout({}) ngx.say(s:receive()) ngx.say(pcall(s.settimeout, s, -1))
        local d = ngx.socket.udp() d:setpeername("127.0.0.1", 9) d:settimeout(60000) d:settimeout() ngx.say(d:receive())
        """).splitlines()
    assert text[:3] == ["niltimeout"] * 3 and text[3] == "falsebad timeout value" and text[4].startswith("nil")
