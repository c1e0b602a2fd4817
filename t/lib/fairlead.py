# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The server under test: its folder, its process, its log, its end.

FAIRLEAD_BINARY names the binary; any server with nginx's command line will do. The configuration is the test's own text with %%NAME%%
places: %%PORT_0%%, %%PORT_1%%, ... are claimed here, %%PREFIX%% is the server's folder, all others are given as keywords.
What a test does not say is given on the command line (-g), so that line numbers in the test's text stay: daemon off, pid, error_log,
and user root when the tests run as root.
"""

import ctypes
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from lib.ports import TIME_SCALE, claim_port, release_port, wait_until

_HERE = os.path.dirname(os.path.abspath(__file__))
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
BAD_LOG_LINE = re.compile(
    r"\[(?:alert|emerg)\]|AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:|assertion failed", re.I)


def default_binary():
    named = os.environ.get("FAIRLEAD_BINARY")
    if named:
        return named
    for build in ("dev", "release", "asan"):
        path = os.path.join(_HERE, "../../build", build, "fairlead")
        if os.path.exists(path):
            return os.path.abspath(path)
    raise AssertionError("no binary: build one or set FAIRLEAD_BINARY")


def _end_with_parent():
    # A test run that is killed must not leave a master behind; TERM lets the master end its workers.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def children_of(pid):
    """The kernel may leave out a child while another one ends: what two looks in a row agree on is the list."""
    found = _look_for_children(pid)
    while (again := _look_for_children(pid)) != found:
        found = again
    return found


def _look_for_children(pid):
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path) as f:
                found += [int(word) for word in f.read().split()]
        except OSError:
            pass
    return found


def title_of(pid):
    """What ps shows, or "" when the process is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


class Server:
    """Made stopped; `start` gives it back running. `stop` ends it and asserts that it ran clean."""

    def __init__(self, conf, binary=None, files=None, log_level="info", allow_log=(), **names):
        self.binary = binary or default_binary()
        self.prefix = tempfile.mkdtemp(prefix="fairlead-test-")
        os.chmod(self.prefix, 0o755)
        for folder in ("logs", "html"):
            os.mkdir(os.path.join(self.prefix, folder))
        self.ports = []
        self.names = {"PREFIX": self.prefix, **names}
        self.log_level, self.allow_log = log_level, [re.compile(p) for p in allow_log]
        self.process = None
        self.pass_fds = ()  # descriptors that the process gets besides
        self.was_started = False
        self.conf_path = os.path.join(self.prefix, "test.conf")
        for name, content in (files or {}).items():
            self.write(name, content)
        self.set_conf(conf)

    # -- what stands on the disk

    def write(self, name, content):
        path = os.path.join(self.prefix, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        return path

    def read(self, name):
        with open(os.path.join(self.prefix, name), errors="replace") as f:
            return f.read()

    def set_conf(self, conf):
        """Writes the configuration for the next start or reload."""
        self.conf = re.sub(r"%%(\w+)%%", lambda m: str(self._value(m.group(1))), conf)
        self.write("test.conf", self.conf)

    def _value(self, name):
        port = re.fullmatch(r"PORT_(\d+)", name)
        if not port:
            return self.names[name]
        while len(self.ports) <= int(port.group(1)):
            self.ports.append(claim_port())
        return self.ports[int(port.group(1))]

    @property
    def port(self):
        return self.ports[0]

    # -- running

    def globals(self):
        given = {"daemon": "daemon off", "pid": f"pid {self.prefix}/logs/server.pid",
                 "error_log": f"error_log {self.prefix}/logs/error.log {self.log_level}"}
        if os.geteuid() == 0:
            given["user"] = "user root"
        return "".join(text + "; " for name, text in given.items() if not re.search(rf"^{name}\s", self.conf, re.M))

    def command(self, *more):
        return [self.binary, "-p", self.prefix + "/", "-c", self.conf_path, "-e", os.path.join(self.prefix, "logs/error.log"),
                "-g", self.globals(), *more]

    def environment(self):
        report = f"log_path={self.prefix}/logs/sanitizer"
        return {**os.environ, "ASAN_OPTIONS": report + ":detect_leaks=1:exitcode=99:detect_stack_use_after_return=1",
                "UBSAN_OPTIONS": report + ":print_stacktrace=1", "LSAN_OPTIONS": report}

    def run(self, *more, seconds=10):
        """Runs the binary on this configuration to its end (-t, -T, -s ...): a CompletedProcess with text."""
        return subprocess.run(self.command(*more), capture_output=True, text=True, timeout=seconds * TIME_SCALE, env=self.environment())

    def start(self):
        with open(os.path.join(self.prefix, "logs/output"), "ab") as out:
            self.was_started = True
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            env=self.environment(), pass_fds=self.pass_fds, preexec_fn=_end_with_parent)
        wait_until(self._started, 10, "the start (pid file)")
        return self

    def _started(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode} at its start:\n{self.output()}\n{self.log()}")
        return self.pid() is not None

    def pid(self):
        """The number in the pid file, None while there is none."""
        found = re.search(r"^pid\s+(\S+);", self.conf, re.M)
        path = os.path.join(self.prefix, found.group(1)) if found else os.path.join(self.prefix, "logs/server.pid")
        try:
            with open(path) as f:
                text = f.read()
        except OSError:
            return None
        return int(text) if text.endswith("\n") else None

    def workers(self):
        """Pids of the workers, those that drain included."""
        return [p for p in children_of(self.process.pid) if "worker" in title_of(p)]

    def wait_workers(self, count=1):
        """The pids of the workers once there are that many: the pid file may come before the fork."""
        return wait_until(lambda: len(self.workers()) >= count and self.workers(), 5, f"{count} workers")

    def signal(self, number, pid=None):
        os.kill(pid or self.process.pid, number)

    def pause(self, pid):
        """Stops a process, until SIGCONT: what it waited for has not come by then."""
        os.kill(pid, signal.SIGSTOP)
        def is_stopped():
            with open(f"/proc/{pid}/stat") as stat:
                return stat.read().rsplit(") ", 1)[1][0] == "T"
        wait_until(is_stopped, 5, f"the stop of {pid}")

    def reload(self, conf=None):
        """HUP, perhaps with a new configuration; waits until new workers run and all old ones drain or are gone."""
        wait_until(self.workers, 10, "the first workers")  # a start answers by its sockets, which are there before them
        old = set(self.workers())
        if conf is not None:
            self.set_conf(conf)
        self.signal(signal.SIGHUP)

        def replaced():
            return set(self.workers()) - old and not [p for p in old if title_of(p) and "shutting down" not in title_of(p)]
        wait_until(replaced, 10, "the reload")

    def quit(self, seconds=10):
        """Graceful end: QUIT, and the end of the process within the time."""
        self.signal(signal.SIGQUIT)
        self.wait(seconds)

    def wait(self, seconds=10):
        return self.process.wait(seconds * TIME_SCALE)

    # -- what it said

    def _said(self, name):
        return self.read(name) if os.path.exists(os.path.join(self.prefix, name)) else ""

    def output(self):
        return self._said("logs/output")

    def log(self):
        return self._said("logs/error.log")

    def wait_for_log(self, pattern, seconds=5):
        """Waits until a line of the error log matches; gives the match."""
        return wait_until(lambda: re.search(pattern, self.log()), seconds, f"a log line like {pattern!r}")

    def complaints(self):
        """What a clean run does not leave behind: alerts, sanitizer reports. A configuration that was only tested and refused may say so."""
        lines = (self.log() + self.output()).split("\n")
        bad = [line for line in lines if BAD_LOG_LINE.search(line) and not any(p.search(line) for p in self.allow_log)]
        if not self.was_started:
            bad = [line for line in bad if "[emerg]" not in line]
        for path in glob.glob(self.prefix + "/logs/sanitizer.*"):
            with open(path, errors="replace") as f:
                bad.append(f.read())
        return bad

    # -- the end

    def stop(self, seconds=10):
        """Ends the server, if the test has not, and asserts: it ended in time, by itself, with 0, whole, and left no complaint."""
        problems = []
        try:
            if self.process:
                problems = self._end(seconds)
            problems += self.complaints()
            assert not problems, "\n".join(problems)
        finally:
            self.discard()

    def discard(self):
        """Gives back ports and folder of a server that does not run."""
        for port in self.ports:
            release_port(port)
        shutil.rmtree(self.prefix, ignore_errors=True)

    def _end(self, seconds):
        problems = []
        family = [self.process.pid] + children_of(self.process.pid)
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(seconds * TIME_SCALE)
            if status != 0:
                problems.append(f"the server ended with {status}")
        except subprocess.TimeoutExpired:
            problems.append(f"the server did not end within {seconds} s of TERM")
        end = time.monotonic() + 2 * TIME_SCALE
        while any(title_of(p) for p in family) and time.monotonic() < end and not problems:
            time.sleep(0.01)
        for pid in family:
            if title_of(pid):
                problems.append(f"process {pid} ({title_of(pid)}) outlived the server")
                os.kill(pid, signal.SIGKILL)
        self.process.wait(5)
        return problems

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *unused):
        if kind is None:
            self.stop()
            return
        try:
            self.stop()
        except AssertionError as problem:
            print(problem)
