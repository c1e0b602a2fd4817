# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""sslhandshake of ngx.socket.tcp: verification, names, sessions, certificates of the client, pools."""

import os
import socket
import ssl

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import get

CONF = r"""
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        lua_ssl_trusted_certificate %%CA%%;
        location / { content_by_lua_block {
            local ssl = require "ngx.ssl"
            local function connected() local s = ngx.socket.tcp() assert(s:connect("127.0.0.1", %%UP%%)) return s end
            local function read(path) local f = io.open(path) local text = f:read("*a") f:close() return text end
            SCRIPT
        } }
    }
}
"""
OTHER = 'location / {'


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "ca")


def run(server, u, authority, script, settings="", **names):
    conf = CONF.replace("SCRIPT", script).replace(OTHER, settings + OTHER)
    s = server(conf, **{"UP": u.port, "CA": authority.path, **names})
    return s, get(s.port, "/").body.decode()


def secure(upstream, authority, *scripts, leaf=None, **how):
    return upstream(*scripts or [up.serve(lambda r: up.reply(content=b"ok"))],
                    tls=authority.server_context(leaf or authority.leaf("a.test"), **how))


def start_tls(authority):
    context = authority.server_context(authority.leaf("a.test"))

    def step(seen):
        seen.socket = seen.reader.socket = context.wrap_socket(seen.socket, server_side=True)
    return step


def test_a_verified_peer_is_spoken_to(server, upstream, authority):
    u = secure(upstream, authority)
    _, text = run(server, u, authority, """
        local s = connected()
        ngx.say(type(s:sslhandshake(nil, "a.test", true)), " ", s:getsslpointer() ~= nil)
        s:send("GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n") ngx.say(s:receive())
        ngx.say(s:sslhandshake(false)) ngx.say(connected():sslhandshake(false, "a.test", true))""")
    assert text == "cdata true\nHTTP/1.1 200 X\ntrue\ntrue\n"


def test_what_does_not_verify(server, upstream, authority, tmp_path):
    u = secure(upstream, authority)
    s, text = run(server, u, authority, """
        ngx.say(connected():sslhandshake(nil, "b.test", true)) ngx.say(connected():sslhandshake(nil, nil, true) ~= nil)""")
    assert text == "nilcertificate host mismatch\ntrue\n"
    s.wait_for_log('lua ssl certificate does not match host "b.test"')
    other = Authority(tmp_path / "other", name="Other CA")
    u = secure(upstream, other, leaf=other.leaf("a.test"))
    s, text = run(server, u, authority, """
        local s = connected() ngx.say(s:sslhandshake(nil, "a.test", true)) ngx.say(s:send("x"))
        ngx.say(connected():sslhandshake(nil, "a.test") ~= nil)""")
    assert text == "nil20: unable to get local issuer certificate\nnilclosed\ntrue\n"
    s.wait_for_log(r"lua ssl certificate verify error: \(20: unable to get local issuer certificate\)")


def test_no_tls_and_no_answer(server, upstream, authority):
    u = upstream([up.read(10), up.send(b"plainly not TLS\r\n"), up.close()], [up.read_to_end()])
    s, text = run(server, u, authority, """
        ngx.say(connected():sslhandshake()) local s = connected() s:settimeout(50) ngx.say(s:sslhandshake())
        ngx.say(s:sslhandshake("no session"))""")
    assert text.splitlines() == ["nilhandshake failed", "niltimeout", "nilclosed"]
    s.wait_for_log("lua ssl handshake timed out")


@pytest.mark.parametrize("unread", [b"2", b"HTTP/1.1 200 Injected\r\n\r\n", b"\x16\x03\x03\x00\x01x" * 3])
def test_what_came_in_the_clear_is_not_read_as_tls(server, upstream, authority, unread):
    secured = [start_tls(authority), up.request(), up.send(up.reply(content=b"ok")), up.hold()]
    u = upstream([up.head(), up.send(up.reply(headers={"A": "b"}, content=unread)), *secured],
                 [up.read(8), up.send(b"S" + unread), up.close()])
    s, text = run(server, u, authority, """
        local s = connected()
        s:send("CONNECT a.test:443 HTTP/1.1\\r\\n\\r\\n")
        repeat local line = assert(s:receive()) until line == ""
        ngx.say(s:sslhandshake(false, "a.test", true))
        s:send("GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n") ngx.say(s:receive())
        s = connected() s:send("\\0\\0\\0\\8\\4\\210\\22\\47") ngx.say(s:receive(1))
        local made, err = s:sslhandshake(false) ngx.say(made, " ", type(err))""")
    assert text == "true\nHTTP/1.1 200 X\nS\nnil string\n"
    assert "assertion failed" not in s.log() and "exited on signal" not in s.log()


@pytest.mark.parametrize("end, why", [(up.close(), ""), (up.reset(), r" \(104: Connection reset by peer\)")])
def test_a_peer_that_leaves_in_the_handshake(server, upstream, authority, end, why):
    s, text = run(server, upstream([up.read(10), end]), authority, """
        local s = connected() ngx.say(s:sslhandshake(nil, "a.test")) ngx.say(s:close())""")
    assert text == "nilhandshake failed\nnilclosed\n"
    s.wait_for_log(r"\[error\] .*peer closed connection in SSL handshake" + why + ", client: ")


def garble(seen):
    """A record that cannot be decrypted, past the TLS layer."""
    with socket.socket(fileno=os.dup(seen.socket.fileno())) as below:
        below.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))


@pytest.mark.parametrize("call", ["receive()", 'receiveuntil("x")()', "receiveany(9)", 'receive("*a")'])
def test_a_failure_of_tls_is_for_the_log(server, upstream, authority, call):
    u = upstream([up.read(2), up.send(b"ok"), garble, up.hold()], tls=authority.server_context(authority.leaf("a.test")))
    s, text = run(server, u, authority, f"""
        local s = connected() s:sslhandshake(false, "a.test", true) s:send("hi") s:receive(2)
        local got, err, partial = s:{call} ngx.say(got, " ", err, " ", partial) ngx.say(s:receive()) ngx.say(s:close())""")
    assert text == "nil error \nnilclosed\n1\n"
    s.wait_for_log(r"\[crit\] .*SSL_read\(\) failed \(SSL: error:.*bad record mac.*\), client: ")


def test_a_session_is_resumed(server, upstream, authority):
    context = authority.server_context(authority.leaf("a.test"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    reused = []
    u = upstream([up.request(), lambda seen: reused.append(seen.socket.session_reused), up.send(up.reply(content=b"ok"))], tls=context)
    _, text = run(server, u, authority, """
        local session
        for i = 1, 2 do
            local s = connected() session = assert(s:sslhandshake(session, "a.test", true))
            s:send("GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n") ngx.say(s:receive()) s:close()
        end""")
    assert text == "HTTP/1.1 200 X\n" * 2 and reused == [False, True]


def test_a_certificate_for_the_peer(server, upstream, authority):
    u = secure(upstream, authority, client_ca=True)
    certificate, key = authority.leaf("client.test", client=True)
    script = """
        local s = connected() SET s:sslhandshake(nil, "a.test", true) s:settimeout(30000)
        s:send("GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n") ngx.say((s:receive()))"""
    own = """s:setclientcert(ssl.parse_pem_cert(read("%%CERT%%")), ssl.parse_pem_priv_key(read("%%KEY%%")))"""
    names = {"CERT": certificate, "KEY": key}
    assert run(server, u, authority, script.replace("SET", own), **names)[1] == "HTTP/1.1 200 X\n"
    assert run(server, u, authority, script.replace("SET", ""), **names)[1] == "nil\n"
    everywhere = "lua_ssl_certificate %%CERT%%; lua_ssl_certificate_key %%KEY%%; "
    assert run(server, u, authority, script.replace("SET", ""), everywhere, **names)[1] == "HTTP/1.1 200 X\n"
    _, text = run(server, u, authority, """
        local s, chain = connected(), ssl.parse_pem_cert(read("%%CERT%%"))
        for _, pair in ipairs{{"x", "y"}, {chain, "y"}, {nil, chain}, {chain, false}, {nil, nil}} do
            ngx.say(tostring(s:setclientcert(pair[1], pair[2])), " ", (select(2, s:setclientcert(pair[1], pair[2]))))
        end
        ngx.say((pcall(s.setclientcert, s, 12LL, chain)), (pcall(ssl.set_cert, 12LL)), (pcall(s.sslhandshake, s, 12LL)))""", **names)
    assert text == ("nil bad cert arg: cdata expected, got string\nnil bad pkey arg: cdata expected, got string\n"
                    + "nil client certificate must be supplied with corresponding private key\n" * 2 + "true nil\nfalsefalsefalse\n")


def test_certificates_keys_and_sessions_are_pointers_to_those_of_openssl(server, upstream, authority):
    u = secure(upstream, authority)
    certificate, key = authority.leaf("client.test", client=True)
    _, text = run(server, u, authority, """
        local ffi = require "ffi"
        ffi.cdef [[ int OPENSSL_sk_num(const void *); int EVP_PKEY_get_bits(const void *); int SSL_SESSION_is_resumable(const void *);
                    int X509_up_ref(void *); void *OPENSSL_sk_value(const void *, int); ]]
        local chain, key = ssl.parse_pem_cert(read("%%CERT%%")), ssl.parse_pem_priv_key(read("%%KEY%%"))
        local session = connected():sslhandshake(nil, "a.test", true)
        for _, held in ipairs{chain, key, session} do ngx.print(tostring(held):match("^[^:]+"), " ") end
        ngx.say(ffi.C.OPENSSL_sk_num(chain), " ", ffi.C.EVP_PKEY_get_bits(key) > 0, " ", ffi.C.SSL_SESSION_is_resumable(session))
        chain, key, session = nil, nil, nil collectgarbage() collectgarbage() ngx.say(connected() ~= nil)
        """, CERT=certificate, KEY=key)
    assert text.split("\n")[0].startswith("cdata<void *> cdata<void *> cdata<void *> 1 true ") and text.endswith("\ntrue\n")


def test_versions_are_those_of_the_configuration(server, upstream, authority):
    context = authority.server_context(authority.leaf("a.test"))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    u = upstream([up.request(), up.send(up.reply(content=b"ok"))], tls=context)
    script = 'ngx.say(connected():sslhandshake(false, "a.test", true))'
    assert run(server, u, authority, script, "lua_ssl_protocols TLSv1.2; ")[1] == "nilhandshake failed\n"
    settings = "lua_ssl_protocols TLSv1.2 TLSv1.3; lua_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; "
    assert run(server, u, authority, script, settings)[1] == "true\n"


def test_a_secure_connection_from_the_pool(server, upstream, authority):
    u = secure(upstream, authority)
    _, text = run(server, u, authority, """
        for i = 1, 2 do
            local s = connected() ngx.say(s:getreusedtimes(), " ", s:sslhandshake(false, "a.test", true))
            s:send("GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n") local f = s:receiveuntil("ok") f() s:setkeepalive()
        end""")
    assert text == "0 true\n1 true\n" and len(u.connections) == 1


def test_depth_ciphers_and_the_key_log(server, upstream, authority):
    u = secure(upstream, authority, leaf=authority.leaf("a.test"))
    script = 'ngx.say(connected():sslhandshake(false, "a.test", true))'
    settings = "lua_ssl_protocols TLSv1.2; lua_ssl_verify_depth 3; lua_ssl_ciphers "
    assert run(server, u, authority, script, settings + "ECDHE-RSA-AES256-GCM-SHA384; ")[1] == "nilhandshake failed\n"
    assert run(server, u, authority, script, settings + "ECDHE-ECDSA-AES256-GCM-SHA384; ")[1] == "true\n"
    s, text = run(server, u, authority, script, "lua_ssl_key_log %%PREFIX%%/logs/keys; ")
    assert text == "true\n" and s.read("logs/keys").count("CLIENT_") > 0


def test_a_revoked_peer(server, upstream, authority):
    certificate, key = authority.leaf("a.test")
    u = upstream(up.serve(lambda r: up.reply(content=b"ok")), tls=authority.server_context((certificate, key)))
    _, text = run(server, u, authority, 'ngx.say(connected():sslhandshake(false, "a.test", true))',
                  "lua_ssl_crl %%CRL%%; ", CRL=authority.revoke(certificate))
    assert text == "nil23: certificate revoked\n"
