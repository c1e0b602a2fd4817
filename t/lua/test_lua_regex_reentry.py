# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A match hands over its own groups, whatever is matched with the same pattern meanwhile: by metamethods of the tables that the script
gave, by finalizers."""

import pytest

from lib.client import Client

CONF = r"""
events {}
http {
    lua_regex_cache_max_entries %%KEPT%%;
    init_by_lua_block {
        function other() return ngx.re.match(("a"):rep(100000) .. "b", "(?<as>a+)(?<last>b)", "o") end
        function longer() return ngx.re.match(("x"):rep(20000), MANY, "o") end
        MANY = "^" .. ("(x)?"):rep(40)
        -- Matches whenever it is asked or told something.
        function eager(match)
            local function set(t, k, v) match() rawset(t, k, v) end
            return setmetatable({}, { __index = function() match() end, __newindex = set })
        end
        function leave(match) getmetatable(newproxy(true)).__gc = match end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /match { content_by_lua_block {
            local position = eager(other)
            local m = ngx.re.match("-ab", "(?<as>a+)(?<last>b)", "o", position)
            ngx.say(m[0], " ", m[1], " ", m.last, " ", position.pos)
        } }
        location /into { content_by_lua_block {
            local m = ngx.re.match("-ab", "(?<as>a+)(?<last>b)", "o", nil, eager(other))
            ngx.say(m[0], " ", m[1], " ", m.as, " ", m.last)
        } }
        location /names { content_by_lua_block {
            local function same() return ngx.re.match(("a"):rep(1000) .. "b", "(?<x>a+)(?<x>b)", "Do") end
            same()
            local m = ngx.re.match("-ab", "(?<x>a+)(?<x>b)", "Do", nil, eager(same))
            ngx.say(m[0], " ", table.concat(m.x, ","))
        } }
        location /find { content_by_lua_block {
            local position = eager(other)
            local from, to = ngx.re.find("-ab", "(?<as>a+)(?<last>b)", "o", position)
            ngx.say(from, " ", to, " ", position.pos)
        } }
        location /many { content_by_lua_block {
            local m = ngx.re.match(("x"):rep(30), MANY, "o", eager(longer))
            local text = ngx.re.gsub(("x "):rep(1000), "(x)" .. ("()"):rep(40), "$1$1", "o")
            local lengths, count = ngx.re.gsub(("x "):rep(1000), "(x)" .. ("()"):rep(40), function(m) return m[1] .. #m end, "o")
            ngx.say(#m[0], " ", m[30], " ", tostring(m[31]), " ", text == ("xx "):rep(1000), " ", lengths == ("x41 "):rep(1000), " ", count)
        } }
        location /finalizers { content_by_lua_block {
            local bad = 0
            for i = 1, 3000 do
                leave(other)
                local m = ngx.re.match("-ab", "(?<as>a+)(?<last>b)", "o")
                if m[0] ~= "ab" or m[1] ~= "a" or m.last ~= "b" then bad = bad + 1 end
                local text, count = ngx.re.gsub("ab-ab", "(?<as>a+)(?<last>b)", function(m) return m[1] .. m.as end, "o")
                if text ~= "aa-aa" or count ~= 2 then bad = bad + 1 end
            end
            ngx.say(bad)
        } }
    }
}
"""
ANSWERS = {"match": "ab a b 4", "into": "ab a a b", "names": "ab a,b", "find": "2 3 4",
           "many": "30 x false true true 1000", "finalizers": "0"}


@pytest.fixture(scope="module", params=[1024, 0], ids=["kept", "compiled anew"])
def client(request):
    from lib.fairlead import Server
    with Server(CONF, KEPT=request.param) as s, Client(s.port, seconds=60) as c:
        yield c


@pytest.mark.parametrize("place", ANSWERS)
def test_groups_are_the_matchs_own(client, place):
    assert client.get("/" + place).text.strip() == ANSWERS[place]
