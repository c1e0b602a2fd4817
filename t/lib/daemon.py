# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Servers that leave their starter: `daemon on`, and the masters of an upgrade. This process becomes the reaper of orphans, so that their
exit statuses can be seen."""

import ctypes
import os
import signal
import subprocess
import time

from lib.fairlead import Server
from lib.ports import TIME_SCALE, wait_until

_PR_SET_CHILD_SUBREAPER = 36


class Orphan:
    """A process that was not started by us, with the part of Popen's interface that Server needs."""

    def __init__(self, pid):
        self.pid, self.returncode = pid, None

    def poll(self):
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
            except ChildProcessError:  # still a child of another master
                pass
        return self.returncode

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), seconds)
            time.sleep(0.01)
        return self.returncode

    def terminate(self):
        os.kill(self.pid, signal.SIGTERM)


class DaemonServer(Server):
    """`process` is the master that the pid file names: after an upgrade `adopt_master` makes it the new one."""

    def start(self):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
        with open(os.path.join(self.prefix, "logs/output"), "ab") as out:
            started = subprocess.run(self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environment(),
                                     pass_fds=self.pass_fds, timeout=10 * TIME_SCALE)
        assert started.returncode == 0, f"the start ended with {started.returncode}:\n{self.output()}\n{self.log()}"
        wait_until(self.pid, 5, "the pid file")
        self.adopt_master()
        self.wait_workers()  # nginx loses signals that come earlier
        return self

    def adopt_master(self):
        self.process = Orphan(self.pid())

    def start_new_binary(self, seconds=10):
        """USR2, and the pids of both masters once the new one serves."""
        old = self.process.pid
        self.signal(signal.SIGUSR2)
        new = wait_until(lambda: self.pid() not in (None, old) and self.pid(), seconds, "the new master's pid file")
        self.process = Orphan(new)
        self.wait_workers()
        self.process = Orphan(old)
        return old, new
