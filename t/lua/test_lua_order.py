# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Where rewrite and access hooks stand among what other modules do in their phases, and the tables of hooks without a request."""

import base64
import signal

import pytest

from lib.client import get

CONF = r"""
error_log logs/error.log notice;
events {}
http {
    SETTINGS
    lua_shared_dict said 100k;
    init_worker_by_lua_block {
        ngx.ctx.a = (ngx.ctx.a or 0) + 1
        ngx.ctx.a = ngx.ctx.a + 1
        ngx.shared.said:set("init_worker", ngx.ctx.a)
        ngx.ctx = { b = "whole" }
        ngx.log(ngx.NOTICE, "table: ", ngx.ctx.b, " ", tostring(ngx.ctx.a))
    }
    exit_worker_by_lua_block { ngx.ctx.c = "kept" ngx.log(ngx.NOTICE, "at the end: ", ngx.ctx.c, " ", tostring(ngx.ctx.b)) }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /rewrite {
            set $order "set";
            rewrite_by_lua_block { ngx.log(ngx.NOTICE, "rewrite: ", ngx.var.order == "" and "first" or ngx.var.order) }
            rewrite ^/rewrite/moved$ /rewrite/there;
            if ($arg_stop) { return 403; }
            content_by_lua_block { ngx.say(ngx.var.uri) }
        }
        location /jump {
            rewrite_by_lua_block { ngx.req.set_uri("/rewrite/jumped", true) }
            return 500;
        }
        location /wait {
            rewrite_by_lua_block { ngx.sleep(0.001) if ngx.var.arg_exit then ngx.exit(tonumber(ngx.var.arg_exit)) end }
            set $order "later";
            rewrite ^ /rewrite/waited last;
        }
        location /access {
            auth_basic closed;
            auth_basic_user_file %%PREFIX%%/users;
            access_by_lua_block {
                ngx.log(ngx.NOTICE, "access: ", ngx.var.remote_user or "nobody")
                ngx.exit(tonumber(ngx.var.arg_exit or 0))
            }
            content_by_lua_block { ngx.say("in") }
        }
        location /said { content_by_lua_block { ngx.say(ngx.shared.said:get("init_worker")) } }
    }
}
"""


def start(server, settings=""):
    return server(CONF.replace("SETTINGS", settings), files={"users": "me:{PLAIN}secret\n"})


@pytest.mark.parametrize(("settings", "seen"), [("", "set"), ("rewrite_by_lua_no_postpone on;", "first")])
def test_rewrite_hooks_before_or_behind_the_script(server, settings, seen):
    s = start(server, settings)
    assert get(s.port, "/rewrite").body == b"/rewrite\n"
    s.wait_for_log(f"rewrite: {seen}")
    assert get(s.port, "/rewrite/moved").body == b"/rewrite/there\n"
    stopped = get(s.port, "/rewrite?stop=1")
    assert stopped.status == 403
    assert s.log().count("rewrite: ") == (2 if seen == "set" else 4)


def test_a_leading_rewrite_hook_may_wait_leave_and_be_rewritten_to(server):
    s = start(server, "rewrite_by_lua_no_postpone on;")
    assert get(s.port, "/jump").body == b"/rewrite/jumped\n"
    assert get(s.port, "/wait").body == b"/rewrite/waited\n"
    assert get(s.port, "/wait?exit=404").status == 404
    assert s.log().count("rewrite: ") == 2


@pytest.mark.parametrize(("settings", "seen"), [("", "me"), ("access_by_lua_no_postpone on;", "nobody")])
def test_access_hooks_before_or_behind_other_checks(server, settings, seen):
    s = start(server, settings)
    password = {"Authorization": "Basic " + base64.b64encode(b"me:secret").decode()}
    assert get(s.port, "/access", headers=password).body == b"in\n"
    refused = get(s.port, "/access?exit=410")
    assert refused.status == (410 if seen == "nobody" else 401)
    assert ("access: nobody" in s.log()) == (seen == "nobody")


def test_hooks_of_a_workers_life_have_a_table(server):
    s = start(server)
    assert get(s.port, "/said").body == b"2\n"
    s.wait_for_log("table: whole nil")
    s.signal(signal.SIGQUIT)
    s.wait()
    assert "at the end: kept nil" in s.log()


@pytest.mark.parametrize("settings", ["lua_malloc_trim 0;", "lua_malloc_trim 1;"])
def test_memory_goes_back_after_so_many_requests(server, settings):
    s = start(server, settings)
    for _ in range(3):
        assert get(s.port, "/said").body == b"2\n"


SERVERS = r"""
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_rewrite_by_lua_block { WAIT if ngx.var.arg_bad then ngx.exit(403) end ngx.var.flag = "lua" }
        set $flag "";
        return 301 https://there/$flag;
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        server_rewrite_by_lua_block {
            WAIT ngx.req.set_header("X-Flag", "1") ngx.ctx.user = "bob"
            if ngx.var.uri == "/set" then ngx.req.set_uri("/old/there") end
            if ngx.var.uri == "/jump" then ngx.req.set_uri("/old/jumped", true) end
            if ngx.var.uri == "/out" then ngx.exec("/exec") end
        }
        if ($http_x_flag) { set $seen "seen"; }
        rewrite ^/old(/.*)$ /new$1;
        location / { content_by_lua_block { ngx.print(ngx.var.uri, " ", ngx.var.seen, " ", tostring(ngx.ctx.user)) } }
    }
}
"""


@pytest.mark.parametrize("wait", ["", "ngx.sleep(0.001)"])
def test_server_rewrite_hooks_run_before_the_servers_script(server, wait):
    """A `return` of the server does not get past a script that checks requests; what the script writes reaches the script of the server."""
    s = server(SERVERS.replace("WAIT", wait))
    assert get(s.port, "/?bad=1").status == 403
    assert get(s.port, "/").header("location") == "https://there/"  # as `set` left it
    for uri, seen in (("/", "/ seen bob"), ("/old/x", "/new/x seen bob"), ("/set", "/new/there seen bob"),
                      ("/jump", "/new/jumped seen nil"), ("/out", "/exec seen bob")):
        assert get(s.ports[1], uri).text == seen


CTX = r"""
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_rewrite_by_lua_block { ngx.ctx.user = ngx.var.arg_user }
        location /last/ { rewrite ^/last/(.*)$ /show last; }
        location /chain/ { set_by_lua_block $k { ngx.ctx.seen = "chain" } rewrite ^ /last/x; }
        location /break/ { set_by_lua_block $k { ngx.ctx.seen = "broken" } rewrite ^ /x break; content_by_lua_block { show() } }
        location /if/ { if ($arg_user) { set_by_lua_block $k { ngx.ctx.seen = "if" } rewrite ^ /show last; } }
        location /jump/ { rewrite_by_lua_block { ngx.ctx.seen = "jump" ngx.req.set_uri("/show", true) } }
        location /tried/ { try_files /none /show; }
        location /page/ { rewrite ^ /refused; }
        location /refused { access_by_lua_block { ngx.ctx.seen = "refused" ngx.exit(403) } error_page 403 = @named; }
        location @named { content_by_lua_block { show() } }
        location /show { content_by_lua_block { show() } }
    }
    init_by_lua_block { function show() ngx.print(tostring(ngx.ctx.user), " ", tostring(ngx.ctx.seen)) end }
}
"""


@pytest.mark.parametrize("path, seen", [
    ("/last/x", "bob nil"), ("/chain/x", "bob chain"), ("/break/x", "bob broken"), ("/if/x", "bob if"), ("/jump/x", "nil nil"),
    ("/tried/x", "nil nil"), ("/page/x", "nil nil")])
def test_the_table_of_a_request_outlives_rewrites_but_not_redirects(server, path, seen):
    s = server(CTX, allow_log=["access forbidden"])
    assert get(s.port, path + "?user=bob").text == seen
