# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Clients: raw bytes for hostile ones, and short calls for polite ones. A reply is read strictly (lib/wire.py)."""

import socket
import struct
import time

from lib.ports import TIME_SCALE
from lib.wire import Closed, Reader, Reply


class Client:
    """One connection. Everything received stands in `received`."""

    def __init__(self, port, host="127.0.0.1", source=None, seconds=5.0, tls=None, server_name=None, unix=None):
        """`tls` is an ssl.SSLContext; `unix` a path in place of host and port; `source` an address to come from."""
        if unix:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(seconds * TIME_SCALE)
            self.socket.connect(unix)
        else:
            self.socket = socket.create_connection((host, port), seconds * TIME_SCALE, (source, 0) if source else None)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_name)
        self.reader = Reader(self.socket)

    @property
    def received(self):
        return self.reader.received

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
        return self

    def send_pieces(self, data, size=1, pause=0.002):
        """The bytes in pieces, each in a segment of its own."""
        for at in range(0, len(data), size):
            self.send(data[at:at + size])
            time.sleep(pause)
        return self

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reset(self):
        """Closes with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def read_reply(self, method="GET"):
        """The next reply to a request of that method; pipelined replies come one by one."""
        return Reply.read(self.reader, method)

    def read_until_close(self):
        """All bytes up to the end of the connection, those of the replies read before not included."""
        return self.reader.rest()

    def is_closed(self, seconds=5.0):
        """Whether the server ends the connection within the time; anything it sends before counts as a failure."""
        self.socket.settimeout(seconds * TIME_SCALE)
        try:
            more = self.reader.fill()
        except AssertionError:
            return False
        assert not more, f"unexpected bytes: {self.reader.buffer[:300]!r}"
        return True

    def is_quiet(self, seconds=0.2):
        """Whether the connection stays open and silent for the time."""
        self.socket.settimeout(seconds)
        try:
            return not self.reader.fill() and self.reader.ended is None
        except AssertionError:
            return True
        finally:
            self.socket.settimeout(5 * TIME_SCALE)

    def get(self, target, headers=(), host="localhost", version="HTTP/1.1"):
        """A request on this connection, kept alive, and its reply."""
        return self.request("GET", target, headers=headers, host=host, version=version)

    def request(self, method, target, body=None, headers=(), host="localhost", version="HTTP/1.1"):
        self.send(request_bytes(method, target, body, headers, host, version))
        return self.read_reply(method)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def request_bytes(method, target, body=None, headers=(), host="localhost", version="HTTP/1.1"):
    """`headers` is a dict or a list of pairs, or of whole lines; a body brings its Content-Length unless the headers frame it."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    lines = [p if isinstance(p, str) else f"{p[0]}: {p[1]}" for p in pairs]
    names = {line.split(":")[0].lower() for line in lines}
    if host is not None and "host" not in names:
        lines.insert(0, f"Host: {host}")
    payload = body.encode() if isinstance(body, str) else body
    if payload is not None and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(payload)}")
    return "\r\n".join([f"{method} {target} {version}", *lines, "", ""]).encode("latin-1") + (payload or b"")


def request(port, method, target, body=None, headers=(), host="localhost", version="HTTP/1.1", **how):
    """One request on a connection of its own, closed after it; asserts that the server closes it too and adds nothing."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    with Client(port, **how) as client:
        client.send(request_bytes(method, target, body, pairs + [("Connection", "close")], host, version))
        reply = client.read_reply(method)
        left = client.reader.buffer + client.read_until_close()
        assert not left, f"bytes behind the reply: {left[:300]!r}"
        return reply


def get(port, target="/", headers=(), **how):
    return request(port, "GET", target, None, headers, **how)


def post(port, target, body=b"", headers=(), **how):
    return request(port, "POST", target, body, headers, **how)


def raw(port, data, half_close=False, **how):
    """Sends the bytes and gives all that comes until the server closes."""
    with Client(port, **how) as client:
        client.send(data)
        if half_close:
            client.half_close()
        return client.read_until_close()


def chunked(*pieces, trailers=b""):
    """The pieces as a chunked body, the end included."""
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n" + trailers + b"\r\n"


__all__ = ["Client", "Closed", "Reply", "chunked", "get", "post", "raw", "request", "request_bytes"]
