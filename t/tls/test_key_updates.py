# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A client that changes its keys again and again (RFC 8446 section 4.6.3), sent as fast as the socket takes it: others have their turn."""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import termios
import threading

import pytest

from lib.certs import Authority
from lib.client import Client
from lib.ports import TIME_SCALE, wait_until

CONF = """
worker_processes 1;
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate %%CERTS%%/app.pem;
        ssl_certificate_key %%CERTS%%/app.key;
        location / { return 200 ok; }
    }
}
"""
UPDATES = 30_000
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def openssl():
    """Python's ssl cannot change keys, so OpenSSL itself."""
    lib = ctypes.CDLL("libssl.so.3")
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new", "BIO_new", "BIO_s_mem"):
        getattr(lib, name).restype = ctypes.c_void_p
    return lib


class Updating:
    """A TLS connection whose flood of key updates, and a request behind them, is made before any of it is sent."""

    def __init__(self, port):
        lib = openssl()
        pointer = ctypes.c_void_p
        self.socket = socket.create_connection(("127.0.0.1", port), 60 * TIME_SCALE)
        context = pointer(lib.SSL_CTX_new(pointer(lib.TLS_client_method())))
        ssl = pointer(lib.SSL_new(context))
        self.socket.setblocking(True)
        lib.SSL_set_fd(ssl, self.socket.fileno())
        assert lib.SSL_connect(ssl) == 1
        memory = pointer(lib.BIO_new(pointer(lib.BIO_s_mem())))
        lib.SSL_set0_wbio(ssl, memory)
        for _ in range(UPDATES):
            assert lib.SSL_key_update(ssl, 0) == 1 and lib.SSL_do_handshake(ssl) == 1
        assert lib.SSL_write(ssl, REQUEST, len(REQUEST)) == len(REQUEST)
        room = ctypes.create_string_buffer(UPDATES * 64)
        size = lib.BIO_read(memory, room, len(room))
        self.bytes = room.raw[:size]
        lib.SSL_free(ssl)
        lib.SSL_CTX_free(context)


def unread(sock):
    """Bytes that were sent and not yet taken in (SIOCOUTQ)."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0"))[0]


@pytest.fixture
def authority(tmp_path):
    ca = Authority(tmp_path / "certs")
    ca.leaf("app.test", "127.0.0.1", file="app")
    return ca


def answered_beside_a_flood(s, authority):
    """How many requests of another client are answered, one after the other, while the flood is worked off."""
    updating, worker, over, answered = Updating(s.port), s.workers()[0], threading.Event(), 0

    def flood():
        updating.socket.sendall(updating.bytes)
        while updating.socket.recv(65536):
            pass
        over.set()
    with Client(s.port, tls=authority.client_context(), server_name="app.test", seconds=60) as other:
        thread = threading.Thread(target=flood)
        os.kill(worker, signal.SIGSTOP)  # until there is more than one read takes
        try:
            thread.start()
            wait_until(lambda: unread(updating.socket) > 64 * 1024, 5, "a backlog")
        finally:
            os.kill(worker, signal.SIGCONT)
        while not over.is_set():
            other.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert other.read_reply().body == b"ok"
            answered += 1
        thread.join()
    updating.socket.close()
    return answered


def test_a_flood_of_key_updates_leaves_others_their_turn(server, authority):
    s = server(CONF, CERTS=authority.folder)
    # 800 KB of updates, of which one turn takes 32 KiB: 16 to 18 on an idle machine, 8 if OpenSSL reads as long as it likes.
    # A client that has to wait for a processor sees less; one flood is enough.
    assert any(answered_beside_a_flood(s, authority) >= 12 for _ in range(10))
