# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A wait in each hook that may wait, and what ends it besides what it waits for: the client leaves, its own time is over, a reload, the
end of the worker."""

import signal
import ssl
import threading
import types

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client, get
from lib.ports import wait_until

CONF = r"""
error_log logs/error.log info;
worker_shutdown_timeout SHUTDOWN;
events {}
http {
    lua_socket_log_errors off;
    lua_shared_dict said 1m;
    lua_check_client_abort on;
    init_by_lua_block {
        function wait()
            local s = ngx.socket.tcp()
            s:settimeout(MS)
            assert(s:connect("127.0.0.1", %%UP%%))
            ngx.shared.said:incr("waiting", 1, 0)
            local line, err = s:receive()
            ngx.log(ngx.NOTICE, "waited in ", ngx.get_phase(), ": ", line or err)
        end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_rewrite_by_lua_block { if ngx.var.uri == "/server_rewrite" then wait() end }
        location /server_rewrite { return 200 ok; }
        location /rewrite { rewrite_by_lua_block { wait() } content_by_lua_block { ngx.print("ok") } }
        location /access { access_by_lua_block { wait() } content_by_lua_block { ngx.print("ok") } }
        location /precontent { precontent_by_lua_block { wait() } content_by_lua_block { ngx.print("ok") } }
        location /content { content_by_lua_block { wait() ngx.print("ok") } }
        location /subrequest { content_by_lua_block { ngx.print(ngx.location.capture("/content").body) } }
        location /timer { content_by_lua_block { ngx.timer.at(0, wait) ngx.print("ok") } }
        location /proxy_ssl_cert {
            proxy_ssl_certificate_by_lua_block { wait() }
            proxy_pass https://127.0.0.1:%%SECURE%%/;
        }
        location /proxy_ssl_verify {
            proxy_ssl_verify_by_lua_block { wait() }
            proxy_pass https://127.0.0.1:%%SECURE%%/;
        }
        location /waiting { content_by_lua_block { ngx.print(ngx.shared.said:get("waiting") or 0) } }
    }
    server {
        listen 127.0.0.1:%%PORT_1%% ssl;
        ssl_certificate %%CERT%%;
        ssl_certificate_key %%KEY%%;
        ssl_client_hello_by_lua_block { wait() }
        location / { return 200 ok; }
    }
    server {
        listen 127.0.0.1:%%PORT_2%% ssl;
        ssl_certificate %%CERT%%;
        ssl_certificate_key %%KEY%%;
        ssl_certificate_by_lua_block { wait() }
        location / { return 200 ok; }
    }
}
"""
PLAIN = ("server_rewrite", "rewrite", "access", "precontent", "content", "subrequest", "proxy_ssl_cert", "proxy_ssl_verify")
SECURE = {"ssl_client_hello": 1, "ssl_cert": 2}
HOOKS = (*PLAIN, *SECURE)


class Asking:
    """A request under way; over TLS its handshake is driven by hand."""

    def __init__(self, s, hook):
        self.client = Client(s.ports[SECURE.get(hook, 0)], seconds=30)
        self.hook = hook
        if hook in SECURE:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="a.test")
            self._step(self.tls.do_handshake)
        else:
            self.client.send(f"GET /{hook} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    def _step(self, call, *arguments):
        try:
            return call(*arguments), True
        except ssl.SSLWantReadError:
            return None, False
        finally:
            self.client.send(self.outgoing.read())

    def _drive(self, call, *arguments):
        while True:
            got, done = self._step(call, *arguments)
            if done:
                return got
            self.incoming.write(self.client.socket.recv(16384))

    def answer(self):
        if self.hook not in SECURE:
            return self.client.read_reply().body
        self._drive(self.tls.do_handshake)
        self.tls.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self._step(self.tls.do_handshake)
        return self._drive(self.tls.read, 4096)[-2:]


@pytest.fixture
def peer(upstream):
    may = threading.Event()
    yield types.SimpleNamespace(may=may, up=upstream([up.wait_for(may), up.send(b"line\n"), up.read_to_end()]))
    may.set()


@pytest.fixture
def start(server, upstream, peer, tmp_path):
    def made(ms=30000, shutdown="60s", **more):
        ca = Authority(tmp_path / "ca")
        leaf = ca.leaf("a.test")
        asks = ca.server_context(leaf, client_ca=True)
        asks.verify_mode = ssl.CERT_OPTIONAL
        secure = upstream(up.serve(lambda r: up.reply(content=b"ok")), tls=asks)
        text = CONF.replace("MS)", f"{ms})").replace("SHUTDOWN", shutdown)
        return server(text, UP=peer.up.port, SECURE=secure.port, CERT=leaf[0], KEY=leaf[1], **more)
    return made


def wait_waiting(s, count):
    wait_until(lambda: int(get(s.port, "/waiting").body) >= count)


def ask_all(s):
    asked = {}
    for number, hook in enumerate(HOOKS, 1):
        asked[hook] = Asking(s, hook)
        wait_waiting(s, number)
    return asked


def test_it_goes_on(start, peer):
    s = start()
    asked = ask_all(s)
    peer.may.set()
    assert {hook: one.answer() for hook, one in asked.items()} == {hook: b"ok" for hook in HOOKS}
    for hook in HOOKS:
        if hook != "subrequest":
            s.wait_for_log(f"waited in {hook}: line")


def test_the_time_is_over(start):
    s = start(ms=50)
    for hook in HOOKS:
        assert Asking(s, hook).answer() == b"ok", hook
        s.wait_for_log(f"waited in {'content' if hook == 'subrequest' else hook}: timeout")


def test_the_client_leaves(start, peer):
    s = start()
    for one in ask_all(s).values():
        one.client.reset()
    assert get(s.port, "/waiting").status == 200
    peer.may.set()
    wait_until(lambda: all(seen.ended or seen.closed for seen in peer.up.connections))
    assert get(s.port, "/waiting").status == 200


def test_a_reload_lets_them_end(start, peer):
    s = start()
    old = s.wait_workers(1)
    asked = ask_all(s)
    get(s.port, "/timer")
    wait_waiting(s, len(HOOKS) + 1)
    s.reload()
    peer.may.set()
    assert {hook: one.answer() for hook, one in asked.items()} == {hook: b"ok" for hook in HOOKS}
    s.wait_for_log("waited in timer: line")
    wait_until(lambda: not set(old) & set(s.workers()))


@pytest.mark.parametrize(("how", "shutdown"), [(signal.SIGQUIT, "300ms"), (signal.SIGTERM, "60s")])
def test_the_worker_ends(start, how, shutdown):
    s = start(shutdown=shutdown)
    ask_all(s)
    get(s.port, "/timer")
    s.signal(how)
    s.wait()
