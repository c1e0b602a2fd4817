# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Who the client is by its certificate: rbac's `from`, and X-Forwarded-Client-Cert for the application."""

import hashlib
import ssl
import urllib.parse

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client

CONF = """
events {}
http {
    underscores_in_headers on;
    map $http_x_forwarded_client_cert $claimed { default ""; ~root root; }
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate %%CERT%%;
        ssl_certificate_key %%KEY%%;
        ssl_client_certificate %%CA%%;
        ssl_verify_client optional_no_ca;
        location / { rbac { allow a { from spiffe://td/ns/a/*; } allow dns { from *.example.org; } } proxy_pass http://127.0.0.1:%%UP%%; }
        location /id/exact  { rbac { allow a { from spiffe://td/ns/A/sa/one CN=SPIFFE://td/ns/a/sa/one; } } try_files /none =204; }
        location /id/prefix { rbac { allow a { from spiffe://TD/*; } } try_files /none =204; }
        location /id/regex  { rbac { allow a { from ~ ^spiffe://td/ns/A/; } } try_files /none =204; }
        location /id/denied { rbac { default allow; deny a { from spiffe://td/ns/a/*; } } try_files /none =204; }
        location /dns/exact  { rbac { deny d { from TWO.example.org; } } try_files /none =204; }
        location /dns/prefix { rbac { deny d { from TWO.*; } } try_files /none =204; }
        location /dns/suffix { rbac { deny d { from *.EXAMPLE.org; } } try_files /none =204; }
        location /dns/regex  { rbac { deny d { from ~ ^TWO; } } try_files /none =204; }
        location /any { rbac { allow known { from *; } } proxy_pass http://127.0.0.1:%%UP%%; }
        location /off { forwarded_client_cert off; proxy_pass http://127.0.0.1:%%UP%%; }
        location /default { proxy_pass http://127.0.0.1:%%UP%%; }
        location /sanitize { forwarded_client_cert sanitize; proxy_pass http://127.0.0.1:%%UP%%; }
        location /forward { forwarded_client_cert forward; proxy_pass http://127.0.0.1:%%UP%%; }
        location /append { forwarded_client_cert append; proxy_pass http://127.0.0.1:%%UP%%; }
        location /set { forwarded_client_cert sanitize_set; proxy_pass http://127.0.0.1:%%UP%%; }
        location /cert { forwarded_client_cert sanitize_set cert chain; proxy_pass http://127.0.0.1:%%UP%%; }
        location /read {
            if ($http_x_forwarded_client_cert ~ root) { set $it_was_read 1; }
            forwarded_client_cert sanitize;
            proxy_set_header X-Forwarded-Client-Cert "$http_x_forwarded_client_cert$claimed";
            proxy_pass http://127.0.0.1:%%UP%%;
        }
        location /via/forward { forwarded_client_cert forward; try_files /none /set; }
        location /via/set { forwarded_client_cert sanitize_set; try_files /none /forward; }
        location /via/off { forwarded_client_cert off; try_files /none /sanitize; }
        location /by/off { forwarded_client_cert off; content_by_lua_file capture.lua; }
        location /by/append { forwarded_client_cert append; content_by_lua_file capture.lua; }
        location /twice { forwarded_client_cert append uri; error_page 418 = /append; return 418; }
    }
    server { listen 127.0.0.1:%%PORT_1%%; forwarded_client_cert append; proxy_pass_request_headers on;
             location / { proxy_pass http://127.0.0.1:%%UP%%; } }
    server { listen 127.0.0.1:%%PORT_2%%; location / { proxy_pass http://127.0.0.1:%%UP%%; } }
}
"""
CLAIM = {"X-Forwarded-Client-Cert": "By=spiffe://x;URI=spiffe://td/ns/a/sa/root"}


class World:
    def __init__(self, server, upstream, folder):
        self.ca, self.stranger = Authority(folder / "ca"), Authority(folder / "other", name="Other CA")
        certificate, key = self.ca.leaf("localhost", "spiffe://td/ns/b/sa/server", file="server")
        self.one = self.ca.leaf("spiffe://td/ns/a/sa/one", "one.test", file="one", client=True)
        self.two = self.ca.leaf("spiffe://td/ns/b/sa/two", file="two", client=True)
        self.both = self.ca.leaf("spiffe://td/ns/a/sa/one", "spiffe://td/ns/b/sa/two", file="both", client=True)
        self.dns = self.ca.leaf("two.example.org", file="dns", client=True)
        self.foreign = self.stranger.leaf("spiffe://td/ns/a/sa/one", file="one", client=True)
        self.up = upstream(up.serve(lambda request: up.reply(200, b"|".join(
            value.encode() for name, value in request.headers if name.lower().replace("_", "-") == "x-forwarded-client-cert"))))
        self.server = server(CONF, CERT=certificate, KEY=key, CA=self.ca.path, UP=self.up.port,
                             files={"capture.lua": "ngx.print(ngx.location.capture(ngx.var.args).body)"})

    def ask(self, target, certificate=None, fields=()):
        with Client(self.server.port, tls=self.ca.client_context(certificate), server_name="localhost") as client:
            reply = client.get(target, headers=fields)
            return reply.status, reply.text


@pytest.fixture
def world(server, upstream, tmp_path):
    return World(server, upstream, tmp_path)


def test_rbac_knows_clients_by_their_certificates(world):
    assert world.ask("/", world.one)[0] == 200
    world.server.wait_for_log('authorization: allowed by rbac "a", identity "spiffe://td/ns/a/sa/one"')
    assert world.ask("/", world.dns)[0] == 200
    assert world.ask("/", world.two)[0] == 403
    world.server.wait_for_log('authorization: denied by rbac "default", identity "spiffe://td/ns/b/sa/two"')
    assert world.ask("/", None)[0] == 403
    assert world.ask("/any", world.two)[0] == 200
    assert world.ask("/any", None)[0] == 403


@pytest.mark.parametrize("kind", ["exact", "prefix", "regex"])
def test_an_identity_in_other_letters_is_another(world, kind):
    assert world.ask(f"/id/{kind}", world.one)[0] == 403


@pytest.mark.parametrize("kind", ["exact", "prefix", "suffix", "regex"])
def test_a_host_in_other_letters_is_the_same(world, kind):
    assert world.ask(f"/dns/{kind}", world.dns)[0] == 403
    assert world.ask(f"/dns/{kind}", world.one)[0] == 204


def test_a_certificate_with_two_spiffe_ids_has_none(world):
    """SPIFFE X.509-SVID section 2: one URI. Which of the two was meant is nobody's word, but a denial of either holds."""
    assert world.ask("/", world.both)[0] == 403
    world.server.wait_for_log("authorization: denied by rbac .default., identity .CN=spiffe://td/ns/a/sa/one.")
    assert (world.ask("/id/denied", world.both)[0], world.ask("/id/denied", world.two)[0]) == (403, 204)
    assert world.ask("/any", world.both)[0] == 200


def test_an_unverified_certificate_is_nobody(world):
    assert world.ask("/off", world.foreign)[0] == 200, "optional_no_ca lets it in"
    assert world.ask("/", world.foreign)[0] == 403
    world.server.wait_for_log('authorization: denied by rbac "default", identity "-"')
    assert world.ask("/append", world.foreign, CLAIM)[1] == ""


def test_forwarded_client_cert(world):
    der = ssl.PEM_cert_to_DER_cert(open(world.one[0]).read())
    own = (f'By=spiffe://td/ns/b/sa/server;Hash={hashlib.sha256(der).hexdigest()};Subject="CN=spiffe://td/ns/a/sa/one";'
           "URI=spiffe://td/ns/a/sa/one;DNS=one.test")
    claim = CLAIM["X-Forwarded-Client-Cert"]
    assert world.ask("/off", world.one, CLAIM)[1] == claim
    assert world.ask("/sanitize", world.one, CLAIM)[1] == ""
    assert world.ask("/default", world.one, CLAIM)[1] == world.ask("/default", None, CLAIM)[1] == "", "certificates are asked for"
    assert world.ask("/forward", world.one, CLAIM)[1] == claim
    assert world.ask("/append", world.one, CLAIM)[1] == f"{claim},{own}"
    assert world.ask("/append", world.one)[1] == own
    assert world.ask("/set", world.one, CLAIM)[1] == own
    assert world.ask("/twice", world.one, CLAIM)[1] == f"{claim},{own}", "an internal redirect does not add it again"
    for mode in ("off", "append"):  # what the location of a subrequest wants holds for it
        for place, want in (("/off", claim), ("/sanitize", ""), ("/append", f"{claim},{own}"), ("/set", own), ("/forward", claim)):
            assert world.ask(f"/by/{mode}?{place}", world.one, CLAIM)[1] == want
    assert world.ask("/via/forward", world.one, CLAIM)[1] == own, "the location that answers decides"
    assert world.ask("/via/set", world.one, CLAIM)[1] == claim
    assert world.ask("/via/off", world.one, CLAIM)[1] == ""
    for target in ("/sanitize", "/forward", "/append", "/set"):
        assert world.ask(target, None, CLAIM)[1] == "", "no certificate: the client's claim goes no further"
    with Client(world.server.ports[1]) as plain:
        assert plain.get("/", headers=CLAIM).text == ""
    with Client(world.server.ports[2]) as plain:
        assert plain.get("/", headers=CLAIM).text == claim, "no certificates here: as nginx passes it"


def test_nor_does_it_go_on_in_another_spelling(world):
    claim = {name: "URI=spiffe://td/root" for name in ("X_Forwarded_Client_Cert", "x-forwarded_client-cert")}
    for target in ("/default", "/sanitize", "/forward", "/off", "/read"):
        assert world.ask(target, world.one, claim)[1] == ""
    assert world.ask("/set", world.one, claim)[1] == world.ask("/set", world.one)[1]


def test_the_certificate_itself(world):
    pem = urllib.parse.quote(open(world.one[0]).read(), safe="")
    ca = urllib.parse.quote(open(world.ca.path).read(), safe="")  # the client sends it along
    text = world.ask("/cert", world.one)[1]
    assert f'Cert="{pem}";Chain="{pem}{ca}"' in text and "Subject" not in text and "URI" not in text


def test_what_is_removed_is_not_read_before(world):
    assert world.ask("/read", world.one, CLAIM)[1] == ""
