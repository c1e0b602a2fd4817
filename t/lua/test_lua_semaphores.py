# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.semaphore: units, who waits for them, and counts however large."""

from lib.client import get

CONF = r"""
events {}
http {
    lua_shared_dict times 100k;
    init_by_lua_block { before = require("ngx.semaphore").new(2) before:post(2^53) before:post(2^53) }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { content_by_lua_block { local semaphore = require "ngx.semaphore" SCRIPT } }
    }
}
"""


def run(server, script):
    return get(server(CONF.replace("SCRIPT", script)).port, "/").body.decode()


def test_units_go_to_those_who_wait_in_their_order(server):
    assert run(server, """
        local s, got = semaphore.new(), {}
        local function take(i) local taken = s:wait(30) got[#got + 1] = taken and i or "none" end
        local threads = {}
        for i = 1, 3 do threads[i] = ngx.thread.spawn(take, i) end
        ngx.say(s:count()) s:post(2) ngx.thread.wait(threads[2]) ngx.say(table.concat(got, " "), " ", s:count())
        s:post(5) ngx.thread.wait(threads[3]) ngx.say(table.concat(got, " "), " ", s:count())
        ngx.say(s:wait(0)) ngx.say(s:count())""") == "-3\n1 2 -1\n1 2 3 4\ntrue\n3\n"


def test_a_post_costs_the_same_however_many_units(server):
    assert run(server, """
        local s = semaphore.new()
        local t = ngx.thread.spawn(function() return s:wait(30) end)
        ngx.say(s:post(2^50)) ngx.say(ngx.thread.wait(t)) ngx.say(s:count() == 2^50 - 1)
        for i = 1, 9 do s:post(2^62) end
        ngx.say(s:count() == 2^53, " ", before:count() == 2^53, " ", semaphore.new(2^62):count() == 2^53)
        ngx.say(s:wait(0), " ", s:count() == 2^53 - 1)""") == "true\ntruetrue\ntrue\ntrue true true\ntrue true\n"


def test_a_semaphore_is_a_table_of_the_module(server):
    assert run(server, """
        local s = semaphore.new(1)
        s.name = "own" function semaphore.name_of(one) return one.name end
        ngx.say(s:name_of(), " ", semaphore.count(s), " ", semaphore.post(s, 2), " ", semaphore.wait(s, 0), " ", s:count())
        for _, wrong in ipairs { 1, {}, "s", { s }, ngx.null } do
            local ok, err = pcall(semaphore.count, wrong) ngx.say(ok, " ", err)
        end
        local t = ngx.thread.spawn(function() return s:wait(30), s:wait(30), s:wait(30) end)
        local held = s[1] s[1] = nil collectgarbage() s[1] = held held = nil
        s:post() ngx.say(ngx.thread.wait(t))""") == "own 1 true true 2\n" + "false not a semaphore instance\n" * 5 + "truetruetruetrue\n"


def test_times_that_are_none_and_those_that_no_clock_reaches(server):
    assert run(server, """
        local s, nan = semaphore.new(), 0/0
        ngx.say(s:wait(nan))
        local t = ngx.thread.spawn(function() return s:wait(math.huge) end)
        s:post() ngx.say(ngx.thread.wait(t))
        ngx.say(ngx.shared.times:set("a", 1, math.huge), ngx.shared.times:set("b", 1, nan))
        ngx.say(ngx.shared.times:get("a"), ngx.shared.times:get("b"))""") == "niltimeout\ntruetrue\ntruetruenilfalse\n11\n"


def test_who_has_been_given_a_unit_waits_no_more(server):
    assert run(server, """
        local s = semaphore.new()
        local threads = {}
        for i = 1, 3 do threads[i] = ngx.thread.spawn(function() return s:wait(30) end) end
        ngx.say(s:count()) s:post(2) ngx.say(s:count()) s:post(5) ngx.say(s:count())
        for i = 1, 3 do ngx.thread.wait(threads[i]) end
        ngx.say(s:count())""") == "-3\n-1\n4\n4\n"
