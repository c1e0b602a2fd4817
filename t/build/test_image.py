# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""conf/dist/image.sh, of which the Dockerfile's last stage is made: the files, their sum, and that they are enough to serve, by changing
the root to them. No container daemon is needed."""

import os
import re
import signal
import subprocess

import pytest

from lib.client import get
from lib.fairlead import default_binary
from lib.ports import claim_port, release_port, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIMIT = 15_000_000


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("image"))
    made = subprocess.run([ROOT + "/conf/dist/image.sh", default_binary(), folder], capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
    return folder, made.stdout


def test_the_files_are_few_and_small(image):
    folder, said = image
    listed = dict(reversed(line.split()) for line in said.splitlines()[:-1])
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            assert not os.path.islink(path)
            found[path[len(folder):]] = str(os.path.getsize(path))
    assert listed == found
    total = sum(map(int, found.values()))
    assert said.splitlines()[-1].split() == [str(total), "in", "all"]
    assert total < LIMIT, said
    strange = [path for path in found if not re.match(
        r"/usr/local/fairlead/|/lib(64)?/|/usr/lib(64)?/|/etc/(passwd|group|nsswitch\.conf)$|/etc/ssl/certs/ca-certificates\.crt$", path)]
    assert not strange
    assert not [path for path in found if path.endswith("/sh") or "libasan" in path]


def test_the_dockerfile_copies_just_that():
    with open(ROOT + "/conf/dist/Dockerfile") as f:
        last = f.read().split("FROM scratch", 1)[1]
    assert re.findall(r"^(?:COPY|ADD|RUN) .*", last, re.M) == ["COPY --from=build /image/ /"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change the root")
def test_it_serves_with_nothing_else(image):
    folder, _ = image
    conf = "/usr/local/fairlead/conf/fairlead.conf"
    port = claim_port()
    with open(folder + conf) as f:
        text = f.read()
    with open(folder + conf, "w") as f:
        f.write(text.replace("listen 8080;", f"listen 127.0.0.1:{port};").replace("/dev/stdout", "/tmp/access.log"))

    def enter():
        os.chroot(folder)
        os.chdir("/")
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    command = ["/usr/local/fairlead/sbin/fairlead", "-e", "stderr"]
    process = subprocess.Popen(command, preexec_fn=enter, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={})
    try:
        assert subprocess.run([*command, "-s", "wait"], preexec_fn=enter, env={}, timeout=60).returncode == 0
        assert get(port, "/").status == 200
        assert get(port, "/ready").text == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.kill()
        said = process.communicate()[1]
        release_port(port)
    assert "gracefully shutting down" in said
    assert not [line for line in said.splitlines() if re.search(r"\[(alert|emerg|crit|error|warn)\]", line)]
