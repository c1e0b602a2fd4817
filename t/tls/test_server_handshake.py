# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""`listen ... ssl`: handshakes, which server a name means, ALPN, what becomes of clients that do not speak TLS or not to the end."""

import os
import signal
import socket
import ssl
import struct
import subprocess
import threading

import pytest

from lib.certs import Authority
from lib.client import Client, get
from lib.ports import TIME_SCALE

CONF = """
events {}
http {
    client_header_timeout %%TIME%%;
    server {
        listen 127.0.0.1:%%PORT_0%% ssl default_server;
        server_name first.test;
        ssl_certificate %%FIRST%%.pem;
        ssl_certificate_key %%FIRST%%.key;
        location / { return 200 "$server_name $scheme $https $ssl_server_name $ssl_alpn_protocol $ssl_protocol\\n"; }
        location /big { return 200 %%BIG%%; }
        location = /folder { root %%FIRST%%.d; }
    }
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        server_name second.test *.second.test;
        ssl_certificate %%SECOND%%.pem;
        ssl_certificate_key %%SECOND%%.key;
        ssl_protocols TLSv1.2;
        ssl_key_log logs/keys;
        location / { return 200 "second $ssl_protocol\\n"; }
    }
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        server_name closed.test;
        ssl_reject_handshake on;
    }
    server {
        listen 127.0.0.1:%%PORT_1%% ssl;
        ssl_reject_handshake on;
    }
}
"""


@pytest.fixture
def authority(tmp_path):
    ca = Authority(tmp_path / "certs")
    ca.leaf("first.test", "127.0.0.1")
    ca.leaf("second.test", "*.second.test")
    return ca


@pytest.fixture
def secure(server, authority):
    return start(server, authority)


def start(server, authority, time="60s"):
    return server(CONF, FIRST=f"{authority.folder}/first.test", SECOND=f"{authority.folder}/second.test", BIG="x" * 40000, TIME=time)


def ask(server, authority, name, path="/", alpn=None, host=None):
    with_context = authority.client_context(alpn=alpn)
    client = Client(server.port, tls=with_context, server_name=name)
    client.send(f"GET {path} HTTP/1.1\r\nHost: {host or name}\r\n\r\n")
    return client, client.read_reply()


def test_a_request_over_tls(secure, authority):
    client, reply = ask(secure, authority, "first.test", alpn=["http/1.1"])
    assert reply.body == b"first.test https on first.test http/1.1 TLSv1.3\n"
    assert client.socket.selected_alpn_protocol() == "http/1.1"
    client.send("GET / HTTP/1.1\r\nHost: first.test\r\n\r\n")  # the connection is kept
    assert client.read_reply().status == 200


def test_a_handshake_that_begins_with_the_end_of_the_wait_goes_on(server, authority):
    s = start(server, authority, "1s")
    worker, = s.wait_workers(1)
    with socket.create_connection(("127.0.0.1", s.port), 5 * TIME_SCALE) as waited_for:
        ask(s, authority, "first.test")[0].close()  # so that the one before is accepted
        s.pause(worker)
        threading.Timer(1.2, os.kill, (worker, signal.SIGCONT)).start()  # the time is over when the worker goes on
        with authority.client_context().wrap_socket(waited_for, server_hostname="first.test") as client:
            client.sendall(b"GET / HTTP/1.0\r\nHost: first.test\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"


def test_no_alpn_is_no_alpn(secure, authority):
    client, reply = ask(secure, authority, "first.test")
    assert client.socket.selected_alpn_protocol() is None
    assert reply.body == b"first.test https on first.test  TLSv1.3\n"


def test_alpn_without_a_protocol_in_common_is_refused(secure, authority):
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        ask(secure, authority, "first.test", alpn=["smtp"])


def test_the_name_chooses_certificate_and_versions(secure, authority):
    client, reply = ask(secure, authority, "a.second.test")
    assert reply.body == b"second TLSv1.2\n"
    assert dict(client.socket.getpeercert()["subject"][0])["commonName"] == "second.test"


def test_an_unknown_name_gets_the_default_server(secure, authority):
    context = authority.client_context()
    context.check_hostname = False
    client = Client(secure.port, tls=context, server_name="elsewhere.test")
    client.send("GET / HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n")
    assert client.read_reply().body.startswith(b"first.test https on elsewhere.test")


def test_rejected_handshakes(secure, authority):
    with pytest.raises(ssl.SSLError, match="unrecognized name"):
        ask(secure, authority, "closed.test")
    with pytest.raises(ssl.SSLError, match="unrecognized name"):
        Client(secure.ports[1], tls=authority.client_context(), server_name="any.test")
    secure.wait_for_log(r"\[info\].* handshake rejected while SSL handshaking, client: 127.0.0.1")


def test_a_large_response_over_tls(secure, authority):
    _, reply = ask(secure, authority, "first.test", "/big")
    assert reply.body == b"x" * 40000


def test_plain_http_on_the_tls_port_is_497_as_400(secure):
    reply = get(secure.port, "/")
    assert reply.status == 400
    assert b"The plain HTTP request was sent to HTTPS port" in reply.body
    secure.wait_for_log("client sent plain HTTP request to HTTPS port")


def test_a_client_that_leaves_before_its_handshake_is_logged(secure):
    socket.create_connection(("127.0.0.1", secure.port)).close()
    secure.wait_for_log(r"\[info\] .* client closed connection while SSL handshaking, client: 127.0.0.1, server: ")


def test_half_a_handshake_meets_a_timeout(server, authority):
    secure = start(server, authority, "2s")
    client = Client(secure.port)
    client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert client.is_closed()
    secure.wait_for_log("timed out in SSL handshake.*client: 127.0.0.1, server: 127.0.0.1:")


def test_silence_meets_a_timeout(server, authority):
    assert Client(start(server, authority, "2s").port).is_closed()


def test_garbage_after_the_first_byte_ends_the_connection_alone(secure, authority):
    healthy, _ = ask(secure, authority, "first.test")
    for garbage in (b"\x16" + b"\xff" * 600, b"\x16\x03\x01\xff\xff" + b"\0" * 70000, b"\x80\x2e\x01\x00\x02" + b"\0" * 60):
        client = Client(secure.port)
        try:
            client.send(garbage)
            client.read_until_close()
        except (ConnectionError, AssertionError):
            pass
    secure.wait_for_log(r"SSL_do_handshake\(\) failed \(SSL: error:")
    healthy.send("GET / HTTP/1.1\r\nHost: first.test\r\n\r\n")
    assert healthy.read_reply().status == 200


def test_a_hello_in_single_bytes_is_a_hello(secure, authority):
    context = authority.client_context()
    raw = socket.create_connection(("127.0.0.1", secure.port), 20)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="first.test")
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            for byte in outgoing.read():
                raw.sendall(bytes([byte]))
            incoming.write(raw.recv(65536))
    tls.write(b"GET / HTTP/1.1\r\nHost: first.test\r\nConnection: close\r\n\r\n")
    for byte in outgoing.read():
        raw.sendall(bytes([byte]))
    answer = b""
    while True:
        try:
            piece = tls.read(65536)
            if not piece:
                break
            answer += piece
        except ssl.SSLWantReadError:
            data = raw.recv(65536)
            incoming.write(data) if data else incoming.write_eof()
        except ssl.SSLEOFError:
            break
    assert answer.startswith(b"HTTP/1.1 200") and b"first.test https on" in answer


def test_a_client_that_resets_in_the_handshake_harms_nobody(secure, authority):
    client = Client(secure.port)
    client.send(b"\x16\x03\x01\x02\x00\x01")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert ask(secure, authority, "first.test")[1].status == 200


def test_a_client_cannot_renegotiate(secure, authority):
    """`R` in openssl s_client asks for a second handshake: it is refused, and nobody else is disturbed."""
    healthy, _ = ask(secure, authority, "first.test")
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{secure.port}", "-servername", "second.test", "-tls1_2",
                           "-CAfile", authority.path], input=b"R\n", capture_output=True, timeout=20 * TIME_SCALE)
    assert b"no renegotiation" in done.stderr and b"HTTP/1.1" not in done.stdout
    healthy.send("GET / HTTP/1.1\r\nHost: first.test\r\n\r\n")
    assert healthy.read_reply().status == 200


def test_a_record_that_was_tampered_with_ends_its_connection_alone(secure, authority):
    healthy, _ = ask(secure, authority, "first.test")
    client = Client(secure.port, tls=authority.client_context(), server_name="first.test")
    raw = socket.socket(fileno=client.socket.detach())
    raw.settimeout(5 * TIME_SCALE)
    raw.sendall(b"\x17\x03\x03\x00\x40" + b"\x55" * 64)
    while True:
        try:
            if not raw.recv(65536):
                break
        except ConnectionError:
            break
    raw.close()
    secure.wait_for_log(r"\[info\].*SSL_read\(\) failed \(SSL: error:.*bad record mac.* while waiting for request, client: 127.0.0.1, ")
    healthy.send("GET / HTTP/1.1\r\nHost: first.test\r\n\r\n")
    assert healthy.read_reply().status == 200


def test_secrets_of_the_server_that_logs_them(secure, authority):
    for name in ("first.test", "second.test"):
        assert get(secure.port, "/", tls=authority.client_context(), server_name=name).status == 200
    keys = secure.read("logs/keys")
    assert keys.startswith("CLIENT_RANDOM ") and "TRAFFIC_SECRET" not in keys  # the first server speaks TLS 1.3
