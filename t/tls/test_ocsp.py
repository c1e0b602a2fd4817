# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""OCSP: stapled answers out of a file or from a responder, and responders asked about clients' certificates."""

import base64
import datetime
import re
import subprocess
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client
from lib.ports import TIME_SCALE, wait_until

CONF = """
worker_processes 2;
events {}
http {
    ssl_certificate %%CERTS%%/a.test.pem;
    ssl_certificate_key %%CERTS%%/a.test.key;
    ssl_trusted_certificate %%CERTS%%/ca.pem;
    server { listen 127.0.0.1:%%PORT_0%% ssl; ssl_stapling on; ssl_stapling_verify on;
             ssl_stapling_responder http://127.0.0.1:%%OCSP%%/ask; }
    server { listen 127.0.0.1:%%PORT_1%% ssl; ssl_stapling on; ssl_stapling_file %%CERTS%%/staple.der; }
    server { listen 127.0.0.1:%%PORT_2%% ssl; ssl_verify_client on; ssl_client_certificate %%CERTS%%/ca.pem;
             ssl_ocsp leaf; ssl_ocsp_responder http://127.0.0.1:%%OCSP%%/; ssl_ocsp_cache shared:verdicts:64k;
             location / { return 200 $ssl_client_verify; } }
    server { listen 127.0.0.1:%%PORT_3%% ssl; ssl_verify_client optional; ssl_client_certificate %%CERTS%%/ca.pem;
             ssl_ocsp on; ssl_ocsp_responder http://127.0.0.1:%%OCSP%%/;
             error_page 495 = /told; location = /told { return 200 $ssl_client_verify; }
             location / { return 200 $ssl_client_verify; } }
    server { listen 127.0.0.1:%%PORT_4%% ssl; ssl_verify_client optional; ssl_client_certificate %%CERTS%%/ca.pem;
             ssl_ocsp on; ssl_ocsp_responder http://127.0.0.1:%%OCSP%%/;
             error_page 495 = @known;
             location @known { rbac { allow anybody { from *; } } try_files /none =204; }
             location / { error_page 418 = @known; return 418; } }
    server { listen 127.0.0.1:%%PORT_5%% ssl; ssl_verify_client on; ssl_client_certificate %%CERTS%%/ca.pem;
             ssl_ocsp leaf; ssl_ocsp_responder http://127.0.0.1:%%OCSP%%/%%LONG%%;
             location / { return 200 $ssl_client_verify; } }
}
"""


def load(path):
    with open(path, "rb") as f:
        return x509.load_pem_x509_certificate(f.read())


class Responder:
    """Answers for the certificates of an authority; those whose names are in `revoked` are, of those in `unsure` it does not know."""

    def __init__(self, ca, signer=None):
        self.ca, self.revoked, self.unsure, self.asked = ca, set(), set(), []
        self.requests = []
        self.names = {}
        self.signer = signer or (ca.certificate, ca.key)
        self.age = datetime.timedelta()

    def know(self, path):
        certificate = load(path)
        self.names[certificate.serial_number] = certificate
        return path

    def pair(self, name):
        """A client's, of which it knows."""
        pair = self.ca.leaf(name, client=True)
        self.know(pair[0])
        return pair

    def answer(self, request):
        self.requests.append(request)
        told = request.body if request.method == "POST" else base64.b64decode(unquote(request.target.rpartition("/")[2]), validate=True)
        asked = ocsp.load_der_ocsp_request(told)
        certificate = self.names.get(asked.serial_number)
        if certificate is None:
            return None
        name = certificate.subject.rfc4514_string()
        self.asked.append(name)
        return up.reply(200, self.statement(certificate), {"Content-Type": "application/ocsp-response", "Connection": "close"})

    def statement(self, certificate):
        now = datetime.datetime.utcnow() - self.age
        name = certificate.subject.rfc4514_string()
        is_revoked = name in self.revoked
        status = ocsp.OCSPCertStatus.REVOKED if is_revoked else ocsp.OCSPCertStatus.GOOD
        status = ocsp.OCSPCertStatus.UNKNOWN if name in self.unsure else status
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=certificate, issuer=self.ca.certificate, algorithm=hashes.SHA1(), cert_status=status, this_update=now,
            next_update=now + datetime.timedelta(hours=1), revocation_time=now if is_revoked else None, revocation_reason=None)
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.signer[0])
        return builder.sign(self.signer[1], hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.fixture
def authority(tmp_path):
    ca = Authority(tmp_path / "certs")
    ca.leaf("a.test", "127.0.0.1")
    return ca


def started(server, upstream, authority, responder, LONG=""):
    responder.know(f"{authority.folder}/a.test.pem")
    with open(f"{authority.folder}/staple.der", "wb") as f:
        f.write(responder.statement(load(f"{authority.folder}/a.test.pem")))
    return server(CONF, CERTS=authority.folder, OCSP=upstream(up.serve(responder.answer)).port, LONG=LONG)


def staple(port, ca):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", ca.path, "-status"], input=b"",
                          capture_output=True, timeout=20 * TIME_SCALE)
    text = done.stdout.decode(errors="replace")
    return text[text.index("OCSP response:"):][:600]


def test_an_answer_from_the_responder_is_stapled(server, upstream, authority):
    responder = Responder(authority)
    s = started(server, upstream, authority, responder)
    wait_until(lambda: "Cert Status: good" in staple(s.port, authority) or "OCSP Response Status: successful" in staple(s.port, authority),
               10, "the staple")
    assert "CN=a.test" in responder.asked
    asked = responder.requests[0]
    assert (asked.method, asked.version, asked.header("Host")) == ("GET", "HTTP/1.0", "127.0.0.1")
    assert re.fullmatch(r"/ask/MF[A-Za-z0-9%]+", asked.target), "base64 as one segment below the path"


def test_a_question_that_is_long_is_posted(server, upstream, authority):
    responder = Responder(authority)
    s = started(server, upstream, authority, responder, LONG="x" * 200)
    assert knock(s.ports[5], authority, responder.pair("client")) == (200, "SUCCESS")
    assert ("POST", "/" + "x" * 200) in [(asked.method, asked.target) for asked in responder.requests]


def test_an_answer_out_of_a_file_is_stapled(server, upstream, authority):
    s = started(server, upstream, authority, Responder(authority))
    assert "OCSP Response Status: successful" in staple(s.ports[1], authority)


def test_an_answer_that_says_revoked_is_not_stapled(server, upstream, authority):
    responder = Responder(authority)
    responder.revoked.add("CN=a.test")
    s = started(server, upstream, authority, responder)
    s.wait_for_log('certificate status "revoked" in the OCSP response')
    assert "no response sent" in staple(s.port, authority)


@pytest.mark.parametrize("how, reason", [("stranger", r"OCSP_basic_verify\(\) failed"), ("old", r"OCSP_check_validity\(\) failed")])
def test_answers_that_are_not_believed(server, upstream, authority, tmp_path, how, reason):
    responder = Responder(authority)
    if how == "stranger":
        stranger = Authority(tmp_path / "stranger", "Stranger")
        responder.signer = (stranger.certificate, stranger.key)
    else:
        responder.age = datetime.timedelta(days=2)
    s = started(server, upstream, authority, responder)
    s.wait_for_log(reason)
    assert "no response sent" in staple(s.port, authority)


def knock(port, ca, certificate):
    client = Client(port, tls=ca.client_context(certificate), server_name="a.test")
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
    reply = client.read_reply()
    return reply.status, reply.body.decode()


def with_a_revoked_client(authority):
    responder = Responder(authority)
    good, bad = authority.leaf("good", client=True), authority.leaf("bad", client=True)
    for path, _ in (good, bad):
        responder.know(path)
    responder.revoked.add("CN=bad")
    return responder, good, bad


def test_clients_are_asked_about_once_and_revoked_ones_refused(server, upstream, authority):
    responder, good, bad = with_a_revoked_client(authority)
    s = started(server, upstream, authority, responder)
    for _ in range(4):
        assert knock(s.ports[2], authority, good) == (200, "SUCCESS")
        assert knock(s.ports[2], authority, bad)[0] == 400
    assert responder.asked.count("CN=good") == 1 and responder.asked.count("CN=bad") == 1  # the zone is for both workers
    s.wait_for_log("client SSL certificate verify error: certificate revoked")


def test_the_variable_names_the_reason(server, upstream, authority):
    responder = Responder(authority)
    bad = authority.leaf("bad", client=True)
    responder.know(bad[0])
    responder.revoked.add("CN=bad")
    s = started(server, upstream, authority, responder)
    assert knock(s.ports[3], authority, bad) == (200, "FAILED:certificate revoked")
    assert knock(s.ports[3], authority, None) == (200, "NONE")


def test_a_revoked_certificate_is_no_identity(server, upstream, authority):
    responder, good, bad = with_a_revoked_client(authority)
    s = started(server, upstream, authority, responder)
    assert knock(s.ports[4], authority, good)[0] == 204
    assert knock(s.ports[4], authority, bad)[0] == 403


def test_no_answer_is_no_good_answer(server, upstream, authority):
    responder = Responder(authority)
    stranger = authority.leaf("unknown", client=True)  # the responder closes the connection
    unsure = responder.pair("unsure")
    responder.unsure.add("CN=unsure")
    s = started(server, upstream, authority, responder)
    assert knock(s.ports[3], authority, unsure) == (200, "FAILED:certificate status unknown")
    assert knock(s.ports[3], authority, stranger) == (200, "FAILED:certificate status request failed")
    s.wait_for_log("while requesting certificate status, certificate: \"CN=unknown\"")


BESIDE = """
events {}
http {
    ssl_client_certificate %%CERTS%%/ca.pem;
    ssl_ocsp_responder http://127.0.0.1:%%OCSP%%/;
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name a.test; location / { return 200 a; }
             ssl_certificate %%CERTS%%/a.test.pem; ssl_certificate_key %%CERTS%%/a.test.key; }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name asks.test; ssl_verify_client on; ssl_ocsp leaf; location / { return 200 asks; } }
    server { listen 127.0.0.1:%%PORT_1%% ssl; server_name a.test; ssl_verify_client on; location / { return 200 a; }
             ssl_certificate %%CERTS%%/a.test.pem; ssl_certificate_key %%CERTS%%/a.test.key; }
    server { listen 127.0.0.1:%%PORT_1%% ssl; server_name asks.test; ssl_verify_client on; ssl_ocsp leaf; location / { return 200 asks; }
             ssl_certificate %%CERTS%%/a.test.pem; ssl_certificate_key %%CERTS%%/a.test.key; }
}
"""


def beside(server, upstream, authority):
    responder = Responder(authority)
    pairs = good, bad = authority.leaf("good", client=True), authority.leaf("bad", client=True)
    for path, _ in pairs:
        responder.know(path)
    responder.revoked.add("CN=bad")
    return server(BESIDE, CERTS=authority.folder, OCSP=upstream(up.serve(responder.answer)).port), good, bad


def status_of(port, authority, certificate, name, host):
    context = authority.client_context(certificate)
    context.check_hostname = False
    return Client(port, tls=context, server_name=name).get("/", host=host).status


def test_a_server_without_a_certificate_of_its_own_asks(server, upstream, authority):
    s, good, bad = beside(server, upstream, authority)
    assert status_of(s.port, authority, good, "asks.test", "asks.test") == 200
    assert status_of(s.port, authority, bad, "asks.test", "asks.test") == 400
    s.wait_for_log("client SSL certificate verify error: certificate revoked")


def test_a_server_that_asks_is_not_opened_by_a_handshake_that_did_not(server, upstream, authority):
    s, good, bad = beside(server, upstream, authority)
    assert status_of(s.ports[1], authority, bad, "a.test", "a.test") == 200
    for certificate in (good, bad):
        assert status_of(s.ports[1], authority, certificate, None, "asks.test") == 421
    assert status_of(s.ports[1], authority, good, "asks.test", "asks.test") == 200


UNUSED = """
events {}
http {
    ssl_certificate %%CERTS%%/a.test.pem;
    ssl_certificate_key %%CERTS%%/%%KEY%%.key;
    ssl_ocsp_responder https://127.0.0.1/;
    server { listen 127.0.0.1:%%PORT_0%% ssl; }
    server { listen 127.0.0.1:%%PORT_1%% ssl; %%MORE%% }
}
"""


@pytest.mark.parametrize("more, status, said", [
    ("", 0, "syntax is ok"),
    ("ssl_ocsp leaf; ssl_verify_client on; ssl_client_certificate %%CERTS%%/ca.pem;", 1,
     'invalid URL prefix in OCSP responder "https://127.0.0.1/"'),
    ("ssl_stapling on;", 0, '[warn] "ssl_stapling" ignored, issuer certificate not found for certificate "%%CERTS%%/a.test.pem"'),
    ("ssl_stapling on; ssl_trusted_certificate %%CERTS%%/ca.pem;", 0,
     '[warn] "ssl_stapling" ignored, no OCSP responder URL in the certificate "%%CERTS%%/a.test.pem"'),
])
def test_what_is_said_of_them_when_tested(idle_server, authority, more, status, said):
    s = idle_server(UNUSED.replace("%%MORE%%", more), CERTS=authority.folder, KEY="a.test")
    tested = s.run("-t")
    assert tested.returncode == status and said.replace("%%CERTS%%", authority.folder) in tested.stderr


def test_a_key_of_another_certificate(idle_server, authority):
    authority.leaf("b.test")
    tested = idle_server(UNUSED.replace("%%MORE%%", ""), CERTS=authority.folder, KEY="b.test").run("-t")
    assert tested.returncode == 1
    assert re.search(r'\[emerg\] SSL_CTX_use_PrivateKey\("\S+/b.test.key"\) failed \(SSL: .*key values mismatch\)', tested.stderr)
