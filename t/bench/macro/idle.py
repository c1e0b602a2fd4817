#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Process memory per idle keepalive connection: the worker's PSS before and after N connections that made one request each.

Kernel memory of the sockets is the same for all and is not counted. Connections come from several source addresses, and their ports are
chosen when the destination is known: N may exceed the range of local ports, and what other subjects left in TIME_WAIT is not in the way.
"""

import socket
import time

import subjects

PER_SOURCE_ADDRESS = 10000
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h; not in Python's socket before 3.12
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def open_idle(port, total, wrap):
    held = []
    for i in range(total):
        s = socket.socket()
        s.settimeout(10)
        s.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        s.bind((f"127.0.0.{2 + i // PER_SOURCE_ADDRESS}", 0))
        s.connect(("127.0.0.1", port))
        s = wrap(s)
        s.sendall(REQUEST)
        reply = s.recv(4096)
        if not reply.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"connection {i}: unexpected reply {reply[:100]!r}")
        held.append(s)
    return held


def still_open(held):
    """How many of a sample of the connections still answer: memory of closed connections would be a false success."""
    good = 0
    sample = held[:: max(1, len(held) // 50)]
    for s in sample:
        s.sendall(REQUEST)
        good += s.recv(4096).startswith(b"HTTP/1.1 200")
    return good == len(sample)


def measure_one(subject, total, settle, wrap=lambda s: s):
    """`wrap`: what makes a connection of a connected socket, TLS for one."""
    warm = open_idle(subject.port, 200, wrap)
    for s in warm:
        s.close()
    time.sleep(1)
    worker, master = subject.worker_pid(), subject.master_pid()
    before = subjects.pss_bytes(worker)
    held = open_idle(subject.port, total, wrap)
    time.sleep(settle)
    after = subjects.pss_bytes(worker)
    result = {"worker_pss_before": before, "worker_pss_after": after, "bytes_per_connection": (after - before) / total,
              "all_open": still_open(held)}
    if master != worker:
        result["master_pss"] = subjects.pss_bytes(master)
    for s in held:
        s.close()
    return result


def measure(options, total=10000, settle=2.0):
    # The client ends are in this process, the server ends in the subject, which inherits the limit; idle clients hold no upstream.
    subjects.raise_descriptor_limit(total + 2000)
    result = {}
    with subjects.Origin() as origin:
        for name, make in subjects.makers(options, connections=total + 1024).items():
            with make(origin.port) as subject:
                result[name] = measure_one(subject, total, settle)
    return result


def show(result, total, what="keepalive"):
    print(f"memory of {total} idle {what} connections")
    rows = [[n, r["worker_pss_before"] / 1024, r["worker_pss_after"] / 1024, r["bytes_per_connection"] / 1024,
             "yes" if r["all_open"] else "NO"]
            for n, r in result.items()]
    subjects.table(rows, ["subject", "PSS before KiB", "PSS after KiB", "KiB/connection", "all open"])


def main():
    parser = subjects.arguments(__doc__)
    parser.add_argument("--total", type=int, default=10000, help="idle connections")
    parser.add_argument("--settle", type=float, default=2.0, help="seconds between the last request and the look at the memory")
    options = parser.parse_args()
    result = measure(options, options.total, options.settle)
    show(result, options.total)
    subjects.finish(options, result)


if __name__ == "__main__":
    main()
