# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The settings that grpc_pass has in common with proxy_pass: they hold for calls, and their failures are answers to calls."""

import ssl

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.h2client import H2Client
from lib.ports import wait_until

CONF = """
events {}
http {
    log_format calls '$status $grpc_status "$upstream_addr" "$fail_reason"';
    access_log access.log calls;
    upstream three { server 127.0.0.1:%%UP%%; server 127.0.0.2:%%UP%%; server 127.0.0.3:%%UP%%; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        grpc_ssl_trusted_certificate %%CERTS%%/ca.pem;
        grpc_ssl_verify on;
        grpc_ssl_name app.test;
        location / { grpc_pass %%TO%%; %%MORE%% }
        location = /page { return 200 page; }
    }
}
"""
CALL = [("content-type", "application/grpc"), ("te", "trailers")]
GRPC = [("content-type", "application/grpc")]
UNAVAILABLE, DEADLINE_EXCEEDED = "14", "4"


@pytest.fixture
def authority(tmp_path):
    ca = Authority(tmp_path / "certs")
    ca.leaf("app.test", file="app")
    me = ca.leaf("me", client=True)
    ca.lock(me[1], b"secret", "locked.key")
    with open(f"{ca.folder}/passwords", "w") as f:
        f.write("secret\n")
    ca.revoke(f"{ca.folder}/app.pem")
    return ca


def ok(stream):
    stream.reply(200, b"abc", GRPC, trailers=[("grpc-status", "0")])


def call(server, body=b"hello", **how):
    """(the reply of a call, its grpc-status)."""
    with H2Client(server.port) as client:
        stream = client.start("/app.Service/Method", "POST", CALL, end=False, **how)
        client.send(stream, body, end=True)
        reply = client.wait(stream)
    return reply, dict(reply.trailers).get("grpc-status") or reply.header("grpc-status")


def line(server):
    wait_until(lambda: server.read("access.log"), 5, "the access log")
    return server.read("access.log").splitlines()[-1]


@pytest.mark.parametrize("more, tries", [
    ("grpc_next_upstream_tries 2;", 2), ("grpc_next_upstream_tries 0;", 3), ("grpc_next_upstream off;", 1),
    ("grpc_next_upstream error; grpc_retry_backoff base=1ms;", 3)])
def test_how_many_peers_are_tried(server, authority, more, tries):
    dead = up.Refused()
    s = server(CONF, UP=dead.port, TO="grpc://three", CERTS=authority.folder, MORE=more)
    assert call(s)[1] == UNAVAILABLE
    assert line(s).count(f":{dead.port}") == tries
    dead.stop()


@pytest.mark.parametrize("more, status", [
    ("grpc_read_timeout 200ms;", UNAVAILABLE), ("grpc_try_timeout 200ms; grpc_next_upstream off;", UNAVAILABLE),
    ("grpc_request_timeout 200ms;", DEADLINE_EXCEEDED)])
def test_a_peer_that_says_nothing_meets_a_timeout(server, h2_upstream, authority, more, status):
    u = h2_upstream(lambda s: None)
    s = server(CONF, UP=u.port, TO="127.0.0.1:%d" % u.port, CERTS=authority.folder, MORE=more)
    assert call(s)[1] == status
    s.wait_for_log("upstream timed out")


def test_a_peer_that_takes_nothing_meets_a_timeout(server, h2_upstream, authority):
    u = h2_upstream(ok, hold=True)
    s = server(CONF, UP=u.port, TO="127.0.0.1:%d" % u.port, CERTS=authority.folder, MORE="grpc_send_timeout 200ms;")
    assert call(s, b"x" * 100_000)[1] == UNAVAILABLE  # more than the window of a stream
    s.wait_for_log("upstream timed out")


def test_a_head_beyond_the_buffer_is_refused(server, h2_upstream, authority):
    u = h2_upstream(lambda s: s.reply(200, b"abc", GRPC + [("x-long", "v" * int(s.header("x-size")))], trailers=[("grpc-status", "0")]))
    s = server(CONF, UP=u.port, TO="127.0.0.1:%d" % u.port, CERTS=authority.folder, MORE="grpc_buffer_size 2k;")
    with H2Client(s.port) as client:
        for size, status in ("1500", "0"), ("3000", UNAVAILABLE):
            reply = client.post("/app.Service/Method", b"hello", headers=CALL + [("x-size", size)])
            assert (dict(reply.trailers).get("grpc-status") or reply.header("grpc-status")) == status
    s.wait_for_log("upstream sent too big header")


def test_the_local_address(server, h2_upstream, authority):
    seen = []

    def peer(stream):
        seen.append(stream.connection.socket.getpeername()[0])
        ok(stream)
    u = h2_upstream(peer)
    s = server(CONF, UP=u.port, TO="127.0.0.1:%d" % u.port, CERTS=authority.folder, MORE="grpc_bind 127.0.0.9; grpc_socket_keepalive on;")
    assert call(s)[1] == "0"
    assert seen == ["127.0.0.9"]


@pytest.mark.parametrize("more, body", [("", "page"), ("grpc_ignore_headers X-Accel-Redirect;", "abc")])
def test_fields_that_mean_something_to_us(server, h2_upstream, authority, more, body):
    u = h2_upstream(lambda s: s.reply(200, b"abc", [("x-accel-redirect", "/page")]))
    s = server(CONF, UP=u.port, TO="127.0.0.1:%d" % u.port, CERTS=authority.folder, MORE=more)
    assert call(s)[0].text == body


@pytest.mark.parametrize("more, log", [
    ("", None), ("grpc_ssl_name other.test;", 'certificate does not match "other.test"'),
    ("grpc_ssl_crl CERTS/crl.pem;", r"\(23:certificate revoked\)"),
    ("grpc_ssl_protocols TLSv1.3; grpc_ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256;", None),
    ("grpc_ssl_session_reuse off; grpc_ssl_server_name on;", None),
    ("grpc_ssl_certificate CERTS/me.pem; grpc_ssl_certificate_key CERTS/locked.key; grpc_ssl_password_file CERTS/passwords;", None)])
def test_tls(server, h2_upstream, authority, more, log):
    context = authority.server_context((f"{authority.folder}/app.pem", f"{authority.folder}/app.key"), alpn=["h2"], client_ca=True)
    context.verify_mode = ssl.CERT_OPTIONAL
    seen = []

    def peer(stream):
        sock = stream.connection.socket
        subject = dict(sock.getpeercert()["subject"][0])["commonName"] if sock.getpeercert() else "-"
        seen.append(f"{subject} {sock.cipher()[0]}")
        ok(stream)
    u = h2_upstream(peer, tls=context)
    s = server(CONF, UP=u.port, TO="grpcs://127.0.0.1:%d" % u.port, CERTS=authority.folder, MORE=more.replace("CERTS", authority.folder))
    assert call(s)[1] == ("0" if log is None else UNAVAILABLE)
    if log:
        s.wait_for_log(log)
        return
    assert seen[0].startswith("me " if "locked" in more else "- ")
    assert "CHACHA20" not in more or seen[0].endswith("TLS_CHACHA20_POLY1305_SHA256")
