# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What the error log says of scripts: what was being done, the level that is always written, scripts that do not compile, timers."""

from lib import upstreams as up
from lib.client import get

CONF = r"""
error_log logs/error.log notice;
events {}
http {
    upstream chosen { server 0.0.0.1; balancer_by_lua_block {
        ngx.log(ngx.WARN, "choosing") require("ngx.balancer").set_current_peer("127.0.0.1", %%UP%%) } }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /own {
            content_by_lua_block { ngx.log(ngx.WARN, "own content") ngx.say("x") }
            body_filter_by_lua_block { if ngx.arg[2] then ngx.log(ngx.WARN, "own filter") end }
        }
        location /peer {
            proxy_pass http://chosen;
            body_filter_by_lua_block { if ngx.arg[2] then ngx.log(ngx.WARN, "peer filter") end }
            log_by_lua_block { ngx.log(ngx.WARN, "in the end") }
        }
        location /always { error_log logs/error.log crit; content_by_lua_block { ngx.log(ngx.STDERR, "always") ngx.log(ngx.ERR, "never") } }
        location /set { set_by_lua_block $x { not Lua } return 200 $x; }
        location /thread { content_by_lua_block {
            ngx.thread.wait(ngx.thread.spawn(function() ngx.sleep(0.001) error("broke") end)) } }
        location /timer { content_by_lua_block { ngx.timer.at(0, function() ngx.log(ngx.WARN, "ticked") error("broke") end) } }
    }
}
"""


def test_what_was_being_done(server, upstream):
    s = server(CONF, UP=upstream(up.serve(lambda r: up.reply(content=b"x"))).port)
    get(s.port, "/own")
    get(s.port, "/peer")
    s.wait_for_log("own content, client: ")
    s.wait_for_log("own filter, client: ")
    s.wait_for_log("choosing while connecting to upstream, client: ")
    s.wait_for_log("peer filter while sending to client, client: ")
    s.wait_for_log("in the end while logging request, client: ")


def test_the_level_that_is_always_written(server):
    s = server(CONF, UP=1)
    get(s.port, "/always")
    s.wait_for_log(r" \[\] \d+#\d+: \*\d+ \[lua\] content_by_lua\(\w+\.conf:\d+\):1: always, client: ")
    assert "never" not in s.log()


def test_scripts_that_do_not_compile(server):
    s = server(CONF, UP=1)
    assert get(s.port, "/set").status == 500
    s.wait_for_log(r"\*\d+ failed to load inlined Lua code: set_by_lua\(\w+\.conf:\d+\):1: ")


def test_timers(server):
    s = server(CONF, allow_log=("runtime error",), UP=1)
    get(s.port, "/timer")
    s.wait_for_log("ticked, context: ngx.timer\n")
    s.wait_for_log("lua entry thread aborted: runtime error: .*broke.*, context: ngx.timer\n")


def test_a_thread_and_who_spawned_it(server):
    s = server(CONF, allow_log=("runtime error",), UP=1)
    get(s.port, "/thread")
    frames = r"coroutine 0:.*in function 'error'.*coroutine 1:.*in function 'wait'.*content_by_lua\(\w+\.conf:\d+\):2: in main chunk"
    s.wait_for_log(r"lua user thread aborted: runtime error: .*broke.*" + frames)
