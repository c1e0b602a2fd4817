# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Light threads that were killed or are done: nothing wakes them, what others wait for stays theirs, a coroutine made later is not mistaken
for one."""

import pytest

from lib.client import Client

CONF = r"""
events {}
http {
    init_by_lua_block {
        kept = {}
        function sleeper(seconds, what) return function() ngx.sleep(seconds) return what end end
        function states(co)
            local resumed, why = coroutine.resume(co)
            return table.concat({ coroutine.status(co), tostring(resumed), why or "nil", tostring(select(2, ngx.thread.kill(co))),
                                  tostring(select(2, ngx.thread.wait(co))) }, ", ")
        end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /joins { content_by_lua_block {
            local joining = ngx.thread.spawn(function()
                ngx.thread.wait(ngx.thread.spawn(sleeper(0.02)))
                ngx.say("woken")
            end)
            ngx.say(ngx.thread.kill(joining))
            ngx.sleep(0.06)
            ngx.say("end")
        } }
        location /joins_and_is_gone { content_by_lua_block {
            local joining = ngx.thread.spawn(function() ngx.thread.wait(ngx.thread.spawn(sleeper(0.02))) end)
            ngx.thread.kill(joining)
            joining = nil
            collectgarbage() collectgarbage()
            ngx.sleep(0.06)
            ngx.say("end")
        } }
        location /many { content_by_lua_block {
            for i = 1, 1000 do ngx.thread.kill(ngx.thread.spawn(function() ngx.thread.wait(ngx.thread.spawn(sleeper(0.01))) end)) end
            ngx.sleep(0.05)
            ngx.say("end")
        } }
        location /dead { content_by_lua_block {
            kept.waiting = ngx.thread.spawn(sleeper(30))
            kept.nested = ngx.thread.spawn(function()
                kept.inner = coroutine.create(sleeper(30))
                coroutine.resume(kept.inner)
            end)
            ngx.thread.kill(kept.waiting)
            ngx.thread.kill(kept.nested)
            kept.done = ngx.thread.spawn(function() return function() return "called" end end)
            ngx.thread.kill(kept.done)
            for _, name in ipairs { "waiting", "nested", "inner", "done" } do ngx.say(name, ": ", states(kept[name])) end
        } }
        location /dead_later { content_by_lua_block {
            for _, name in ipairs { "waiting", "nested", "inner", "done" } do ngx.say(name, ": ", states(kept[name])) end
        } }
        location /exits { content_by_lua_block { kept.entry = coroutine.running() ngx.exit(201) } }
        location /exited { content_by_lua_block { collectgarbage() ngx.say(states(kept.entry)) } }
        location /result { content_by_lua_block {
            local done = ngx.thread.spawn(function() return "of the first" end)
            local other = ngx.thread.spawn(function() return ngx.thread.kill(done) end)
            ngx.say(ngx.thread.wait(other))
            ngx.say(ngx.thread.wait(done))
            local ended = ngx.thread.spawn(function() end)
            ngx.say(ngx.thread.kill(ended))
            ngx.say(ngx.thread.kill(ended))
        } }
        location /addresses { content_by_lua_block {
            local function name(co) return tostring(co) end
            local ended = {}
            local function make()
                for i = 1, 8 do
                    local thread = ngx.thread.spawn(function() end)
                    ngx.thread.wait(thread)
                    ended[name(thread)] = true
                end
            end
            make()
            ngx.sleep(0)
            collectgarbage() collectgarbage() collectgarbage()
            local again, refused, made = 0, 0, {}
            for i = 1, 200 do
                local fresh = coroutine.create(function() return i end)
                made[i] = fresh
                if ended[name(fresh)] then
                    again = again + 1
                    local good = coroutine.status(fresh) == "suspended" and select(2, coroutine.resume(fresh)) == i
                    if not good then refused = refused + 1 end
                end
            end
            ngx.say(again, " ", refused)
        } }
    }
}
"""
DEAD = "dead, false, cannot resume dead coroutine, already waited or killed, already waited or killed"


@pytest.fixture(scope="module")
def client():
    from lib.fairlead import Server
    with Server(CONF) as s, Client(s.port) as c:
        s.wait_workers(1)
        c.workers = s.workers
        yield c


def test_a_killed_thread_that_waited_for_another_is_not_woken(client):
    before = client.workers()
    assert client.get("/joins").body == b"1\nend\n"
    assert client.get("/joins_and_is_gone").body == b"end\n"
    assert client.get("/many").body == b"end\n"
    assert client.workers() == before


def test_a_killed_thread_is_dead_for_everybody(client):
    lines = [f"{name}: {DEAD}" for name in ("waiting", "nested", "inner", "done")]
    assert client.get("/dead").text.splitlines() == lines
    assert client.get("/dead_later").text.splitlines() == lines


def test_what_ngx_exit_ended_is_dead(client):
    assert client.get("/exits").status == 201
    assert client.get("/exited").text.strip() == DEAD


def test_a_result_is_the_parents(client):
    assert client.get("/result").text.splitlines() == ["truenilkiller not parent", "trueof the first", "nilalready terminated",
                                                       "nilalready waited or killed"]


def test_fresh_coroutines_where_threads_were(client):
    again, refused = client.get("/addresses").text.split()
    assert int(again) > 0 and refused == "0"
