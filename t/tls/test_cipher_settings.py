# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What a server and a client of ours settle about ciphers, chains and records: whose order counts, DHE, how long a chain may be, how much
goes into a record."""

import shutil
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client, get

CONF = """
events {}
http {
    ssl_certificate %%CERTS%%/server.pem;
    ssl_certificate_key %%CERTS%%/server.key;
    ssl_protocols TLSv1.2;
    ssl_ciphers ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256;
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name client.test;                             location / { return 200 $ssl_cipher; } }
    server { listen 127.0.0.1:%%PORT_1%% ssl; server_name server.test; ssl_prefer_server_ciphers on;
                                                                                                 location / { return 200 $ssl_cipher; } }
    server { listen 127.0.0.1:%%PORT_2%% ssl; server_name dhe.test; ssl_dhparam %%CERTS%%/dh.pem;  location / { return 200 $ssl_cipher; } }
    server { listen 127.0.0.1:%%PORT_3%% ssl; server_name records.test; ssl_buffer_size 2k; root %%CERTS%%; location / { } }
    server { listen 127.0.0.1:%%PORT_4%% ssl; server_name short.test; ssl_verify_client on; ssl_client_certificate %%CERTS%%/ca.pem;
             ssl_verify_depth 0;                                                                 location / { return 200 in; } }
    server { listen 127.0.0.1:%%PORT_5%% ssl; server_name long.test; ssl_verify_client on; ssl_client_certificate %%CERTS%%/ca.pem;
             ssl_verify_depth 1;                                                                 location / { return 200 in; } }
    server {
        listen 127.0.0.1:%%PORT_6%%;
        proxy_ssl_trusted_certificate %%CERTS%%/ca.pem; proxy_ssl_verify on; proxy_ssl_name peer.test;
        location /short { proxy_ssl_verify_depth 0; proxy_pass https://127.0.0.1:%%UP%%; }
        location /long { proxy_ssl_verify_depth 1; proxy_pass https://127.0.0.1:%%UP%%; }
    }
}
"""


def between(root, folder, *names, **leaf):
    """A leaf below an authority between it and the root; its file has the chain."""
    middle = Authority(folder, "Between")
    builder = root._builder(middle.name, middle.key.public_key(), 30)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    signed = builder.sign(root.key, hashes.SHA256())
    pair = middle.leaf(*names, **leaf)
    with open(pair[0], "ab") as f:
        f.write(signed.public_bytes(serialization.Encoding.PEM))
    return pair


class World:
    def __init__(self, server, upstream, folder):
        self.root = Authority(folder)
        self.root.leaf("server.test", *(f"{n}.test" for n in ("client", "dhe", "records", "short", "long")), file="server", kind="rsa")
        parameters = ["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", f"{folder}/dh.pem"]
        subprocess.run(parameters, check=True, capture_output=True, timeout=60)
        with open(f"{folder}/big", "w") as f:
            f.write("x" * 50_000)
        self.chained = between(self.root, f"{folder}/between", "client", client=True)
        peer = between(self.root, f"{folder}/peer", "peer.test")
        self.server = server(CONF, CERTS=str(folder), UP=upstream(tls=self.root.server_context(peer)).port)

    def context(self, ciphers=None, certificate=None):
        context = self.root.client_context(certificate)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        if ciphers:
            context.set_ciphers(ciphers)
        return context

    def cipher(self, port, ciphers):
        with Client(self.server.ports[port], tls=self.context(ciphers), server_name="server.test") as client:
            return client.get("/").text


@pytest.fixture
def w(server, upstream, tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make parameters with")
    return World(server, upstream, tmp_path / "certs")


MINE = "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"


def test_whose_order_of_ciphers_counts(w):
    assert w.cipher(0, MINE) == "ECDHE-RSA-AES256-GCM-SHA384"
    assert w.cipher(1, MINE) == "ECDHE-RSA-AES128-GCM-SHA256"


def test_dhe_needs_parameters(w):
    assert w.cipher(2, "DHE-RSA-AES128-GCM-SHA256") == "DHE-RSA-AES128-GCM-SHA256"
    with pytest.raises(ssl.SSLError):
        w.cipher(0, "DHE-RSA-AES128-GCM-SHA256")


def test_how_much_goes_into_a_record(w):
    """The client's bytes go by way of memory, so that records can be looked at."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = w.context().wrap_bio(incoming, outgoing, server_hostname="records.test")
    raw, clear = b"", b""
    with Client(w.server.ports[3]) as client:
        def turn(call):
            nonlocal raw
            while True:
                try:
                    done = call()
                    client.send(outgoing.read())
                    return done
                except ssl.SSLWantReadError:
                    client.send(outgoing.read())
                    piece = client.socket.recv(65536)
                    assert piece, "the server closed"
                    raw += piece
                    incoming.write(piece)
        turn(tls.do_handshake)
        turn(lambda: tls.write(b"GET /big HTTP/1.1\r\nHost: records.test\r\n\r\n"))
        while len(clear) < 50_000:
            clear += turn(lambda: tls.read(65536))
    sizes = []
    while raw:
        kind, length = raw[0], int.from_bytes(raw[3:5], "big")
        if kind == 23:
            sizes.append(length)
        raw = raw[5 + length:]
    overhead = 24  # AES-GCM in TLS 1.2
    assert max(sizes) <= 2048 + overhead and len(sizes) >= 25


def test_how_long_the_chain_of_a_client_may_be(w):
    with Client(w.server.ports[5], tls=w.context(certificate=w.chained), server_name="long.test") as client:
        assert client.get("/").text == "in"
    with Client(w.server.ports[4], tls=w.context(certificate=w.chained), server_name="short.test") as client:
        assert client.get("/").status == 400
    w.server.wait_for_log("client SSL certificate verify error: .2[0-2]:")


def test_how_long_the_chain_of_a_peer_may_be(w):
    port = w.server.ports[6]
    assert get(port, "/long").status == 200
    assert get(port, "/short").status == 502
    w.server.wait_for_log("upstream SSL certificate verify error: .2[0-2]:")


NAMED_CONF = """
events {}
http {
    ssl_certificate %%CERTS%%/server.pem;
    ssl_certificate_key %%CERTS%%/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name plain.test; return 200 "$ssl_protocol $ssl_curve"; }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name least.test; ssl_conf_command MinProtocol TLSv1.3; return 200 $ssl_protocol; }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name most.test; ssl_conf_command MaxProtocol TLSv1.2; return 200 $ssl_protocol; }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name groups.test; ssl_conf_command Groups secp384r1; return 200 $ssl_curve; }
    server { listen 127.0.0.1:%%PORT_1%% ssl; server_name strict.test; ssl_conf_command MinProtocol TLSv1.3; return 200 $ssl_protocol; }
    server { listen 127.0.0.1:%%PORT_1%% ssl; server_name own.test; return 200 $ssl_protocol; }
}
"""


def test_commands_of_a_server_that_is_not_the_default_one(server, tmp_path):
    root = Authority(tmp_path / "certs")
    names = [f"{name}.test" for name in ("plain", "least", "most", "groups", "strict", "own")]
    root.leaf(*names, file="server")
    s = server(NAMED_CONF, CERTS=root.folder)

    def says(name, most=ssl.TLSVersion.TLSv1_3, port=0):
        context = root.client_context()
        context.maximum_version = most
        return get(s.ports[port], "/", host=name, tls=context, server_name=name).text
    assert says("plain.test") == "TLSv1.3 X25519"
    assert says("least.test") == "TLSv1.3"
    assert says("most.test") == "TLSv1.2"
    assert says("groups.test") == "secp384r1"
    assert says("own.test", ssl.TLSVersion.TLSv1_2, port=1) == "TLSv1.2", "as with ssl_protocols, those of the server that was named"
    for port, name in ((0, "least.test"), (1, "strict.test")):
        with pytest.raises(ssl.SSLError):
            says(name, ssl.TLSVersion.TLSv1_2, port)
