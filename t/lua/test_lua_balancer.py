# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""balancer_by_lua: a script names the peer of each try."""

from lib import upstreams as up
from lib.certs import Authority
from lib.client import get

CONF = r"""
events {}
http {
    upstream app {
        server 0.0.0.1;
        balancer_by_lua_block {
            local b = require "ngx.balancer"
            SCRIPT
        }
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / {
            proxy_pass http://app;
            proxy_next_upstream error timeout http_503;
            log_by_lua_block { ngx.log(ngx.NOTICE, "addr ", ngx.var.upstream_addr, " status ", ngx.var.upstream_status) }
        }
    }
}
"""


def start(server, script, **names):
    return server(CONF.replace("SCRIPT", script), **names)


def test_the_peer_comes_from_the_request(server, upstream):
    a, b = upstream(up.serve(lambda r: up.reply(content=b"a"))), upstream(up.serve(lambda r: up.reply(content=b"b")))
    s = start(server, 'assert(b.set_current_peer("127.0.0.1", tonumber(ngx.var.arg_port)))')
    assert get(s.port, f"/?port={a.port}").body == b"a"
    assert get(s.port, f"/?port={b.port}").body == b"b"
    s.wait_for_log(f"addr 127.0.0.1:{b.port} status 200")


def test_another_try_after_a_failure(server, upstream):
    bad, good = upstream(up.serve(lambda r: up.reply(503))), upstream(up.serve(lambda r: up.reply(content=b"good")))
    s = start(server, """
        local state, status = b.get_last_failure()
        ngx.log(ngx.NOTICE, "last ", tostring(state), " ", tostring(status))
        if not state then assert(b.set_more_tries(1)) b.set_current_peer("127.0.0.1", %%BAD%%)
        else b.set_timeouts(5, 5, 5) b.set_current_peer("127.0.0.1", %%GOOD%%) end""", BAD=bad.port, GOOD=good.port)
    assert get(s.port, "/").body == b"good"
    s.wait_for_log("last nil nil")
    s.wait_for_log("last failed 503")


def test_what_it_may_not_do(server):
    s = start(server, """
        local ok, err = b.set_current_peer("name.example", 80) ngx.log(ngx.NOTICE, "named: ", err)
        local ok, err = pcall(ngx.say, "x") ngx.log(ngx.NOTICE, "say: ", err)
        local ok, err = pcall(ngx.sleep, 1) ngx.log(ngx.NOTICE, "sleep: ", err)
        if ngx.var.arg_exit then ngx.exit(tonumber(ngx.var.arg_exit)) end
        if ngx.var.arg_fail then error("no luck") end""")
    assert get(s.port, "/").status == 502
    s.wait_for_log("named: no host allowed")
    s.wait_for_log(r"say: API disabled in the context of balancer_by_lua\*")
    s.wait_for_log(r"sleep: API disabled in the context of balancer_by_lua\*")
    assert get(s.port, "/?exit=429").status == 429
    assert get(s.port, "/?fail=1").status == 500
    s.wait_for_log(r"failed to run balancer_by_lua\*: .*no luck")


def test_idle_connections_are_used_again(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(content=b"x")))
    s = start(server, 'b.set_current_peer("127.0.0.1", %%UP%%) b.enable_keepalive(10, 100)', UP=u.port)
    for _ in range(3):
        assert get(s.port, "/").body == b"x"
    assert len(u.connections) == 1


def test_the_local_address_is_chosen(server, upstream):
    peers = []
    u = upstream([lambda seen: peers.append(seen.socket.getpeername()[0]), up.request(), up.send(up.reply(content=b"ok")), up.close()])
    s = start(server, """
        local ok, err = b.bind_to_local_addr("localhost") ngx.log(ngx.NOTICE, "named: ", err)
        assert(b.bind_to_local_addr("127.0.0.7")) assert(b.set_current_peer("127.0.0.1", %%UP%%))""", UP=u.port)
    assert get(s.port, "/").body == b"ok"
    assert peers == ["127.0.0.7"]
    s.wait_for_log("named: invalid addr")


def test_tls_is_turned_off_and_on(server, upstream, tmp_path):
    ca = Authority(tmp_path / "ca")
    answer = up.serve(lambda r: up.reply(content=b"ok"))
    plain, secure = upstream(answer), upstream(answer, tls=ca.server_context(ca.leaf("a.test")))
    s = server(CONF.replace("http://app", "https://app").replace("SCRIPT", """
        local plain = ngx.var.arg_to == "plain"
        assert(b.set_upstream_tls(false)) assert(b.set_upstream_tls(not plain))
        assert(b.set_current_peer("127.0.0.1", plain and %%PLAIN%% or %%SECURE%%))"""), PLAIN=plain.port, SECURE=secure.port)
    for to in ("plain", "secure", "plain"):
        assert get(s.port, f"/?to={to}").body == b"ok"
    assert len(plain.requests) == 2 and len(secure.requests) == 1


def test_so_many_connections_are_kept(server, upstream):
    for kept, connections in (("1", 2), ("2", 1)):
        answer = up.serve(lambda r: up.reply(content=b"ok"))
        a, b = upstream(answer), upstream(answer)
        s = server(CONF.replace("SCRIPT", """
            assert(b.enable_keepalive()) assert(b.set_current_peer("127.0.0.1", tonumber(ngx.var.arg_port)))""")
                   .replace("server 0.0.0.1;", f"server 0.0.0.1; balancer_keepalive {kept};")
                   .replace("proxy_pass", 'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass'))
        for port in (a.port, b.port, a.port):
            assert get(s.port, f"/?port={port}").body == b"ok"
        assert len(a.connections) == connections


def test_tries_that_the_configuration_has_no_room_for(server, upstream):
    """proxy_next_upstream_tries bounds what set_more_tries grants; what was not granted is told."""
    bad = upstream(up.serve(lambda r: up.reply(503)))
    script = """b.set_current_peer("127.0.0.1", %%BAD%%)
        if not b.get_last_failure() then for i, count in ipairs {-1, 2, 9} do
            local ok, err = b.set_more_tries(count) ngx.log(ngx.NOTICE, "granted ", count, " ", ok, " ", err) end end"""
    conf = CONF.replace("SCRIPT", script).replace("proxy_next_upstream ", "proxy_next_upstream_tries 3; proxy_next_upstream ")
    s = server(conf, BAD=bad.port)
    assert get(s.port, "/").status == 503
    for told in ("-1 true nil", "2 true nil", "9 true reduced tries due to limit"):
        s.wait_for_log("granted " + told)
    peer = f"127.0.0.1:{bad.port}"
    s.wait_for_log(f"addr {peer}, {peer}, {peer} status 503, 503, 503")


def test_how_a_peer_may_be_written(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(content=b"well")))
    s = start(server, """
        local given = {}
        for host in ngx.unescape_uri(ngx.var.arg_hosts):gmatch("[^,]+") do
            local ok, err = b.set_current_peer(host == "-" and "" or host, tonumber(ngx.var.arg_port))
            given[#given + 1] = tostring(err)
        end
        ngx.log(ngx.NOTICE, "given: ", table.concat(given, ", "))""")
    assert get(s.port, f"/?hosts=127.0.0.1:{u.port}&port=1").body == b"well"
    hosts = "-,name,[::1,[::1]:,[::1]:x,127.0.0.1:70000,127.1,[::1]:5,[::1],::1,127.0.0.1"
    assert get(s.port, f"/?hosts={hosts}&port={u.port}").body == b"well"
    s.wait_for_log("given: no host, no host allowed, invalid host, " + "invalid port, " * 3 + "no host allowed, nil, nil, nil, nil")
    assert get(s.port, "/?hosts=127.0.0.1&port=70000").status == 502
    s.wait_for_log("given: invalid port while connecting to upstream")
