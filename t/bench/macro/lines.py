#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The cache lines that one small request touches in a steady state, one by one: whose they are, and how much of each is used.

One process (master_process off), one connection, traced by valgrind's lackey. A line of data belongs to a part of memory and to the
function that touches it first; a line of code to the function that most of it belongs to. `--what` names the request
(instructions.py): `proxied` takes two turns of the loop, what the server answers by itself one (`--turns 1`). A binary keeps its
symbols for that.
"""

import bisect
import collections
import os
import re
import signal
import subprocess
import time

import instructions
import subjects
import syscalls
import tls

LINE = instructions.CACHE_LINE
REQUESTS = 8
TAIL_BYTES = 12_000_000  # of the trace: more than the last requests


def traced(subject, kind):
    """The trace's end and the map of the process."""
    fifo, kept = subject.prefix + "/trace", subject.prefix + "/kept"
    os.mkfifo(fifo)
    plain = subject.command()
    subject.command = lambda: [instructions.VALGRIND, "--tool=lackey", "--trace-mem=yes", f"--log-file={fifo}", *plain,
                               "-g", "master_process off;"]
    subject.start_seconds = 300.0
    with open(kept, "wb") as to:
        tail = subprocess.Popen(["/usr/bin/tail", "-c", str(TAIL_BYTES), fifo], stdout=to)
    with subject:
        client = kind.client(subject.port)
        client.request = kind.request
        client.socket.settimeout(60)
        syscalls.drive([client], 40 + REQUESTS)
        time.sleep(0.5)  # until it waits for the next one
        with open(f"/proc/{subject.worker_pid()}/maps") as f:
            maps = f.read()
        os.kill(subject.worker_pid(), signal.SIGKILL)  # an orderly end would be traced, too
        tail.wait()
        with open(kept, errors="replace") as f:
            return re.findall(r"^(I |[ ]L|[ ]S|[ ]M)\s+([0-9a-f]+),(\d+)$", f.read(), re.M), maps


class Places:
    """What lies where in the process."""

    def __init__(self, maps):
        self.maps, self.symbols, self.known = [], {}, {}
        for begin, end, offset, path in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) \S+ \d+ *(.*)$", maps, re.M):
            self.maps.append((int(begin, 16), int(end, 16), int(offset, 16), path))
        self.base = {}
        for begin, _, offset, path in self.maps:
            self.base.setdefault(path, begin - offset)
        self.main = self.maps[0][3]

    def table(self, path):
        if path not in self.symbols:
            rows = []
            for options in (["-n"], ["-n", "-D"]):
                out = subprocess.run(["/usr/bin/nm", "-C", "--defined-only", *options, path], capture_output=True, text=True).stdout
                rows = rows or [(int(at, 16), name) for at, name in re.findall(r"^([0-9a-f]+) \S (.*)$", out, re.M)]
            out = subprocess.run(["/usr/bin/readelf", "-SW", path], capture_output=True, text=True).stdout
            sections = re.findall(r"\] (\S+) +\S+ +([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)", out)
            self.symbols[path] = rows, [(int(at, 16), int(at, 16) + int(size, 16), name) for name, at, size in sections]
        return self.symbols[path]

    def at(self, address):
        """(part of memory, symbol)."""
        here = next((m for m in self.maps if m[0] <= address < m[1]), None)
        path = here[3] if here else ""
        if not path and self.maps[0][0] <= address < self.maps[0][0] + (1 << 24):
            path = self.main  # .bss
        if not path.startswith("/"):
            return path or "memory", "-"
        rows, sections = self.table(path)
        address -= self.base[path]
        section = next((name for begin, end, name in sections if begin <= address < end), "?")
        found = bisect.bisect_right(rows, (address, "\x7f")) - 1
        name = rows[found][1] if found >= 0 else "?"
        return f"{os.path.basename(path)} {section}", re.sub(r"\(anonymous namespace\)::|fairlead::|(?<!\boperator)\((?!anon).*", "", name)

    def function(self, address):
        if address not in self.known:
            self.known[address] = self.at(address)[1]
        return self.known[address]


def lines_of(trace):
    """code: line -> addresses of its used bytes; data: line -> (address of the first code to touch it, whether it is written)."""
    code, data, at = collections.defaultdict(set), {}, 0
    for kind, address, size in trace:
        address, size = int(address, 16), int(size)
        if kind[0] == "I":
            at = address
            for byte in range(address, address + size):
                code[byte // LINE].add(byte)
        else:
            for line in {address // LINE, (address + size - 1) // LINE}:
                first, written = data.get(line, (at, False))
                data[line] = first, written or kind != " L"
    return code, data


def show(trace, maps, turns):
    places = Places(maps)
    waits = [i for i, (kind, address, _) in enumerate(trace) if kind == "I " and "epoll_wait" in places.function(int(address, 16))]
    waits = [i for n, i in enumerate(waits) if n == 0 or i - waits[n - 1] > 100]  # where each begins
    request = trace[waits[-1 - 2 * turns]:waits[-1 - turns]]
    code, data = lines_of(request)
    print(f"instructions {sum(kind == 'I ' for kind, _, _ in request)}, lines of code {len(code)} "
          f"({sum(map(len, code.values())) / len(code) / LINE:.0%} used), of data {len(data)}")
    rows = collections.defaultdict(list)
    for used in code.values():
        rows[collections.Counter(map(places.function, used)).most_common(1)[0][0]].append(len(used))
    subjects.table([[name[:90], len(used), f"{sum(used) / len(used) / LINE:.0%}"]
                    for name, used in sorted(rows.items(), key=lambda row: -len(row[1]))], ["function", "lines of code", "used"])
    rows = collections.Counter((places.at(line * LINE)[0], places.function(first)[:70], written) for line, (first, written) in data.items())
    subjects.table([[part, name, "yes" if written else "", count] for (part, name, written), count in sorted(rows.items())],
                   ["data in", "touched first by", "written", "lines"])


def main():
    parser = subjects.arguments(__doc__)
    parser.add_argument("--what", choices=instructions.KINDS, default="proxied")
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    kind = instructions.KINDS[options.what]
    with subjects.Origin() as origin, tls.certificates() as folder:
        make = kind.nginx if not options.binary else lambda port, **more: subjects.Fairlead(port, os.path.abspath(options.binary), **more)
        trace, maps = traced(instructions.subject_of(make, origin.port, kind, folder), kind)
    show(trace, maps, options.turns)


if __name__ == "__main__":
    main()
