# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Where a function must not be called it says so, in the words that scripts look for."""

import pytest

from lib.client import get

CONF = r"""
events {}
http {
    lua_shared_dict said 1m;
    init_by_lua_block {
        function try(...)
            for _, call in ipairs{...} do
                local f = loadstring("return " .. call)
                local ok, err = pcall(f)
                ngx.shared.said:set(ngx.get_phase() .. " " .. call, ok and "ok" or err)
            end
        end
        all = {"ngx.say(1)", "ngx.exit(0)", "ngx.sleep(0)", "ngx.var.uri", "ngx.req.read_body()", "ngx.timer.at(0, function() end)",
               "ngx.socket.tcp()", "ngx.thread.spawn(print)", "ngx.exec('/x')", "ngx.header.x", "ngx.ctx.a", "ngx.log(ngx.INFO, 1)",
               "ngx.shared.said:get('a')", "ngx.arg[1]", "ngx.redirect('/x')", "ngx.flush()", "ngx.worker.id()"}
        try(unpack(all))
    }
    init_worker_by_lua_block { try(unpack(all)) ngx.timer.at(0, function() try(unpack(all, 3)) try("ngx.say(1)") end) }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /run {
            set_by_lua_block $x { try(unpack(all)) return "" }
            header_filter_by_lua_block { try("ngx.say(1)", "ngx.sleep(0)", "ngx.var.uri", "ngx.exec('/x')", "ngx.arg[1]") }
            body_filter_by_lua_block { try("ngx.say(1)", "ngx.sleep(0)", "ngx.var.uri", "ngx.arg[1]", "ngx.req.read_body()") }
            log_by_lua_block { try(unpack(all)) }
            return 200 x$x;
        }
        location /said { content_by_lua_block {
            ngx.say(ngx.shared.said:get(ngx.unescape_uri(ngx.var.args)) or "never")
        } }
    }
}
"""

DISABLED = {
    "init": {"ngx.say(1)": "init_by_lua*", "ngx.sleep(0)": "init_by_lua*", "ngx.timer.at(0, function() end)": "init_by_lua*",
             "ngx.socket.tcp()": "init_by_lua*"},
    "init_worker": {"ngx.say(1)": "init_worker_by_lua*", "ngx.exit(0)": "init_worker_by_lua*",
                    "ngx.thread.spawn(print)": "init_worker_by_lua*"},
    "set": {"ngx.say(1)": "set_by_lua*", "ngx.sleep(0)": "set_by_lua*", "ngx.exec('/x')": "set_by_lua*",
            "ngx.redirect('/x')": "set_by_lua*"},
    "header_filter": {"ngx.say(1)": "header_filter_by_lua*", "ngx.sleep(0)": "header_filter_by_lua*"},
    "body_filter": {"ngx.say(1)": "body_filter_by_lua*", "ngx.req.read_body()": "body_filter_by_lua*"},
    "log": {"ngx.say(1)": "log_by_lua*", "ngx.flush()": "log_by_lua*", "ngx.exit(0)": "log_by_lua*", "ngx.socket.tcp()": "log_by_lua*"},
    "timer": {"ngx.say(1)": "ngx.timer", "ngx.exec('/x')": "ngx.timer", "ngx.req.read_body()": "ngx.timer"},
}
ALLOWED = {
    "init": ["ngx.log(ngx.INFO, 1)", "ngx.shared.said:get('a')", "ngx.worker.id()"],
    "init_worker": ["ngx.timer.at(0, function() end)", "ngx.shared.said:get('a')"],
    "set": ["ngx.var.uri", "ngx.header.x", "ngx.ctx.a", "ngx.arg[1]"],
    "body_filter": ["ngx.var.uri", "ngx.arg[1]"],
    "log": ["ngx.var.uri", "ngx.ctx.a", "ngx.timer.at(0, function() end)"],
    "timer": ["ngx.sleep(0)", "ngx.ctx.a", "ngx.socket.tcp()", "ngx.timer.at(0, function() end)"],
}


@pytest.fixture
def told(server):
    s = server(CONF)
    assert get(s.port, "/run").status == 200

    def ask(what):
        return get(s.port, "/said?" + what.replace(" ", "%20").replace("'", "%27")).body.decode().strip()
    return ask


def test_wrong_places_are_named(told):
    for phase, calls in DISABLED.items():
        for call, name in calls.items():
            assert told(f"{phase} {call}").endswith(f"API disabled in the context of {name}"), (phase, call, told(f"{phase} {call}"))


def test_right_places_work(told):
    for phase, calls in ALLOWED.items():
        for call in calls:
            assert told(f"{phase} {call}") == "ok", (phase, call, told(f"{phase} {call}"))


def test_without_a_request(told):
    assert told("init ngx.var.uri").endswith("no request found")
    assert told("init_worker ngx.var.uri").endswith("API disabled in the current context")
    assert told("timer ngx.header.x").endswith("API disabled in the current context")
    assert told("header_filter ngx.arg[1]").endswith("API disabled in the current context")
