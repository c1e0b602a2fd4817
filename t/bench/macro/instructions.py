#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""User instructions per keepalive request, counted by callgrind: the same whatever else the machine does. Small and proxied, metrics on;
with --case, of those in features.py.

One process (master_process off), one connection. The counters are zeroed after a warm-up, so what is done once is not in
the figure. --profile FILE keeps callgrind's file (callgrind_annotate FILE; --inclusive=yes for whole calls).
"""

import glob
import os
import re
import shutil
import subprocess

import features
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


def counted(subject, requests, profile=None, request=syscalls.REQUEST):
    plain = subject.command()
    subject.command = lambda: [VALGRIND, "--tool=callgrind", f"--callgrind-out-file={subject.prefix}/counts",
                               *plain, "-g", "master_process off;"]
    subject.start_seconds = 60.0
    with subject:
        client = syscalls.Client(subject.port, request)
        syscalls.drive([client], WARM_UP)
        control(subject, "-z")
        syscalls.drive([client], requests)
        control(subject, "-d")
        dump = max(glob.glob(subject.prefix + "/counts.*"), key=os.path.getmtime)
        if profile:
            shutil.copy(dump, profile)
        with open(dump) as f:
            return int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M).group(1)) / requests


def one_process(subject):
    subject.conf = subject.write("counted.conf", open(subject.conf).read().replace("master_process on;", ""))
    return subject


def measure(options, requests=1000, profile=None):
    result = {}
    with subjects.Origin() as origin:
        for name, make in subjects.makers(options, haproxy=False).items():
            result[name] = counted(one_process(make(origin.port)), requests, profile if name == "fairlead" else None)
    return result


def measure_feature(options, case, requests=1000, profile=None):
    """Of one case in features.py."""
    load = {**features.LOADS, **features.OURS_ALONE}[case]
    fields = "".join(line + "\r\n" for line in load.get("fields", ()))
    request = f"GET {load['path']} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode()
    result = {}
    for name, make in features.makers(options).items():
        if name == "fairlead" or case in features.LOADS:
            result[name] = counted(one_process(make()), requests, profile if name == "fairlead" else None, request)
    return result


def show(result, what="small proxied"):
    print(f"user instructions per {what} request")
    subjects.table([[n, round(r)] for n, r in result.items()], ["subject", "instructions"])


def main():
    parser = subjects.arguments(__doc__)
    parser.add_argument("--profile", metavar="FILE")
    parser.add_argument("--case", choices=features.CASES, help="of features.py")
    options = parser.parse_args()
    if options.case:
        result = measure_feature(options, options.case, profile=options.profile)
    else:
        result = measure(options, profile=options.profile)
    show(result, options.case or "small proxied")
    subjects.finish(options, result)


if __name__ == "__main__":
    main()
