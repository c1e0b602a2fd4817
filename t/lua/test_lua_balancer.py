# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""balancer_by_lua: a script names the peer of each try."""

import threading
import time

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client, get, post
from lib.h2client import H2Client
from lib.h2upstream import H2Upstream

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


NONE = CONF.replace("server 0.0.0.1;", "server 127.0.0.1:1 down;")  # where the script names no peer there is none


def start(server, script, conf=CONF, **names):
    return server(conf.replace("SCRIPT", script), **names)


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
        if ngx.var.arg_fail then error("no luck") end""", NONE)
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
        ngx.log(ngx.NOTICE, "given: ", table.concat(given, ", "))""", NONE)
    assert get(s.port, f"/?hosts=127.0.0.1:{u.port}&port=1").body == b"well"
    hosts = "-,name,[::1,[::1]:,[::1]:x,127.0.0.1:70000,127.1,[::1]:5,[::1],::1,127.0.0.1"
    assert get(s.port, f"/?hosts={hosts}&port={u.port}").body == b"well"
    s.wait_for_log("given: no host, no host allowed, invalid host, " + "invalid port, " * 3 + "no host allowed, nil, nil, nil, nil")
    assert get(s.port, "/?hosts=127.0.0.1&port=70000").status == 502
    s.wait_for_log("given: invalid port while connecting to upstream")


ANEW = r"""
events {}
http {
    upstream app {
        server 0.0.0.1;
        balancer_by_lua_block {
            local b = require "ngx.balancer"
            local try = b.get_last_failure() and 2 or 1
            ngx.var.peer = "peer" .. try
            ngx.req.set_header("X-Try", try)
            ngx.req.set_uri_args("try=" .. try)
            SCRIPT
            assert(b.recreate_request())
            assert(b.set_more_tries(1))
            assert(b.set_current_peer("127.0.0.1", try == 1 and %%BAD%% or %%GOOD%%))
        }
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        set $peer nobody;
        client_body_buffer_size 1k;
        proxy_next_upstream http_503 non_idempotent;
        grpc_next_upstream http_503 non_idempotent;
        proxy_set_header Host $peer.test;
        proxy_set_header X-Old $http_x_old;
        location / { proxy_pass http://app; }
        location /folder/ { proxy_pass http://app/other/; }
        location /streamed { proxy_request_buffering off; proxy_replay_buffer_size 64k; proxy_pass http://app; }
        location /own { proxy_set_body "body of $peer"; proxy_pass http://app; }
        location /h2 { proxy_http_version 2; proxy_pass http://app; }
        location /app.Service/ { grpc_set_header Host $peer.test; grpc_pass grpc://app; }
        location /web.Service/ { grpc_web on; grpc_set_header Host $peer.test; grpc_pass grpc://app; }
    }
}
"""


@pytest.mark.parametrize("path, sent, seen", [
    ("/", b"", b""), ("/", b"abc", b"abc"), ("/", b"x" * 5000, b"x" * 5000), ("/streamed", b"abc" * 1000, b"abc" * 1000),
    ("/own", b"abc", b"body of peer%d"), ("/own", b"", b"body of peer%d"), ("/folder/a", b"abc", b"abc")])
def test_the_request_is_made_anew_for_each_try(server, upstream, path, sent, seen):
    """What the script of the balancer writes reaches the peer that it names: variables, fields, arguments; the body is the same."""
    bad, good = upstream(up.serve(lambda r: up.reply(503))), upstream(up.serve(lambda r: up.reply(content=b"good")))
    s = server(ANEW.replace("SCRIPT", ""), BAD=bad.port, GOOD=good.port)
    reply = post(s.port, path, sent, headers={"X-Old": "kept"}) if sent else get(s.port, path, headers={"X-Old": "kept"})
    assert reply.body == b"good"
    for at, peer in enumerate((bad, good), 1):
        (got,) = peer.requests
        assert (got.header("host"), got.header("x-try"), got.header("x-old")) == (f"peer{at}.test", str(at), "kept")
        assert got.target == path.replace("/folder/", "/other/") + f"?try={at}"
        assert got.body == (seen % at if b"%d" in seen else seen)
        assert got.all("content-length") == ([str(len(got.body))] if got.body else [])


@pytest.mark.parametrize("path, sent, seen", [
    ("/h2", b"abc", b"abc"), ("/app.Service/Call", b"\0\0\0\0\x03abc", b"\0\0\0\0\x03abc"),
    ("/web.Service/Call", b"AAAAAANhYmM=", b"\0\0\0\0\x03abc")])
def test_a_call_over_http2_is_made_anew(server, path, sent, seen):
    kind = {"/h2": "text/plain", "/web.Service/Call": "application/grpc-web-text"}.get(path, "application/grpc")
    bad, good = H2Upstream(lambda stream: stream.reply(503)), H2Upstream(lambda stream: stream.reply(200, "good"))
    try:
        s = server(ANEW.replace("SCRIPT", ""), BAD=bad.port, GOOD=good.port)
        client = H2Client(s.port)
        stream = client.start(path, "POST", [("content-type", kind)], end=False)
        client.send(stream, sent, end=True)
        assert client.wait(stream).status == 200
        for at, peer in enumerate((bad, good), 1):
            (got,) = peer.requests
            assert (got.header(":authority"), got.header("x-try"), got.path) == (f"peer{at}.test", str(at), f"{path}?try={at}")
            assert got.body == seen
    finally:
        bad.stop()
        good.stop()


def test_another_body_for_a_try(server, upstream):
    bad, good = upstream(up.serve(lambda r: up.reply(503))), upstream(up.serve(lambda r: up.reply(content=b"good")))
    conf = ANEW.replace("SCRIPT", 'if try == 2 then ngx.req.set_body_data("the second") end')
    for anew in ("assert(b.recreate_request())", ""):
        s = server(conf.replace("assert(b.recreate_request())", anew), BAD=bad.port, GOOD=good.port)
        assert post(s.port, "/", b"the first one").body == b"good"
        assert bad.last.body == b"the first one" and good.last.body == b"the second"


def test_a_request_that_is_not_made_anew_stays_what_it_was(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(content=b"x")))
    s = server(ANEW.replace("assert(b.recreate_request())", "").replace("SCRIPT", ""), BAD=u.port, GOOD=1)
    assert get(s.port, "/").body == b"x"
    assert (u.last.header("host"), u.last.header("x-try"), u.last.target) == ("nobody.test", None, "/")


def test_without_a_choice_the_group_picks_one_of_its_own(server, upstream):
    a, b, canary = (upstream(up.serve(lambda r, name=name: up.reply(content=name))) for name in (b"a", b"b", b"canary"))
    conf = CONF.replace("server 0.0.0.1;", f"server 127.0.0.1:{a.port}; server 127.0.0.1:{b.port};")
    s = server(conf.replace("SCRIPT", """
        if ngx.var.arg_to then b.set_current_peer("127.0.0.1", tonumber(ngx.var.arg_to)) end
        if ngx.var.arg_exit then ngx.exit(503) end"""))
    assert sorted(get(s.port, "/").body for _ in range(4)) == [b"a", b"a", b"b", b"b"]
    assert get(s.port, f"/?to={canary.port}").body == b"canary"
    assert get(s.port, "/?exit=1").status == 503
    assert len(a.requests) == len(b.requests) == 2


def test_the_group_and_the_script_take_turns(server, upstream):
    """A peer of the group that failed is not picked again, whatever was named in between; the script is told of each failure."""
    first, second, named = upstream(up.serve(lambda r: up.reply(503))), upstream(up.serve(lambda r: up.reply(content=b"ok"))), up.Refused()
    conf = CONF.replace("server 0.0.0.1;", f"server 127.0.0.1:{first.port} weight=9; server 127.0.0.1:{second.port};")
    s = server(conf.replace("SCRIPT", """
        local state, status = b.get_last_failure()
        ngx.log(ngx.NOTICE, "last ", state, " ", status)
        if status == 503 then assert(b.set_more_tries(1)) b.set_current_peer("127.0.0.1", %%NAMED%%) end"""), NAMED=named.port)
    assert get(s.port, "/").body == b"ok"
    for told in ("nil nil", "failed 503", "failed 502"):
        s.wait_for_log("last " + told)
    ports = ", ".join(f"127.0.0.1:{peer.port}" for peer in (first, named, second))
    s.wait_for_log(f"addr {ports} status 503, 502, 200")
    named.stop()


def test_timeouts_and_the_local_address_hold_for_the_tries_that_follow(server, upstream):
    refused, peers = up.Refused(), []
    u = upstream([lambda seen: peers.append(seen.socket.getpeername()[0]), up.request(), up.hold()])
    s = start(server, """
        if b.get_last_failure() then assert(b.set_timeouts(nil, 5)) assert(b.set_current_peer("127.0.0.1", %%UP%%))
        else
            assert(b.set_more_tries(1)) assert(b.set_timeouts(5, 5, 0.2)) assert(b.bind_to_local_addr("127.0.0.9"))
            assert(b.set_current_peer("127.0.0.1", %%REFUSED%%))
        end""", UP=u.port, REFUSED=refused.port)
    assert get(s.port, "/").status == 504  # proxy_read_timeout is a minute
    assert peers == ["127.0.0.9"]
    refused.stop()


def test_what_is_no_time(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(content=b"ok")))
    s = start(server, """
        local told = {}
        for i, seconds in ipairs {0, -1, "1", {}} do told[i] = select(2, pcall(b.set_timeouts, seconds, 1, 1)) end
        told[5], told[6] = select(2, pcall(b.set_timeouts, 1, 0, 1)), select(2, pcall(b.set_timeouts, 1, 1, "x"))
        told[7], told[8] = tostring(b.set_timeouts(false, nil, 1)), tostring(b.set_timeouts(0.0001))
        ngx.log(ngx.NOTICE, "told: ", table.concat(told, ", ")) b.set_current_peer("127.0.0.1", %%UP%%)""", UP=u.port)
    assert get(s.port, "/").body == b"ok"
    s.wait_for_log("told: " + "bad connect timeout, " * 4 + "bad send timeout, bad read timeout, true, true")


def test_the_name_of_a_peer_over_tls(server, upstream, tmp_path):
    """The third argument is the name that is sent and verified, unless proxy_ssl_name says one; connections of other names are not used."""
    ca, names = Authority(tmp_path / "ca"), []
    context = ca.server_context(ca.leaf("a.test", "b.test"))
    context.sni_callback = lambda sock, name, of: names.append(name)
    u = upstream(up.serve(lambda r: up.reply(content=b"ok")), tls=context)
    conf = CONF.replace("http://app;", """https://app; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_ssl_server_name on; proxy_ssl_verify on; proxy_ssl_trusted_certificate %%CA%%; MORE""")
    script = """
        assert(b.set_current_peer("127.0.0.1", %%UP%%, ngx.var.arg_name)) assert(b.enable_keepalive())
        ngx.log(ngx.NOTICE, "told: ", select(2, pcall(b.set_current_peer, "127.0.0.1", %%UP%%, {})))"""
    s = server(conf.replace("SCRIPT", script).replace("MORE", ""), UP=u.port, CA=ca.path)
    for name in ("a.test", "b.test", "a.test"):
        assert get(s.port, f"/?name={name}").body == b"ok"
    assert names == ["a.test", "b.test"]
    assert get(s.port, "/?name=c.test").status == 502
    assert get(s.port, "/").status == 502
    assert names[2:] == ["c.test", "app"]
    s.wait_for_log(r"told: bad argument #3 to 'set_current_peer' \(string expected, got table\)")
    s = server(conf.replace("SCRIPT", script).replace("MORE", "proxy_ssl_name b.test;"), UP=u.port, CA=ca.path)
    assert get(s.port, "/?name=c.test").body == b"ok"
    assert names[4:] == ["b.test"]


QUEUED = r"""
events {}
http {
    upstream app {
        server 127.0.0.1:%%UP%% max_conns=1;
        queue 10 timeout=60s;
        balancer_by_lua_block {
            ngx.ctx.runs = (ngx.ctx.runs or 0) + 1
            if ngx.var.arg_refuse then return ngx.exit(403) end
            if ngx.var.arg_port then require("ngx.balancer").set_current_peer("127.0.0.1", tonumber(ngx.var.arg_port)) end
        }
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://app; log_by_lua_block { ngx.log(ngx.NOTICE, ngx.var.uri, " runs: ", ngx.ctx.runs) } }
    }
}
"""


def test_the_script_runs_once_for_a_try_that_waits_in_the_queue(server, upstream):
    gate = threading.Event()
    u = upstream(up.serve(lambda r: gate.wait(30) and up.reply(content=r.target)))
    other = upstream(up.serve(lambda r: up.reply(content="other")))
    s = server(QUEUED, UP=u.port)
    first = Client(s.port).send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n")
    u.wait_requests(1)
    assert get(s.port, "/none?refuse=1").status == 403
    second = Client(s.port).send("GET /second HTTP/1.1\r\nHost: h\r\n\r\n")
    with Client(s.port) as c:
        for _ in range(2):  # behind one that waits, too; the second time it does for sure
            assert c.get("/none?refuse=1").status == 403
            assert c.get(f"/named?port={other.port}").text == "other"
            time.sleep(0.15)  # the queue looks for a peer every 50 ms
    gate.set()
    for client, target in ((first, "/first"), (second, "/second")):
        assert client.read_reply().text == target
        client.close()
    s.wait_for_log("/second runs: 1 while")
