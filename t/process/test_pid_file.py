# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Pid files where they cannot be replaced by a rename: in a folder of somebody else's, behind a symbolic link, a device, a directory."""

import os
import signal
import stat
import subprocess

import pytest

from lib.client import get
from lib.fairlead import Server
from lib.ports import TIME_SCALE, wait_until

CONF = """
pid %%PID%%;
events {}
http {
    client_body_temp_path %%PREFIX%%/logs/body;
    proxy_temp_path %%PREFIX%%/logs/proxy;
    server { listen 127.0.0.1:%%PORT_0%%; return 200 "%%TEXT%%"; }
}
"""
NOBODY = 65534


class Rootless(Server):
    """Runs as nobody, whose are the logs and the pid file, but not the folder of the latter."""

    def __init__(self, pid="run/server.pid"):
        super().__init__(CONF, PID=pid, TEXT="one", files={"run/server.pid": ""}, allow_log=["nonsense"])
        for path in ("logs", "run/server.pid"):
            os.chown(f"{self.prefix}/{path}", NOBODY, NOBODY)

    def command(self, *more):
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *super().command(*more)]


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@needs_root
def test_a_file_in_a_folder_of_somebody_else():
    s = Rootless()
    assert s.run("-t").returncode == 0
    with s:
        assert s.read("run/server.pid") == f"{s.process.pid}\n"
        assert os.listdir(s.prefix + "/run") == ["server.pid"]
        assert s.run("-s", "reload").returncode == 0
        assert s.run("-s", "quit").returncode == 0
        assert s.wait() == 0
        assert s.read("run/server.pid") == ""  # nobody's number


@needs_root
def test_a_folder_that_becomes_unwritable():
    """The status file goes on telling what becomes of reloads."""
    s = Rootless("logs/server.pid")
    with s:
        os.chown(s.prefix + "/logs", 0, 0)
        os.chmod(s.prefix + "/logs/error.log", 0o666)
        assert s.run("-s", "wait").returncode == 0
        for text in ("two", "three" * 100):
            s.names["TEXT"] = text
            s.set_conf(CONF)
            told = s.run("-s", "reload")
            assert told.returncode == 0, told.stderr
            assert get(s.port, "/").text == text
        s.set_conf(CONF + "nonsense;")
        told = s.run("-s", "reload")
        assert told.returncode == 1 and 'unknown directive "nonsense"' in told.stderr
        os.chown(s.prefix + "/logs", NOBODY, NOBODY)


@needs_root
def test_a_status_that_cannot_be_written_is_not_waited_for():
    s = Rootless("logs/server.pid")
    with s:
        assert s.run("-s", "wait").returncode == 0
        status = s.prefix + "/logs/server.pid.status"
        os.chown(status, 0, 0)
        os.mkdir(f"{status}.{s.process.pid}.tmp")
        told = s.run("-s", "reload", "--wait=1h")
        assert told.returncode == 1 and f"process {s.process.pid} was signalled, the result is unknown" in told.stderr
        s.wait_for_log(r"\[error\] .* cannot write \S+server\.pid\.status")
        assert get(s.port, "/").text == "one"


def test_a_symbolic_link_stays(idle_server):
    s = idle_server(CONF, PID="logs/link.pid", TEXT="one")
    os.symlink("real.pid", s.prefix + "/logs/link.pid")
    assert s.run("-t").returncode == 0
    s.start()
    assert s.read("logs/real.pid") == f"{s.process.pid}\n"
    assert s.run("-s", "reload").returncode == 0
    s.quit()
    assert os.readlink(s.prefix + "/logs/link.pid") == "real.pid"
    assert s.read("logs/real.pid") == ""


def test_a_device_is_left_alone(idle_server):
    """Not /dev/null itself: a failure would cost the machine its device."""
    s = idle_server(CONF, PID="logs/null", TEXT="one")
    try:
        os.mknod(s.prefix + "/logs/null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("no devices may be made here")
    assert s.run("-t").returncode == 0
    process = subprocess.Popen(s.command(), env=s.environment())
    wait_until(lambda: "start worker process " in s.log(), 5, "the start")
    process.send_signal(signal.SIGHUP)
    s.wait_for_log("gracefully shutting down")
    process.send_signal(signal.SIGQUIT)
    assert process.wait(10 * TIME_SCALE) == 0
    assert stat.S_ISCHR(os.stat(s.prefix + "/logs/null").st_mode)
    assert not [name for name in os.listdir(s.prefix + "/logs") if name.startswith("null.")]


def test_a_directory_is_none(idle_server):
    s = idle_server(CONF, PID="logs", TEXT="one")
    told = s.run("-t")
    assert told.returncode == 1 and f'open() "{s.prefix}/logs" failed (21: Is a directory)' in told.stderr
