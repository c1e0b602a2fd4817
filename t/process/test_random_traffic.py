# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Everything at once, by chance: clients and origins that behave and misbehave, reloads and a killed worker in between. Nothing is asked of
single answers; every connection must come to its end, no worker may die by itself, and the sanitizer build must have nothing to say.

The suite draws the same each time, so that what fails there belongs to the change. To hunt: FAIRLEAD_SECONDS makes it longer than the
suite can afford, FAIRLEAD_SEED draws otherwise ("random": each time).
"""

import asyncio
import contextlib
import os
import random
import signal

import pytest

from lib import random_origin
from lib.certs import Authority
from lib.ports import TIME_SCALE, claim_port, release_port
from lib.random_clients import Clients

CONF = """
worker_processes 2;
worker_shutdown_timeout 3s;
events { worker_connections 2048; }
http {
    access_log %%PREFIX%%/logs/access.log combined buffer=32k flush=1s;
    client_header_timeout 2s;
    client_body_timeout 2s;
    send_timeout 2s;
    keepalive_timeout 2s;
    client_body_buffer_size 8k;
    client_max_body_size 512k;
    gzip on;
    gzip_types *;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_read_timeout 1s;
    proxy_next_upstream error timeout invalid_header http_500 http_502 non_idempotent;
    proxy_next_upstream_timeout 3s;
    limit_conn_zone $binary_remote_addr zone=connections:1m;
    limit_req_zone $binary_remote_addr zone=requests:1m rate=1000r/s;
    upstream group { zone group 256k; server 127.0.0.1:%%ORIGIN_0%% max_fails=3 fail_timeout=1s slow_start=1s;
                     server 127.0.0.1:%%ORIGIN_1%% weight=2 max_fails=0; server 127.0.0.1:%%ORIGIN_2%% backup; keepalive 4; }
    upstream waiting { zone waiting 256k; least_conn; server 127.0.0.1:%%ORIGIN_0%% max_conns=2; queue 20 timeout=1s; keepalive 2; }
    upstream http2 { zone http2 256k; server 127.0.0.1:%%ORIGIN_H2%% max_fails=0; keepalive 4; }
    upstream self { server 127.0.0.1:%%PORT_0%% max_fails=0; keepalive 4; }
    upstream self_tls { server 127.0.0.1:%%PORT_1%% max_fails=0; keepalive 4; }
    server {
        listen 127.0.0.1:%%PORT_0%% backlog=1024;
        listen 127.0.0.1:%%PORT_1%% ssl backlog=1024;
        listen 127.0.0.1:%%PORT_2%% proxy_protocol;
        http2 on;
        ssl_certificate %%CERTIFICATE%%;
        ssl_certificate_key %%KEY%%;
        ssl_session_cache shared:sessions:1m;
        location /buffered { proxy_pass http://group; }
        location /unbuffered { proxy_pass http://group; proxy_buffering off; proxy_request_buffering off; }
        location /small { proxy_pass http://waiting; proxy_buffers 4 4k; proxy_buffer_size 4k; proxy_max_temp_file_size 64k; }
        location /edited { proxy_pass http://group; sub_filter a bb; sub_filter_once off; limit_rate 200k; }
        location /asked { auth_request /auth; mirror /mirrored; proxy_pass http://group; error_page 404 500 502 504 = @instead; }
        location /multiplexed { proxy_pass http://http2; proxy_http_version 2; }
        location /grpc { grpc_pass grpc://http2; grpc_read_timeout 1s; grpc_next_upstream error timeout non_idempotent; }
        location /upgrade { proxy_pass http://group; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }
        location /sliced { slice 1k; proxy_set_header Range $slice_range; proxy_pass http://group; }
        location /unzipped { gunzip on; proxy_set_header Accept-Encoding gzip; proxy_pass http://group; }
        location /hurried { fault { delay 20ms 50%; } proxy_pass http://group; proxy_try_timeout 300ms; proxy_request_timeout 1s;
                            proxy_retry_backoff base=5ms max=20ms; }
        location /limited { limit_req zone=requests burst=5; limit_conn connections 20; root /usr/share; autoindex on; }
        location /around { charset utf-8; add_before_body /text; add_after_body /metrics; userid on; proxy_pass http://group; }
        location /whole { client_body_in_file_only clean; proxy_set_body "x$request_body"; proxy_pass http://group; }
        location /text { return 200 "$request_uri $http_x_big $http_x_big $request_id"; }
        location /2/ { proxy_pass http://self/; proxy_http_version 2; proxy_request_buffering off; proxy_buffering off; }
        location /tls/ { proxy_pass https://self_tls/; proxy_request_buffering off; }
        location /tls2/ { proxy_pass https://self_tls/; proxy_http_version 2; }
        location = /auth { internal; proxy_pass http://group/auth; proxy_pass_request_body off; proxy_set_header Content-Length ""; }
        location = /mirrored { internal; proxy_pass http://group; }
        location @instead { return 200 instead; }
        location /metrics { metrics; }
        %%LUA%%
    }
}
"""

LUA = """
        location /lua_hooks {
            access_by_lua_block { ngx.sleep(0.01) ngx.ctx.status = ngx.location.capture("/buffered").status }
            header_filter_by_lua_block { ngx.header["X-Status"] = ngx.ctx.status }
            body_filter_by_lua_block { ngx.arg[1] = (ngx.arg[1] or ""):upper() }
            log_by_lua_block { ngx.timer.at(0, function() ngx.sleep(0.02) end) }
            proxy_pass http://group;
        }
        location /lua_socket {
            content_by_lua_block {
                ngx.req.read_body()
                local socket = ngx.socket.tcp()
                socket:settimeouts(300, 300, 300)
                if not socket:connect("127.0.0.1", %%ORIGIN_0%%) then return ngx.exit(502) end
                socket:send("GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
                local thread = ngx.thread.spawn(function() ngx.sleep(0.01) ngx.say("a thread") end)
                ngx.say(tostring(socket:receive("*l")))
                ngx.print(socket:receiveany(1000) or "nothing")
                ngx.flush(true)
                ngx.thread.wait(thread)
                socket:setkeepalive(1000, 5)
            }
        }
        location /lua_says {
            lua_check_client_abort on;
            content_by_lua_block {
                ngx.on_abort(function() ngx.exit(499) end)
                for _, answer in ipairs({ngx.location.capture_multi{{"/text"}, {"/buffered"}}}) do ngx.print(answer.body) end
                for i = 1, 20 do ngx.say(string.rep("w", 3000)) if i % 5 == 0 then ngx.flush(true) end end
            }
        }
        location /lua_rewrites {
            rewrite_by_lua_block {
                ngx.req.read_body()
                local chance = math.random()
                if chance < 0.3 then return ngx.exec("/unbuffered") end
                if chance < 0.6 then ngx.req.set_body_data("another body") end
                if chance > 0.9 then error("by chance") end
            }
            proxy_pass http://group;
        }
"""

WHERE = ("buffered unbuffered small edited asked multiplexed grpc/x.Y upgrade sliced unzipped hurried limited around whole text metrics "
         "lua_hooks lua_socket lua_says lua_rewrites missing").split()
PATHS = [f"/{w}" for w in WHERE] + [f"/{hop}/{w}" for hop in ("2", "tls", "tls2") for w in WHERE] + ["/2/tls2/text", "/tls2/2/tls/metrics"]


@pytest.fixture
def ports():
    claimed = [claim_port() for _ in range(4)]
    yield claimed
    for port in claimed:
        release_port(port)


async def disturb(s, until):
    """Reloads, and one worker killed on the way: what a draining worker still serves has to end too."""
    loop, turn = asyncio.get_running_loop(), 0
    while loop.time() + 2 < until:
        await asyncio.sleep(2)
        turn += 1
        if turn % 5 == 2:
            with contextlib.suppress(ProcessLookupError):  # one that drained may have ended meanwhile
                s.signal(signal.SIGKILL, max(s.wait_workers()))
        else:
            s.signal(signal.SIGHUP)


async def traffic(s, ports, draw, seconds):
    origins = await random_origin.listen(ports[:3], ports[3], draw)
    clients = Clients({"plain": s.ports[0], "tls": s.ports[1], "proxy_protocol": s.ports[2]}, PATHS, draw, 20 * TIME_SCALE)
    until = asyncio.get_running_loop().time() + seconds
    latest = until + 10 * TIME_SCALE
    await asyncio.gather(disturb(s, until), *(clients.run(until, latest) for _ in range(12)))
    for origin in origins:
        origin.close()
    return clients


def test_whatever_happens_every_connection_ends(idle_server, ports, tmp_path):
    wanted, seconds = os.environ.get("FAIRLEAD_SEED", "1"), float(os.environ.get("FAIRLEAD_SECONDS", "8"))
    seed = random.randrange(1 << 32) if wanted == "random" else int(wanted)
    print(f"FAIRLEAD_SEED={seed}")
    certificate, key = Authority(tmp_path).leaf("localhost")
    origins = {"ORIGIN_0": ports[0], "ORIGIN_1": ports[1], "ORIGIN_2": ports[2], "ORIGIN_H2": ports[3]}
    s = idle_server(CONF, CERTIFICATE=certificate, KEY=key, LUA="", allow_log=["exited on signal 9", "by chance"], **origins)
    if "without-lua" not in s.run("-V").stderr:
        s.set_conf(CONF.replace("%%LUA%%", LUA))
    s.start()
    s.wait_workers(2)
    clients = asyncio.run(traffic(s, ports, random.Random(seed), seconds))
    print(dict(clients.seen))
    assert not clients.hung
    assert clients.have_seen_enough(), "hardly anything was answered"
    s.quit(15)
