# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Network namespaces of a test's own: what is done inside sees only its interfaces and rules, and all of it is gone with the namespace.

A namespace belongs to a thread (and to what that starts): `Namespace.run(function)` calls the function there. Sockets made in it and
processes and threads started from it stay in the namespace.
"""

import ctypes
import os
import queue
import shutil
import subprocess
import threading

import pytest

CLONE_NEWNET = 0x40000000


class Namespace:
    def __init__(self, tools=("ip",)):
        missing = [tool for tool in tools if not shutil.which(tool)]
        if missing:
            pytest.skip(f"not here: {', '.join(missing)}")
        self._calls, self._results = queue.Queue(), queue.Queue()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        problem = self._results.get()
        if problem:
            pytest.skip(f"no network namespace is allowed here: {problem}")
        self.run(lambda: command("ip", "link", "set", "lo", "up"))
        # A process that stands for the namespace, so that others can name it.
        self._holder = self.run(lambda: subprocess.Popen(["sleep", "600"]))

    @property
    def pid(self):
        return self._holder.pid

    def _serve(self):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            self._results.put(os.strerror(ctypes.get_errno()))
            return
        self._results.put(None)
        while True:
            call = self._calls.get()
            if call is None:
                return
            try:
                self._results.put((call(), None))
            except BaseException as problem:  # whatever it is belongs to the caller
                self._results.put((None, problem))

    def run(self, function):
        self._calls.put(function)
        value, problem = self._results.get()
        if problem:
            raise problem
        return value

    def stop(self):
        self._holder.kill()
        self._holder.wait()
        self._calls.put(None)
        self._thread.join(10)


def command(*words):
    """A command that must succeed; gives what it wrote."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr or done.stdout}"
    return done.stdout
