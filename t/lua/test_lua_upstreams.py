# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.upstream: groups and peers as scripts see them, and changes of peers that all workers take up; ngx.process, ngx.worker.pids."""

import os

from lib import upstreams as up
from lib.client import get
from lib.ports import wait_until

CONF = r"""
worker_processes 2;
events {}
http {
    upstream app { zone app 64k; server 127.0.0.1:%%A%% weight=2 max_fails=3; server 127.0.0.1:%%B%% backup; }
    upstream alone { server 127.0.0.1:%%A%%; server 127.0.0.1:%%B%% down; }
    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;
        location /app { proxy_pass http://app; add_header X-Pid $pid; }
        location /alone { proxy_pass http://alone; }
        location /run { content_by_lua_block {
            local u = require "ngx.upstream"
            local A, B, C = "127.0.0.1:%%A%%", "127.0.0.1:%%B%%", "127.0.0.1:%%C%%"
            ngx.req.read_body() ngx.say((assert(loadstring("local u, A, B, C = ... " .. ngx.req.get_body_data()))(u, A, B, C)))
        } }
    }
}
"""


def start(server, upstream):
    ups = [upstream(up.serve(lambda r, n=n: up.reply(content=n))) for n in "ABC"]
    return server(CONF, A=ups[0].port, B=ups[1].port, C=ups[2].port), [f"127.0.0.1:{u.port}" for u in ups]


def run(s, script):
    from lib.client import Client
    client = Client(s.port).send(f"POST /run HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(script)}\r\n\r\n{script}")
    return client.read_reply("POST").body.decode().strip()


def answers(s, path="/app", count=24):
    """Who answered, and how many workers were asked."""
    replies = [get(s.port, path) for _ in range(count)]
    return {r.body.decode() if r.status == 200 else r.status for r in replies}, len({r.header("X-Pid") for r in replies})


def test_what_is_there(server, upstream):
    s, (a, b, _) = start(server, upstream)
    assert run(s, 'return table.concat(u.get_upstreams(), " ")') == "app alone"
    assert run(s, """local l = u.get_servers("app")
        return table.concat({#l, l[1].addr, l[1].weight, l[1].max_fails, l[2].addr, tostring(l[2].backup), tostring(l[1].backup)}, " ")"""
               ) == f"2 {a} 2 3 {b} true nil"
    get(s.port, "/app")
    assert run(s, """local p, b = u.get_primary_peers("app"), u.get_backup_peers("app")
        return table.concat({#p, p[1].id, p[1].name, p[1].conns, p[1].fails, p[1].effective_weight, #b, b[1].name}, " ")"""
               ) == f"1 0 {a} 0 0 2 1 {b}"
    for call in ("get_servers", "get_primary_peers", "get_backup_peers"):
        assert run(s, f'return select(2, u.{call}("none"))') == "upstream not found"


def test_peers_come_and_go_in_all_workers(server, upstream):
    s, (a, b, c) = start(server, upstream)
    assert answers(s) == ({"A"}, 2)
    assert run(s, 'return u.add_peer("app", C, {weight = 2})') == "true"
    assert answers(s) == ({"A", "C"}, 2)
    assert run(s, 'return u.remove_peer("app", A)') == "true"
    assert answers(s) == ({"C"}, 2)
    assert run(s, 'return u.set_peer("app", C, {down = true})') == "true"
    assert answers(s) == ({"B"}, 2)  # the backup
    s.reload()
    assert answers(s)[0] == {"B"}  # the zone goes on, and with it what was changed
    assert run(s, 'return tostring(u.set_peer("app", C, {down = false})) .. tostring(u.add_peer("app", A))') == "truetrue"
    assert answers(s) == ({"A", "C"}, 2)
    assert run(s, 'return u.remove_peer("app", C)') == "true"
    assert answers(s) == ({"A"}, 2)


def test_weights_and_draining(server, upstream):
    s, _ = start(server, upstream)
    run(s, 'u.add_peer("app", C) u.set_peer("app", A, {weight = 1, max_conns = 7, max_fails = 0, fail_timeout = 3})')
    assert run(s, """local l = u.get_servers("app")[1]
        return table.concat({l.weight, l.max_conns, l.max_fails, l.fail_timeout}, " ")""") == "1 7 0 3"
    assert answers(s)[0] == {"A", "C"}
    run(s, 'u.set_peer("app", A, {drain = true})')
    assert answers(s)[0] == {"C"}
    run(s, 'u.set_peer("app", A, {drain = false}) u.remove_peer("app", C)')
    assert answers(s)[0] == {"A"}


def test_what_cannot_be_changed(server, upstream):
    s, (a, _, _) = start(server, upstream)
    for script, reason in [('u.add_peer("app", A)', "peer exists already"), ('u.add_peer("app", "a.test")', "no valid address"),
                           ('u.add_peer("alone", C)', "the upstream has no zone"), ('u.remove_peer("app", C)', "no such peer"),
                           ('u.set_peer("app", C, {})', "no such peer"), ('u.add_peer("none", C)', "upstream not found"),
                           ('u.set_peer_down("app", false, 5, true)', "bad peer id"),
                           ('pcall(u.set_peer, "app", A, {weight = 0})', "out of range"),
                           ('pcall(u.set_peer, "app", A, {weight = "x"})', "number expected")]:
        assert reason in run(s, f"return select(2, {script})"), script
    assert run(s, """local last
        for i = 1, 700 do
            local ok, err = u.add_peer("app", "127.1.0.1:" .. i, {down = true}) last = err
            if err then break end
        end
        return last""") == "too many changes"
    assert answers(s)[0] == {"A"}


def test_down_in_one_worker(server, upstream):
    s, _ = start(server, upstream)
    assert answers(s, "/alone")[0] == {"A"}
    seen = run(s, 'u.set_peer_down("alone", false, 1, false) local p = u.get_primary_peers("alone") return tostring(p[2].down)')
    assert seen == "nil"
    assert answers(s, "/alone")[0] == {"A", "B"}
    run(s, 'u.set_peer_down("app", false, 0, true)')
    assert answers(s) == ({"B"}, 2)


def test_the_current_upstream(server, upstream):
    s, _ = start(server, upstream)
    s.set_conf(CONF.replace("location /app { ", """location /app { header_filter_by_lua_block {
        ngx.header["X-Group"] = require "ngx.upstream".current_upstream_name() } """))
    s.reload()
    wait_until(lambda: get(s.port, "/app").header("X-Group") == "app")


def test_processes(server, upstream):
    s, _ = start(server, upstream)
    s.wait_workers(2)
    p = 'local p = require "ngx.process" '
    assert run(s, p + "return p.type() .. p.get_master_pid()") == f"worker{s.pid()}"

    def told():
        return {int(n) for n in run(s, 'return table.concat(ngx.worker.pids(), " ")').split()}
    pids = set(s.workers())
    wait_until(lambda: told() == pids, 5, "both workers, each of which says when it is there")
    assert len(pids) == 2
    gone = int(run(s, p + "p.signal_graceful_exit() return ngx.worker.pid()"))
    assert gone in pids
    wait_until(lambda: not os.path.exists(f"/proc/{gone}") and len(s.workers()) == 2)
    assert get(s.port, "/app").status == 200
