# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""HTTP/1 as the tests read it: strict about framing, so that a wrong byte fails the test, and keeping every raw byte."""

import socket


class Closed(AssertionError):
    """The other side ended the connection in the middle of a message (or before one); `raw` is what came."""

    def __init__(self, raw, how):
        super().__init__(f"connection {how} after {len(raw)} bytes: {raw[-200:]!r}")
        self.raw, self.how = raw, how


class Reader:
    """Reads a socket through a buffer and records all that came in `received`."""

    def __init__(self, sock):
        self.socket = sock
        self.buffer = b""
        self.received = b""
        self.ended = None  # None, "closed" or "reset"

    def fill(self):
        """One recv; False at the end of the stream."""
        if self.ended:
            return False
        try:
            piece = self.socket.recv(65536)
        except ConnectionError:
            self.ended = "reset"
            return False
        except (socket.timeout, TimeoutError):
            raise AssertionError(f"nothing came for {self.socket.gettimeout()} s; so far: {self.received[-300:]!r}") from None
        if not piece:
            self.ended = "closed"
            return False
        self.buffer += piece
        self.received += piece
        return True

    def need(self):
        if not self.fill():
            raise Closed(self.received, self.ended)

    def exactly(self, count):
        while len(self.buffer) < count:
            self.need()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def until(self, mark):
        while mark not in self.buffer:
            self.need()
        at = self.buffer.index(mark) + len(mark)
        taken, self.buffer = self.buffer[:at], self.buffer[at:]
        return taken

    def rest(self):
        while self.fill():
            pass
        taken, self.buffer = self.buffer, b""
        return taken


class Message:
    """A request or a reply: first line, headers in order, body, raw bytes. Header names keep their case; look them up without it."""

    def __init__(self, head):
        self.raw_head = head
        lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        self.first_line = lines[0]
        self.headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            assert colon, f"a header line without a colon: {line!r}"
            self.headers.append((name, value.strip(" \t")))
        self.body = b""
        self.chunks = None  # sizes of the chunks, if it was chunked
        self.trailers = []
        self.raw = head

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def header(self, name):
        """The value, None if there is none; more than one is an error of the test or of the server."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands {len(values)} times: {values}"
        return values[0] if values else None

    def has_word(self, name, word):
        return any(word == part.strip().lower() for value in self.all(name) for part in value.split(","))

    def read_body(self, reader, until_close):
        """By the framing of the headers; `until_close` for a reply without any."""
        before = len(reader.received) - len(reader.buffer)
        if self.has_word("transfer-encoding", "chunked"):
            assert not self.all("content-length"), "both Content-Length and Transfer-Encoding"
            self._read_chunks(reader)
        elif self.all("content-length"):
            self.body = reader.exactly(int(self.header("content-length")))
        elif until_close:
            self.body = reader.rest()
            if reader.ended == "reset":
                raise Closed(reader.received, "reset")
        self.raw += reader.received[before:len(reader.received) - len(reader.buffer)]

    def _read_chunks(self, reader):
        self.chunks = []
        while True:
            size = int(reader.until(b"\r\n").split(b";")[0].strip(), 16)
            if size == 0:
                break
            self.chunks.append(size)
            self.body += reader.exactly(size)
            assert reader.exactly(2) == b"\r\n", "a chunk does not end where it says"
        while (line := reader.until(b"\r\n")) != b"\r\n":
            name, _, value = line.decode("latin-1").strip().partition(":")
            self.trailers.append((name, value.strip()))


class Request(Message):
    def __init__(self, head):
        super().__init__(head)
        self.method, self.target, self.version = self.first_line.split(" ")

    @classmethod
    def read(cls, reader):
        request = cls(reader.until(b"\r\n\r\n"))
        request.read_body(reader, until_close=False)
        return request


class Reply(Message):
    def __init__(self, head):
        super().__init__(head)
        self.version, status, *reason = self.first_line.split(" ", 2)
        self.status, self.reason = int(status), reason[0] if reason else ""

    @property
    def text(self):
        return self.body.decode()

    @classmethod
    def read(cls, reader, method="GET"):
        reply = cls(reader.until(b"\r\n\r\n"))
        bare = method == "HEAD" or reply.status < 200 or reply.status in (204, 304) or (method == "CONNECT" and reply.status < 300)
        if not bare:
            reply.read_body(reader, until_close=True)
        return reply
