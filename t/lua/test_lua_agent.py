# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The privileged agent: a process beside the workers that serves no client, runs init_worker_by_lua and timers, and keeps the rights of the
master."""

import os
import signal

import pytest

from lib.client import get
from lib.ports import wait_until

CONF = """
user nobody;
worker_processes 2;
events {}
http {
    lua_shared_dict told 1m;
    init_by_lua_block { assert(require("ngx.process").enable_privileged_agent(100)) }
    init_worker_by_lua_block {
        local process = require "ngx.process"
        local function tell()
            if process.type() ~= "privileged agent" then return end
            local pids = ngx.worker.pids()
            ngx.shared.told:set("agent", table.concat({ngx.worker.pid(), tostring(ngx.worker.id()), #pids, process.get_master_pid()}, " "))
        end
        ngx.timer.at(0, tell) ngx.timer.every(0.05, tell)
    }
    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;
        location /agent { content_by_lua_block { ngx.print(ngx.shared.told:get("agent")) } }
        location /who { content_by_lua_block { ngx.print(require("ngx.process").type(), " ", #ngx.worker.pids(), " ", ngx.worker.pid()) } }
        location /late { content_by_lua_block { ngx.print(select(2, require("ngx.process").enable_privileged_agent())) } }
    }
}
"""


def told(s):
    return get(s.port, "/agent").text.split()


def agent_of(s, other_than=None):
    def found():  # what it says before all workers are there is not yet what it will say
        said = told(s)
        return said if said[0] not in ("nil", other_than) and said[2] == "2" else None
    return wait_until(found, 5, "the agent's word")


def test_it_stands_beside_the_workers(server):
    s = server(CONF)
    pid, worker_id, workers, master = agent_of(s)
    assert (worker_id, workers, int(master)) == ("nil", "2", s.pid())
    with open(f"/proc/{pid}/cmdline") as line:
        assert line.read().startswith("fairlead: privileged agent process")
    wait_until(lambda: get(s.port, "/who").text.startswith("worker 2 "), 5, "both workers")
    for _ in range(20):  # no request comes to it
        kind, count, worker = get(s.port, "/who").text.rsplit(" ", 2)
        assert (kind, count) == ("worker", "2") and worker != pid
    assert "API disabled in the current context" in get(s.port, "/late").text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to keep")
def test_it_keeps_the_masters_rights(server):
    s = server(CONF)
    with open(f"/proc/{agent_of(s)[0]}/status") as status:
        assert [line for line in status if line.startswith("Uid:")][0].split()[1:] == ["0"] * 4


def test_another_follows_one_that_ends(server):
    s = server(CONF, allow_log=["privileged agent|exited on signal"])
    before = agent_of(s)[0]
    os.kill(int(before), signal.SIGKILL)
    assert agent_of(s, before)[0] != before


def test_reloads(server):
    """It is replaced like a worker, and is gone where a new configuration does not ask for it."""
    s = server(CONF)
    before = agent_of(s)[0]
    s.reload()
    after = agent_of(s, before)[0]
    wait_until(lambda: not os.path.exists(f"/proc/{before}"), 5, "the end of the old agent")
    s.reload(CONF.replace("init_by_lua_block { assert(require(\"ngx.process\").enable_privileged_agent(100)) }", ""))
    wait_until(lambda: not os.path.exists(f"/proc/{after}"), 5, "the end of the agent")
    wait_until(lambda: get(s.port, "/who").text.startswith("worker 2 "), 5, "both workers")
