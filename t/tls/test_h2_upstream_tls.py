# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""HTTP/2 over TLS to peers: `proxy_http_version 2` to https targets and `grpc_pass grpcs://`; ALPN, identities, and shared connections
whose making outlasts the request that asked for it."""

import os
import ssl
import threading

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client, get, post
from lib.h2client import H2Client
from lib.nginx import BINARY
from lib.ports import TIME_SCALE, wait_until

CONF = """
events {}
http {
    access_log access.log;
    client_max_body_size 0;
    upstream app { server 127.0.0.1:%%UP%%; }
    proxy_http_version 2;
    proxy_ssl_trusted_certificate %%CERTS%%/ca.pem;
    grpc_ssl_trusted_certificate %%CERTS%%/ca.pem;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        location /plain/    { proxy_pass https://app; }
        location /named/    { proxy_pass https://app; proxy_ssl_verify on; proxy_ssl_name app.test; proxy_ssl_server_name on; }
        location /other/    { proxy_pass https://app; proxy_ssl_verify on; proxy_ssl_name other.test; }
        location /client/   { proxy_pass https://app; proxy_ssl_certificate %%CERTS%%/me.pem; proxy_ssl_certificate_key %%CERTS%%/me.key; }
        location /variable/ { proxy_pass https://app; proxy_ssl_certificate %%CERTS%%/$arg_c.pem;
                              proxy_ssl_certificate_key %%CERTS%%/$arg_c.key; }
        location /runtime/  { set $where 127.0.0.1:%%UP%%; proxy_pass https://$where; proxy_ssl_verify on; proxy_ssl_name app.test; }
        location /one/      { proxy_pass https://app; proxy_http2_max_streams 1; proxy_ssl_name one.test; }
        location /quick/    { proxy_pass https://app; proxy_connect_timeout 300ms; }
        location /greeting/ { proxy_pass https://app; proxy_protocol on; }
        location /grpc.     { grpc_pass grpcs://app; grpc_ssl_verify on; grpc_ssl_name app.test; grpc_ssl_server_name on; }
        location /grpc_me.  { grpc_pass grpcs://127.0.0.1:%%UP%%; grpc_ssl_certificate %%CERTS%%/me.pem;
                              grpc_ssl_certificate_key %%CERTS%%/me.key; }
        location /grpc_var. { set $to grpcs://127.0.0.1:%%UP%%; grpc_pass $to; grpc_ssl_verify on; }
        location /grpc_no.  { grpc_pass grpcs://app; grpc_ssl_verify on; grpc_ssl_name other.test; }
        location /grpc_old. { grpc_pass grpcs://app; grpc_ssl_protocols TLSv1.2; grpc_ssl_ciphers ECDHE-ECDSA-AES256-GCM-SHA384; }
    }
}
"""
CALL = [("content-type", "application/grpc"), ("te", "trailers")]
MESSAGE = b"\x00\x00\x00\x00\x05hello"


def facts(stream):
    """What the connection of a request is: number, whose certificate, version, name sent, protocol."""
    sock = stream.connection.socket
    certificate = sock.getpeercert()
    name = dict(certificate["subject"][0])["commonName"] if certificate else "-"
    number = stream.connection.upstream.connections.index(stream.connection)
    return f"{number} {name} {sock.version()} {getattr(sock, 'asked_name', None)} {sock.selected_alpn_protocol()} {sock.session_reused}"


def tell(stream):
    if stream.path.startswith("/grpc"):
        return stream.reply(200, stream.body, [("content-type", "application/grpc"), ("x-facts", facts(stream))],
                            trailers=[("grpc-status", "0")])
    stream.reply(200, facts(stream))


@pytest.fixture
def authority(tmp_path):
    ca = Authority(tmp_path / "certs")
    ca.leaf("app.test", "127.0.0.1", file="app")
    ca.leaf("me", client=True)
    ca.leaf("you", client=True)
    return ca


def server_context(authority, alpn=("h2",)):
    context = authority.server_context((f"{authority.folder}/app.pem", f"{authority.folder}/app.key"), alpn=list(alpn))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(authority.path)

    def on_name(sock, name, _):
        sock.asked_name = name
    context.sni_callback = on_name
    return context


@pytest.fixture
def proxied(server, h2_upstream, authority):
    u = h2_upstream(tell, tls=server_context(authority))
    return server(CONF, UP=u.port, CERTS=authority.folder), u


def text(server, path):
    reply = get(server.port, path)
    assert reply.status == 200, reply.body
    return reply.body.decode()


def call(server, path):
    with H2Client(server.port) as client:
        stream = client.start(path, "POST", CALL, end=False)
        client.send(stream, MESSAGE, end=True)
        return client.wait(stream)


def test_requests_share_a_connection_on_which_h2_was_agreed(proxied):
    s, u = proxied
    assert [text(s, "/plain/") for _ in range(3)] == ["0 - TLSv1.3 None h2 False"] * 3
    assert (u.requests[0].header(":scheme"), u.requests[0].header(":authority")) == ("https", "app")


def test_names_are_verified_and_sent(proxied):
    s, u = proxied
    assert text(s, "/named/") == "0 - TLSv1.3 app.test h2 False"
    assert text(s, "/runtime/").split()[3] == "None"
    assert get(s.port, "/other/").status == 502
    s.wait_for_log('upstream SSL certificate does not match "other.test" while SSL handshaking to upstream, client: 127.0.0.1, .*'
                   'upstream: "https://127.0.0.1')


def test_identities_do_not_share_connections(proxied):
    s, u = proxied
    seen = [text(s, path).split()[:2] for path in ("/plain/", "/client/", "/variable/?c=you", "/variable/?c=me", "/plain/", "/client/",
                                                   "/variable/?c=you")]
    assert seen == [["0", "-"], ["1", "me"], ["2", "you"], ["3", "me"], ["0", "-"], ["1", "me"], ["2", "you"]]


def test_sessions_are_resumed(proxied):
    s, u = proxied
    u.on_request, held = None, threading.Event()
    u.on_head = lambda stream: held.set() if stream.path == "/one/hold" else tell(stream)
    assert text(s, "/one/").endswith("h2 False")
    with Client(s.port) as holder:
        holder.send(b"GET /one/hold HTTP/1.1\r\nHost: a\r\n\r\n")
        assert held.wait(5 * TIME_SCALE)
        assert text(s, "/one/") == "1 - TLSv1.3 None h2 True"


@pytest.mark.parametrize("size", [1, 100_000, 2_000_000])
def test_bodies_of_any_size_pass_both_ways(server, h2_upstream, authority, size):
    u = h2_upstream(lambda stream: stream.reply(200, stream.body), tls=server_context(authority))
    s = server(CONF, UP=u.port, CERTS=authority.folder)
    body = bytes(i * 7 % 251 for i in range(1000)) * (size // 1000 + 1)
    assert post(s.port, "/plain/", body[:size]).body == body[:size]


@pytest.mark.parametrize("alpn", [("http/1.1",), ()])
def test_a_peer_that_does_not_choose_h2_is_a_502(server, h2_upstream, authority, alpn):
    u = h2_upstream(tell, tls=server_context(authority, alpn))
    s = server(CONF, UP=u.port, CERTS=authority.folder)
    assert get(s.port, "/plain/").status == 502
    s.wait_for_log("upstream chose none of the protocols that were offered by ALPN while SSL handshaking to upstream")
    assert not u.requests


def test_a_silent_peer_meets_the_connect_timeout(server, upstream, authority):
    u = upstream([up.hold()])
    s = server(CONF, UP=u.port, CERTS=authority.folder)
    assert get(s.port, "/quick/").status == 504
    s.wait_for_log(r"upstream timed out \(110: Connection timed out\) while SSL handshaking to upstream")


def test_a_plain_peer_is_a_502(server, h2_upstream, authority):
    u = h2_upstream()
    s = server(CONF, UP=u.port, CERTS=authority.folder)
    assert get(s.port, "/plain/").status == 502
    s.wait_for_log(r"SSL_do_handshake\(\) failed .* while SSL handshaking to upstream")


@pytest.mark.parametrize("path", ["/variable/?c=me", "/greeting/"])
def test_the_request_that_asked_for_a_connection_may_leave_before_it_stands(server, h2_upstream, authority, path):
    go, accepted = threading.Event(), threading.Event()

    def hold(sock):
        accepted.set()
        assert go.wait(10 * TIME_SCALE)
        if path == "/greeting/":
            assert sock.recv(8, 0x100 | 0x2).startswith(b"PROXY ")  # MSG_WAITALL | MSG_PEEK
            while sock.recv(1) != b"\n":
                pass
    u = h2_upstream(tell, tls=server_context(authority), before_handshake=hold)
    s = server(CONF, UP=u.port, CERTS=authority.folder)
    first = Client(s.port)
    first.send(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert accepted.wait(5 * TIME_SCALE)
    second = H2Client(s.port)
    stream = second.start(path)
    second.flush()
    first.close()
    wait_until(lambda: " 499 " in s.read("access.log"), 5, "the end of the first request")
    go.set()
    reply = second.wait(stream)
    second.close()
    # Whoever has another address to announce has a connection of its own; the first one, whose greeting is long gone, comes to stand too.
    assert reply.status == 200 and reply.text.startswith("1 " if path == "/greeting/" else "0 ")
    assert [r.path for r in u.requests] == [path]


def test_all_that_wait_are_told_why_a_handshake_failed(server, h2_upstream, authority):
    go = threading.Event()
    u = h2_upstream(tell, tls=server_context(authority), before_handshake=lambda sock: go.wait(10 * TIME_SCALE))
    s = server(CONF, UP=u.port, CERTS=authority.folder)
    with H2Client(s.port) as client:
        streams = [client.start("/other/") for _ in range(5)]
        client.flush()
        go.set()
        assert [client.wait(stream).status for stream in streams] == [502] * 5
    wait_until(lambda: s.log().count('certificate does not match "other.test" while SSL handshaking to upstream') == 5, 5, "five log lines")


def test_grpcs(proxied):
    s, u = proxied
    reply = call(s, "/grpc.Service/Method")
    assert (reply.status, reply.body, dict(reply.trailers)) == (200, MESSAGE, {"grpc-status": "0"})
    assert reply.header("x-facts") == "0 - TLSv1.3 app.test h2 False"
    assert u.requests[0].header(":scheme") == "https"
    assert call(s, "/grpc_me.S/M").header("x-facts").split()[1] == "me"
    assert call(s, "/grpc_var.S/M").header("x-facts").split()[3] == "None"
    assert call(s, "/grpc_old.S/M").header("x-facts").split()[2] == "TLSv1.2"


def test_a_grpc_peer_that_is_not_trusted_is_unavailable(proxied):
    s, u = proxied
    reply = call(s, "/grpc_no.S/M")
    assert (reply.status, reply.header("grpc-status")) == (200, "14")
    s.wait_for_log('upstream SSL certificate does not match "other.test" while SSL handshaking to upstream.*upstream: "grpcs://')


def test_a_changed_trust_bundle_gives_new_connections(server, h2_upstream, authority):
    u = h2_upstream(tell, tls=server_context(authority))
    s = server(CONF.replace("http {", "http {\n    ssl_watch on;"), UP=u.port, CERTS=authority.folder)
    assert text(s, "/named/").startswith("0 ")
    with open(authority.path, "r+", encoding="ascii") as f:
        pem = f.read()
        f.write("\n" + pem)
    wait_until(lambda: text(s, "/named/").startswith("1 "), 10, "a new connection")


@pytest.mark.skipif(not os.path.exists(BINARY), reason="no nginx")
def test_nginx_as_the_peer(server, nginx, authority):
    """Another implementation at the other end: many requests and a large file over its HTTP/2."""
    peer = nginx("""
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%% ssl http2;
        ssl_certificate %%CERTS%%/app.pem;
        ssl_certificate_key %%CERTS%%/app.key;
        location / { return 200 "$server_protocol $http_host $uri"; }
        location /plain/file { alias %%PREFIX%%/; }
    }
}
""", CERTS=authority.folder, files={"big": b"0123456789abcdef" * 65536})
    s = server(CONF, UP=peer.port, CERTS=authority.folder)
    assert text(s, "/plain/x") == "HTTP/2.0 app /plain/x"
    with H2Client(s.port) as client:
        streams = [client.start(f"/plain/{i}") for i in range(100)]
        assert [client.wait(stream).text for stream in streams] == [f"HTTP/2.0 app /plain/{i}" for i in range(100)]
    assert get(s.port, "/plain/file/big").body == b"0123456789abcdef" * 65536
