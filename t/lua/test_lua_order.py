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
