# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""TLS beside nginx: the same handshakes get the same certificates, statuses and values of variables."""

import ssl

import pytest

from lib.certs import Authority
from lib.client import Client

SAY = "|".join("$" + name for name in (
    "ssl_protocol ssl_cipher ssl_ciphers ssl_curves ssl_server_name ssl_session_reused ssl_early_data ssl_client_verify ssl_client_s_dn "
    "ssl_client_i_dn ssl_client_s_dn_legacy ssl_client_i_dn_legacy ssl_client_serial ssl_client_fingerprint ssl_client_v_start "
    "ssl_client_v_end ssl_client_cert ssl_client_raw_cert ssl_client_escaped_cert ssl_alpn_protocol "
    "scheme https server_name").split())
CONF = """
events {}
http {
    ssl_certificate %%CERTS%%/server.pem;
    ssl_certificate_key %%CERTS%%/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:S:1m;
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name open.test; location / { return 200 "%%SAY%%"; }
             location = /moved { return 301 /there; } error_page 497 @plain; location @plain { return 302 https://$host/; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name on.test; ssl_verify_client on; ssl_client_certificate %%CERTS%%/ca.pem;
             location / { return 200 "%%SAY%%"; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name any.test; ssl_verify_client optional_no_ca; location / { return 200 "%%SAY%%"; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name no.test; ssl_reject_handshake on; }
    server { listen 127.0.0.1:%%PORT_1%% ssl; location / { return 200 "%%SAY%%"; } }
    server { listen 127.0.0.1:%%PORT_2%% ssl; error_page 497 /plain; location = /plain { return 200 "plain $status"; } }
    server { listen 127.0.0.1:%%PORT_3%% ssl; error_page 497 https://$host:8443$request_uri; }
}
"""


@pytest.fixture
def authority(tmp_path):
    ca = Authority(tmp_path / "certs")
    ca.leaf("server", *(f"{n}.test" for n in ("open", "on", "any", "no", "other")), file="server")
    ca.me = ca.leaf("me", "spiffe://td/me", client=True)
    ca.expired = ca.leaf("expired", client=True, days=-1)
    ca.stranger = Authority(tmp_path / "elsewhere", "Elsewhere").leaf("stranger", client=True)
    return ca


@pytest.fixture
def both(server, nginx, authority):
    return server(CONF, CERTS=authority.folder, SAY=SAY), nginx(CONF, CERTS=authority.folder, SAY=SAY)


def answer(server, ca, name, certificate=None, version=None, alpn=None, host=None, path="/"):
    """What one visit gets: the reply, or how the handshake failed."""
    context = ca.client_context(certificate, alpn=alpn)
    if version:
        context.minimum_version = context.maximum_version = version
    try:
        client = Client(server.port, tls=context, server_name=name)
        client.send(f"GET {path} HTTP/1.1\r\nHost: {host or name}\r\nConnection: close\r\n\r\n")
        reply = client.read_reply()
        body = reply.body.decode()
        where = (reply.header("location") or "").replace(str(server.port), "PORT")
        return reply.status, body if reply.status == 200 else where, client.socket.selected_alpn_protocol()
    except ssl.SSLError as error:
        return error.reason


@pytest.mark.parametrize("version", [None, ssl.TLSVersion.TLSv1_2])
@pytest.mark.parametrize("name, certificate", [
    ("open.test", None), ("open.test", "me"), ("on.test", None), ("on.test", "me"), ("on.test", "expired"), ("on.test", "stranger"),
    ("any.test", None), ("any.test", "me"), ("any.test", "stranger"), ("any.test", "expired"), ("no.test", None), ("other.test", None)])
def test_names_and_certificates(both, authority, name, certificate, version):
    ours, theirs = (answer(s, authority, name, certificate and getattr(authority, certificate), version) for s in both)
    assert ours == theirs


@pytest.mark.parametrize("name, host", [
    ("open.test", "on.test"), ("on.test", "open.test"), ("open.test", "any.test"), ("open.test", "x.test")])
def test_another_host_than_the_name(both, authority, name, host):
    ours, theirs = (answer(s, authority, name, authority.me, host=host) for s in both)
    assert ours == theirs


@pytest.mark.parametrize("alpn", [["http/1.1"], ["http/1.0", "http/1.1"], ["spdy/3"], ["spdy/3", "http/1.1"]])
def test_alpn(both, authority, alpn):
    ours, theirs = (answer(s, authority, "open.test", alpn=alpn) for s in both)
    assert ours == theirs


def test_redirects(both, authority):
    ours, theirs = (answer(s, authority, "open.test", path="/moved") for s in both)
    assert ours == theirs and ours[1].startswith("https://open.test:PORT/")


def test_plain_http(both):
    def plain(server, port):
        client = Client(server.ports[port])
        client.send("GET / HTTP/1.1\r\nHost: open.test\r\nConnection: close\r\n\r\n")
        reply = client.read_reply()
        return reply.status, reply.header("location"), b"plain 400" in reply.body
    expected = [(302, "https://open.test/", False), (400, None, False), (400, None, True), (302, "https://open.test:8443/", False)]
    for port, answer_there in enumerate(expected):
        assert plain(both[0], port) == plain(both[1], port) == answer_there
