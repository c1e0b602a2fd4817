# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Where scripts run, in which order, and what becomes of the request after them."""

from lib import upstreams as up
from lib.client import Client, get
from lib.ports import wait_until

CONF = r"""
error_log logs/error.log notice;
events {}
http {
    lua_shared_dict seen 1m;
    init_by_lua_block { ready = "yes" -- a brace in a comment: } and a quote: '
        braces = [[ } ]] .. "}" .. '\'}' }
    init_worker_by_lua_block { ngx.shared.seen:set("worker", ngx.worker.id()) }
    log_format order "$order $status";
    access_log logs/access.log order;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%;
        location /hello { content_by_lua_block { ngx.say("hello ", 1, " ", true, " ", nil, {" a", {"b"}}) } }
        location /quoted { content_by_lua 'ngx.say("it\'s \\n")'; }
        location /file { content_by_lua_file hello.lua; }
        location /nofile { content_by_lua_file none.lua; }
        location /init { content_by_lua_block { ngx.print(ready, braces, ngx.shared.seen:get("worker")) } }
        location /order {
            set $order "";
            set_by_lua_block $first { return "set," }
            set $order $first;
            rewrite_by_lua_block { ngx.var.order = ngx.var.order .. "rewrite," ngx.ctx.seen = "ctx" }
            access_by_lua_block { ngx.var.order = ngx.var.order .. "access," .. ngx.ctx.seen .. "," }
            precontent_by_lua_block { ngx.var.order = ngx.var.order .. "precontent," }
            content_by_lua_block { ngx.var.order = ngx.var.order .. "content," ngx.print("abc") }
            header_filter_by_lua_block { ngx.var.order = ngx.var.order .. "header," ngx.header["X-Order"] = ngx.var.order }
            body_filter_by_lua_block {
                ngx.arg[1] = string.upper(ngx.arg[1])
                if ngx.arg[2] then ngx.arg[1] = ngx.arg[1] .. "!" end
            }
            log_by_lua_block { ngx.var.order = ngx.var.order .. "log" }
        }
        location /set { set_by_lua $sum 'return tonumber(ngx.arg[1]) + ngx.arg[2]' 40 2; return 200 $sum; }
        location /set_nothing {
            set_by_lua $x 'return tostring(ngx.arg[1]) .. tostring(ngx.arg[2]) .. ngx.arg[3]' $http_none "" c;
            return 200 $x;
        }
        location /set_fails { set_by_lua_block $x { error("no") } return 200 ok; }
        location /fails { content_by_lua_block { local x = nil
            ngx.say(x.y) } }
        location /syntax { content_by_lua_block { this is not Lua } }
        location /denied { access_by_lua_block { ngx.exit(403) } content_by_lua_block { ngx.say("never") } }
        location /through { access_by_lua_block { ngx.exit(ngx.OK) } content_by_lua_block { ngx.say("in") } }
        location /any {
            satisfy any;
            deny all;
            access_by_lua_block { return }
            content_by_lua_block { ngx.say("in") }
        }
        location /sleep { content_by_lua_block { ngx.sleep(0.02) ngx.say("slept") } }
        location /exec { rewrite_by_lua_block { ngx.exec("/hello", "a=1") } }
        location /named { content_by_lua_block { ngx.exec("@named") } }
        location @named { content_by_lua_block { ngx.say("named ", ngx.var.uri) } }
        location /moved { content_by_lua_block { ngx.redirect("/other?x=1", 301) } }
        location /jump { rewrite_by_lua_block { ngx.req.set_uri("/target", true) } content_by_lua_block { ngx.say("never") } }
        location /target { content_by_lua_block { ngx.say("at ", ngx.var.uri, " ", ngx.var.request_uri) } }
        location /proxied {
            header_filter_by_lua_block { ngx.header.x_up = nil ngx.header["X-Seen"] = ngx.header.content_type ngx.status = 202 }
            body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1]:gsub("o", "0") }
            proxy_pass http://127.0.0.1:%%UP%%/;
        }
        location /printed_in_access { access_by_lua_block { ngx.say("from access") } content_by_lua_block { ngx.say("never") } }
        location /404 { content_by_lua_block { ngx.exit(404) } }
        location /empty { content_by_lua_block { ngx.header["X-Y"] = "z" } }
        location /if { if ($arg_a) { content_by_lua_block { ngx.say("in if") } } content_by_lua_block { ngx.say("outside") } }
        location = /plain.txt { body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1]:upper() } }
    }
}
"""


def start(server, upstream):
    u = upstream([up.request(), up.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nX-Up: 1\r\nContent-Length: 3\r\n\r\nfoo")])
    return server(CONF, UP=u.port, files={"hello.lua": "ngx.say('from a file')", "plain.txt": "static text\n"},
                  allow_log=("aborted: runtime error",))


def test_scripts_answer(server, upstream):
    s = start(server, upstream)
    assert get(s.port, "/hello").body == b"hello 1 true nil ab\n"
    assert get(s.port, "/quoted").body == b"it's \n\n"
    assert get(s.port, "/file").body == b"from a file\n"
    assert get(s.port, "/nofile").status == 404
    assert get(s.port, "/init").body == b"yes } }'}0"
    assert get(s.port, "/sleep").body == b"slept\n"
    assert get(s.port, "/404").status == 404
    empty = get(s.port, "/empty")
    assert (empty.status, empty.body, empty.header("x-y")) == (200, b"", "z")
    assert get(s.port, "/if?a=1").body == b"in if\n"
    assert get(s.port, "/if").body == b"outside\n"
    assert get(s.port, "/plain.txt").body == b"STATIC TEXT\n"


def test_each_hook_runs_in_its_place(server, upstream):
    s = start(server, upstream)
    r = get(s.port, "/order")
    assert r.body == b"ABC!"
    assert r.header("x-order") == "set,rewrite,access,ctx,precontent,content,header,"
    wait_until(lambda: "set,rewrite,access,ctx,precontent,content,header,log 200" in s.read("logs/access.log"))
    assert get(s.port, "/set").body == b"42"
    assert get(s.port, "/set_nothing").body == b"nilnilc"


def test_failures_become_statuses_with_a_traceback(server, upstream):
    s = start(server, upstream)
    assert get(s.port, "/fails").status == 500
    s.wait_for_log(r"lua entry thread aborted: runtime error: content_by_lua\(test.conf:\d+\):2: attempt to index")
    s.wait_for_log("stack traceback")
    assert get(s.port, "/syntax").status == 500
    s.wait_for_log("failed to load inlined Lua code")
    assert get(s.port, "/set_fails").status == 500
    s.wait_for_log(r"failed to run set_by_lua\*: .*no")


def test_access_decides(server, upstream):
    s = start(server, upstream)
    assert get(s.port, "/denied").status == 403
    assert get(s.port, "/through").body == b"in\n"
    assert get(s.port, "/any").body == b"in\n"
    assert get(s.port, "/printed_in_access").body == b"from access\n"


def test_a_script_leads_on(server, upstream):
    s = start(server, upstream)
    assert get(s.port, "/exec").body.startswith(b"hello")
    assert get(s.port, "/named").body == b"named /named\n"
    moved = get(s.port, "/moved")
    assert (moved.status, moved.header("location")) == (301, "/other?x=1")
    assert get(s.port, "/jump").body == b"at /target /jump\n"


def test_filters_change_what_a_peer_sent(server, upstream):
    s = start(server, upstream)
    r = get(s.port, "/proxied")
    assert (r.status, r.header("x-seen"), r.header("x-up")) == (202, "text/x", None)
    assert r.body == b"f00"


HEADER_FILTERS = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /silent { header_filter_by_lua_block { ngx.exit(ngx.ERROR) } return 200 text; }
        location /away {
            header_filter_by_lua_block { ngx.header.location = "/there" ngx.header.x_gone = 1 ngx.exit(302) }
            return 200 text;
        }
        location /other { header_filter_by_lua_block { ngx.header.location = "/there" ngx.exit(503) } return 200 text; }
    }
}
"""


def test_a_header_filter_refuses(server):
    """ngx.exit there: without an answer, or with another status, for which a Location stays if it means to lead away."""
    s = server(HEADER_FILTERS)
    assert Client(s.port).send("GET /silent HTTP/1.1\r\nHost: a\r\n\r\n").read_until_close() == b""
    away, other = get(s.port, "/away"), get(s.port, "/other")
    assert (away.status, away.header("location"), away.header("x-gone")) == (302, "/there", None)
    assert (other.status, other.header("location")) == (503, None)
