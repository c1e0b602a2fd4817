#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""How often an idle worker wakes up: its voluntary context switches in some seconds in which nothing comes.

Some client connections stay open, and with them connections to the origin, so that timers of idle connections are armed.
"""

import re
import time

import subjects
import syscalls


def switches(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M).group(1))


def measure(options, connections=20):
    result = {}
    with subjects.Origin() as origin:
        for name, make in subjects.makers(options, haproxy=False).items():
            with make(origin.port) as subject:
                clients = [syscalls.Client(subject.port) for _ in range(connections)]
                syscalls.drive(clients, 10 * connections)
                time.sleep(1)
                pids = {subject.worker_pid(), subject.master_pid()}
                before = sum(switches(p) for p in pids)
                time.sleep(options.seconds)
                result[name] = {"seconds": options.seconds, "wakes": sum(switches(p) for p in pids) - before}
                syscalls.drive(clients, connections)  # they were there all the time
    return result


def show(result):
    print("wake-ups of the idle processes")
    subjects.table([[n, r["seconds"], r["wakes"]] for n, r in result.items()], ["subject", "seconds", "wake-ups"])


if __name__ == "__main__":
    subjects.run(__doc__, measure, show, seconds=5)
