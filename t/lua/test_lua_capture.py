# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.location.capture: what the subrequest is given, and what the script gets."""

import threading

from lib import upstreams as up
from lib.client import Client, get
from lib.h2client import H2Client
from lib.ports import wait_until

CONF = r"""
events {}
http {
    server {
        http2 on;
        listen 127.0.0.1:%%PORT_0%%;
        location /parent { set $v ""; content_by_lua_block { SCRIPT } }
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
        location /nested {
            content_by_lua_block {
                local depth = tonumber(ngx.var.arg_depth)
                if depth == 0 then return ngx.print(0) end
                ngx.print(depth, ngx.location.capture("/nested", {args = {depth = depth - 1}}).body)
            }
        }
        location /waits {
            content_by_lua_block {
                ngx.print(ngx.var.v)
                ngx.var.v = "set inside"
                while ngx.var.v == "set inside" do ngx.sleep(0.001) end
                ngx.print(", then ", ngx.var.v)
                ngx.var.v = "left inside"
            }
        }
        location /reads { content_by_lua_block {
            ngx.req.read_body()
            local data, name = ngx.req.get_body_data(), ngx.req.get_body_file()
            if not name then return ngx.print(data, " nofile") end
            local f = io.open(name) local text = f:read("*a") f:close()
            ngx.print(tostring(data), " ", #text, " ", text:sub(1, 3), text:sub(-3))
        } }
        location /passes { content_by_lua_block {
            ngx.req.read_body() ngx.print(ngx.location.capture("/reads", {method = ngx.HTTP_PUT}).body) } }
        location /file.txt { root %%PREFIX%%; }
        location /up { proxy_pass http://127.0.0.1:%%UP%%; }
        location /again { content_by_lua_block { local r = ngx.location.capture("/again") ngx.status = r.status ngx.print(r.body) } }
        location /length { content_by_lua_block {
            ngx.print(tostring(ngx.var.http_content_length), "/", tostring(ngx.var.content_length))
        } }
        location /checks { lua_check_client_abort on; content_by_lua_block { ngx.print(ngx.location.capture("/up").body) } }
        location /wrong { log_by_lua_block { ngx.log(ngx.NOTICE, "wrong: ", select(2, pcall(ngx.location.capture, "/child"))) } }
    }
}
"""


def ask(server, script, body=None, **names):
    s = server(CONF.replace("SCRIPT", script), files={"file.txt": "a file"}, **{"UP": 1, **names})
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
    s, _ = ask(server, "ngx.say(1)", allow_log=("failed to issue subrequest",))
    assert get(s.port, "/again").status == 500
    s.wait_for_log("lua subrequests cycle")
    get(s.port, "/wrong")
    s.wait_for_log(r"wrong: .*API disabled in the context of log_by_lua\*")


def test_a_client_that_leaves_ends_nothing(server, upstream):
    left = threading.Event()
    u = upstream([up.request(), up.wait_for(left), up.send(up.reply(content=b"late"))])
    s, _ = ask(server, 'if ngx.var.arg_go then ngx.log(ngx.NOTICE, "got ", ngx.location.capture("/up").body) end ngx.say(1)', UP=u.port)
    client = Client(s.port).send("GET /parent?go=1 HTTP/1.1\r\nHost: a\r\n\r\n")
    u.wait_requests(1)
    client.reset()
    left.set()
    s.wait_for_log("got late")


def test_a_client_that_leaves_ends_a_script_that_checks(server, upstream):
    u = upstream([up.request(), up.read_to_end()])
    s = server(CONF.replace("SCRIPT", 'ngx.location.capture("/up") ngx.log(ngx.NOTICE, "went on")')
               .replace("location /parent {", "location /parent { lua_check_client_abort on;"), UP=u.port)
    client = Client(s.port).send("GET /parent HTTP/1.1\r\nHost: a\r\n\r\n")
    u.wait_requests(1)
    client.reset()
    s.wait_for_log("client prematurely closed connection")
    wait_until(lambda: u.connections[0].ended)
    assert "went on" not in s.log()


def test_a_subrequest_that_checks_does_not_end_its_parent(server, upstream):
    left = threading.Event()
    u = upstream([up.request(), up.wait_for(left), up.send(up.reply(content=b"late"))])
    s = server(CONF.replace("SCRIPT", """
        ngx.on_abort(function() ngx.log(ngx.NOTICE, "is gone") end)
        ngx.log(ngx.NOTICE, "got ", ngx.location.capture("/checks").body)""")
        .replace("location /parent {", "location /parent { lua_check_client_abort on;"), UP=u.port)
    client = Client(s.port).send("GET /parent HTTP/1.1\r\nHost: a\r\n\r\n")
    u.wait_requests(1)
    client.reset()
    s.wait_for_log("is gone")
    left.set()
    s.wait_for_log("got late")


def test_a_body_of_its_own_has_a_length(server):
    _, text = ask(server, """ngx.req.read_body()
        local function length(options) return ngx.location.capture("/length", options).body .. " " end
        ngx.print(length{method = ngx.HTTP_PUT, body = "own"}, length{body = "own"}, length{method = ngx.HTTP_POST, body = ""},
                  length{method = ngx.HTTP_POST}, length{always_forward_body = true}, length{})""", body="parent body")
    assert text == "3/3 3/3 0/0 11/11 11/11 nil/nil "
    _, text = ask(server, """ngx.req.read_body()
        ngx.print(ngx.location.capture("/length", {method = ngx.HTTP_POST}).body)""")
    assert text == "nil/nil"


def test_a_response_that_breaks_off(server, upstream):
    u = upstream([up.request(), up.send(up.reply(content=b"half", length=8)), up.close()])
    _, text = ask(server, """local r = ngx.location.capture("/up") ngx.say(r.status, " ", r.body, " ", tostring(r.truncated))""", UP=u.port)
    assert text == "200 half true\n"


def test_a_body_in_a_file_goes_to_several(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(content=str(len(r.body)).encode() + b" " + r.body[:3] + r.body[-3:])))
    content = "abc" + "x" * 300000 + "xyz"
    _, text = ask(server, """
        ngx.req.read_body()
        local o = {method = ngx.HTTP_POST}
        local a, b = ngx.location.capture_multi{{"/up/1", o}, {"/up/2", o}}
        ngx.say(a.body) ngx.say(b.body) ngx.say(ngx.location.capture("/up/3", o).body)""", body=content, UP=u.port)
    assert text == "300006 abcxyz\n" * 3


def test_a_script_reads_its_parents_body_from_a_file(server):
    content = "abc" + "x" * 300000 + "xyz"
    script = """
        local o = {method = ngx.HTTP_POST}
        ngx.req.read_body() REPLACED
        for _, uri in ipairs{"/reads", "/passes"} do ngx.say(ngx.location.capture(uri, o).body) end
        ngx.say(ngx.req.get_body_file() ~= nil)"""
    _, text = ask(server, script.replace("REPLACED", ""), body=content)
    assert text == "nil 300006 abcxyz\n" * 2 + "true\n"
    _, text = ask(server, script.replace("REPLACED", 'ngx.req.set_body_file("%%PREFIX%%/file.txt")'), body="short")
    assert text == "nil 6 a file\n" * 2 + "true\n"
    _, text = ask(server, script.replace("REPLACED", 'ngx.req.set_body_data("in memory")'), body=content)
    assert text == "in memory nofile\n" * 2 + "false\n"


def test_nested_and_head(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(content=b"" if r.method == "HEAD" else b"12345", length=5)))
    s, text = ask(server, """
        local r = ngx.location.capture("/nested", {args = "depth=3"}) ngx.say(r.status, " ", r.body)
        r = ngx.location.capture("/up", {method = ngx.HTTP_HEAD}) ngx.say(r.status, " ", #r.body, " ", r.header["Content-Length"])
        r = ngx.location.capture("/file.txt") ngx.say(r.status, " ", r.body, " ", r.header["Last-Modified"] ~= nil)""", UP=u.port)
    assert text == "200 3210\n200 0 5\n200 a file true\n"


def test_a_length_is_a_number(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(content=b"four")))
    _, text = ask(server, """
        for _, at in ipairs {"/up", "/file.txt"} do
            local length = ngx.location.capture(at).header["Content-Length"]
            ngx.say(type(length), " ", length + 1)
        end""", UP=u.port)
    assert text == "number 5\nnumber 7\n"


def test_options_that_make_no_sense(server):
    _, text = ask(server, """
        for _, o in ipairs{{method = 77}, {args = true}, {vars = {none = 1}}, {vars = 1}} do
            ngx.say((select(2, pcall(ngx.location.capture, "/child", o))))
        end
        ngx.say((select(2, pcall(ngx.location.capture, "/../x")))) ngx.say((select(2, pcall(ngx.location.capture_multi, {}))))
        ngx.say((select(2, pcall(ngx.location.capture_multi, {1}))))""")
    lines = text.splitlines()
    wanted = ["unsupported HTTP method: 77", "Bad args option value", 'variable "none" cannot be assigned a value', "Bad vars option value",
              "unsafe uri", "at least one subrequest should be specified", "the query argument 0 is not a table, but a number"]
    assert len(lines) == len(wanted)
    for line, part in zip(lines, wanted):
        assert part in line


def test_through_http2(server):
    s, _ = ask(server, """local r = ngx.location.capture("/child") ngx.say(r.status, " ", r.body:sub(1, 3))""")
    client = H2Client(s.port)
    assert client.get("/parent").body == b"201 GET\n"


def test_shared_variables_are_seen_at_once(server):
    _, text = ask(server, """
        ngx.var.v = "before"
        local seen
        local sub = ngx.thread.spawn(ngx.location.capture, "/waits", { share_all_vars = true })
        ngx.sleep(0) seen = ngx.var.v
        ngx.var.v = "from outside"
        ngx.say(seen, " | ", select(2, ngx.thread.wait(sub)).body, " | ", ngx.var.v)""".replace(
            "ngx.thread.spawn(ngx.location.capture,", "ngx.thread.spawn(function(...) return ngx.location.capture(...) end,"))
    assert text == "set inside | before, then from outside | left inside\n"
