#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""System calls per proxied request on warm keepalive connections, by name, counted by strace on the worker.

The load is a fixed number of requests on connections that were opened and used before the count begins, so connection set-up is not in
the figures. `data` are the calls that carry bytes; the budget is four.
"""

import re
import signal
import socket
import subprocess
import time

import subjects

DATA_CALLS = {
    "read", "readv", "recv", "recvfrom", "recvmsg", "write", "writev", "send", "sendto", "sendmsg", "sendfile", "splice", "pread64",
}
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"


class Client:
    """One keepalive connection that waits for each whole reply."""

    request = REQUEST

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self):
        self.socket.sendall(self.request)

    def receive(self):
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._some()
        head, _, body = got.partition(b"\r\n\r\n")
        if b"\r\nTransfer-Encoding: chunked" in head:
            while not body.endswith(b"\r\n0\r\n\r\n"):
                body += self._some()
            return
        length = int(re.search(rb"(?i)\r\ncontent-length: (\d+)", head).group(1))
        while len(body) < length:
            body += self._some()
        if not head.startswith(b"HTTP/1.1 200") or len(body) != length:
            raise SystemExit(f"unexpected reply {head!r}")

    def _some(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise SystemExit("the subject closed a keepalive connection")
        return piece


def drive(clients, requests):
    for _ in range(requests // len(clients)):
        for c in clients:
            c.send()
        for c in clients:
            c.receive()


def traced(pid):
    with open(f"/proc/{pid}/status") as f:
        return re.search(r"TracerPid:\s+(\d+)", f.read()).group(1) != "0"


def count(subject, connections, requests):
    clients = [Client(subject.port) for _ in range(connections)]
    drive(clients, 20 * connections)
    report = subject.prefix + "/strace"
    pid = subject.worker_pid()
    strace = subprocess.Popen(["/usr/bin/strace", "-f", "-c", "-o", report, "-p", str(pid)], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 5
        while not traced(pid):
            if time.monotonic() > end or strace.poll() is not None:
                raise SystemExit(f"{subject.name}: strace cannot attach to {pid}")
            time.sleep(0.01)
        drive(clients, requests)
    finally:
        strace.send_signal(signal.SIGINT)
        strace.wait(10)
    calls = {}
    with open(report) as f:
        for line in f:
            row = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
            if row and row.group(2) != "total":
                calls[row.group(2)] = int(row.group(1)) / requests
    for c in clients:
        c.socket.close()
    return {"calls": calls, "data": sum(n for name, n in calls.items() if name in DATA_CALLS), "all": sum(calls.values())}


def measure(options, requests=2000):
    result = {}
    with subjects.Origin() as origin:
        for name, make in subjects.makers(options).items():
            with make(origin.port) as subject:
                result[name] = count(subject, min(options.connections, 8), requests)
    return result


def show(result):
    def most(name):
        return max(r["calls"].get(name, 0.0) for r in result.values())

    names = sorted({n for r in result.values() for n in r["calls"] if most(n) >= 0.001}, key=most, reverse=True)
    rows = [[n] + [r["calls"].get(n, 0.0) for r in result.values()] for n in names]
    rows += [["data calls"] + [r["data"] for r in result.values()], ["all calls"] + [r["all"] for r in result.values()]]
    print("system calls per proxied request")
    subjects.table(rows, ["call"] + list(result))


if __name__ == "__main__":
    subjects.run(__doc__, measure, show)
