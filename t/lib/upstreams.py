# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Upstream servers that do exactly what a test says, wrong things included, and remember what they received.

    up = Upstream([head(), send(reply(200, b"half", length=8)), reset()],   # the first connection
                  [head(), body(), send(reply(200, b"ok")), close()])       # the second and all later ones
    up = Upstream(serve(lambda request: reply(200, request.target)))        # every connection: keepalive, one reply a request

Each connection runs its script in a thread of its own. A script that ends without close() holds the connection open until the other
side or `stop` ends it. What went wrong inside a script (an unexpected close, a time-out) stands in the connection's `problem`, not in
an exception: only the test knows whether it matters.
"""

import socket
import ssl
import struct
import threading
import time

from lib.ports import TIME_SCALE, claim_port, release_port, wait_until
from lib.wire import Closed, Reader, Request

STEP_SECONDS = 30.0


class Seen:
    """What one connection saw: `requests` in order, every byte in `raw`, how the other side ended it (None while it has not)."""

    def __init__(self, sock, number):
        self.socket, self.number = sock, number
        self.reader = Reader(sock)
        self.requests = []
        self.pending = None  # a head whose body has not been read
        self.problem = None
        self.at = time.monotonic()
        self.closed = False  # by us

    @property
    def raw(self):
        return self.reader.received

    @property
    def ended(self):
        return self.reader.ended


class _End(Exception):
    """The script is over and the connection closed."""


# -- steps: functions of one Seen

def head():
    """Waits for a request head; the body stays unread."""
    def step(seen):
        seen.pending = Request(seen.reader.until(b"\r\n\r\n"))
        seen.requests.append(seen.pending)
    return step


def body():
    """Reads the body of the last head to its end."""
    def step(seen):
        seen.pending.read_body(seen.reader, until_close=False)
    return step


def request():
    """A whole request; it counts among `requests` once its body has been read, or has broken off."""
    def step(seen):
        seen.pending = Request(seen.reader.until(b"\r\n\r\n"))
        try:
            seen.pending.read_body(seen.reader, until_close=False)
        finally:
            seen.requests.append(seen.pending)
    return step


def read(count):
    """Waits for that many bytes, whatever they are."""
    return lambda seen: seen.reader.exactly(count)


def read_to_end():
    """Reads until the other side ends the connection."""
    return lambda seen: seen.reader.rest()


def send(data):
    return lambda seen: seen.socket.sendall(data)


def send_slowly(data, size=1, pause=0.002):
    def step(seen):
        for at in range(0, len(data), size):
            seen.socket.sendall(data[at:at + size])
            time.sleep(pause)
    return step


def sleep(seconds):
    return lambda seen: time.sleep(seconds)


def wait_for(event):
    """Waits for a threading.Event that the test sets."""
    def step(seen):
        assert event.wait(STEP_SECONDS * TIME_SCALE), "the test did not set the event"
    return step


def half_close():
    return lambda seen: seen.socket.shutdown(socket.SHUT_WR)


def close():
    def step(seen):
        raise _End
    return step


def reset():
    def step(seen):
        seen.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise _End
    return step


def hold():
    """Never answers: keeps the connection open, reading, until the other side ends it."""
    return read_to_end()


def serve(answer):
    """A script that serves requests with keepalive: `answer(request)` gives the bytes of the reply, or None to close."""
    def step(seen):
        take = request()
        while True:
            try:
                take(seen)
            except Closed:
                return
            data = answer(seen.requests[-1])
            if data is None:
                raise _End
            seen.socket.sendall(data)
            if seen.requests[-1].has_word("connection", "close") or b"\nconnection: close" in data.split(b"\r\n\r\n")[0].lower():
                raise _End
    return [step]


def reply(status=200, content=b"", headers=(), length=None, version="HTTP/1.1", reason="X"):
    """A reply as bytes. Content-Length is that of the content unless given (`length=False`: none)."""
    content = content.encode() if isinstance(content, str) else content
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    lines = [f"{version} {status} {reason}"] + [f"{name}: {value}" for name, value in pairs]
    if length is not False and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in pairs):
        lines.append(f"Content-Length: {len(content) if length is None else length}")
    return "\r\n".join(lines + ["", ""]).encode("latin-1") + content


class Listening:
    """Listens from the start, on a claimed port or a unix socket; each connection is served by a thread of its own."""

    def __init__(self, host="127.0.0.1", port=None, unix=None, backlog=128):
        self.connections = []
        self._threads = []
        self._lock = threading.Lock()
        self.unix = unix
        self.port = None if unix else port or claim_port()
        self._address = (host, self.port)
        self._backlog = backlog
        self.listening = None
        self.listen()

    def accepted(self, sock):
        """What `connections` holds of a fresh connection; its `socket` is what is shut down at the end."""
        raise NotImplementedError

    def serve(self, connection):
        """In the thread of the connection, to its end."""
        raise NotImplementedError

    def listen(self):
        """Listens (again): after `refuse` the port is the same."""
        self.listening = socket.socket(socket.AF_UNIX if self.unix else socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET)
        if not self.unix:
            self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind(self.unix or self._address)
        self.listening.listen(self._backlog)
        threading.Thread(target=self._accept, args=(self.listening,), daemon=True).start()

    def refuse(self):
        """Stops listening: connects are refused from now on. Open connections stay."""
        if self.listening:
            # shutdown wakes the thread that waits in accept; close alone would leave the socket listening in its hands.
            self.listening.shutdown(socket.SHUT_RDWR)
            self.listening.close()
            self.listening = None

    def leave(self):
        """As a server that ends: refuses, and its open connections end, too."""
        self.refuse()
        with self._lock:
            connections = list(self.connections)
        for connection in connections:
            try:
                connection.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.leave()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(10)
        if self.port:
            release_port(self.port)

    def wait_connections(self, count, seconds=5):
        wait_until(lambda: len(self.connections) >= count, seconds, f"{count} connections to the upstream")
        return self.connections

    def _accept(self, listening):
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            sock.settimeout(STEP_SECONDS * TIME_SCALE)
            if not self.unix:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:  # stop() finds the connection and a thread that runs, or neither
                connection = self.accepted(sock)
                self.connections.append(connection)
                thread = threading.Thread(target=self.serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()


class Upstream(Listening):
    """`scripts`: one list of steps per connection, the last for all that follow."""

    def __init__(self, *scripts, tls=None, **where):
        self.scripts = list(scripts) or [serve(lambda r: reply(200, r.target))]
        self.tls = tls
        super().__init__(**where)

    @property
    def requests(self):
        """All requests of all connections, in the order of the connections."""
        with self._lock:
            return [r for c in self.connections for r in c.requests]

    @property
    def last(self):
        return self.requests[-1]

    def wait_requests(self, count, seconds=5):
        wait_until(lambda: len(self.requests) >= count, seconds, f"{count} requests to the upstream")
        return self.requests

    def accepted(self, sock):
        return Seen(sock, len(self.connections))

    def serve(self, seen):
        try:
            if self.tls:
                seen.socket = seen.reader.socket = self.tls.wrap_socket(seen.socket, server_side=True)
            for step in self.scripts[min(seen.number, len(self.scripts) - 1)]:
                step(seen)
            seen.reader.rest()
        except _End:
            pass
        except (AssertionError, OSError, ssl.SSLError, ValueError) as problem:
            seen.problem = problem
        seen.closed = True
        seen.socket.close()


class Hosts:
    """Upstreams on one port of several loopback addresses, each answering with its address."""

    def __init__(self, *hosts):
        self.port, self.names = claim_port(), list(hosts)
        self.all = {host: Upstream(serve(lambda r, host=host: reply(200, host)), host=host, port=self.port) for host in hosts}

    def __getitem__(self, host):
        return self.all[host]

    def stop(self):
        for one in self.all.values():
            one.port = None
            one.stop()
        release_port(self.port)


class Refused:
    """A port that nobody listens on, claimed so that nobody will."""

    def __init__(self):
        self.port = claim_port()

    def stop(self):
        release_port(self.port)
