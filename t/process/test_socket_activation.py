# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Sockets of a service manager (LISTEN_FDS): they and their files outlast reloads, upgrades and the server."""

import os
import re
import socket
import sys

import pytest

from lib.client import Client
from lib.daemon import DaemonServer

CONF = """
daemon on;
events {}
http {
    server { listen 127.0.0.1:%%PORT_0%%; return 200 "tcp"; }
    server { listen unix:%%SOCKET%%; return 200 "activated"; }
}
"""
WITHOUT = re.sub(r".*unix:.*\n", "", CONF)
# Descriptor 3 is the socket; the process that is executed is the one that is named.
STARTER = "import os, sys; os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); os.execv(sys.argv[1], sys.argv[1:])"


class Activated(DaemonServer):
    """Started as systemd does it: with a socket that is bound, listens, and stays open elsewhere."""

    def __init__(self, conf, path):
        super().__init__(conf, SOCKET=path)
        self.unit = socket.socket(socket.AF_UNIX)
        self.unit.bind(path)
        self.unit.listen(16)
        self.pass_fds = (self.unit.fileno(),)

    def command(self, *more):
        shell = 'exec 3<&"$0"; exec "$@"'
        return ["/bin/bash", "-c", shell, str(self.unit.fileno()), sys.executable, "-c", STARTER, *super().command(*more)]


@pytest.fixture
def activated(tmp_path):
    os.chmod(tmp_path, 0o755)
    made = Activated(CONF, str(tmp_path / "unit.socket"))
    yield made.start()
    try:
        made.stop()
    finally:
        made.unit.close()


def said(server):
    with Client(None, unix=server.names["SOCKET"]) as client:
        return client.get("/").text


def test_the_file_stays_when_the_server_ends(activated):
    assert said(activated) == "activated"
    activated.quit()
    assert os.path.exists(activated.names["SOCKET"])


def test_the_file_stays_when_the_server_that_took_over_ends(activated):
    activated.start_new_binary()
    activated.quit()
    activated.adopt_master()
    assert said(activated) == "activated"
    activated.start_new_binary()  # and what it was told it tells its own successor
    activated.quit()
    activated.adopt_master()
    assert said(activated) == "activated"
    activated.quit()
    assert os.path.exists(activated.names["SOCKET"])


def test_a_socket_that_a_reload_leaves_out_comes_back_with_the_next(activated):
    activated.reload(WITHOUT)
    activated.reload(WITHOUT)
    activated.reload(CONF)
    assert said(activated) == "activated"
    activated.reload(WITHOUT)
    activated.start_new_binary()
    activated.quit()
    activated.adopt_master()
    activated.reload(CONF)
    assert said(activated) == "activated"
    activated.quit()
    assert os.path.exists(activated.names["SOCKET"])


def test_a_socket_that_the_first_configuration_does_not_name_waits_for_one_that_does(tmp_path):
    made = Activated(WITHOUT, str(tmp_path / "unit.socket"))
    os.chmod(tmp_path, 0o755)
    made.start()
    try:
        made.reload(CONF)
        assert said(made) == "activated"
        made.stop()
    finally:
        made.unit.close()
