# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A master that has started its workers gives back what it read of its binary while it started, and can do all it must without."""

import os
import re

from lib.client import get
from lib.ports import wait_until

CONF = """
worker_processes 1;
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 %%WORD%%; }
    }
}
"""
# A start touches nearly all of it, 3 MiB; the loop that waits for signals a few dozen KiB, but the kernel may map a MiB of the page cache
# at once.
RESIDENT_KIB_MAX = 2200


def code_kib(pid):
    """Resident code of the binary itself."""
    binary, resident, ours = os.readlink(f"/proc/{pid}/exe"), 0, False
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            if head := re.match(r"[0-9a-f]+-[0-9a-f]+ (\S{4}) \S+ \S+ \S+ *(.*)$", line):
                ours = "x" in head.group(1) and head.group(2) == binary
            elif ours and line.startswith("Rss:"):
                resident += int(line.split()[1])
    return resident


def wait_settled(s):
    wait_until(lambda: 0 < code_kib(s.process.pid) <= RESIDENT_KIB_MAX, 10, "the master to give back its code")


def test_code_of_the_start_leaves_the_master(server):
    s = server(CONF, WORD="first")
    wait_settled(s)
    s.reload(s.conf.replace("first", "second"))
    wait_until(lambda: get(s.port, "/").text == "second", 10, "the new configuration")
    wait_settled(s)
