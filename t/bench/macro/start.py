#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Milliseconds from exec to the first answer, and from the SIGKILL of the worker to the next answer."""

import os
import signal
import socket
import subprocess
import time

import subjects

REQUEST = b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def answer_time(port, seconds=10.0):
    """Asks until a whole 200 comes; gives the moment of the answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as s:
                s.sendall(REQUEST)
                got = b""
                while piece := s.recv(4096):
                    got += piece
                if got.startswith(b"HTTP/1.1 200"):
                    return time.monotonic()
        except OSError:
            pass
    raise SystemExit(f"no answer within {seconds} s")


def first_answer_ms(make, origin_port):
    subject = make(origin_port)
    try:
        with open(subject.prefix + "/output", "wb") as log:
            started = time.monotonic()
            # taskset in place of preexec_fn: Popen then uses vfork, and the fork of this interpreter is not in the figure.
            subject.process = subprocess.Popen(["/usr/bin/taskset", "-c", str(subject.core)] + subject.command(), stdout=log, stderr=log)
        return (answer_time(subject.port) - started) * 1000
    finally:
        subject.stop()


def respawn_ms(make, origin_port):
    with make(origin_port) as subject:
        answer_time(subject.port)
        worker = subject.worker_pid()
        if worker == subject.master_pid():
            return None
        killed = time.monotonic()
        os.kill(worker, signal.SIGKILL)
        took = (answer_time(subject.port) - killed) * 1000
        if subject.worker_pid() == worker:
            raise SystemExit("the killed worker still lives")
        return took


def measure(options):
    result = {}
    with subjects.Origin() as origin:
        makers = {n: m for n, m in subjects.makers(options, haproxy=False).items()}
        for _ in range(options.rounds):
            for name, make in makers.items():
                result.setdefault(name, {"start_ms": [], "respawn_ms": []})
                result[name]["start_ms"].append(first_answer_ms(make, origin.port))
                result[name]["respawn_ms"].append(respawn_ms(make, origin.port))
    for r in result.values():
        for key in ("start_ms", "respawn_ms"):
            known = [v for v in r[key] if v is not None]
            r["median_" + key] = subjects.statistics.median(known) if known else None
    return result


def show(result):
    print("milliseconds until an answer")
    rows = [[n, r["median_start_ms"], max(r["start_ms"]), "-" if r["median_respawn_ms"] is None else r["median_respawn_ms"]]
            for n, r in result.items()]
    subjects.table(rows, ["subject", "start median", "start worst", "after SIGKILL of the worker"])


if __name__ == "__main__":
    subjects.run(__doc__, measure, show, rounds=10)
