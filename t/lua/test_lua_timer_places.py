# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A timer has the configuration of the place that made it, after its request has ended, and hands it on to the timers that it makes."""

import re

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import get
from lib.dns import NameServer, a
from lib.ports import wait_until

CONF = r"""
error_log logs/error.log info;
events {}
http {
    lua_shared_dict seen 1m;
    lua_socket_read_timeout 30s;
    init_by_lua_block {
        -- Where it runs: whether a name is found, a peer verified, how long a read waits.
        function look(tag)
            local s, named, verified, waited = ngx.socket.tcp()
            named = s:connect("peer.test", %%UP%%)
            verified = named and s:sslhandshake(nil, "a.test", true) and true
            s:close()
            s:connect("127.0.0.1", %%SILENT%%)
            local _, why = s:receive(1)
            ngx.log(ngx.NOTICE, "log of ", tag)
            ngx.shared.seen:set(tag, table.concat({tostring(named), tostring(verified), tostring(why)}, " "))
        end
        function plain(premature, tag) look(tag) end
        function nested(premature, tag) ngx.timer.at(0, plain, tag) end
        function again(premature, tag) if not ngx.shared.seen:get(tag) then look(tag) end end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /seen { content_by_lua_block { ngx.print(ngx.shared.seen:get(ngx.var.arg_tag) or "nothing yet") } }
        location /place {
            resolver 127.0.0.1:%%DNS%% ipv6=off;
            lua_ssl_trusted_certificate %%CA%%;
            lua_socket_read_timeout 100ms;
            lua_socket_log_errors off;
            error_log logs/place.log notice;
            location /place/content { content_by_lua_block { ngx.timer.at(0, plain, "content") } }
            location /place/nested { content_by_lua_block { ngx.timer.at(0, nested, "nested") } }
            location /place/every { content_by_lua_block { ngx.timer.every(0.01, again, "every") } }
            location /place/log { log_by_lua_block { ngx.timer.at(0, plain, "log") } return 204; }
            location /place/filter { header_filter_by_lua_block { ngx.timer.at(0, plain, "filter") } return 204; }
            location /place/drained { content_by_lua_block { ngx.timer.at(1000, plain, "drained") } }
            location /place/failing { content_by_lua_block { ngx.timer.at(0, function() error("no good") end) } }
        }
        location /bare { content_by_lua_block { ngx.timer.at(0, function()
            ngx.shared.seen:set("bare", select(2, ngx.socket.tcp():connect("peer.test", 1))) end) } }
    }
    exit_worker_by_lua_block {
        for _, f in ipairs {"at", "every"} do ngx.log(ngx.NOTICE, f, " is told: ", select(2, pcall(ngx.timer[f], 1, plain))) end
    }
}
"""


@pytest.fixture
def s(server, upstream, tmp_path):
    authority = Authority(tmp_path / "ca")
    peer = upstream(up.serve(lambda r: up.reply()), tls=authority.server_context(authority.leaf("a.test")))
    silent = upstream([up.hold()])
    names = NameServer({"peer.test": a("127.0.0.1")})
    yield server(CONF, UP=peer.port, SILENT=silent.port, DNS=names.port, CA=authority.path, allow_log=("no good",))
    names.stop()


def seen(s, tag):
    return wait_until(lambda: (text := get(s.port, f"/seen?tag={tag}").text) != "nothing yet" and text, 10, tag)


@pytest.mark.parametrize("tag", ["content", "nested", "every", "log", "filter"])
def test_it_keeps_the_values_of_its_place(s, tag):
    get(s.port, f"/place/{tag}")
    assert seen(s, tag) == "1 true timeout"
    whose = f"client: 127.0.0.1, server: 127.0.0.1:{s.port}"
    wait_until(lambda: re.search(rf"\[notice\].*log of {tag}, context: ngx.timer, {whose}\n", s.read("logs/place.log")))
    assert "log of" not in s.log(), "its lines go where those of its place go"
    assert "timed out" not in s.log() + s.read("logs/place.log"), "lua_socket_log_errors is off there"


def test_the_error_of_a_timer_is_in_the_log_of_its_place(s):
    get(s.port, "/place/failing")
    wait_until(lambda: "no good" in s.read("logs/place.log"))
    assert "no good" not in s.log()


def test_elsewhere_other_values_hold(s):
    get(s.port, "/place/content")
    get(s.port, "/bare")
    assert "peer.test" in seen(s, "bare"), "there is no such resolver"


def test_one_that_a_reload_ends_has_them_still(s):
    get(s.port, "/place/drained")
    s.set_conf(CONF.replace("resolver 127", "# resolver 127").replace("lua_ssl_trusted_certificate", "# lua_ssl"))
    s.reload()
    assert seen(s, "drained") == "1 true timeout"


def test_none_is_made_when_all_have_been_run(s):
    s.reload()
    for name in ("at", "every"):
        s.wait_for_log(rf"{name} is told: .*API disabled in the context of exit_worker_by_lua\*")
