# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""lua_code_cache off: a machine of its own for each request."""

from lib.client import get

CONF = r"""
events {}
http {
    lua_package_path "$prefix/?.lua;;";
    init_by_lua_block { inits = (inits or 0) + 1 }
    lua_shared_dict runs 64k;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / {
            lua_code_cache off;
            rewrite_by_lua_block { seen = (seen or 0) + 1 ngx.ctx.from = "rewrite" }
            content_by_lua_file file.lua;
            log_by_lua_block { ngx.log(ngx.NOTICE, "log sees ", seen, " ", ngx.ctx.from) }
        }
        location /on { content_by_lua_block { seen = (seen or 0) + 1 ngx.print(seen, " ", require "part") } }
        location /timer { lua_code_cache off; content_by_lua_block {
            local text = "kept"
            ngx.timer.at(0.05, function() ngx.sleep(0.01) ngx.log(ngx.NOTICE, "timer of ", text) end) ngx.print(1) } }
        location /capture { lua_code_cache off; content_by_lua_block {
            ngx.ctx.mine = 1 mine = 2 ngx.print(ngx.location.capture("/child", {ctx = ngx.ctx}).body) } }
        location /child { lua_code_cache off; content_by_lua_block { ngx.print(ngx.ctx.mine, mine) } }
    }
}
"""
WARNED = dict(allow_log=["lua_code_cache is off; this will hurt performance"])


def test_files_are_read_anew_and_globals_end(server):
    s = server(CONF, files={"file.lua": 'ngx.print(seen, inits, require "part")', "part.lua": 'return "a"'}, **WARNED)
    assert [get(s.port, "/").body, get(s.port, "/").body] == [b"11a", b"11a"]
    s.wait_for_log("log sees 1 rewrite")
    assert get(s.port, "/on").body == b"1 a"
    s.write("file.lua", 'ngx.print("new ", seen, require "part")')
    s.write("part.lua", 'return "b"')
    assert get(s.port, "/").body == b"new 1b"
    assert get(s.port, "/on").body == b"2 a"


def test_a_timer_keeps_its_machine(server):
    s = server(CONF, files={"file.lua": ""}, **WARNED)
    assert get(s.port, "/timer").body == b"1"
    s.wait_for_log("timer of kept")


def test_a_subrequest_is_of_its_parents(server):
    s = server(CONF, files={"file.lua": ""}, **WARNED)
    assert get(s.port, "/capture").body == b"12"


def test_what_does_not_compile(server):
    s = server(CONF, files={"file.lua": "syntax("}, **WARNED)
    assert get(s.port, "/").status == 500
    s.wait_for_log("failed to load external Lua code")
    s.write("file.lua", "ngx.print(1)")
    assert get(s.port, "/").body == b"1"


def test_a_folder_is_no_file(server):
    s = server(CONF, files={"file.lua/inner": ""}, allow_log=["failed to load external Lua file", *WARNED["allow_log"]])
    assert get(s.port, "/").status == 404
    s.wait_for_log(r'failed to load external Lua file "(.*/file.lua)": cannot open \1: Is a directory')
