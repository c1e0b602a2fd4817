#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""User instructions per small proxied keepalive request, counted by callgrind: the same whatever else the machine does.

One process (master_process off), one connection, metrics on. The counters are zeroed after a warm-up, so what is done once is not in
the figure. --profile FILE keeps callgrind's file (callgrind_annotate FILE; --inclusive=yes for whole calls).
"""

import glob
import os
import re
import shutil
import subprocess

import subjects
import syscalls

VALGRIND = "/usr/bin/valgrind"
CONTROL = "/usr/bin/callgrind_control"
WARM_UP = 200


def can_count():
    return all(os.access(tool, os.X_OK) for tool in (VALGRIND, CONTROL))


def control(subject, *words):
    subprocess.run([CONTROL, *words, str(subject.worker_pid())], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def counted(subject, requests, profile=None):
    plain = subject.command()
    subject.command = lambda: [VALGRIND, "--tool=callgrind", f"--callgrind-out-file={subject.prefix}/counts",
                               *plain, "-g", "master_process off;"]
    subject.start_seconds = 60.0
    with subject:
        client = syscalls.Client(subject.port)
        syscalls.drive([client], WARM_UP)
        control(subject, "-z")
        syscalls.drive([client], requests)
        control(subject, "-d")
        dump = max(glob.glob(subject.prefix + "/counts.*"), key=os.path.getmtime)
        if profile:
            shutil.copy(dump, profile)
        with open(dump) as f:
            return int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M).group(1)) / requests


def measure(options, requests=1000, profile=None):
    result = {}
    with subjects.Origin() as origin:
        for name, make in subjects.makers(options, haproxy=False).items():
            subject = make(origin.port)
            subject.conf = subject.write("counted.conf", open(subject.conf).read().replace("master_process on;", ""))
            result[name] = counted(subject, requests, profile if name == "fairlead" else None)
    return result


def show(result):
    print("user instructions per small proxied request")
    subjects.table([[n, round(r)] for n, r in result.items()], ["subject", "instructions"])


def main():
    parser = subjects.arguments(__doc__)
    parser.add_argument("--profile", metavar="FILE")
    options = parser.parse_args()
    result = measure(options, profile=options.profile)
    show(result)
    subjects.finish(options, result)


if __name__ == "__main__":
    main()
