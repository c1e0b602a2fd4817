#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""User instructions per small request on a keepalive connection, counted by callgrind: the same whatever else the machine does.

One process (master_process off), one connection, metrics on. The counters are zeroed after a warm-up, so what is done once is not in
the figure. `--what` names the request: proxied, proxied behind TLS, with a hook in Lua, or one of features.py. `--profile FILE` keeps
callgrind's file and prints what each function costs itself, and how many cache lines of code it has. A binary keeps its symbols for that.
"""

import collections
import glob
import os
import re
import shutil
import ssl
import subprocess

import features
import lua
import subjects
import syscalls
import tls

VALGRIND = "/usr/bin/valgrind"
CONTROL = "/usr/bin/callgrind_control"
WARM_UP = 200
CACHE_LINE = 64
FUNCTIONS_SHOWN = 80


class TlsClient(syscalls.Client):
    def __init__(self, port):
        super().__init__(port)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)


class What:
    """One kind of request: where it goes, who sends it, and the configuration that serves it (None: that of subjects)."""

    def __init__(self, path="/", client=syscalls.Client, conf=None, nginx=subjects.Nginx, fields=(), ours_alone=False):
        self.path, self.client, self.conf, self.nginx, self.ours_alone = path, client, conf, nginx, ours_alone
        self.request = syscalls.REQUEST.replace(b"GET / ", f"GET {path} ".encode())
        self.request = self.request[:-2] + "".join(line + "\r\n" for line in fields).encode() + b"\r\n"


KINDS = {
    "proxied": What(),
    "tls": What(client=TlsClient, conf=tls.CONF),
    "plain": What("/plain", conf=lua.CONF, nginx=lua.LuaNginx),
    "lua_access": What("/access", conf=lua.CONF, nginx=lua.LuaNginx),
    "lua_content": What("/content", conf=lua.CONF, nginx=lua.LuaNginx),
    "lua_header_filter": What("/header_filter", conf=lua.CONF, nginx=lua.LuaNginx),
    **{case: What(conf=features.conf(""), nginx=features.CompilingNginx, **load) for case, load in features.LOADS.items()},
    **{case: What(conf=features.conf(features.OURS), ours_alone=True, **load) for case, load in features.OURS_ALONE.items()},
}


def can_count():
    return all(os.access(tool, os.X_OK) for tool in (VALGRIND, CONTROL))


def control(subject, *words):
    subprocess.run([CONTROL, *words, str(subject.worker_pid())], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def counted(subject, what, requests, profile=None):
    plain = subject.command()
    subject.command = lambda: [VALGRIND, "--tool=callgrind", "--dump-instr=yes", f"--callgrind-out-file={subject.prefix}/counts",
                               *plain, "-g", "master_process off;"]
    subject.start_seconds = 60.0
    with subject:
        client = what.client(subject.port)
        client.request = what.request
        syscalls.drive([client], WARM_UP)
        control(subject, "-z")
        syscalls.drive([client], requests)
        control(subject, "-d")
        dump = max(glob.glob(subject.prefix + "/counts.*"), key=os.path.getmtime)
        if profile:
            shutil.copy(dump, profile)
        with open(dump) as f:
            return int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M).group(1)) / requests


def subject_of(make, origin_port, what, certificates):
    settings = {"conf": what.conf.replace("CERTS", certificates)} if what.conf else {}
    subject = features.made(make(origin_port, **settings))
    conf = open(subject.conf).read().replace("master_process on;", "")
    subject.conf = subject.write("counted.conf", conf)
    return subject


def measure(options, requests=1000, what="proxied", profile=None):
    kind, result = KINDS[what], {}
    with subjects.Origin() as origin, tls.certificates() as folder:
        makers = {} if kind.ours_alone else {"nginx": kind.nginx}
        if options.binary:
            makers["fairlead"] = lambda port, **more: subjects.Fairlead(port, os.path.abspath(options.binary), **more)
        for name, make in makers.items():
            result[name] = counted(subject_of(make, origin.port, kind, folder), kind, requests, profile if name == "fairlead" else None)
    return result


class Profile:
    """What callgrind's file says of each function: instructions of its own, calls, and the lines of code that ran. (callgrind_annotate
    makes nothing of a file whose counters were zeroed in the middle of the calls.)"""

    def __init__(self, path):
        self.names, self.places = {}, [0, 0]
        self.cost, self.calls, self.lines = collections.Counter(), collections.Counter(), collections.defaultdict(set)
        function = called = code = None
        is_call = False
        with open(path) as f:
            for line in f:
                key, is_word, value = line.rstrip("\n").partition("=")
                if is_word and key in ("fn", "cfn", "ob", "fl", "fi", "fe", "cfi", "cfl", "cob"):
                    name = self.name("f" if "f" in key and "n" in key else "o" if key.endswith("ob") else "s", value)
                    if key == "fn":
                        function = name
                    elif key == "cfn":
                        called = name
                    elif key == "ob":
                        code = name
                elif is_word and key == "calls":
                    self.calls[called] += int(value.split()[0])
                    is_call = True
                elif re.match(r"[0-9+*-]", line):
                    words = line.split()
                    at = self.place(0, words[0])
                    self.place(1, words[1])
                    if not is_call:
                        self.cost[function] += int(words[2])
                        self.lines[function].add((code, at // CACHE_LINE))
                    is_call = False

    def name(self, table, text):
        number, name = re.match(r"\((\d+)\)(?: (.*))?", text).groups()
        if name:
            self.names[table + number] = name
        return self.names[table + number]

    def place(self, which, text):
        number = int(text.lstrip("+-*") or "0", 0)
        if text[0] in "+-*":
            number = self.places[which] + (-number if text[0] == "-" else number)
        self.places[which] = number
        return number

    def show(self, requests):
        print(f"cache lines of code: {len(set().union(*self.lines.values()))}")
        rows = [[name[:110], round(cost / requests), round(self.calls[name] / requests, 2), len(self.lines[name])]
                for name, cost in self.cost.most_common(FUNCTIONS_SHOWN)]
        subjects.table(rows, ["function", "self", "calls", "lines"])


def show(result, what="proxied"):
    print(f"user instructions per small request, {what}")
    subjects.table([[n, round(r)] for n, r in result.items()], ["subject", "instructions"])


def main():
    parser = subjects.arguments(__doc__)
    parser.add_argument("--what", choices=KINDS, default="proxied")
    parser.add_argument("--profile", metavar="FILE")
    options = parser.parse_args()
    requests = 1000
    result = measure(options, requests, options.what, options.profile)
    show(result, options.what)
    if options.profile:
        Profile(options.profile).show(requests)
    subjects.finish(options, result)


if __name__ == "__main__":
    main()
