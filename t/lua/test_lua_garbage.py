# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A hook leaves no more garbage in its machine than its own code makes: with the collector stopped, requests add nothing."""

import pytest

from lib import upstreams as up
from lib.client import Client

CONF = r"""
events {}
http {
    access_log off;
    keepalive_requests 100000;
    lua_shared_dict d 1m;
    init_worker_by_lua_block { ngx.shared.d:set("127.0.0.1", 1) }
    upstream chosen { server 0.0.0.1; balancer_by_lua_block { require("ngx.balancer").set_current_peer("127.0.0.1", %%UP%%) } }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /held { content_by_lua_block { collectgarbage("stop") ngx.print(collectgarbage("count") * 1024) } }
        location /nothing { content_by_lua_block { } }
        location /print { content_by_lua_block { ngx.print("a text") } }
        location /set { set_by_lua_block $x { return "a" } set_by_lua $y 'return ngx.arg[2]' a b; return 200 x; }
        location /rewrite { rewrite_by_lua_block { local x = ngx.var.uri } return 200 x; }
        location /access { access_by_lua_block { local x = ngx.var.http_host } proxy_pass http://127.0.0.1:%%UP%%; }
        location /header_filter { header_filter_by_lua_block { ngx.header["X-A"] = "text" } return 200 x; }
        location /body_filter { body_filter_by_lua_block { local x, last = ngx.arg[1], ngx.arg[2] } return 200 x; }
        location /log { log_by_lua_block { local x = ngx.var.status } return 200 x; }
        location /balancer { proxy_pass http://chosen; }
        location /dictionary { content_by_lua_block { ngx.shared.d:incr("n", 1, 0) local x = ngx.shared.d:get(ngx.var.remote_addr) } }
        location /wait { content_by_lua_block { ngx.sleep(0) ngx.sleep(0.001) } }
        location /find { content_by_lua_block { local from = ngx.re.find(ngx.var.uri, "f[a-z]", "jo") } }
    }
}
"""
PLACES = ("nothing", "print", "set", "rewrite", "access", "header_filter", "body_filter", "log", "balancer", "dictionary", "wait", "find")


@pytest.fixture(scope="module")
def client():
    from lib.fairlead import Server
    u = up.Upstream(up.serve(lambda r: up.reply(200, b"x")))
    try:
        with Server(CONF, UP=u.port) as s, Client(s.port) as c:
            yield c
    finally:
        u.stop()


@pytest.mark.parametrize("place", PLACES)
def test_requests_leave_no_garbage(client, place):
    def held():
        return float(client.get("/held").body)
    for _ in range(100):  # traces are compiled, tables and strings of the machine are made
        client.get("/" + place)
    growth = []
    for _ in range(3):
        before = held()
        for _ in range(100):
            client.get("/" + place)
        growth.append((held() - before) / 100)
    assert min(growth) < 2, growth
