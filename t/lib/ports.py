# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Ports for servers under test. They lie below the range the kernel takes for outgoing connections, and a lock on a file per port keeps
tests that run at the same time from meeting on one."""

import fcntl
import os
import random
import socket
import tempfile
import time

_FOLDER = os.path.join(tempfile.gettempdir(), "fairlead-test-ports")
_claimed = {}
# TIME_SCALE stretches every bound on time: sanitizer builds are slower.
TIME_SCALE = float(os.environ.get("FAIRLEAD_TIME_SCALE", "1"))


def claim_port():
    """A free TCP and UDP port, this process's until `release_port` or its end."""
    os.makedirs(_FOLDER, exist_ok=True)
    for _ in range(1000):
        port = random.randint(10000, 31999)
        if port in _claimed:
            continue
        lock = open(os.path.join(_FOLDER, str(port)), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _claimed[port] = lock
        return port
    raise AssertionError("no free port")


def release_port(port):
    if port in _claimed:
        _claimed.pop(port).close()


def in_time(seconds, attempt):
    """What `attempt()` gives, for behaviour that has to be seen within a time that the server sets. A failed attempt counts if it was made
    within the time; one that came too late, since the machine stood still, says nothing, and another is made."""
    for _ in range(10):
        begin = time.monotonic()
        try:
            return attempt()
        except (AssertionError, OSError):
            if time.monotonic() - begin < seconds:
                raise
    raise AssertionError(f"ten attempts took longer than {seconds:g} s each")


def wait_until(true, seconds=5.0, what="the condition"):
    """Polls `true()` until it gives something true, and gives that. The last resort against a race: prefer an event to wait on."""
    end = time.monotonic() + seconds * TIME_SCALE
    while True:
        got = true()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {seconds * TIME_SCALE:g} s")
        time.sleep(0.01)
