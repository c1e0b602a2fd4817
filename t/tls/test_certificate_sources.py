# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Where certificates come from: several per server, files named by variables and kept in a cache, texts, encrypted keys."""

import os
import shutil
import ssl

import pytest
from cryptography import x509

from lib.certs import Authority
from lib.client import Client


def shown(server, context, name):
    """The common name of the certificate that the server shows for `name`, and the kind of its key."""
    client = Client(server.port, tls=context, server_name=name)
    certificate = x509.load_der_x509_certificate(client.socket.getpeercert(binary_form=True))
    client.close()
    return certificate.subject.rfc4514_string(), type(certificate.public_key()).__name__


def test_a_certificate_per_kind_of_key(server, tmp_path):
    ca = Authority(tmp_path / "certs")
    ca.leaf("a.test", file="ec")
    ca.leaf("a.test", file="rsa", kind="rsa")
    s = server("""
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate %%CERTS%%/ec.pem;      ssl_certificate_key %%CERTS%%/ec.key;
        ssl_certificate %%CERTS%%/rsa.pem;     ssl_certificate_key %%CERTS%%/rsa.key;
    }
}
""", CERTS=ca.folder)
    for cipher, kind in (("ECDHE-ECDSA-AES128-GCM-SHA256", "EllipticCurve"), ("ECDHE-RSA-AES128-GCM-SHA256", "RSA")):
        context = ca.client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(cipher)
        assert kind in shown(s, context, "a.test")[1]


VARIABLE = """
events {}
http {
    map $ssl_server_name $stem { default other; ~^(?<one>\\w+)\\.test$ $one; }
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate certs/$stem.pem;
        ssl_certificate_key certs/$stem.key;
        ssl_certificate_cache %%CACHE%%;
        location / { return 200 ok; }
    }
}
"""


def variable_server(server, tmp_path, cache):
    ca = Authority(tmp_path / "certs")
    for name in ("a.test", "b.test"):
        ca.leaf(name, file=name[0])
    s = server(VARIABLE.replace("certs/", ca.folder + "/"), CACHE=cache)
    return ca, s


def test_names_with_variables(server, tmp_path):
    ca, s = variable_server(server, tmp_path, "off")
    assert shown(s, ca.client_context(), "a.test")[0] == "CN=a.test"
    assert shown(s, ca.client_context(), "b.test")[0] == "CN=b.test"
    ca.leaf("a.test", "second.test", file="a")  # without a cache the next handshake shows what is there now
    names = Client(s.port, tls=ca.client_context(), server_name="a.test").socket.getpeercert()["subjectAltName"]
    assert ("DNS", "second.test") in names


def test_a_missing_file_fails_that_handshake_alone(server, tmp_path):
    ca, s = variable_server(server, tmp_path, "off")
    with pytest.raises(ssl.SSLError, match="alert internal error"):
        Client(s.port, tls=ca.client_context(), server_name="none.test")
    s.wait_for_log('cannot load certificate ".*none.pem": .*while SSL handshaking, client: 127.0.0.1')
    assert shown(s, ca.client_context(), "a.test")[0] == "CN=a.test"


def test_the_cache_keeps_what_was_loaded(server, tmp_path):
    ca, s = variable_server(server, tmp_path, "max=10 valid=1h inactive=1h")
    assert shown(s, ca.client_context(), "a.test")[0] == "CN=a.test"
    os.remove(f"{ca.folder}/a.pem")
    assert shown(s, ca.client_context(), "a.test")[0] == "CN=a.test"


def test_the_cache_looks_again_when_its_time_is_over(server, tmp_path):
    ca, s = variable_server(server, tmp_path, "max=10 valid=0s")
    assert shown(s, ca.client_context(), "a.test")[0] == "CN=a.test"
    shutil.copy(f"{ca.folder}/b.pem", f"{ca.folder}/a.pem")
    shutil.copy(f"{ca.folder}/b.key", f"{ca.folder}/a.key")
    context = ca.client_context()
    context.check_hostname = False
    assert shown(s, context, "a.test")[0] == "CN=b.test"


def test_texts_and_encrypted_keys(server, tmp_path):
    ca = Authority(tmp_path / "certs")
    certificate, key = ca.leaf("a.test")
    ca.lock(key, b"the second", "locked.key")
    with open(f"{ca.folder}/passwords", "w") as f:
        f.write("the first\nthe second\n")
    with open(certificate) as f:
        text = f.read()
    conf = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate "data:%%TEXT%%";
        ssl_certificate_key %%CERTS%%/locked.key;
        ssl_password_file %%CERTS%%/passwords;
    }
}
"""
    s = server(conf, CERTS=ca.folder, TEXT=text)
    assert shown(s, ca.client_context(), "a.test")[0] == "CN=a.test"


def test_a_key_of_another_certificate_is_refused(idle_server, tmp_path):
    ca = Authority(tmp_path / "certs")
    a, b = ca.leaf("a.test"), ca.leaf("b.test")
    s = idle_server("events {} http { server { listen 127.0.0.1:%%PORT_0%% ssl; ssl_certificate %%A%%; ssl_certificate_key %%B%%; } }",
                    A=a[0], B=b[1])
    tested = s.run("-t")
    assert tested.returncode == 1 and "key values mismatch" in tested.stderr


def test_a_soon_expiring_certificate_is_warned_about(idle_server, tmp_path):
    ca = Authority(tmp_path / "certs")
    a = ca.leaf("a.test", days=3)
    s = idle_server("events {} http { server { listen 127.0.0.1:%%PORT_0%% ssl; ssl_certificate %%A%%; ssl_certificate_key %%B%%; } }",
                    A=a[0], B=a[1])
    tested = s.run("-t")
    assert tested.returncode == 0 and 'certificate "CN=a.test" expires on' in tested.stderr
