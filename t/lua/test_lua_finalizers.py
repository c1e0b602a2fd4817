# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Finalizers that scripts wrote call the API, whatever makes the collector run: also what the results of a wait are pushed into."""

import pytest

from lib.client import get

CONF = r"""
events {}
http {
    lua_shared_dict seen 1m;
    init_by_lua_block {
        collectgarbage("setpause", 10)     -- collects at every push, nearly
        collectgarbage("setstepmul", 1000)
        function litter()
            for i = 1, 50 do
                getmetatable(newproxy(true)).__gc = function()
                    ngx.shared.seen:incr("finalized", 1, 0)
                    ngx.escape_uri(("%"):rep(600))
                end
            end
        end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location = /big { content_by_lua_block { ngx.sleep(0) ngx.print(("x"):rep(20000)) } }
        location = /seen { content_by_lua_block { ngx.print(ngx.shared.seen:get("finalized") or 0) } }
        location = /received { content_by_lua_block {
            for i = 1, 200 do
                local s = ngx.socket.tcp()
                assert(s:connect("127.0.0.1", ngx.var.server_port))
                s:send("GET /big HTTP/1.0\r\n\r\n")
                litter()
                assert(#s:receive("*a") > 20000)
                s:close()
            end
            ngx.print("done")
        } }
        location = /captured { content_by_lua_block {
            for i = 1, 200 do
                litter()
                assert(#ngx.location.capture("/big").body == 20000)
            end
            ngx.print("done")
        } }
        location = /piped { content_by_lua_block {
            local pipe = require "ngx.pipe"
            local process = assert(pipe.spawn({"/bin/cat", "/dev/zero"}))
            for i = 1, 200 do
                litter()
                assert(#process:stdout_read_bytes(5000) == 5000)
            end
            process:kill(9)
            litter()
            local good, why = process:wait()
            ngx.print(why == "signal" and "done" or why)
        } }
        location = /begun { content_by_lua_block {
            local function one() litter() end
            for i = 1, 100 do
                ngx.timer.at(0, one)
                ngx.sleep(0)
            end
            ngx.print("done")
        } }
    }
}
"""


@pytest.mark.parametrize("path", ["received", "captured", "piped", "begun"])
def test_finalizers_call_the_api_while_results_are_pushed(path, server):
    s = server(CONF)
    assert get(s.port, f"/{path}", seconds=60).text == "done"
    assert int(get(s.port, "/seen").text) > 1000
