# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The sockets of scripts among the worker's connections: worker_connections holds for them, and idle ones in pools make room for others."""

import socket

import pytest

from lib import upstreams as up
from lib.client import Client, get

CONF = r"""
events { worker_connections 12; }
http {
    lua_socket_log_errors off;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /ok { return 200 ok; }
        location /proxied { proxy_pass http://127.0.0.1:%%UP%%; }
        location /open { content_by_lua_block {
            local open, why = {}, nil
            for i = 1, ngx.var.arg_n do
                local s = ngx.socket[ngx.var.arg_kind]()
                local connect = s.connect or s.setpeername
                local ok, wrong = connect(s, "127.0.0.1", ngx.var.arg_port)
                if ok then open[#open + 1] = s else why = wrong end
            end
            for _, s in ipairs(open) do
                if ngx.var.arg_keep then assert(s:setkeepalive(60000, 50)) else s:close() end
            end
            ngx.say(#open, " ", tostring(why))
        } }
    }
}
"""
NO_ROOM = dict(allow_log=["worker_connections are not enough"])


@pytest.fixture
def silent():
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield listening.getsockname()[1]


def start(server, u):
    return server(CONF, UP=u.port, **NO_ROOM)


def busy(client):
    """Neither idle nor answered."""
    return client.send("GET /ok HTTP/1.1\r\n")


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_the_limit_holds_for_sockets_of_scripts(server, upstream, silent, kind):
    s = start(server, upstream(up.close()))
    for _ in range(2):  # what was closed is free again
        assert get(s.port, f"/open?kind={kind}&n=30&port={silent}").text == "11 worker_connections are not enough\n"
    assert get(s.port, "/ok").text == "ok"


def test_idle_ones_make_room_for_clients_and_for_peers(server, upstream, silent):
    s = start(server, upstream(up.serve(lambda request: up.reply(200, request.target))))
    with Client(s.port) as first, Client(s.port) as second:
        assert first.get(f"/open?kind=tcp&n=10&port={silent}&keep=1").text == "10 nil\n"
        assert second.get(f"/open?kind=tcp&n=10&port={silent}&keep=1").text == "10 nil\n"
        busy(first), busy(second)
        for _ in range(3):
            assert get(s.port, "/ok").text == "ok"
        with Client(s.port) as third:
            for _ in range(3):
                assert third.get("/proxied").text == "/proxied"


def test_idle_ones_make_room_for_sockets_of_scripts(server, upstream, silent):
    s = start(server, upstream(up.serve(lambda request: up.reply(200, request.target))))
    with Client(s.port) as client, socket.create_server(("127.0.0.1", 0), backlog=64) as other:
        assert client.get(f"/open?kind=tcp&n=11&port={silent}&keep=1").text == "11 nil\n"
        assert client.get(f"/open?kind=tcp&n=30&port={other.getsockname()[1]}").text == "11 worker_connections are not enough\n"
