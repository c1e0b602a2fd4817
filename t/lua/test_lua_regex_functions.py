# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.re.sub and ngx.re.gsub with a function: it may wait, and what it gives is shown as tostring() shows it."""

import pytest

from lib.client import get

CONF = r"""
events {}
http {
    lua_regex_match_limit 1000;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location = /said { content_by_lua_block { ngx.print("[", ngx.var.arg_k, "]") } }
        location / {
            set_by_lua_block $set { return (ngx.re.gsub("set", "e", function(m) return m[0]:upper() end)) }
            content_by_lua_block {
                local gsub, sub = ngx.re.gsub, ngx.re.sub
                SCRIPT
            }
        }
    }
}
"""


def run(server, script):
    return get(server(CONF.replace("SCRIPT", script)).port, "/").body.decode()


def test_the_function_may_wait(server):
    assert run(server, r"""
        ngx.say(gsub("hello {a} and {b}", "{(\\w+)}", function(m) ngx.sleep(0.001) return "<" .. m[1] .. ">" end, "jo"))
        ngx.say(sub("x{a}{b}", "{(?<name>\\w+)}", function(m) return ngx.location.capture("/said?k=" .. m.name).body end))
        local co = coroutine.wrap(function() return gsub("a-b-c", "-", function(m) return coroutine.yield(m[0]) end) end)
        ngx.say(co(), co("+"), co("="))
        local t = ngx.thread.spawn(gsub, "abc", "[ac]", function(m)
            ngx.sleep(0) return gsub(m[0], ".", function(n) return n[0]:rep(2) end)
        end)
        ngx.say(ngx.thread.wait(t)) ngx.say(ngx.var.set)""") == \
        "hello <a> and <b>2\nx[a]{b}1\n--a+b=c2\ntrueaabcc2\nsEt\n"


def test_what_the_function_gives_is_shown_as_a_text(server):
    assert run(server, """
        local shown = setmetatable({}, { __tostring = function() return "T" end })
        for _, value in ipairs { 5, 1.5, true, false, shown, "$0" } do ngx.print(gsub("ab", "b", function() return value end), " ") end
        ngx.say(gsub("ab", "b", function() end)) ngx.say((gsub("ab", "b", function() return {} end):match("^atable: ")))
        ngx.say(gsub(12, "2", function() return 3 end)) ngx.say((gsub(nil, "i", function() return "u" end)))""") == \
        "a5 a1.5 atrue afalse aT a$0 anil1\natable: \n131\nnul\n"


def test_empty_matches_and_groups(server):
    assert run(server, r"""
        local function mark() return "-" end
        ngx.say(gsub("abc", "", mark)) ngx.say(gsub("abc", "x*", mark)) ngx.say(gsub("", "a", mark)) ngx.say(gsub("", "a?", mark))
        ngx.say(gsub("aab", "a*", mark)) ngx.say(gsub("\195\164b", "", mark, "u"))
        ngx.say(sub("abc", "(?=b)", mark)) ngx.say(sub("abc", "x", mark))
        ngx.say(gsub("ac", "(a)|(b)", function(m) return tostring(m[1]) .. tostring(m[2]) .. #m end))
        ngx.say(gsub("abab", "(?<n>a)|(?<n>b)", function(m) return table.concat(m.n) .. "," end, "D"))
        for _, text in ipairs { "abc", "", "aab", "xx", "hello, world" } do
            for _, pattern in ipairs { "", "a*", "x", "(?=l)", "b|c", "$", "^" } do
                local one, n = gsub(text, pattern, "<$0>") local other, m = gsub(text, pattern, function(m) return "<" .. m[0] .. ">" end)
                if one ~= other or n ~= m then ngx.say(text, " ", pattern, ": ", one, " ", other) end
            end
        end""") == "-a-b-c-4\n-a-b-c-4\n0\n-1\n--b-3\n-\u00e4-b-3\na-bc1\nabc0\nafalse2c1\na,b,a,b,4\n"


@pytest.mark.parametrize("call, told", [
    ('gsub("a", "(", f)', "nil nil pcre_compile() failed: missing "),
    ('gsub(("a"):rep(30), "(a+a+)+[bc]", f)', "nil nil pcre_exec() failed: -8"),
    ('gsub("\\255", "a", f, "u")', "nil nil pcre_exec() failed: -10"),
    ('pcall(function() gsub("a", "a", f, "Q") end)', 'false LINE: unknown flag "Q" (flags "Q")'),
    ('pcall(function() gsub("a", {}, f) end)', "false LINE: bad argument #2 to 'gsub' (string expected, got table)"),
    ('pcall(function() sub("a", "a", f, {}) end)', "false LINE: bad argument #4 to 'sub' (string expected, got table)"),
    ('gsub("a", "a", {})', "table: 0x"),
    ('gsub("a", "x", "$")', "nil nil failed to compile the replacement template"),
    ('pcall(gsub, "ab", "b", function() error("own", 0) end)', "false own"),
])
def test_what_is_wrong(server, call, told):
    said = run(server, f"local function f() return '' end local a, b, c = {call} ngx.say(tostring(a), ' ', tostring(b), ' ', tostring(c))")
    assert said.replace("content_by_lua(test.conf:10):3", "LINE").startswith(told)


def test_an_exit_in_the_function(server):
    s = server(CONF.replace("SCRIPT", 'gsub("ab", "b", function() ngx.exit(403) end) ngx.say("after")'))
    assert get(s.port, "/").status == 403
