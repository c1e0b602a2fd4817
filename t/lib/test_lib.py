# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The test library itself, against Debian's nginx: what it reports must be what happened."""

import os
import signal
import ssl
import threading
import time

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client, chunked, get, post, raw, request
from lib.fairlead import Server, title_of
from lib.nginx import BINARY, Nginx
from lib.ports import wait_until
from lib.wire import Closed

PROXY = """
events {}
http {
    upstream u { server 127.0.0.1:%%UP%%; keepalive 4; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /hello { return 200 hello; }
        location / {
            proxy_pass http://u;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream off;
        }
    }
}
"""


@pytest.fixture(autouse=True)
def binary(monkeypatch):
    monkeypatch.setenv("FAIRLEAD_BINARY", BINARY)


def test_serves_and_keeps_alive_to_the_upstream(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, r.method + " " + r.target + " " + r.body.decode())))
    s = server(PROXY, UP=u.port)
    assert get(s.port, "/hello").text == "hello"
    assert get(s.port, "/a").text == "GET /a "
    assert post(s.port, "/b", b"body").text == "POST /b body"
    assert len(u.connections) == 1
    assert [r.target for r in u.requests] == ["/a", "/b"]
    assert u.last.header("content-length") == "4" and u.last.all("connection") == []


def test_scripts_follow_the_connections(server, upstream):
    u = upstream([up.request(), up.send(up.reply(200, b"half", length=8)), up.reset()],
                 [up.request(), up.send(up.reply(200, b"ok")), up.close()])
    s = server(PROXY, UP=u.port)
    with Client(s.port) as c:
        c.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(Closed):
            c.read_reply()
    assert get(s.port, "/2").body == b"ok"
    assert [len(c.requests) for c in u.connections] == [1, 1]


def test_an_upstream_that_never_answers_meets_the_timeout(server, upstream):
    u = upstream([up.hold()])
    s = server(PROXY.replace("proxy_next_upstream off;", "proxy_next_upstream off; proxy_read_timeout 1s;"), UP=u.port)
    assert get(s.port, "/").status == 504
    s.wait_for_log(r"upstream timed out")
    assert u.wait_connections(1)[0].raw.startswith(b"GET / HTTP/1.1\r\n")


def test_a_refused_upstream_and_one_that_listens_again(server, upstream):
    u = upstream()
    s = server(PROXY.replace("%%UP%%;", "%%UP%% max_fails=0;"), UP=u.port)
    u.refuse()
    assert get(s.port, "/x").status == 502
    u.listen()
    assert get(s.port, "/x").text == "/x"


def test_client_framing_is_read_strictly(server, upstream):
    u = upstream([up.request(), up.send(up.reply(200, chunked(b"abc", b"de"), {"Transfer-Encoding": "chunked"})), up.hold()])
    s = server(PROXY, UP=u.port)
    got = get(s.port, "/")
    assert got.body == b"abcde" and got.chunks is not None
    with Client(s.port) as c:
        c.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\nHEAD /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [c.read_reply(m).body for m in ("GET", "HEAD", "GET")] == [b"hello", b"", b"hello"]
        assert c.is_quiet()
    with Client(s.port) as c:
        c.send_pieces(b"GET /hello HTTP/1.0\r\n\r\n", 3).half_close()
        assert c.read_reply().text == "hello" and c.is_closed()
    assert b" 400 " in raw(s.port, b"GET / HTTP/1.1\r\n\r\n")


def test_chunked_request_arrives(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, r.body)))
    s = server(PROXY, UP=u.port)
    got = request(s.port, "POST", "/", chunked(b"one", b"two"), {"Transfer-Encoding": "chunked"})
    assert got.body == b"onetwo"


def test_an_event_orders_client_and_upstream(server, upstream):
    go = threading.Event()
    u = upstream([up.request(), up.wait_for(go), up.send(up.reply(200, b"late")), up.close()])
    s = server(PROXY, UP=u.port)
    with Client(s.port) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        u.wait_requests(1)
        assert c.is_quiet(0.1)
        go.set()
        assert c.read_reply().body == b"late"


def test_reload_and_quit(server, upstream):
    s = server("events {} http { server { listen 127.0.0.1:%%PORT_0%%; return 200 one; } }")
    assert get(s.port).text == "one"
    before = s.wait_workers()
    s.reload("events {} http { server { listen 127.0.0.1:%%PORT_0%%; return 200 two; } }")
    assert get(s.port).text == "two"
    assert set(before).isdisjoint(p for p in s.workers() if "shutting" not in title_of(p))
    s.quit()


def test_bad_configuration_is_reported(idle_server):
    s = idle_server("events {}\nhttp {\n    nonsense on;\n}\n", allow_log=[r"unknown directive"])
    done = s.run("-t")
    assert done.returncode == 1 and 'unknown directive "nonsense" in ' + s.conf_path + ":3" in done.stderr
    with pytest.raises(AssertionError, match="ended with 1 at its start"):
        s.start()
    s.process = None


def test_a_killed_worker_is_a_complaint():
    s = Server("events {} http { server { listen 127.0.0.1:%%PORT_0%%; return 200 x; } }").start()
    s.signal(signal.SIGKILL, s.wait_workers()[0])
    s.wait_for_log("exited on signal 9")
    with pytest.raises(AssertionError, match="exited on signal 9"):
        s.stop()
    assert not os.path.exists(s.prefix)


def test_a_sanitizer_report_is_a_complaint():
    s = Server("events {} http { server { listen 127.0.0.1:%%PORT_0%%; return 200 x; } }").start()
    s.write("logs/sanitizer.1", "==1==ERROR: AddressSanitizer: heap-use-after-free")
    with pytest.raises(AssertionError, match="heap-use-after-free"):
        s.stop()


def test_a_server_that_does_not_end_is_a_complaint_and_is_killed():
    s = Server("events {} http { server { listen 127.0.0.1:%%PORT_0%%; return 200 x; } }").start()
    pids = [s.process.pid] + s.wait_workers()
    s.signal(signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(AssertionError, match="did not end"):
        s.stop(seconds=1)
    assert time.monotonic() - began < 30
    wait_until(lambda: not any(title_of(p) for p in pids), 5, "the end of what was killed")


def test_nginx_beside_the_server(server, nginx, upstream):
    u = upstream()
    conf = PROXY
    replies = [get(x.port, "/same") for x in (server(conf, UP=u.port), nginx(conf, UP=u.port))]
    assert replies[0].body == replies[1].body == b"/same"


def test_unix_socket_upstream_and_port_claims():
    with Nginx("events {} http { server { listen unix:%%PREFIX%%/s; listen 127.0.0.1:%%PORT_1%%; return 200 x; } }") as s:
        assert len(set(s.ports)) == 2
        assert get(0, unix=s.prefix + "/s").text == "x"


TLS = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate %%CERT%%;
        ssl_certificate_key %%KEY%%;
        location / {
            proxy_pass https://127.0.0.1:%%UP%%;
            proxy_ssl_certificate %%CLIENT%%;
            proxy_ssl_certificate_key %%CLIENT_KEY%%;
        }
    }
}
"""


def test_certificates_serve_both_sides(server, upstream, tmp_path):
    authority = Authority(tmp_path)
    cert, key = authority.leaf("front.test")
    client, client_key = authority.leaf("client.test", client=True)
    u = upstream(up.serve(lambda r: up.reply(200, "secret")), tls=authority.server_context(authority.leaf("up.test"), client_ca=True))
    s = server(TLS, CERT=cert, KEY=key, CLIENT=client, CLIENT_KEY=client_key, UP=u.port)
    assert get(s.port, tls=authority.client_context(), server_name="front.test").text == "secret"
    with pytest.raises(ssl.SSLCertVerificationError):
        get(s.port, tls=authority.client_context(), server_name="other.test")
