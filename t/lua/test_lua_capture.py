# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.location.capture: what the subrequest is given, and what the script gets."""

from lib import upstreams as up
from lib.client import Client, get

CONF = r"""
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        set $v "";
        location /parent { content_by_lua_block { SCRIPT } }
        location /child {
            internal;
            content_by_lua_block {
                ngx.req.read_body()
                ngx.header["X-Two"] = {"a", "b"}
                ngx.status = 201
                ngx.print(ngx.req.get_method(), " ", ngx.var.uri, "?", ngx.var.args or "", " ", ngx.req.get_body_data() or "-",
                          " v=", ngx.var.v,
                          " ctx=", tostring(ngx.ctx.x), " sub=", tostring(ngx.is_subrequest), " h=", ngx.var.http_x_test or "-")
                ngx.var.v = "child"
            }
        }
        location /up { proxy_pass http://127.0.0.1:%%UP%%; }
        location /again { content_by_lua_block { local r = ngx.location.capture("/again") ngx.status = r.status ngx.print(r.body) } }
        location /wrong { log_by_lua_block { ngx.log(ngx.NOTICE, "wrong: ", select(2, pcall(ngx.location.capture, "/child"))) } }
    }
}
"""


def ask(server, script, body=None, **names):
    s = server(CONF.replace("SCRIPT", script), **{"UP": 1, **names})
    if body is None:
        return s, get(s.port, "/parent", headers=[("X-Test", "t")]).body.decode()
    head = f"POST /parent HTTP/1.1\r\nHost: a\r\nX-Test: t\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    return s, Client(s.port).send(head).read_reply("POST").body.decode()


def test_the_response_is_a_table(server):
    _, text = ask(server, """
        local r = ngx.location.capture("/child?a=1", {args = {b = "2 3"}})
        ngx.say(r.status, " ", r.body, " ", tostring(r.truncated), " ", table.concat(r.header["X-Two"], ","), " ", r.header["Content-Type"])
        ngx.say(ngx.location.capture("/none").status)""")
    assert text == "201 GET /child?a=1&b=2%203 - v= ctx=nil sub=true h=t false a,b text/plain\n404\n"


def test_method_and_body(server):
    _, text = ask(server, """
        ngx.say(ngx.location.capture("/child", {method = ngx.HTTP_PUT, body = "given"}).body)
        ngx.req.read_body()
        ngx.say(ngx.location.capture("/child", {method = ngx.HTTP_POST}).body)
        ngx.say(ngx.location.capture("/child").body)
        ngx.say(ngx.location.capture("/child", {always_forward_body = true}).body) ngx.say(ngx.req.get_body_data())""", body="parent's")
    assert [line.split(" v=")[0] for line in text.split("\n")] == [
        "PUT /child? given", "POST /child? parent's", "GET /child? -", "GET /child? parent's", "parent's", ""]


def test_variables_and_ctx(server):
    _, text = ask(server, """
        ngx.var.v = "mine"
        local function v(o)
            local b = ngx.location.capture("/child", o).body return b:match("v=(%S*)") .. "/" .. b:match("ctx=(%S*)") .. "/" .. ngx.var.v
        end
        ngx.say(v()) ngx.say(v{copy_all_vars = true}) ngx.say(v{vars = {v = "set"}}) ngx.say(v{ctx = {x = 7}})
        ngx.say(v{share_all_vars = true}) ngx.ctx.x = 1 ngx.say(v{ctx = ngx.ctx})""")
    assert text == "/nil/mine\nmine/nil/mine\nset/nil/mine\n/7/mine\nmine/nil/child\n/1/child\n"


def test_several_at_once(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(content=r.target.encode())))
    _, text = ask(server, """
        local a, b, c = ngx.location.capture_multi{{"/up/1"}, {"/child", {args = "x"}}, {"/up/2?y"}}
        ngx.say(a.body, " ", b.status, " ", c.body)""", UP=u.port)
    assert text == "/up/1 201 /up/2?y\n"


def test_cycles_and_wrong_places(server):
    s, _ = ask(server, "ngx.say(1)")
    assert get(s.port, "/again").status == 500
    s.wait_for_log("subrequests cycle")
    get(s.port, "/wrong")
    s.wait_for_log(r"wrong: .*API disabled in the context of log_by_lua\*")


def test_a_client_that_leaves(server, upstream):
    u = upstream([up.request(), up.read_to_end()])
    s, _ = ask(server, 'if ngx.var.arg_go then ngx.location.capture("/up") end ngx.say(1)', UP=u.port)
    client = Client(s.port).send("GET /parent?go=1 HTTP/1.1\r\nHost: a\r\n\r\n")
    u.wait_requests(1)
    client.reset()
    s.wait_for_log("client prematurely closed connection")
