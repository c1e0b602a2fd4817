# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""conf/examples/mesh as its README prints it, ports apart: two sidecars with mutual TLS, B decides by A's identity, and certificates
and trust rotate twenty times under load without one failed request."""

import os
import re
import shutil
import ssl
import subprocess
import threading
import time

import pytest

from lib import upstreams as up
from lib.client import Client, get
from lib.fairlead import default_binary
from lib.ports import TIME_SCALE, claim_port, release_port, wait_until

EXAMPLE = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "conf/examples/mesh")
USED = " has changed and is used from now on"
# In place of the pause between the steps of a rotation, which is a guess: until all workers use what the step has put there.
WAIT = """#!/bin/sh
step=$(($(cat ../steps) + 1))
echo $step > ../steps
for log in ../a.log ../b.log; do
    workers=$(grep -c "start worker process " $log)
    until [ "$(grep -c "%s" $log)" -ge $((step * workers)) ]; do /bin/sleep 0.02; done
done
""" % USED


class Mesh:
    def __init__(self, folder, upstream):
        self.folder = str(folder / "mesh")
        shutil.copytree(EXAMPLE, self.folder)
        self.app = upstream(up.serve(lambda r: up.reply(200, f"{r.target} {r.header('X-Forwarded-Client-Cert')}".encode())))
        self.ports = {"15001": claim_port(), "15443": claim_port(), "8081": self.app.port}
        for name in ("a.conf", "b.conf", "README.md"):
            path = os.path.join(self.folder, name)
            with open(path) as f:
                text = f.read()
            text = re.sub(r"127\.0\.0\.1:(\d+)", lambda found: f"127.0.0.1:{self.ports.get(found.group(1), found.group(1))}", text)
            if name.endswith(".conf"):
                text = f"error_log {name[0]}.log notice;\n" + text  # what the workers say of files that have changed
                if os.geteuid() == 0:
                    text = "user root;\n" + text  # else the workers could not read the keys of this test's owner
            with open(path, "w") as f:
                f.write(text)
        tools = folder / "bin"
        tools.mkdir()
        os.symlink(os.path.abspath(default_binary()), tools / "fairlead")
        (tools / "sleep").write_text(WAIT)
        os.chmod(tools / "sleep", 0o755)
        (folder / "mesh/steps").write_text("0")
        self.environment = dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}")
        with open(os.path.join(self.folder, "README.md")) as f:
            self.blocks = re.findall(r"^```sh\n(.*?)^```$", f.read(), re.M | re.S)

    def run(self, lines):
        """Gives what they wrote. Into a file: what they leave running may keep it open."""
        with open(os.path.join(self.folder, "shown"), "w") as shown:
            done = subprocess.run(["sh", "-e", "-c", lines], cwd=self.folder, env=self.environment, stdout=shown, stderr=shown,
                                  timeout=60 * TIME_SCALE)
        assert done.returncode == 0, f"{lines}\n{self.read('shown')}"
        return self.read("shown")

    def read(self, name):
        with open(os.path.join(self.folder, name), errors="replace") as f:
            return f.read()

    def stop(self):
        for name in ("a", "b"):
            path = os.path.join(self.folder, name + ".pid")
            if os.path.exists(path):
                subprocess.run(["kill", open(path).read().strip()], check=False)
        for name in ("a.log", "b.log"):
            bad = [line for line in self.read(name).splitlines() if "[alert]" in line or "[emerg]" in line or "Sanitizer" in line]
            assert not bad, bad
        for printed in ("15001", "15443"):
            release_port(self.ports[printed])


@pytest.fixture
def mesh(tmp_path, upstream):
    mesh = Mesh(tmp_path, upstream)
    yield mesh
    mesh.stop()


class Load:
    """Requests through both sidecars until it is stopped: some on kept connections, some on their own."""

    def __init__(self, port):
        self.port, self.stopping, self.failed, self.count = port, threading.Event(), [], 0
        self.threads = [threading.Thread(target=self._run, args=(kept,)) for kept in (True, False, False)]
        for thread in self.threads:
            thread.start()

    def _run(self, kept):
        client = None
        while not self.stopping.is_set():
            try:
                if kept:
                    client = client or Client(self.port)
                    reply = client.get("/orders/load")
                    if reply.has_word("connection", "close"):
                        client = client.close()
                else:
                    reply = get(self.port, "/orders/load")
                if reply.status != 200:
                    self.failed.append((reply.status, reply.text[:200]))
                self.count += 1
            except (AssertionError, OSError) as problem:
                self.failed.append(repr(problem))
                client = None
            time.sleep(0.005)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)


def issuer_of_b(mesh):
    """Who signed the certificate that B's sidecar presents now."""
    context = ssl._create_unverified_context()
    context.load_cert_chain(os.path.join(mesh.folder, "certs/a/tls.pem"), os.path.join(mesh.folder, "certs/a/tls.key"))
    with Client(mesh.ports["15443"], tls=context) as client:
        pem = ssl.DER_cert_to_PEM_cert(client.socket.getpeercert(binary_form=True))
    done = subprocess.run(["openssl", "x509", "-noout", "-issuer"], input=pem, capture_output=True, text=True)
    return done.stdout.strip().rpartition("mesh authority ")[2]


def test_the_pair_of_sidecars(mesh):
    start, rotate, end = mesh.blocks
    shown = mesh.run(start)
    assert "/orders/1 By=spiffe://mesh.test/ns/shop/sa/b;" in shown and "URI=spiffe://mesh.test/ns/shop/sa/a" in shown
    assert "HTTP/1.1 403 Forbidden" in shown and not [r for r in mesh.app.requests if "admin" in r.target]
    wait_until(lambda: 'denied by rbac "admin", identity "spiffe://mesh.test/ns/shop/sa/a"' in mesh.read("b.log"))
    wait_until(lambda: "spiffe://mesh.test/ns/shop/sa/a admin denied" in mesh.read("logs/mesh.log"))
    assert get(mesh.ports["15001"], "/other").status == 403
    assert issuer_of_b(mesh) == "1"

    load = Load(mesh.ports["15001"])
    try:
        for _ in range(20):
            mesh.run(rotate + "cd certs && sleep\n")  # and after its last step
    finally:
        load.stop()
    assert not load.failed, load.failed[:5]
    assert load.count > 100
    wait_until(lambda: issuer_of_b(mesh) == "21", what="B's certificate of the last rotation")
    mesh.run(end)
    wait_until(lambda: not os.path.exists(os.path.join(mesh.folder, "a.pid")) and not os.path.exists(os.path.join(mesh.folder, "b.pid")))
