# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Lua in handshakes: what a client hello says, certificates chosen by scripts, sessions they keep, peers they verify."""

import datetime
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client, get

CONF = r"""
events {}
http {
    lua_shared_dict kept 1m;
    init_by_lua_block {
        function read(name) local f = assert(io.open("%%CERTS%%/" .. name)) local text = f:read("*a") f:close() return text end
    }
    ssl_certificate %%CERTS%%/default.pem;
    ssl_certificate_key %%CERTS%%/default.key;
    HTTP
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        server_name a.test;
        SERVER
        location / { content_by_lua_block { REQUEST } }
    }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name c.test; location / { return 200 third; } }
}
"""


@pytest.fixture
def authority(tmp_path):
    made = Authority(tmp_path / "certs")
    made.leaf("default.test", "a.test", file="default")
    made.leaf("b.test", "a.test", file="b")
    return made


def start(server, authority, server_part="", http_part="", request="ngx.say(1)", **how):
    conf = CONF.replace("HTTP", http_part).replace("SERVER", server_part).replace("REQUEST", request)
    return server(conf, CERTS=authority.folder, **how)


def visit(s, authority, name="a.test", version=None, session=None, context=None):
    """(common name of the certificate shown, body of the reply, session, whether one was resumed)."""
    if not context:
        context = authority.client_context()
        if version:
            context.minimum_version = context.maximum_version = version
    client = Client(s.port)
    secure = context.wrap_socket(client.socket, server_hostname=name, session=session)
    client.socket = client.reader.socket = secure
    shown = dict(pair[0] for pair in secure.getpeercert()["subject"])["commonName"]
    client.send(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n")
    return shown, client.read_reply().body.decode(), secure.session, secure.session_reused


def test_a_script_chooses_the_certificate(server, authority):
    s = start(server, authority, """
        ssl_certificate_by_lua_block {
            local ssl = require "ngx.ssl"
            ngx.sleep(0.01)
            ngx.ctx.of = ngx.get_phase() .. " " .. ssl.server_name() .. " " .. ssl.get_tls1_version_str() .. " " .. #ssl.get_client_random()
            assert(ssl.clear_certs())
            assert(ssl.set_cert(assert(ssl.parse_pem_cert(read("b.pem")))))
            assert(ssl.set_priv_key(assert(ssl.parse_pem_priv_key(read("b.key")))))
        }""", request="""
            local ssl = require "ngx.ssl"
            local data, kind = ssl.raw_client_addr()
            local is_port = ssl.server_port() == tonumber(ngx.var.server_port)
            ngx.print(ngx.ctx.of, " ", kind, " ", #data, " ", is_port, " ", ssl.get_tls1_version())""")
    shown, body, _, _ = visit(s, authority, version=ssl.TLSVersion.TLSv1_3)
    assert (shown, body) == ("b.test", "ssl_cert a.test TLSv1.3 32 inet 4 true 772")
    assert visit(s, authority, version=ssl.TLSVersion.TLSv1_2)[0] == "b.test"


def test_certificates_as_der(server, authority):
    s = start(server, authority, """
        ssl_certificate_by_lua_block {
            local ssl = require "ngx.ssl"
            ssl.clear_certs()
            assert(ssl.set_der_cert(assert(ssl.cert_pem_to_der(read("b.pem")))))
            assert(ssl.set_der_priv_key(assert(ssl.priv_key_pem_to_der(read("b.key")))))
            ngx.log(ngx.NOTICE, "bad: ", select(2, ssl.parse_pem_cert("x")), ", ", select(2, ssl.parse_der_priv_key("x")), ", ",
                    select(2, ssl.set_der_cert("x")))
        }""")
    assert visit(s, authority)[0] == "b.test"
    s.wait_for_log(r"bad: PEM_read_bio_X509_AUX\(\) failed.*, d2i_PrivateKey\(\) failed.*, d2i_X509_bio\(\) failed")


@pytest.mark.parametrize("script, line", [("error('no')", "lua entry thread aborted: runtime error: .*no"),
                                          ("ngx.exit(ngx.ERROR)", "handshake was refused"), ("syntax(", "failed to load inlined Lua code")])
def test_a_script_that_fails_ends_the_handshake(server, authority, script, line):
    s = start(server, authority, "ssl_certificate_by_lua_block { " + script + " }" if script != "syntax(" else
              "ssl_certificate_by_lua 'syntax(';", allow_log=["aborted: runtime error"])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        visit(s, authority)
    s.wait_for_log(line)


@pytest.mark.parametrize("hook", ["ssl_client_hello", "ssl_certificate"])
@pytest.mark.parametrize("code", ["ngx.OK", "200"])
def test_a_script_that_exits_well_lets_the_handshake_go_on(server, authority, hook, code):
    s = start(server, authority, hook + "_by_lua_block { ngx.sleep(0.001) ngx.exit(" + code + ") }")
    assert visit(s, authority)[1] == "1\n"


def test_what_a_client_hello_says(server, authority):
    s = start(server, authority, """
        ssl_client_hello_by_lua_block {
            local hello = require "ngx.ssl.clienthello"
            ngx.sleep(0)
            local name = hello.get_client_hello_server_name()
            local versions = hello.get_supported_versions()
            ngx.ctx.name, ngx.ctx.versions = name, versions and table.concat(versions, " ")
            ngx.ctx.has = #hello.get_client_hello_ext(0) > 0 and hello.get_client_hello_ext(4321) == nil
                          and #hello.get_client_hello_ext_present() > 3
                          and #hello.get_client_hello_ciphers() > 0
            if name == "old.test" then assert(hello.set_protocols({"TLSv1.2"})) end
            if name == "never.test" then ngx.exit(ngx.ERROR) end
        }""", request="ngx.print(ngx.ctx.name, ' ', ngx.ctx.versions, ' ', ngx.ctx.has, ' ', ngx.var.ssl_protocol)")
    assert visit(s, authority)[1].startswith("a.test TLSv1.3 TLSv1.2") and visit(s, authority)[1].endswith(" true TLSv1.3")
    context = authority.client_context(verify=False)
    context.check_hostname = False
    client = Client(s.port, tls=context, server_name="old.test")
    assert client.socket.version() == "TLSv1.2"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Client(s.port, tls=context, server_name="never.test")
    # The hook is that of the address's default server; the name then leads elsewhere all the same.
    client = Client(s.port, tls=context, server_name="c.test")
    assert client.send("GET / HTTP/1.1\r\nHost: c.test\r\n\r\n").read_reply().body == b"third"


def test_a_hook_that_takes_too_long(server, authority):
    s = start(server, authority, "client_header_timeout 100ms; ssl_client_hello_by_lua_block { ngx.sleep(60) }")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        visit(s, authority)
    s.wait_for_log("timed out in SSL handshake")


def test_sessions_are_kept_by_scripts(server, authority):
    s = start(server, authority, http_part="""
        ssl_session_tickets off;
        ssl_session_store_by_lua_block {
            local session = require "ngx.ssl.session"
            ngx.shared.kept:set(session.get_session_id(), session.get_serialized_session())
        }
        ssl_session_fetch_by_lua_block {
            local session = require "ngx.ssl.session"
            ngx.sleep(0.001)
            local kept = ngx.shared.kept:get(session.get_session_id())
            if kept then assert(session.set_serialized_session(kept)) end
        }""")
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    _, _, session, reused = visit(s, authority, context=context)
    assert not reused
    assert visit(s, authority, context=context, session=session)[3]
    s.reload()
    assert visit(s, authority, context=context, session=session)[3]


def test_sessions_of_tls_1_3_are_no_business_of_scripts(server, authority):
    """They are named in tickets alone. Which version is spoken, the server that the client names says."""
    s = start(server, authority, "ssl_protocols TLSv1.2 TLSv1.3;", """
        ssl_session_store_by_lua_block { ngx.log(ngx.NOTICE, "stored ", require "ngx.ssl".get_tls1_version_str()) }
        ssl_session_fetch_by_lua_block { ngx.log(ngx.NOTICE, "fetched") }
        server { listen 127.0.0.1:%%PORT_0%% ssl; server_name b.test; ssl_session_tickets off; ssl_protocols TLSv1.2; return 200 old; }
        server { listen 127.0.0.1:%%PORT_1%% ssl default_server; server_name b.test; ssl_session_tickets off; return 200 new; }
    """)
    context = authority.client_context()
    for port in s.ports[:2]:
        kept = None
        for _ in range(2):
            client = Client(port)
            secure = context.wrap_socket(client.socket, server_hostname="a.test", session=kept)
            client.socket = client.reader.socket = secure
            client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
            assert client.read_reply().status == 200
            kept = secure.session
    context.check_hostname = False
    client = Client(s.port, tls=context, server_name="b.test")
    assert client.socket.version() == "TLSv1.2"
    assert client.send("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n").read_reply().body == b"old"
    s.wait_for_log("stored TLSv1.2")
    assert "stored TLSv1.3" not in s.log()
    assert s.log().count("fetched") == 1  # OpenSSL's client offers TLS 1.3 with a session id, which here might be one


STORED = """
        ssl_session_tickets off;
        ssl_session_store_by_lua_block {
            local session = require "ngx.ssl.session"
            ngx.shared.kept:set(session.get_session_id(), session.get_serialized_session())
        }"""


@pytest.mark.parametrize("script", ["error('no luck')", "ngx.exit(ngx.ERROR)", "ngx.sleep(0.001) ngx.exit(500)", "syntax("])
def test_a_session_that_is_not_found_for_an_error_is_only_not_found(server, authority, script):
    fetch = "ssl_session_fetch_by_lua 'syntax(';" if script == "syntax(" else "ssl_session_fetch_by_lua_block { " + script + " }"
    s = start(server, authority, http_part=STORED + fetch, allow_log=["aborted: runtime error"])
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    _, _, session, _ = visit(s, authority, context=context)
    _, body, _, reused = visit(s, authority, context=context, session=session)
    assert (body, reused) == ("1\n", False)
    if script != "ngx.exit(ngx.ERROR)" and "sleep" not in script:
        s.wait_for_log("aborted: runtime error: .*no luck|failed to load inlined Lua code")


@pytest.mark.parametrize("after", ["", "error('later')", "ngx.exit(ngx.ERROR)"])
def test_a_session_that_was_given_stays_given(server, authority, after):
    s = start(server, authority, http_part=STORED + """
        ssl_session_fetch_by_lua_block {
            local session = require "ngx.ssl.session"
            local kept = ngx.shared.kept:get(session.get_session_id())
            if kept then assert(session.set_serialized_session(kept)) end
            for _, bad in ipairs {"", "no session"} do
                local good, why = session.set_serialized_session(bad)
                ngx.log(ngx.NOTICE, "bad: ", tostring(good), " ", why)
            end
            """ + after + "}", allow_log=["aborted: runtime error"])
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    _, _, session, _ = visit(s, authority, context=context)
    assert visit(s, authority, context=context, session=session)[3]
    s.wait_for_log("bad: nil failed to de-serialize session")


@pytest.mark.parametrize("hook", ["ssl_client_hello", "ssl_certificate"])
def test_there_is_no_request_yet(server, authority, hook):
    s = start(server, authority, hook + """_by_lua_block {
        local told = {}
        for _, f in ipairs{ngx.req.get_method, ngx.req.get_headers, ngx.req.get_uri_args, ngx.req.raw_header, ngx.resp.get_headers,
                           function() return ngx.header.a end, function() ngx.header.a = 1 end, function() return ngx.status end,
                           function() return ngx.headers_sent end, function() ngx.req.set_header("a", "b") end} do
            local good, why = pcall(f)
            told[tostring(good) .. " " .. tostring(why):gsub("^.*: ", "")] = true
        end
        ngx.ctx.told = next(told) .. " " .. tostring(next(told, (next(told)))) .. " " .. ngx.var.remote_addr
    }""", request="ngx.print(ngx.ctx.told)")
    assert visit(s, authority)[1] == "false API disabled in the current context nil 127.0.0.1"


def test_where_the_functions_are_disabled(server, authority):
    s = start(server, authority, request="""
        for _, f in ipairs{require "ngx.ssl.clienthello".get_client_hello_server_name, require "ngx.ssl.session".get_session_id,
                           require "ngx.ssl.proxysslverify".get_verify_result} do
            ngx.say(select(2, pcall(f)))
        end""", server_part="ssl_certificate_by_lua_block { ngx.log(ngx.NOTICE, 'say: ', select(2, pcall(ngx.say, 1))) }")
    assert visit(s, authority)[1] == "API disabled in the current context\nnilbad request\nAPI disabled in the current context\n"
    s.wait_for_log(r"say: API disabled in the context of ssl_certificate_by_lua\*")


def test_a_staple_made_by_a_script(server, authority):
    with open(f"{authority.folder}/default.pem", "rb") as f:
        leaf = x509.load_pem_x509_certificate(f.read())
    with open(f"{authority.folder}/chain.pem", "wb") as f:
        f.write(leaf.public_bytes(serialization.Encoding.PEM) + authority.certificate.public_bytes(serialization.Encoding.PEM))
    now = datetime.datetime.utcnow()
    answer = ocsp.OCSPResponseBuilder().add_response(
        cert=leaf, issuer=authority.certificate, algorithm=hashes.SHA1(), cert_status=ocsp.OCSPCertStatus.GOOD, this_update=now,
        next_update=now + datetime.timedelta(days=1), revocation_time=None, revocation_reason=None,
    ).responder_id(ocsp.OCSPResponderEncoding.HASH, authority.certificate).sign(authority.key, hashes.SHA256())
    with open(f"{authority.folder}/answer.der", "wb") as f:
        f.write(answer.public_bytes(serialization.Encoding.DER))
    s = start(server, authority, """
        ssl_certificate_by_lua_block {
            local ocsp, ssl = require "ngx.ocsp", require "ngx.ssl"
            local chain, answer = ssl.cert_pem_to_der(read("chain.pem")), read("answer.der")
            ngx.log(ngx.NOTICE, "responder: ", tostring(ocsp.get_ocsp_responder_from_der_chain(chain)),
                    ", request: ", #ocsp.create_ocsp_request(chain) > 50,
                    ", valid: ", ocsp.validate_ocsp_response(answer, chain), ", bad: ", select(2, ocsp.validate_ocsp_response("x", chain)),
                    ", alone: ", select(2, ocsp.create_ocsp_request(ssl.cert_pem_to_der(read("default.pem")))))
            ngx.log(ngx.NOTICE, "set: ", select(2, ocsp.set_ocsp_status_resp(answer)))
        }""")
    visit(s, authority)
    s.wait_for_log("responder: nil, request: true, valid: true, bad: d2i_OCSP_RESPONSE.. failed, alone: no issuer certificate in chain")
    s.wait_for_log("set: no status req")
    said = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{s.port}", "-servername", "a.test", "-status"],
                          input=b"", timeout=60, capture_output=True, check=False).stdout
    assert b"OCSP Response Status: successful" in said


PEER_CONF = r"""
events {}
http {
    init_by_lua_block {
        function read(name) local f = assert(io.open("%%CERTS%%/" .. name)) local text = f:read("*a") f:close() return text end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass https://127.0.0.1:%%UP%%; proxy_ssl_name a.test; HOOKS }
        location /other { proxy_pass https://127.0.0.1:%%UP%%; proxy_ssl_name a.test; }
    }
}
"""


def test_a_certificate_for_a_peer(server, upstream, authority):
    authority.leaf("client.test", file="client", client=True)
    u = upstream(up.serve(lambda r: up.reply(content=b"ok")), tls=authority.server_context(authority.leaf("a.test"), client_ca=True))
    s = server(PEER_CONF.replace("HOOKS", """proxy_ssl_certificate_by_lua_block {
        local ssl, peer = require "ngx.ssl", require "ngx.ssl.proxysslcert"
        ngx.sleep(0.001)
        assert(peer.set_cert(ssl.parse_pem_cert(read("client.pem")))) assert(peer.set_priv_key(ssl.parse_pem_priv_key(read("client.key"))))
        ngx.log(ngx.NOTICE, ngx.get_phase(), " for ", ngx.var.uri)
    }"""), CERTS=authority.folder, UP=u.port)
    assert get(s.port, "/x").body == b"ok"
    s.wait_for_log("proxy_ssl_cert for /x")
    assert get(s.port, "/other").status == 502


@pytest.mark.parametrize("script, directives, status", [
    ("", "", 200), ("peer.set_verify_result(0)", "proxy_ssl_verify on; proxy_ssl_trusted_certificate %%CERTS%%/other/ca.pem;", 200),
    ("", "proxy_ssl_verify on; proxy_ssl_trusted_certificate %%CERTS%%/other/ca.pem;", 502), ("peer.set_verify_result(18)", "", 502),
    ("ngx.exit(ngx.ERROR)", "", 502), ("error('no')", "", 502),
    ("assert(peer.get_verify_result() == 0)", "lua_upstream_skip_openssl_default_verify on;", 200)])
def test_a_script_verifies_a_peer(server, upstream, authority, script, directives, status):
    Authority(f"{authority.folder}/other")
    u = upstream(up.serve(lambda r: up.reply(content=b"ok")), tls=authority.server_context(authority.leaf("a.test")))
    s = server(PEER_CONF.replace("HOOKS", directives + """proxy_ssl_verify_by_lua_block {
        local peer = require "ngx.ssl.proxysslverify"
        assert(peer.get_verify_cert()) ngx.sleep(0.001) """ + script + "}"),
               CERTS=authority.folder, UP=u.port, allow_log=["aborted: runtime error"])
    assert get(s.port, "/").status == status


IDENTITIES = r"""
events {}
http {
    init_by_lua_block {
        ssl, peer = require "ngx.ssl", require "ngx.ssl.proxysslcert"
        function read(name) local f = assert(io.open("%%CERTS%%/" .. name)) local text = f:read("*a") f:close() return text end
        function show(name)
            assert(peer.set_cert(ssl.parse_pem_cert(read(name .. ".pem"))))
            assert(peer.set_priv_key(ssl.parse_pem_priv_key(read(name .. ".key"))))
        end
    }
    upstream one { server 127.0.0.1:%%PORT_1%%; keepalive 4; }
    upstream both { server 127.0.0.1:%%PORT_1%%; server 127.0.0.1:%%PORT_2%%; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        proxy_ssl_protocols %%VERSION%%;
        proxy_set_header Connection "";
        proxy_http_version 1.1;
        add_header X-Tries $upstream_status;
        location / {
            proxy_pass https://one;
            proxy_ssl_certificate_by_lua_block {
                local as = ngx.var.arg_as
                if as == "nobody" then return ngx.exit(ngx.ERROR) end
                show(as)
            }
        }
        location /next {
            proxy_pass https://both;
            proxy_ssl_certificate_by_lua_block {
                if ngx.var.upstream_addr == "127.0.0.1:%%PORT_1%%" then return ngx.exit(ngx.ERROR) end
                show("b")
            }
        }
    }
    server {
        listen 127.0.0.1:%%PORT_1%% ssl;
        listen 127.0.0.1:%%PORT_2%% ssl;
        ssl_certificate %%CERTS%%/default.pem;
        ssl_certificate_key %%CERTS%%/default.key;
        ssl_verify_client optional_no_ca;
        ssl_session_cache shared:sessions:1m;
        location / { return 200 "$ssl_client_s_dn $ssl_session_reused"; }
    }
}
"""


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_what_was_chosen_for_one_request_is_for_no_other(server, authority, version):
    authority.leaf("c.test", file="c", client=True)
    s = server(IDENTITIES, CERTS=authority.folder, VERSION=version)
    for name in ("c", "b", "c"):
        assert get(s.port, f"/?as={name}").text == f"CN={name}.test ."
    refused = get(s.port, "/?as=nobody")
    assert (refused.status, refused.header("X-Tries")) == (502, None)
    s.wait_for_log("the handshake was refused while SSL handshaking to upstream")
    assert get(s.port, "/?as=b").text == "CN=b.test ."


def test_a_refusal_is_a_failure_of_that_try(server, authority):
    s = server(IDENTITIES, CERTS=authority.folder, VERSION="TLSv1.3")
    for _ in range(2):
        assert get(s.port, "/next").text == "CN=b.test ."
    assert "the handshake was refused" in s.log()


PEER_VERSION = """proxy_ssl_certificate_by_lua_block { ngx.ctx.seen = require "ngx.proxyssl".get_tls1_version_str() }
    proxy_ssl_verify_by_lua_block { ngx.ctx.verified = require "ngx.proxyssl".get_tls1_version() }
    header_filter_by_lua_block {
        local _, elsewhere = require "ngx.proxyssl".get_tls1_version()
        ngx.header.seen = tostring(ngx.ctx.seen) .. " " .. tostring(ngx.ctx.verified) .. " " .. elsewhere
    }"""


def test_the_version_spoken_with_a_peer(server, upstream, authority):
    context = authority.server_context(authority.leaf("a.test"), client_ca=True)
    context.verify_mode = ssl.CERT_OPTIONAL
    u = upstream(up.serve(lambda r: up.reply(content=b"ok")), tls=context)
    s = server(PEER_CONF.replace("HOOKS", PEER_VERSION), CERTS=authority.folder, UP=u.port)
    assert get(s.port, "/").header("seen") == "TLSv1.3 772 bad request"


CACHE_OFF = r"""
events {}
http {
    ssl_certificate %%CERTS%%/default.pem;
    ssl_certificate_key %%CERTS%%/default.key;
    ssl_session_cache shared:sessions:1m;
    ssl_session_store_by_lua_block { ngx.ctx.stored = true }
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate_by_lua_block { ngx.ctx.x = "handshake" ngx.ctx.t = {1, 2} }
        location /on { content_by_lua_block { ngx.print(ngx.ctx.x) } }
        location /off { lua_code_cache off; content_by_lua_block { ngx.print(tostring(ngx.ctx.x)) ngx.ctx.x = 1 } }
    }
    server {
        listen 127.0.0.1:%%PORT_1%% ssl;
        lua_code_cache off;
        ssl_client_hello_by_lua_block { ngx.ctx.hello = "hello" }
        ssl_certificate_by_lua_file certificate.lua;
        location /on { lua_code_cache on; content_by_lua_block { ngx.print(ngx.ctx.hello, " ", ngx.ctx.x) } }
        location /off { content_by_lua_block { ngx.print(tostring(ngx.ctx.x)) ngx.ctx.x = 1 } }
    }
}
"""


def test_with_the_code_cache_off_the_hooks_of_a_client_share_the_common_machine(server, authority):
    s = server(CACHE_OFF, CERTS=authority.folder, files={"certificate.lua": 'ngx.ctx.x = "first"'},
               allow_log=["lua_code_cache is off; this will hurt performance"])

    def seen(port):
        with Client(port, tls=authority.client_context(), server_name="a.test") as client:
            return [client.get(path).text for path in ("/on", "/off", "/on", "/off")]
    assert seen(s.port) == ["handshake", "nil"] * 2
    assert seen(s.ports[1]) == ["hello first", "nil"] * 2
    s.write("certificate.lua", 'ngx.ctx.x = "second"')
    assert seen(s.ports[1]) == ["hello second", "nil"] * 2
