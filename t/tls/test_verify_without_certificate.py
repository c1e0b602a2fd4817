# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ssl_verify_client in servers without a certificate of their own: the default server's is shown, their clients are verified."""

import shutil
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from lib.certs import Authority
from lib.client import Client
from lib.ports import TIME_SCALE, wait_until

CONF = """
events {}
http {
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name open.test;
             ssl_certificate %%CERTS%%/server.pem; ssl_certificate_key %%CERTS%%/server.key; %%DEFAULT%%
             location / { return 200 "open $ssl_client_verify $ssl_session_reused"; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name on.test; ssl_verify_client on; ssl_client_certificate %%CERTS%%/ca.pem;
             location / { return 200 "on $ssl_client_verify $ssl_session_reused"; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name optional.test; ssl_verify_client optional;
             ssl_trusted_certificate %%CERTS%%/trusted.pem; ssl_watch on;
             location / { return 200 "optional $ssl_client_verify"; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name any.test; ssl_verify_client optional_no_ca;
             location / { return 200 "any $ssl_client_verify"; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name crl.test; ssl_verify_client on; ssl_crl %%CERTS%%/crl.pem;
             ssl_client_certificate %%CERTS%%/ca.pem; location / { return 200 "crl $ssl_client_verify"; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name shallow.test; ssl_verify_client on; ssl_verify_depth 0;
             ssl_client_certificate %%CERTS%%/ca.pem; location / { return 200 "shallow $ssl_client_verify"; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name other.test; ssl_verify_client on;
             ssl_client_certificate %%CERTS%%/other/ca.pem; location / { return 200 "other $ssl_client_verify $ssl_session_reused"; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name bare.test; ssl_verify_client on;
             location / { return 200 "bare $ssl_client_verify"; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name none.test; location / { return 200 "none $ssl_client_verify"; } }
    server { listen 127.0.0.1:%%PORT_1%%; ssl_verify_client on; ssl_client_certificate %%CERTS%%/not_there.pem;
             location / { return 200 "plain"; } }
}
"""
NAMES = ("open", "on", "optional", "any", "crl", "shallow", "other", "bare", "none")
VERIFYING = ("on", "crl", "shallow", "other", "bare")


def intermediate(ca, folder):
    """An authority whose own certificate `ca` signed."""
    own = Authority(folder, "Intermediate")
    builder = ca._builder(own.name, own.key.public_key(), 30)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    own.certificate = builder.sign(ca.key, hashes.SHA256())
    return own


class Doors:
    def __init__(self, start, folder, default="", conf=CONF):
        self.ca = Authority(folder)
        self.other = Authority(f"{folder}/other", "Other CA")
        self.ca.leaf("server", *(f"{name}.test" for name in NAMES), file="server")
        self.good, self.stranger = self.ca.leaf("good", client=True), self.other.leaf("stranger", client=True)
        self.bad = self.ca.leaf("revoked", client=True)
        self.ca.revoke(self.bad[0])
        shutil.copy(self.ca.path, f"{folder}/trusted.pem")
        self.server = start(conf, CERTS=self.ca.folder, DEFAULT=default)

    def context(self, certificate, version=None):
        context = self.ca.client_context(certificate)
        context.check_hostname = False
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def ask(self, context, name, host=None, session=None):
        """Status, the reply's words, the session for the next time."""
        client = Client(self.server.port)
        client.socket = client.reader.socket = context.wrap_socket(client.socket, server_hostname=name, session=session)
        client.send(f"GET / HTTP/1.1\r\nHost: {host or name}\r\nConnection: close\r\n\r\n")
        reply = client.read_reply()
        return reply.status, reply.body.decode(), client.socket.session

    def knock(self, name, certificate=None, host=None):
        return self.ask(self.context(certificate), name, host)[:2]


@pytest.fixture
def doors(server, tmp_path):
    return Doors(server, tmp_path / "certs")


@pytest.mark.parametrize("name", VERIFYING)
def test_nobody_gets_in_without_a_certificate(doors, name):
    status, text = doors.knock(f"{name}.test")
    assert status == 400 and "No required SSL certificate was sent" in text
    doors.server.wait_for_log("client sent no required SSL certificate")


def test_whom_the_server_trusts_gets_in_and_nobody_else(doors):
    assert doors.knock("on.test", doors.good)[1].startswith("on SUCCESS")
    assert doors.knock("other.test", doors.stranger)[1].startswith("other SUCCESS")
    for name, certificate in (("on.test", doors.stranger), ("other.test", doors.good), ("crl.test", doors.bad)):
        status, text = doors.knock(name, certificate)
        assert status == 400 and "The SSL certificate error" in text
    assert doors.knock("crl.test", doors.good) == (200, "crl SUCCESS")
    doors.server.wait_for_log(r"client SSL certificate verify error: \(23:certificate revoked\)")


def test_optional(doors):
    assert doors.knock("optional.test") == (200, "optional NONE")
    assert doors.knock("optional.test", doors.good) == (200, "optional SUCCESS")
    assert doors.knock("optional.test", doors.stranger)[0] == 400
    status, text = doors.knock("any.test", doors.stranger)
    assert status == 200 and text.startswith("any FAILED:unable to ")


def test_the_depth_is_the_servers(doors, tmp_path):
    below = intermediate(doors.ca, tmp_path / "below")
    chained = below.leaf("chained", client=True)
    with open(chained[0], "ab") as leaf:
        leaf.write(below.certificate.public_bytes(serialization.Encoding.PEM))
    assert doors.knock("on.test", chained)[0] == doors.knock("shallow.test", doors.good)[0] == 200
    assert doors.knock("shallow.test", chained)[0] == 400
    doors.server.wait_for_log(r"client SSL certificate verify error: \((20|22):")


def announced(doors, name):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{doors.server.port}", "-servername", name], input="",
                          capture_output=True, text=True, timeout=20 * TIME_SCALE)
    _, _, names = done.stdout.partition("Acceptable client certificate CA names\n")
    return names.partition("\nRequested ")[0]


def test_the_names_of_its_authorities_are_sent_to_clients(doors):
    assert announced(doors, "on.test") == "CN = Test CA"
    assert announced(doors, "other.test") == "CN = Other CA"
    assert announced(doors, "optional.test") == announced(doors, "open.test") == ""


@pytest.mark.parametrize("default", ["ssl_verify_client on; ssl_client_certificate %%CERTS%%/other/ca.pem;",
                                     "ssl_verify_client optional_no_ca;"])
def test_what_the_default_server_trusts_opens_no_other(server, tmp_path, default):
    doors = Doors(server, tmp_path / "certs", default.replace("%%CERTS%%", str(tmp_path / "certs")))
    assert doors.knock("on.test", doors.good)[0] == 200
    assert doors.knock("on.test", doors.stranger)[0] == 400
    assert doors.knock("on.test")[0] == 400
    assert doors.knock("none.test")[0] == 200


def test_another_host_than_the_handshakes_is_421(doors):
    assert doors.knock("open.test", doors.good, host="on.test")[0] == 421
    assert doors.knock("other.test", doors.stranger, host="on.test")[0] == 421
    assert doors.knock("on.test", doors.good, host="open.test")[0] == 200


@pytest.mark.parametrize("default, status", [
    ("ssl_verify_client optional; ssl_client_certificate %%CERTS%%/ca.pem;", 200),
    ("ssl_verify_client optional; ssl_client_certificate %%CERTS%%/ca.pem; ssl_verify_depth 0;", 200),
    ("ssl_verify_client optional; ssl_client_certificate %%CERTS%%/ca.pem; ssl_verify_depth 2;", 421),
    ("ssl_verify_client optional; ssl_client_certificate %%CERTS%%/ca.pem; ssl_crl %%CERTS%%/crl.pem;", 421),
    ("ssl_verify_client optional; ssl_client_certificate %%CERTS%%/other/ca.pem;", 421),
    ("ssl_verify_client optional_no_ca;", 421), ("", 400),
])
def test_a_host_behind_a_handshake_that_named_none(server, tmp_path, default, status):
    """Who was verified by rules that are no laxer is as good as by its own. Who showed nothing is nobody, whomever he asks."""
    doors = Doors(server, tmp_path / "certs", default.replace("%%CERTS%%", str(tmp_path / "certs")))
    assert doors.knock(None, doors.good, host="on.test")[0] == status
    assert doors.knock(None, host="optional.test") == (200, "optional NONE")
    assert doors.knock(None, host="on.test")[0] == 400
    doors.server.wait_for_log("client sent no required SSL certificate")


def test_without_authorities_the_default_servers_verification_counts(server, tmp_path):
    doors = Doors(server, tmp_path / "certs", f"ssl_verify_client optional; ssl_client_certificate {tmp_path}/certs/ca.pem;")
    assert doors.knock("bare.test")[0] == doors.knock("bare.test", doors.stranger)[0] == 400
    assert doors.knock("bare.test", doors.good) == doors.knock(None, doors.good, host="bare.test") == (200, "bare SUCCESS")
    assert doors.knock(None, host="bare.test")[0] == 400


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_but_open_no_other_server(doors, version):
    context = doors.context(doors.good, version)
    _, text, session = doors.ask(context, "on.test")
    assert text == "on SUCCESS ."
    assert doors.ask(context, "on.test", session=session)[1] == "on SUCCESS r"
    assert doors.ask(context, "open.test", session=session)[1] == "open NONE ."
    assert doors.ask(context, "other.test", session=session)[0] == 400
    bare = doors.context(None, version)
    session = doors.ask(bare, "open.test")[2]
    assert doors.ask(bare, "open.test", session=session)[1] == "open NONE r"
    assert doors.ask(bare, "on.test", session=session)[0] == 400


def test_authorities_that_change_are_used(doors):
    shutil.copyfile(f"{doors.ca.folder}/other/ca.pem", f"{doors.ca.folder}/trusted.pem")
    wait_until(lambda: doors.knock("optional.test", doors.stranger)[0] == 200, 10, "the new authority")
    assert doors.knock("optional.test", doors.good)[0] == 400


def test_a_default_server_whose_certificate_has_variables(server, tmp_path):
    ca = Authority(tmp_path / "certs")
    for name in ("open.test", "on.test", "none.test"):
        ca.leaf(name)
    good = ca.leaf("good", client=True)
    s = server("""
        events {}
        http {
            server { listen 127.0.0.1:%%PORT_0%% ssl; server_name open.test;
                     ssl_certificate %%CERTS%%/$ssl_server_name.pem; ssl_certificate_key %%CERTS%%/$ssl_server_name.key;
                     location / { return 200 open; } }
            server { listen 127.0.0.1:%%PORT_0%% ssl; server_name none.test; location / { return 200 none; } }
            server { listen 127.0.0.1:%%PORT_0%% ssl; server_name on.test; ssl_verify_client on;
                     ssl_client_certificate %%CERTS%%/ca.pem; location / { return 200 on; } }
        }""", CERTS=ca.folder)
    for name, certificate, want in (("open", None, 200), ("none", None, 200), ("on", None, 400), ("on", good, 200)):
        client = Client(s.port, tls=ca.client_context(certificate), server_name=f"{name}.test")
        assert dict(client.socket.getpeercert()["subject"][0])["commonName"] == f"{name}.test"
        assert client.get("/", host=f"{name}.test").status == want


def test_clients_that_show_nothing_meet_what_nginx_has_for_them(server, nginx, tmp_path):
    ours, theirs = Doors(server, tmp_path / "certs"), Doors(nginx, tmp_path / "theirs", conf=CONF.replace("ssl_watch on;", ""))
    for name in NAMES:
        got, want = ours.knock(f"{name}.test"), theirs.knock(f"{name}.test")
        assert got[0] == want[0], name
        assert want[0] == 200 or "No required SSL certificate was sent" in got[1] and "No required SSL certificate was sent" in want[1]
