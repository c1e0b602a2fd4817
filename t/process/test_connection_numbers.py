# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""$connection and the *N of the log name one connection of the whole server, whichever worker has it and however many have been before."""

import os
import signal

import pytest

from lib.client import Client, get
from lib.ports import wait_until

CONF = """
worker_processes 3;
master_process %%MASTER%%;
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;
        location / { return 200 "$connection $pid"; }
    }
}
"""


def ask(s, times):
    return [get(s.port, "/").text.split() for _ in range(times)]


@pytest.mark.parametrize("master", ["on", "off"])
def test_no_number_is_given_twice(server, master):
    s = server(CONF, MASTER=master, allow_log=[r"exited on signal 9"])
    seen = ask(s, 150)  # more than a worker takes at once
    if master == "on":
        s.reload()
    else:
        s.signal(signal.SIGHUP)
        s.wait_for_log("reconfiguring")
    seen += ask(s, 30)
    if master == "on":
        killed = seen[-1][1]
        os.kill(int(killed), signal.SIGKILL)
        wait_until(lambda: len(s.workers()) == 3 and int(killed) not in s.workers(), 5, "a new worker")
    seen += ask(s, 30)
    numbers = [int(number) for number, _ in seen]
    assert len(set(numbers)) == len(numbers)
    assert min(numbers) == 1
    with Client(s.port) as client:  # a connection keeps its own
        assert client.get("/").text == client.get("/").text
