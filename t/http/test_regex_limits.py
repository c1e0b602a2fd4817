# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A regular expression that PCRE2 gives up on says neither yes nor no: no rule may be got around by that."""

import ssl

import pytest

from lib.certs import Authority
from lib.client import Client, get

CONF = r"""
events {}
http {
    map $arg_q $kind { default open; "~^(a+)+$" first; ~b later; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        error_page 500 /page;
        location = /page { return 200 "page of $kind"; }
        location / { return 200 passed; }
        location ~ ^/(a+)+/secret { deny all; }
        location ~ ^/a { return 200 passed; }
        location /outer/ { location ~ ^/outer/(a+)+/secret { deny all; } location ~ a { return 200 passed; } }
        location /if { if ($arg_q ~ ^(a+)+$) { return 403; } return 200 passed; }
        location /not { if ($arg_q !~ ^(a+)+$) { return 200 passed; } return 403; }
        location /rewrite { rewrite ^/rewrite/(a+)+$ /denied last; return 200 passed; }
        location /to { rewrite ^/to(.*)$ $1 last; }
        location /try { try_files /none $arg_q; }
        location /map { return 200 $kind; }
        location /referer { valid_referers ~^(a+)+$; if ($invalid_referer) { return 403; } return 200 passed; }
        location /script { if ($args ~* "(\w+\+?)+<script") { return 403; } return 200 passed; }
    }
    server { listen 127.0.0.1:%%PORT_0%%; server_name guarded; if ($arg_q ~ ^(a+)+$) { return 403; } return 200 passed; }
    server { listen 127.0.0.1:%%PORT_1%% default_server; return 200 default; }
    server { listen 127.0.0.1:%%PORT_1%%; server_name ~^(a+)+$; return 403; }
    server { listen 127.0.0.1:%%PORT_1%%; server_name ~^a; return 200 later; }
}
"""
ENDLESS = "a" * 60 + "b"  # for ^(a+)+$
BELOW = "a" * 60 + "/nosecret"


@pytest.mark.parametrize("jit", ["on", "off"])
def test_no_rule_is_got_around(server, jit):
    s = server(f"pcre_jit {jit};" + CONF)
    for target in (f"/{BELOW}", f"/outer/{BELOW}", f"/if?q={ENDLESS}", f"/not?q={ENDLESS}", f"/rewrite/{ENDLESS}",
                   f"/to/{BELOW}", f"/try?q=/{BELOW}", "/script?q=" + "a" * 40 + "!a<script"):
        assert get(s.port, target).text in ("page of open", "page of later"), target
        s.wait_for_log(r"pcre2_match\(\) failed: -47 \(match limit exceeded\)")
    assert get(s.port, f"/if?q={ENDLESS}", host="guarded").status == 500
    assert get(s.port, f"/map?q={ENDLESS}").text == "open", "the default, not what a later line says"
    assert get(s.port, "/referer", headers=[("Referer", "http://" + ENDLESS)]).status == 403


def test_what_can_be_decided_is(server):
    s = server(CONF)
    for target, want in (("/x", "passed"), ("/aa", "passed"), ("/if?q=x", "passed"), ("/not?q=x", "passed"), ("/rewrite/x", "passed"),
                         ("/map?q=a", "first"), ("/map?q=b", "later"), ("/map?q=c", "open")):
        assert get(s.port, target).text == want
    for target in ("/aa/secret", "/if?q=aa", "/not?q=aa", "/outer/aa/secret", "/script?q=a<script"):
        assert get(s.port, target).status == 403


def test_a_name_of_a_server_that_cannot_be_decided_is_nobody(server):
    s = server(CONF)
    for host, want in (("x", (200, "default")), ("a", (403, None)), ("ab", (200, "later")), (ENDLESS, (500, None))):
        reply = get(s.ports[1], "/", host=host)
        assert (reply.status, reply.text if want[1] else None) == want, host


TLS = """
events {}
http {
    ssl_certificate %%CERT%%;
    ssl_certificate_key %%KEY%%;
    server { listen 127.0.0.1:%%PORT_0%% ssl; return 200 default; }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name ~^(a+)+$; return 200 "for few";
             ssl_client_certificate %%CA%%; ssl_verify_client on; }
}
"""


def test_nor_does_a_handshake_go_on_with_another_server(server, tmp_path):
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.leaf("localhost", file="server")
    s = server(TLS, CERT=certificate, KEY=key, CA=authority.path)
    context = authority.client_context()
    context.check_hostname = False
    with Client(s.port, tls=context, server_name="other") as client:
        assert client.get("/").text == "default"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Client(s.port, tls=context, server_name=ENDLESS)
