# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Libraries as Debian packages them, unmodified: cjson, resty.lrucache. Where lua-resty-core is installed, too, ours is
loaded in its place."""

from lib.client import get, post

CONF = r"""
events {}
http {
    init_by_lua_block {
        cjson = require "cjson"
        require "resty.core"
        cache = assert(require("resty.lrucache").new(3))
        fast = assert(require("resty.lrucache.pureffi").new(3))
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /json { content_by_lua_block {
            ngx.req.read_body()
            local value = cjson.decode(ngx.req.get_body_data())
            ngx.say(value.list[2], " ", value.none == ngx.null, " ", value.none == cjson.null, " ", value.nested.text)
            ngx.say(cjson.encode({1, {a = true}, ngx.null}))
            ngx.say(pcall(cjson.decode, "{"))
            ngx.say(require("cjson.safe").decode("{"))
            ngx.say(pcall(cjson.encode, { print }))
        } }
        location /cache { content_by_lua_block {
            for _, c in ipairs { cache, fast } do
                c:flush_all()
                c:set("a", 1) c:set("b", { 2 }) c:set("c", 3, 0.02)
                ngx.print(c:get("a"), c:get("b")[1], c:get("c"), " ", c:count(), c:capacity(), " ")
                c:set("d", 4)
                ngx.print(tostring((c:get("a"))), " ")
                ngx.sleep(0.03)
                local value, stale = c:get("c")
                ngx.print(tostring(value), stale, " ")
                c:delete("b")
                ngx.say(tostring((c:get("b"))), (c:get("d")))
            end
        } }
        location /core { content_by_lua_block {
            local base = require "resty.core.base"
            ngx.say(type(require("resty.core").version), " ", base.get_request() ~= nil)
            ngx.say(debug.getinfo(base.get_request, "S").source)
        } }
    }
}
"""


def test_json(server):
    s = server(CONF)
    said = post(s.port, "/json", b'{"list": [1, 2.5], "none": null, "nested": {"text": "\\u00e9"}}').body.decode().split("\n")
    assert said[0] == "2.5 true true é"
    assert said[1] == '[1,{"a":true},null]'
    assert said[2].startswith("falseExpected object key string")
    assert said[3].startswith("nilExpected object key string")
    assert said[4].startswith("falseCannot serialise function")


def test_lrucache(server):
    s = server(CONF)
    assert get(s.port, "/cache").body == b"123 33 nil nil3 nil4\n" * 2


def test_the_core_is_ours(server):
    s = server(CONF)
    said = get(s.port, "/core").body.decode().split("\n")
    assert said[0] == "string true"
    assert "/" not in said[1]  # no file
