# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ssl_verify_client in all its forms: who gets in, with which status others are turned away, what the variables say."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from lib.certs import Authority
from lib.client import Client

SAY = ("$ssl_client_verify|$ssl_client_s_dn|$ssl_client_i_dn|$ssl_client_s_dn_legacy|$ssl_client_serial|$ssl_client_fingerprint|"
       "$ssl_client_v_remain|$ssl_client_v_start|$ssl_client_san_uri|$ssl_client_san_dns|$ssl_client_spiffe_id")
CONF = """
events {}
http {
    ssl_certificate %%CERTS%%/server.pem;
    ssl_certificate_key %%CERTS%%/server.key;
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name open.test;     location / { return 200 "%%SAY%%"; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name on.test;       ssl_verify_client on;
             ssl_client_certificate %%CERTS%%/ca.pem;                    location / { return 200 "%%SAY%%"; }
             location = /pem { return 200 "$ssl_client_escaped_cert"; }
             error_page 495 496 = /denied; location = /denied { return 403 "denied"; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name optional.test; ssl_verify_client optional;
             ssl_trusted_certificate %%CERTS%%/ca.pem;                   location / { return 200 "%%SAY%%"; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name any.test;      ssl_verify_client optional_no_ca;
             location / { return 200 "%%SAY%%"; } }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name crl.test;      ssl_verify_client on; ssl_crl %%CERTS%%/crl.pem;
             ssl_client_certificate %%CERTS%%/ca.pem;                    location / { return 200 "%%SAY%%"; } }
}
"""


class Doors:
    def __init__(self, server, folder):
        self.ca = Authority(folder)
        self.ca.leaf("server", *(f"{n}.test" for n in ("open", "on", "optional", "any", "crl")), file="server")
        self.good = self.ca.leaf("good", "spiffe://td/good", "good.test", client=True)
        self.bad = self.ca.leaf("revoked", client=True)
        self.expired = self.ca.leaf("expired", client=True, days=-1)
        self.stranger = Authority(f"{folder}/stranger", "Elsewhere").leaf("stranger", client=True)
        self.ca.revoke(self.bad[0])
        self.server = server(CONF, CERTS=self.ca.folder, SAY=SAY)

    def knock(self, name, certificate=None, host=None, path="/"):
        client = Client(self.server.port, tls=self.ca.client_context(certificate), server_name=name)
        client.send(f"GET {path} HTTP/1.1\r\nHost: {host or name}\r\nConnection: close\r\n\r\n")
        reply = client.read_reply()
        return reply.status, reply.body.decode()


@pytest.fixture
def doors(server, tmp_path):
    return Doors(server, tmp_path / "certs")


def test_nobody_is_asked_without_the_directive(doors):
    assert doors.knock("open.test", doors.good) == (200, "NONE||||||||||")


def test_a_good_certificate_and_its_variables(doors):
    status, text = doors.knock("on.test", doors.good)
    verify, subject, issuer, legacy, serial, fingerprint, remain, start, uri, dns, spiffe = text.split("|")
    with open(doors.good[0], "rb") as f:
        certificate = x509.load_pem_x509_certificate(f.read())
    assert (status, verify, subject, issuer, legacy) == (200, "SUCCESS", "CN=good", "CN=Test CA", "/CN=good")
    assert int(serial, 16) == certificate.serial_number and serial == serial.upper()
    assert fingerprint == certificate.fingerprint(hashes.SHA1()).hex()
    assert 27 <= int(remain) <= 30 and start.endswith(" GMT")
    assert (uri, dns, spiffe) == ("spiffe://td/good", "good,good.test", "spiffe://td/good")


def test_no_certificate_is_496_one_of_a_stranger_495(doors):
    assert doors.knock("on.test") == (403, "denied")
    assert doors.knock("on.test", doors.stranger) == (403, "denied")
    doors.server.wait_for_log("client sent no required SSL certificate")
    doors.server.wait_for_log("client SSL certificate verify error: ")


def test_an_expired_certificate_is_refused(doors):
    assert doors.knock("optional.test", doors.expired)[0] == 400
    doors.server.wait_for_log(r"client SSL certificate verify error: \(10:certificate has expired\)")


def test_optional(doors):
    assert doors.knock("optional.test")[1].startswith("NONE|")
    assert doors.knock("optional.test", doors.good)[1].startswith("SUCCESS|")
    status, text = doors.knock("optional.test", doors.stranger)
    assert status == 400 and "The SSL certificate error" in text


def test_optional_no_ca(doors):
    status, text = doors.knock("any.test", doors.stranger)
    assert status == 200 and text.startswith("FAILED:unable to ") and "|CN=stranger|" in text


def test_a_revoked_certificate_is_refused(doors):
    assert doors.knock("crl.test", doors.good)[0] == 200
    assert doors.knock("crl.test", doors.bad)[0] == 400
    doors.server.wait_for_log(r"client SSL certificate verify error: \(23:certificate revoked\)")


def test_another_host_behind_a_verifying_server_is_421(doors):
    assert doors.knock("open.test", host="on.test")[0] == 421
    assert doors.knock("on.test", doors.good, host="open.test")[0] == 200
    doors.server.wait_for_log("client attempted to request the server name different from the one that was negotiated")


def test_a_default_handshake_opens_no_verifying_server(doors):
    context = doors.ca.client_context(doors.good, verify=False)
    client = Client(doors.server.port, tls=context)
    client.send("GET / HTTP/1.1\r\nHost: on.test\r\n\r\n")
    assert client.read_reply().text == "denied"


def test_the_escaped_certificate(doors):
    assert doors.knock("on.test", doors.good, path="/pem")[1].startswith("-----BEGIN%20CERTIFICATE-----%0A")
