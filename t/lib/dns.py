# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A name server that says what a test wants, over UDP and TCP on one port, and remembers what it was asked.

    names = NameServer({"one.test": [("A", "127.0.0.2", 1)], "two.test": [("CNAME", "one.test", 60)]})
    names.answers["one.test"] = [("A", "127.0.0.3", 1)]      # from now on
    names.answers["gone.test"] = SERVFAIL
    names.answers["half.test", "AAAA"] = SERVFAIL            # of this type, whatever is said of the name
    names.answers["_http._tcp.x.test"] = [("SRV", (0, 5, 8080, "one.test"), 1)]   # priority, weight, port, target

A name that is not there does not exist (NXDOMAIN). `truncate` names are cut short over UDP, `silent` ones are not answered.
"""

import contextlib
import socket
import struct
import threading

from lib.ports import claim_port, release_port, wait_until

SERVFAIL, NXDOMAIN, REFUSED = 2, 3, 5
_TYPES = {"A": 1, "CNAME": 5, "AAAA": 28, "SRV": 33}


def _encode(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part) + b"\0"


def _data(kind, value):
    if kind == "CNAME":
        return _encode(value)
    if kind == "SRV":
        return struct.pack("!HHH", *value[:3]) + _encode(value[3])
    return socket.inet_pton(socket.AF_INET if kind == "A" else socket.AF_INET6, value)


def a(*addresses, ttl=1):
    """Records of one name."""
    return [("A", address, ttl) for address in addresses]


class NameServer:
    def __init__(self, answers=(), truncate=(), silent=()):
        self.answers = dict(answers)
        self.truncate, self.silent = set(truncate), set(silent)
        self.questions = []  # (name as asked, type, "udp" or "tcp")
        self.port = claim_port()
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        self._tcp = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve_udp, daemon=True).start()
        threading.Thread(target=self._serve_tcp, daemon=True).start()

    def stop(self):
        for sock in (self._udp, self._tcp):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        release_port(self.port)

    def asked(self, name, kind="A"):
        """How often."""
        return sum(1 for asked, what, _ in self.questions if asked.lower() == name and what == kind)

    def wait_asked(self, name, count=1, kind="A", seconds=10):
        wait_until(lambda: self.asked(name, kind) >= count, seconds, f"{count} questions for {name}")

    def _serve_udp(self):
        while True:
            try:
                data, peer = self._udp.recvfrom(4096)
                if not data:
                    return
                answer = self._answer(data, "udp")
                if answer:
                    self._udp.sendto(answer, peer)
            except OSError:
                return

    def _serve_tcp(self):
        while True:
            try:
                conn, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_stream, args=(conn,), daemon=True).start()

    def _serve_stream(self, conn):
        # Who asks may be killed in the middle of it.
        with conn, conn.makefile("rb") as stream, contextlib.suppress(ConnectionError):
            while len(size := stream.read(2)) == 2:
                answer = self._answer(stream.read(struct.unpack("!H", size)[0]), "tcp")
                if answer:
                    conn.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, data, how):
        ident, flags, _, _, _, _ = struct.unpack("!6H", data[:12])
        parts, at = [], 12
        while data[at]:
            parts.append(data[at + 1:at + 1 + data[at]].decode())
            at += 1 + data[at]
        kind_number = struct.unpack("!H", data[at + 1:at + 3])[0]
        question = data[12:at + 5]
        name = ".".join(parts)
        kind = {number: word for word, number in _TYPES.items()}.get(kind_number, str(kind_number))
        self.questions.append((name, kind, how))
        if name.lower() in self.silent:
            return None
        records, code = self._records(name.lower(), kind)
        cut = how == "udp" and name.lower() in self.truncate
        head = struct.pack("!6H", ident, 0x8180 | (0x0200 if cut else 0) | code, 1, 0 if cut else len(records), 0, 0)
        body = b""
        for owner, what, value, ttl in records if not cut else ():
            content = _data(what, value)
            body += _encode(owner) + struct.pack("!HHIH", _TYPES[what], 1, ttl, len(content)) + content
        return head + question + body

    def _records(self, name, kind):
        """The chain of aliases from `name` and the addresses at its end, as one answer."""
        found, code = [], 0
        for _ in range(16):
            known = self.answers.get((name, kind), self.answers.get(name, NXDOMAIN))
            if isinstance(known, int):
                return found, 0 if found else known
            alias = [r for r in known if r[0] == "CNAME"]
            found += [(name, *r) for r in known if r[0] in (kind, "CNAME")]
            if not alias:
                return found, code
            name = alias[0][1]
        return found, code
