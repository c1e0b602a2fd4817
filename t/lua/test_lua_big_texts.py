# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A worker does not keep the room of one big text."""

import pytest

from lib.client import Client
from lib.ports import wait_until

CONF = r"""
events {}
http {
    lua_shared_dict d 64m;
    client_max_body_size 0;
    init_by_lua_block { MB = 48 * 1024 * 1024 }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /ok { content_by_lua_block { collectgarbage() collectgarbage() ngx.say(#ngx.escape_uri("ok")) } }
        location /built { content_by_lua_block { local s = ("x"):rep(MB) ngx.say(#ngx.encode_base64(s)) } }
        location /printed { content_by_lua_block { pcall(ngx.print, ("x"):rep(MB), print) ngx.say("ok") } }
        location /set { set_by_lua_block $x { return #ngx.unescape_uri(("x"):rep(MB)) } return 200 $x; }
        location /dictionary { content_by_lua_block {
            ngx.shared.d:set("a", ("x"):rep(MB))
            local found = ngx.shared.d:get("a")
            ngx.shared.d:delete("a")
            ngx.shared.d:lpush("b", found)
            ngx.say(#ngx.shared.d:rpop("b"))
        } }
    }
}
"""
KEPT_KB_MAX = 24 * 1024


def is_sanitized(pid):
    with open(f"/proc/{pid}/maps") as f:
        return "libasan" in f.read()


def own_kb(pid):
    """Without the memory of zones."""
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Anonymous:"))


@pytest.mark.parametrize("place", ["built", "printed", "set", "dictionary"])
def test_the_room_of_a_big_text_is_given_back(server, place):
    s = server(CONF)
    worker = s.wait_workers(1)[0]
    if is_sanitized(worker):
        pytest.skip("what is freed stays in the sanitizer's quarantine")
    with Client(s.port, seconds=30) as client:
        client.get("/ok")
        before = own_kb(worker)
        assert client.get("/" + place).status == 200
        client.get("/ok")
        wait_until(lambda: own_kb(worker) - before < KEPT_KB_MAX, 5, "the room of the text")
