# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""proxy_pass https://: names, verification, client certificates, sessions, and pooled connections that never cross identities."""

import os
import ssl

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import get, raw
from lib.wire import Closed

CONF = """
events {}
http {
    proxy_http_version 1.1;
    upstream app { server 127.0.0.1:%%UP%%; keepalive 4; }
    proxy_ssl_trusted_certificate %%CERTS%%/ca.pem;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /plain/    { proxy_pass https://app; }
        location /no_file/  { proxy_pass https://app; proxy_ssl_trusted_certificate %%CERTS%%/none.pem; proxy_ssl_crl %%CERTS%%/none.crl; }
        location /named/    { proxy_pass https://app; proxy_ssl_verify on; proxy_ssl_name app.test; proxy_ssl_server_name on; }
        location /other/    { proxy_pass https://app; proxy_ssl_verify on; proxy_ssl_name other.test; }
        location /address/  { proxy_pass https://127.0.0.1:%%UP%%; proxy_ssl_verify on; proxy_ssl_server_name on; }
        location /san/      { proxy_pass https://app; proxy_ssl_verify on; proxy_ssl_verify_san dns:no.test uri:spiffe://td/app; }
        location /prefix/   { proxy_pass https://app; proxy_ssl_verify on; proxy_ssl_verify_san uri:spiffe://td/*; }
        location /no_san/   { proxy_pass https://app; proxy_ssl_verify on; proxy_ssl_verify_san uri:spiffe://td/app/* dns:no.test; }
        location /name/     { proxy_pass https://app; proxy_ssl_verify on; proxy_ssl_name $arg_n; }
        location /san_of/   { proxy_pass https://app; proxy_ssl_verify on; proxy_ssl_verify_san dns:$arg_n; }
        location /six/      { proxy_pass https://app; proxy_ssl_verify on; proxy_ssl_name ::1; }
        location /six_port/ { proxy_pass https://app; proxy_ssl_verify on; proxy_ssl_name [::1]:443; }
        location /client/   { proxy_pass https://app; proxy_ssl_certificate %%CERTS%%/me.pem; proxy_ssl_certificate_key %%CERTS%%/me.key; }
        location /variable/ { proxy_pass https://app; proxy_ssl_certificate %%CERTS%%/$arg_c.pem;
                              proxy_ssl_certificate_key %%CERTS%%/$arg_c.key; proxy_ssl_certificate_cache max=10; }
        location /fresh/    { proxy_pass https://app; proxy_set_header Connection close; }
        location /unshared/ { proxy_pass https://app; proxy_set_header Connection close; proxy_ssl_session_reuse off; }
        location /old/      { proxy_pass https://app; proxy_ssl_protocols TLSv1.2; proxy_ssl_ciphers ECDHE-ECDSA-AES256-GCM-SHA384; }
        location /suite/    { proxy_pass https://app; proxy_ssl_protocols TLSv1.3;
                              proxy_ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256; }
        location /locked/   { proxy_pass https://app; proxy_ssl_certificate %%CERTS%%/me.pem;
                              proxy_ssl_certificate_key %%CERTS%%/locked.key; proxy_ssl_password_file %%CERTS%%/passwords; }
        location /revoked/  { proxy_pass https://app; proxy_ssl_verify on; proxy_ssl_name app.test; proxy_ssl_crl %%CERTS%%/crl.pem; }
        location /runtime/  { set $where 127.0.0.1:%%UP%%; proxy_pass https://$where; proxy_ssl_verify on; }
        location /key_log/  { proxy_pass https://app; proxy_ssl_key_log %%PREFIX%%/logs/keys; }
    }
}
"""


def facts(seen_socket):
    certificate = seen_socket.getpeercert()
    name = dict(certificate["subject"][0])["commonName"] if certificate else "-"
    asked = getattr(seen_socket, "asked_name", None)
    return f"{name} {seen_socket.version()} {seen_socket.cipher()[0]} {seen_socket.session_reused} {asked}"


def tell(seen):
    """A script that answers each request with what its connection is."""
    take = up.request()
    while True:
        try:
            take(seen)
        except Closed:
            return
        last = seen.requests[-1].has_word("connection", "close")
        seen.socket.sendall(up.reply(200, f"{seen.number} {facts(seen.socket)}".encode()))
        if last:
            raise up._End


@pytest.fixture
def authority(tmp_path):
    ca = Authority(tmp_path / "certs")
    ca.leaf("app.test", "127.0.0.1", "::1", "spiffe://td/app", file="app")
    me = ca.leaf("me", client=True)
    ca.lock(me[1], b"the second", "locked.key")
    with open(f"{ca.folder}/passwords", "w") as f:
        f.write("the first\nthe second\n")
    ca.revoke(f"{ca.folder}/app.pem")
    ca.leaf("you", client=True)
    return ca


@pytest.fixture
def proxied(server, upstream, authority):
    context = authority.server_context((f"{authority.folder}/app.pem", f"{authority.folder}/app.key"))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(authority.path)

    def on_name(sock, name, _):
        sock.asked_name = name
    context.sni_callback = on_name
    u = upstream([tell], tls=context)
    s = server(CONF, UP=u.port, CERTS=authority.folder)
    return s, u


def text(server, path):
    reply = get(server.port, path)
    assert reply.status == 200, reply.body
    return reply.body.decode()


def test_without_verification_anything_goes(proxied):
    assert text(proxied[0], "/plain/").endswith("None")


def test_without_verification_the_authorities_need_not_be_there(proxied):
    assert text(proxied[0], "/no_file/").endswith("None")


def test_the_name_is_verified_and_sent(proxied):
    assert text(proxied[0], "/named/").endswith("app.test")


def test_a_wrong_name_is_refused(proxied):
    assert get(proxied[0].port, "/other/").status == 502
    proxied[0].wait_for_log('upstream SSL certificate does not match "other.test" while SSL handshaking to upstream')


def test_an_address_is_verified_as_one_and_never_sent(proxied):
    assert text(proxied[0], "/address/").endswith("None")
    assert text(proxied[0], "/runtime/").endswith("None")


def test_alternative_names(proxied):
    text(proxied[0], "/san/")
    text(proxied[0], "/prefix/")
    assert get(proxied[0].port, "/no_san/").status == 502
    proxied[0].wait_for_log("upstream SSL certificate has none of the wanted alternative names")


@pytest.mark.parametrize("place", ["/name/", "/san_of/"])
def test_no_certificate_is_for_an_empty_name(proxied, place):
    text(proxied[0], f"{place}?n=app.test")
    assert get(proxied[0].port, f"{place}?n=").status == 502
    proxied[0].wait_for_log('upstream SSL certificate does not match ""' if place == "/name/" else "none of the wanted alternative names")


def test_an_address_of_ipv6_needs_no_brackets(proxied):
    text(proxied[0], "/six/")
    text(proxied[0], "/six_port/")


def test_a_stranger_is_refused(server, upstream, authority, tmp_path):
    stranger = Authority(tmp_path / "stranger", "Stranger")
    u = upstream([tell], tls=stranger.server_context(stranger.leaf("app.test")))
    s = server(CONF, UP=u.port, CERTS=authority.folder)
    assert get(s.port, "/named/").status == 502
    s.wait_for_log(r"upstream SSL certificate verify error: \(2[01]:unable to ")


def test_client_certificates(proxied):
    assert " me " in text(proxied[0], "/client/")
    assert " me " in text(proxied[0], "/variable/?c=me")
    assert " you " in text(proxied[0], "/variable/?c=you")


def test_a_certificate_that_is_not_there_is_an_error_of_ours(proxied):
    assert get(proxied[0].port, "/variable/?c=nobody").status == 500
    proxied[0].wait_for_log('cannot load certificate ".*nobody.pem"')


def test_connections_are_kept_and_never_shared_across_identities(proxied):
    first = text(proxied[0], "/client/").split()[0]
    assert text(proxied[0], "/client/").split()[0] == first
    assert text(proxied[0], "/plain/").split()[0] != first
    assert text(proxied[0], "/variable/?c=you").split()[0] not in (first,)
    you = text(proxied[0], "/variable/?c=you").split()[0]
    assert text(proxied[0], "/variable/?c=me").split()[0] != you


def test_sessions_are_resumed_unless_told_otherwise(proxied):
    assert " False " in text(proxied[0], "/fresh/")
    assert " True " in text(proxied[0], "/fresh/")
    assert " False " in text(proxied[0], "/unshared/")
    assert " False " in text(proxied[0], "/unshared/")


def test_versions_and_ciphers(proxied):
    assert "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384" in text(proxied[0], "/old/")


def test_commands_of_openssl(proxied):
    assert "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256" in text(proxied[0], "/suite/")


def test_an_encrypted_key(proxied):
    assert text(proxied[0], "/locked/").split()[1] == "me"


def test_a_revoked_certificate_is_refused(proxied):
    assert get(proxied[0].port, "/revoked/").status == 502
    proxied[0].wait_for_log(r"upstream SSL certificate verify error: \(23:certificate revoked\) while SSL handshaking to upstream")


def test_key_log(proxied):
    text(proxied[0], "/key_log/")
    assert "CLIENT_HANDSHAKE_TRAFFIC_SECRET" in proxied[0].read("logs/keys")


def test_a_plain_peer_is_a_502(server, upstream, authority):
    u = upstream([up.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), up.hold()])
    s = server(CONF, UP=u.port, CERTS=authority.folder)
    assert get(s.port, "/plain/").status == 502
    s.wait_for_log(r"SSL_do_handshake\(\) failed \(SSL: error:.*while SSL handshaking to upstream")


def garbage(seen):
    """Bytes that are no record, past the TLS layer."""
    os.write(seen.socket.fileno(), b"HTTP/1.1 200 OK\r\n\r\n")


@pytest.mark.parametrize("script, doing", [([up.request(), garbage, up.hold()], "reading response header from upstream"),
                                           ([up.request(), up.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"), garbage, up.hold()],
                                            "reading upstream")])
def test_what_breaks_tls_after_the_handshake_is_told(server, upstream, authority, script, doing):
    u = upstream(script, tls=authority.server_context((f"{authority.folder}/app.pem", f"{authority.folder}/app.key")))
    s = server(CONF, UP=u.port, CERTS=authority.folder)
    raw(s.port, b"GET /plain/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    s.wait_for_log(rf"\[error\].*SSL_read\(\) failed \(SSL: error:\w+:SSL routines::wrong version number\) while {doing}, client")


def test_a_silent_peer_meets_the_connect_timeout(server, upstream, authority):
    u = upstream([up.hold()])
    conf = CONF.replace("proxy_http_version 1.1;", "proxy_http_version 1.1; proxy_connect_timeout 300ms;")
    s = server(conf, UP=u.port, CERTS=authority.folder)
    assert get(s.port, "/plain/").status == 504
    s.wait_for_log("upstream timed out.*while SSL handshaking to upstream")
