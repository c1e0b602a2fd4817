# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A real redis-server in a folder of its own. A test file imports the fixture:

    from lib.redis import redis  # noqa: F401
    def test_x(server, redis):
        r = redis("--requirepass", "secret")
        assert r.ask("PING")
"""

import shutil
import signal
import subprocess
import tempfile

import pytest

from lib.client import Client
from lib.ports import claim_port, release_port, wait_until


class Redis:
    def __init__(self, port=None, *more):
        self.folder = tempfile.mkdtemp(prefix="fairlead-redis-")
        self.port = port or claim_port()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder,
             *(word.replace("FOLDER", self.folder) for word in more)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.ask("PING"))

    def ask(self, *words):
        try:
            with Client(self.port) as c:
                c.send("*%d\r\n" % len(words) + "".join(f"${len(w)}\r\n{w}\r\n" for w in words))
                c.reader.fill()
                return bytes(c.received)
        except OSError:
            return None

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def redis():
    made = []

    def make(*more, port=None):
        made.append(Redis(port, *more))
        return made[-1]
    yield make
    for one in made:
        one.stop()
    for port in {one.port for one in made}:
        release_port(port)
