# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Starts, pins, observes and stops the servers that the macro benchmarks compare.

What is here: the origin, the subjects (nginx, haproxy, fairlead, a prototype), the accounts that the kernel keeps of their processes,
and wrk. What a benchmark measures and what it prints belongs in the benchmark's own file. Every process started here is owned by the
object that started it and ended by its id in `stop`.
"""

import argparse
import contextlib
import glob
import json
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SUBJECT_CORE = 0
LOAD_CORE = 1
NGINX = "/usr/sbin/nginx"
HAPROXY = "/usr/sbin/haproxy"
WRK = "/usr/bin/wrk"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pin(core):
    """For preexec_fn: the child and all that it forks stay on one core."""
    return lambda: os.sched_setaffinity(0, {core})


def raise_descriptor_limit(wanted):
    """For this process and those it starts. The hard limit is raised too where that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except ValueError:
        if hard < wanted:
            raise SystemExit(f"{wanted} descriptors are needed, the hard limit is {hard}") from None


def wait_for_port(port, process, seconds=10.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"{process.args[0]} ended with {process.returncode} before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.005)
    raise SystemExit(f"{process.args[0]} does not listen on {port} after {seconds} s")


def children_of(pid):
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path) as f:
                found += [int(word) for word in f.read().split()]
        except OSError:
            pass
    return found


def tree_of(pid):
    pids = [pid]
    for p in pids:
        pids += children_of(p)
    return pids


class CpuTime:
    """Processor time of a process tree: `total` in nanoseconds is exact, `user` and `system` are the kernel's split of it, which the
    timer tick samples (4 ms at 250 Hz): trust the split only over several seconds of load."""

    def __init__(self, pids):
        self.total = self.user = self.system = 0
        for pid in pids:
            for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
                with open(path) as f:
                    self.total += int(f.read().split()[0])
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rpartition(")")[2].split()
            self.user += int(fields[11]) * 1_000_000_000 // TICKS_PER_SECOND
            self.system += int(fields[12]) * 1_000_000_000 // TICKS_PER_SECOND

    def since(self, before):
        """(total, user, system) in microseconds; the split is scaled to the exact total."""
        total = (self.total - before.total) / 1000
        user, system = self.user - before.user, self.system - before.system
        share = user / (user + system) if user + system else 0.0
        return total, total * share, total * (1 - share)


def pss_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M).group(1)) * 1024


class Running:
    """One started server: a process, a folder of its own, and a port."""

    name = "?"
    start_seconds = 10.0

    def __init__(self, core):
        self.core = core
        self.prefix = tempfile.mkdtemp(prefix="fairlead-bench-")
        os.chmod(self.prefix, 0o755)
        os.makedirs(self.prefix + "/logs")
        self.port = free_port()
        self.process = None

    def run(self, command):
        log = open(self.prefix + "/output", "wb")
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=pin(self.core))
        log.close()

    def start(self):
        self.run(self.command())
        try:
            wait_for_port(self.port, self.process, self.start_seconds)
        except SystemExit as problem:
            said = open(self.prefix + "/output", errors="replace").read()[-2000:]
            self.stop()
            raise SystemExit(f"{self.name}: {problem}\n{said}") from None
        return self

    def master_pid(self):
        return self.process.pid

    def worker_pid(self):
        """The process that serves: the youngest child, or the process itself where there is no master."""
        children = children_of(self.process.pid)
        return max(children) if children else self.process.pid

    def cpu(self):
        return CpuTime(tree_of(self.process.pid))

    def stop(self):
        if self.process and self.process.poll() is None:
            pids = tree_of(self.process.pid)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                for pid in pids:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                self.process.wait(5)
        shutil.rmtree(self.prefix, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.stop()

    def write(self, name, text):
        path = os.path.join(self.prefix, name)
        with open(path, "w") as f:
            f.write(text)
        return path


# Spelled out so that nginx 1.22 and Fairlead do the same work whatever their defaults are. HEAD and ORIGIN_GROUP open every configuration
# of both; what follows is the benchmark's.
HEAD = """\
daemon off;
master_process on;
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {prefix}/logs/server.pid;
error_log {prefix}/logs/error.log error;
{main}
events {{
    worker_connections {connections};
}}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_temp_path {prefix}/client_body;
    proxy_temp_path {prefix}/proxy;
{http}
"""

ORIGIN_GROUP = """\
    upstream origin {{
        server 127.0.0.1:{origin};
        keepalive {keepalive};
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }}
"""

# /metrics is there because Fairlead counts per server, upstream and peer as soon as something shows it.
PROXY_CONF = HEAD + ORIGIN_GROUP + """\
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /ready {{
            return 200 ready;
        }}
        location = /metrics {{
            stub_status;
        }}
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
{location}
        }}
    }}
}}
"""

NGINX_ONLY_PATHS = "".join(f"    {kind}_temp_path {{prefix}}/{kind};\n" for kind in ("fastcgi", "scgi", "uwsgi"))


class ConfSubject(Running):
    """nginx, or Fairlead in nginx's words."""

    main = ""
    http = ""

    def __init__(self, origin_port, binary, conf=None, location="", keepalive=64, connections=1024):
        super().__init__(SUBJECT_CORE)
        self.binary = binary
        text = conf or PROXY_CONF
        self.conf = self.write("subject.conf", text.format(
            prefix=self.prefix, port=self.port, origin=origin_port, location=location, keepalive=keepalive,
            connections=connections, descriptors=connections + 1024, main=self.main, http=self.http.format(prefix=self.prefix)))

    def command(self):
        return [self.binary, "-p", self.prefix + "/", "-c", self.conf]


class Nginx(ConfSubject):
    name = "nginx"
    main = "user root;" if os.geteuid() == 0 else ""
    http = NGINX_ONLY_PATHS

    def __init__(self, origin_port, binary=NGINX, **options):
        super().__init__(origin_port, binary, **options)


class Fairlead(ConfSubject):
    name = "fairlead"
    main = "user root;" if os.geteuid() == 0 else ""


class Prototype(Running):
    """An engine without configuration: CMD LISTEN_PORT [ORIGIN_PORT]."""

    name = "fairlead"

    def __init__(self, origin_port, command):
        super().__init__(SUBJECT_CORE)
        self.words = command.split() + [str(self.port)] + ([str(origin_port)] if origin_port else [])

    def command(self):
        return self.words


HAPROXY_CONF = """\
global
    nbthread 1
    no strict-limits
    maxconn {connections}
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    option http-keep-alive
    http-reuse always
frontend front
    bind 127.0.0.1:{port} backlog 4096
    default_backend back
backend back
    server origin 127.0.0.1:{origin} pool-max-conn {keepalive}
"""


class Haproxy(Running):
    name = "haproxy"

    def __init__(self, origin_port, keepalive=64, connections=1024, **unused):
        super().__init__(SUBJECT_CORE)
        self.conf = self.write("haproxy.cfg", HAPROXY_CONF.format(
            port=self.port, origin=origin_port, keepalive=keepalive, connections=connections))

    def command(self):
        return [HAPROXY, "-db", "-f", self.conf]


ORIGIN_CONF = HEAD + """\
    sendfile on;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {prefix}/files;
        location = / {{
            default_type text/plain;
            return 200 {small};
        }}
    }}
}}
"""


class Origin(Running):
    """Debian's nginx on the core of the load: `/` gives 256 bytes, /64k and /1m give files."""

    name = "origin"

    def __init__(self):
        super().__init__(LOAD_CORE)
        os.makedirs(self.prefix + "/files")
        for name, size in (("64k", 64 << 10), ("1m", 1 << 20)):
            self.write("files/" + name, "x" * size)
        self.conf = self.write("origin.conf", ORIGIN_CONF.format(
            prefix=self.prefix, port=self.port, small="x" * 256, main=Nginx.main, http=NGINX_ONLY_PATHS.format(prefix=self.prefix),
            connections=16384, descriptors=20000))

    def command(self):
        return [NGINX, "-p", self.prefix + "/", "-c", self.conf]


def _microseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6, "m": 60e6}[unit]


def wrk(port, path="/", connections=32, seconds=4.0, fields=()):
    """One run of load from the load's core; gives requests, per second, p50/p90/p99 in microseconds. `fields` are header lines. Any error
    of any request ends the benchmark: a ratio over failed requests means nothing."""
    whole = max(1, round(seconds))
    more = [word for line in fields for word in ("-H", line)]
    out = subprocess.run(
        [WRK, "-t1", f"-c{connections}", f"-d{whole}s", "--timeout", "10s", "--latency", *more, f"http://127.0.0.1:{port}{path}"],
        capture_output=True, text=True, timeout=whole + 60, preexec_fn=pin(LOAD_CORE)).stdout
    requests = re.search(r"(\d+) requests in ([\d.]+\w+),", out)
    if not requests or "Socket errors" in out or "Non-2xx" in out or int(requests.group(1)) == 0:
        raise SystemExit(f"wrk met errors:\n{out}")
    percentile = {name: _microseconds(value) for name, value in re.findall(r"^\s+(\d+)%\s+(\S+)$", out, re.M)}
    count = int(requests.group(1))
    return {"requests": count, "per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
            "p50_us": percentile["50"], "p90_us": percentile["90"], "p99_us": percentile["99"]}


def measured_load(subject, **load):
    """wrk with the subject's processor time per request added."""
    before = subject.cpu()
    result = wrk(subject.port, **load)
    total, user, system = subject.cpu().since(before)
    for name, value in (("total_us", total), ("user_us", user), ("system_us", system)):
        result[name] = value / result["requests"]
    return result


def median_of(rounds, key):
    return statistics.median(r[key] for r in rounds)


def ratio_of(mine, theirs, key):
    """Median over the rounds of mine/theirs: rounds alternate, so both sides of one quotient saw the same machine."""
    return statistics.median(a[key] / b[key] for a, b in zip(mine, theirs) if b[key])


def arguments(description, **defaults):
    """The parser that every benchmark starts from."""
    parser = argparse.ArgumentParser(description=description)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--binary", help="a built fairlead, started with a configuration file")
    which.add_argument("--prototype", metavar="CMD", help="run as CMD LISTEN_PORT ORIGIN_PORT")
    parser.add_argument("--seconds", type=float, default=defaults.get("seconds", 4), help="of each run")
    parser.add_argument("--rounds", type=int, default=defaults.get("rounds", 5))
    parser.add_argument("--connections", type=int, default=defaults.get("connections", 32))
    parser.add_argument("--json", metavar="FILE", help="write the results here too")
    return parser


PROCESSOR_TIME = ("per_second", "total_us", "user_us", "system_us")


def show_processor_time(title, rounds):
    """Medians of each subject and the ratio to nginx; gives what the results keep."""
    print(title)
    table([[name, *(median_of(r, k) for k in PROCESSOR_TIME)] for name, r in rounds.items()],
          ["subject", "per s", "total us", "user us", "system us"])
    if "fairlead" not in rounds:
        return {"rounds": rounds}
    ratio = {k: ratio_of(rounds["fairlead"], rounds["nginx"], k) for k in PROCESSOR_TIME}
    table([["fairlead/nginx", *ratio.values()]], ["ratio", "per s", "total", "user", "system"])
    return {"rounds": rounds, "ratio": ratio}


def makers(options, haproxy=True, **settings):
    """name -> function(origin_port) that gives a subject not yet started, in the order of the turns."""
    found = {"nginx": lambda origin: Nginx(origin, **settings)}
    if haproxy:
        found["haproxy"] = lambda origin: Haproxy(origin, **settings)
    if options.binary:
        found["fairlead"] = lambda origin: Fairlead(origin, os.path.abspath(options.binary), **settings)
    elif options.prototype:
        found["fairlead"] = lambda origin: Prototype(origin, options.prototype)
    return found


@contextlib.contextmanager
def all_running(starters):
    """`starters`: name -> function that gives a subject not yet started. Gives name -> subject, all of them running."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(make()) for name, make in starters.items()}


def in_turns(rounds, cases, measure):
    """name -> what measure(case) gave in each round. The cases alternate, so that all of one round saw the same machine."""
    found = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            found[name].append(measure(case))
    return found


def run(description, measure, show, **defaults):
    """The whole of a benchmark that takes no options but those of all."""
    options = arguments(description, **defaults).parse_args()
    result = measure(options)
    show(result)
    finish(options, result)


def finish(options, result):
    if options.json:
        with open(options.json, "w") as f:
            json.dump(result, f, indent=1)
            f.write("\n")
    return result


def table(rows, head):
    """Prints rows of words and numbers in columns."""
    text = [[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in [head] + rows]
    widths = [max(len(row[i]) for row in text) for i in range(len(head))]
    for row in text:
        print("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))))
    sys.stdout.flush()
