# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Who refuses a handshake in the middle, for want of a certificate or by a hook's word, says so to the peer with an alert."""

import ssl

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client, get
from lib.ports import wait_until

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate %%CERT%%;
        ssl_certificate_key %%KEY%%;
        %%HOOK%%
        location / { proxy_pass https://127.0.0.1:%%UP%%; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        location / { proxy_pass https://127.0.0.1:%%UP%%; proxy_ssl_certificate_by_lua_block { ngx.exit(ngx.ERROR) } }
    }
}
"""


@pytest.fixture
def ca(tmp_path):
    return Authority(tmp_path / "certs")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("hook", ["ssl_certificate_by_lua_block", "ssl_client_hello_by_lua_block"])
@pytest.mark.parametrize("more", ["", "ssl_early_data on;"])
def test_a_client_gets_an_alert(server, ca, version, hook, more):
    certificate, key = ca.leaf("a.test")
    s = server(CONF, CERT=certificate, KEY=key, UP=1, HOOK=hook + " { ngx.exit(ngx.ERROR) } " + more)
    context = ca.client_context()
    context.maximum_version = version
    with pytest.raises(ssl.SSLError, match="alert internal error"):
        Client(s.port, tls=context, server_name="a.test")
    s.wait_for_log("the handshake was refused while SSL handshaking, client: ")


def test_a_variable_that_names_no_certificate_is_an_alert(server, ca):
    s = server(CONF, CERT=f"{ca.folder}/$ssl_server_name.pem", KEY=f"{ca.folder}/$ssl_server_name.key", UP=1, HOOK="")
    with pytest.raises(ssl.SSLError, match="alert internal error"):
        Client(s.port, tls=ca.client_context(), server_name="a.test")
    s.wait_for_log("cannot load certificate")


def test_an_upstream_gets_an_alert(server, upstream, ca):
    certificate, key = ca.leaf("a.test")
    context = ca.server_context((certificate, key))
    context.verify_mode = ssl.CERT_OPTIONAL
    u = upstream([up.hold()], tls=context)
    s = server(CONF, CERT=certificate, KEY=key, UP=u.port, HOOK="")
    assert get(s.ports[1], "/").status >= 500
    wait_until(lambda: u.connections and u.connections[0].closed, 5, "the end of the handshake")
    assert "alert internal error" in str(u.connections[0].problem)
