# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Signals and the command line: how the master and its workers end, log files, the pid file, a process without a master."""

import os
import re
import signal
import subprocess
import threading

import pytest

from lib import upstreams as up
from lib.client import Client, get
from lib.fairlead import Server, title_of
from lib.ports import TIME_SCALE, wait_until

CONF = """
worker_processes %%WORKERS%%;
master_process %%MASTER%%;
events {}
http {
    access_log %%PREFIX%%/logs/access.log;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 "%%TEXT%%\\n"; }
        location /slow { proxy_pass http://127.0.0.1:%%UP%%; proxy_buffering off; }
    }
}
"""
FIXED = dict(WORKERS=2, MASTER="on", TEXT="one", UP=1)


@pytest.fixture
def running(server):
    s = server(CONF, **FIXED)
    s.wait_workers(2)
    return s


# ---- the end

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_fast_end(running, number):
    with Client(running.port) as client:
        client.get("/")
        running.signal(number)
        assert running.wait() == 0
        assert client.is_closed()
    assert running.pid() is None
    running.wait_for_log(rf"signal {int(number)} \({number.name}\) received from {os.getpid()}, exiting")
    assert len(re.findall(r"worker process \d+ exited with code 0", running.log())) == 2
    assert len(re.findall(r"\[notice\] \S+: exiting\n", running.log())) == 2  # each worker
    assert len(re.findall(r"\[notice\] \S+: exit\n", running.log())) == 3     # and the master


def test_no_worker_is_started_when_all_are_told_to_end(running):
    """As from a terminal: the workers are gone when the master hears of it."""
    running.signal(signal.SIGSTOP)
    for worker in running.workers():
        running.signal(signal.SIGINT, worker)
        wait_until(lambda: not title_of(worker), 5, "the end of the worker")
    running.signal(signal.SIGINT)
    running.signal(signal.SIGCONT)
    assert running.wait() == 0
    assert len(re.findall(r"start worker process \d+", running.log())) == 2


@pytest.mark.parametrize("number", [signal.SIGIO, signal.SIGSYS, signal.SIGPIPE])
def test_signals_without_a_meaning_end_nothing(running, number):
    workers = running.workers()
    for pid in [running.process.pid, *workers]:
        running.signal(number, pid)
    assert get(running.port).status == 200
    assert running.workers() == workers and running.process.poll() is None


@pytest.mark.parametrize("word", ["stop", "quit"])
def test_s_ends_the_server(running, word):
    told = running.run("-s", word)
    assert told.returncode == 0, told.stderr
    assert running.wait() == 0
    assert running.pid() is None
    told = running.run("-s", word)
    assert told.returncode == 1
    assert re.search(r'open\(\) "\S+server\.pid" failed \(2: No such file or directory\)', told.stderr)


def test_quit_lets_a_slow_answer_finish_and_idle_connections_do_not_delay(server, upstream):
    go = threading.Event()
    u = upstream([up.request(), up.send(b"HTTP/1.1 200 X\r\nContent-Length: 6\r\n\r\nabc"), up.wait_for(go), up.send(b"def")])
    s = server(CONF, **{**FIXED, "UP": u.port})
    with Client(s.port) as idle, Client(s.port) as slow:
        idle.get("/")  # keepalive_timeout is 75 s
        slow.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        slow.reader.until(b"abc")
        s.signal(signal.SIGQUIT)
        assert idle.is_closed()
        wait_until(lambda: _refused(s.port), 5, "the closed listening socket")
        assert s.process.poll() is None
        go.set()
        assert slow.reader.until(b"def") == b"def"
        assert slow.is_closed()
    assert s.wait() == 0


def _refused(port):
    try:
        Client(port).close()
    except OSError:
        return True
    return False


# ---- workers

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_worker_that_was_told_to_end_is_replaced(running, number):
    first, second = running.workers()
    running.signal(number, first)
    running.wait_for_log(rf"\[notice\].*worker process {first} exited with code 0")
    wait_until(lambda: len(set(running.workers()) - {first}) == 2, 5, "another worker")
    assert second in running.workers()
    assert get(running.port).status == 200


def test_a_worker_without_its_master_ends(server):
    s = server(CONF, **FIXED)
    workers = s.wait_workers(2)
    s.signal(signal.SIGKILL)
    s.wait()
    wait_until(lambda: not any(title_of(w) for w in workers), 10, "the end of the workers")
    s.process = None


# ---- log files

def test_reopen(running):
    get(running.port, "/first")
    for name in ("access.log", "error.log"):
        os.rename(f"{running.prefix}/logs/{name}", f"{running.prefix}/logs/{name}.1")
    get(running.port, "/second")
    told = running.run("-s", "reopen")
    assert told.returncode == 0, told.stderr
    wait_until(lambda: os.path.exists(f"{running.prefix}/logs/access.log"), 5, "the new file")

    def arrives():
        get(running.port, "/third")
        return "/third" in running.read("logs/access.log")
    wait_until(arrives, 5, "a line in the new file")
    for early in ("/first", "/second"):  # a line may come a moment after its reply
        wait_until(lambda: early in running.read("logs/access.log.1"), 5, f"{early} in the old file")
    running.quit()
    assert "exit" in running.log() and "reopening logs" in running.read("logs/error.log.1")


def held(s):
    """Files without a name that some process of the server has open."""
    found = []
    for pid in [s.process.pid, *s.workers()]:
        for number in os.listdir(f"/proc/{pid}/fd"):
            try:
                link = os.readlink(f"/proc/{pid}/fd/{number}")
            except OSError:
                continue
            found += [(pid, link)] if link.endswith("(deleted)") else []
    return found


def rotate(s):
    for name in ("access.log", "error.log"):
        os.rename(f"{s.prefix}/logs/{name}", f"{s.prefix}/logs/{name}.1")
        os.unlink(f"{s.prefix}/logs/{name}.1")
    s.signal(signal.SIGUSR1)
    wait_until(lambda: not held(s), 5, "the end of the old files")


@pytest.mark.parametrize("mode", ["off", "on"])
def test_a_rotation_gives_the_disk_back(daemon, server, mode):
    s = (daemon if mode == "on" else server)(f"daemon {mode};" + CONF, **FIXED, allow_log=[r"exited on signal 9"])
    s.wait_workers(2)
    rotate(s)
    for _ in range(2):
        s.reload()
    wait_until(lambda: len(s.workers()) == 2, 10, "the end of the old workers")
    rotate(s)
    killed = s.workers()[0]
    s.signal(signal.SIGKILL, killed)
    wait_until(lambda: len(s.workers()) == 2 and killed not in s.workers(), 5, "another worker")
    rotate(s)


@pytest.mark.parametrize("master", ["on", "off"])
def test_a_log_that_cannot_be_opened_again_is_said_once(server, master):
    s = server(CONF, **{**FIXED, "WORKERS": 1, "MASTER": master}, allow_log=[r"\[emerg\].*access\.log"])
    processes = [s.process.pid, *(s.wait_workers() if master == "on" else [])]
    log = f"{s.prefix}/logs/access.log"
    os.rename(log, log + ".1")
    os.mkdir(log)
    s.signal(signal.SIGUSR1)
    for pid in processes:
        s.wait_for_log(rf'\[emerg\] {pid}#.* open\(\) "{log}" failed \(21')
    get(s.port, "/kept")
    wait_until(lambda: "/kept" in s.read("logs/access.log.1"), 5, "the line in the old file")
    os.rmdir(log)
    s.signal(signal.SIGUSR1)

    def arrives():
        get(s.port, "/new")
        return os.path.exists(log) and "/new" in s.read("logs/access.log")
    wait_until(arrives, 5, "a line in the new file")
    assert len(re.findall(r"\[emerg\]", s.log())) == len(processes)


def test_the_error_log_is_there_from_the_start(running):
    assert re.search(r"\[notice\] \d+#\d+: start worker processes", running.log())


# ---- daemon, single process

def test_daemon_on(daemon):
    s = daemon("daemon on;" + CONF, **FIXED)
    assert os.getsid(s.process.pid) == s.process.pid
    assert title_of(s.process.pid).startswith("fairlead: master process")
    assert get(s.port).text == "one\n"
    assert os.readlink(f"/proc/{s.process.pid}/fd/0") == "/dev/null"
    s.quit()
    assert s.process.returncode == 0 and s.pid() is None


@pytest.mark.parametrize("log, stream", [("%%PREFIX%%/logs/other.log", "%%PREFIX%%/logs/other.log"), ("memory:64k", "/dev/null"),
                                         ("stderr", "%%PREFIX%%/logs/output")])
def test_a_daemon_lets_its_callers_standard_error_go(daemon, log, stream):
    twice = CONF.replace("server {", "server { listen 127.0.0.1:%%PORT_0%%; }\nserver {")
    s = daemon(f"daemon on;\nerror_log {log};\n" + twice, **FIXED)
    assert "fairlead: [warn] conflicting server name" in s.output(), "a message of the start"
    stream = stream.replace("%%PREFIX%%", s.prefix)
    processes = [s.process.pid, *s.wait_workers(2)]
    assert [os.readlink(f"/proc/{pid}/fd/2") for pid in processes] == [stream] * len(processes)
    if log.startswith("%%"):
        os.rename(stream, stream + ".1")
        s.signal(signal.SIGUSR1)
        wait_until(lambda: all(os.readlink(f"/proc/{pid}/fd/2") == stream for pid in processes), 5, "the new file")


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "<&-", "2>&-"])
@pytest.mark.parametrize("mode", ["off", "on"])
def test_closed_standard_descriptors_stay_nobodys(idle_server, mode, closed):
    s = idle_server(f"daemon {mode};" + CONF, **FIXED)
    process = subprocess.Popen(["sh", "-c", f'exec "$@" {closed}', "sh", *s.command()], env=s.environment())
    master = wait_until(s.pid, 10, "the pid file")
    assert wait_until(lambda: get(s.port, "/once").text == "one\n", 5, "an answer")
    wait_until(lambda: "/once" in s.read("logs/access.log"), 5, "its line")
    s.wait_for_log(r"start worker process \d+")  # written after the fork
    assert "/once" not in s.log()
    for number in (0, 1, 2):
        assert "access.log" not in os.readlink(f"/proc/{master}/fd/{number}")
    assert "socket:" not in os.readlink(f"/proc/{master}/fd/0")
    os.kill(master, signal.SIGQUIT)
    assert process.wait(10 * TIME_SCALE) == 0
    wait_until(lambda: not title_of(master), 10, "the end")


def test_a_daemon_that_cannot_start_says_so_to_its_caller(idle_server):
    s = idle_server("daemon on;" + CONF.replace("return 200", "retrun 200"), **FIXED, allow_log=[r"\[emerg\].*retrun"])
    told = s.run()
    assert told.returncode == 1
    assert re.search(r'unknown directive "retrun" in \S+test\.conf:9', told.stderr)
    assert s.pid() is None


def test_a_single_process(server):
    alone = {**FIXED, "MASTER": "off"}
    conf = CONF.replace("server {", "keepalive_min_timeout 60s; server {")
    s = server(conf, **alone)
    assert not s.workers()
    with Client(s.port) as client:
        assert client.get("/").text == "one\n"
        s.names["TEXT"] = "two"
        s.set_conf(conf)
        s.signal(signal.SIGHUP)
        s.wait_for_log("reconfiguring")
        wait_until(lambda: get(s.port).text == "two\n", 5, "the new configuration")
        got = client.get("/")
        assert got.text == "one\n" and got.has_word("connection", "close")
    s.signal(signal.SIGUSR1)
    s.wait_for_log("reopening logs")
    assert get(s.port).text == "two\n"
    s.quit()
    assert s.process.returncode == 0 and s.pid() is None


def test_a_single_process_keeps_its_configuration_when_the_next_is_broken(server):
    s = server(CONF, **{**FIXED, "MASTER": "off"}, allow_log=[r"\[emerg\].*retrun"])
    s.set_conf(CONF.replace("return 200", "retrun 200"))
    s.signal(signal.SIGHUP)
    s.wait_for_log(r'\[emerg\].*unknown directive "retrun"')
    assert get(s.port).text == "one\n"


# ---- the command line

def test_what_t_says(idle_server):
    s = idle_server(CONF, **FIXED)
    told = s.run("-t")
    assert told.returncode == 0
    assert f"the configuration file {s.conf_path} syntax is ok" in told.stderr
    assert f"configuration file {s.conf_path} test is successful" in told.stderr
    assert s.run("-t", "-q").stderr == ""


@pytest.mark.parametrize("line, said", [
    ("pid {prefix}/none/pid;", 'open() "{prefix}/none/pid" failed (2: No such file or directory)'),
    ("error_log {prefix}/none/log;", 'open() "{prefix}/none/log" failed (2: No such file or directory)')])
def test_t_tells_the_text_from_what_it_names(idle_server, line, said):
    """A text that is right, of files that cannot be opened: a start would fail, so the test does."""
    s = idle_server(CONF, **FIXED)
    s.set_conf(line.format(prefix=s.prefix) + "\nevents {}\n")
    told = s.run("-t")
    assert told.returncode == 1
    assert told.stderr.splitlines() == [f"fairlead: the configuration file {s.conf_path} syntax is ok",
                                        "fairlead: [emerg] " + said.format(prefix=s.prefix),
                                        f"fairlead: configuration file {s.conf_path} test failed"]


def test_what_T_says(idle_server):
    s = idle_server(CONF, **FIXED)
    told = s.run("-T")
    assert told.returncode == 0
    assert told.stdout == f"# configuration file {s.conf_path}:\n{s.conf}\n"


def test_what_v_says(idle_server):
    s = idle_server(CONF, **FIXED)
    assert re.fullmatch(r"fairlead version: fairlead/\d+\.\d+\.\d+\n", s.run("-v").stderr)
    shown = s.run("-V").stderr
    assert re.search(r"^fairlead version: .*^built by .*^configure arguments:", shown, re.M | re.S)
    assert " --without-http-cache" in shown


def test_t_leaves_the_running_server_alone(running):
    """Whatever stands beside it, as in nginx: of -s nothing comes, -v is answered first."""
    told = running.run("-t", "-s", "stop")
    assert told.returncode == 0 and "test is successful" in told.stderr
    assert running.run("-s", "quit", "-T").returncode == 0
    assert "fairlead version: " not in told.stderr
    assert get(running.port).text == "one\n"
    assert running.process.poll() is None
    assert not re.search(r"signal \d+ \(SIG(TERM|QUIT)\)", running.log())
    told = running.run("-v", "-t")
    assert told.returncode == 0
    assert re.match(r"fairlead version: fairlead/\S+\n(.*\n)*.*test is successful\n", told.stderr)


@pytest.mark.parametrize("words, said", [
    (["-s", "reboot"], 'fairlead: invalid option: "-s reboot"'), (["-s"], 'fairlead: option "-s" requires parameter'),
    (["-x"], 'fairlead: invalid option: "x"'), (["word"], 'fairlead: invalid option: "word"')])
def test_a_wrong_command_line(idle_server, words, said):
    told = idle_server(CONF, **FIXED).run(*words)
    assert told.returncode == 1 and told.stderr == said + "\n"


def test_s_without_a_server(idle_server):
    s = idle_server(CONF, **FIXED, allow_log=[r"\[alert\].*kill"])
    s.write("logs/server.pid", "nonsense\n")
    told = s.run("-s", "stop")
    assert told.returncode == 1 and f'invalid PID number "nonsense" in "{s.prefix}/logs/server.pid"' in told.stderr
    s.write("logs/server.pid", "4194303\n")
    told = s.run("-s", "stop")
    assert told.returncode == 1 and "kill(4194303, 15) failed (3: No such process)" in told.stderr


# ---- where things are

class Bare(Server):
    """Started with its prefix and nothing else that says where the pid file is."""

    def globals(self):
        return "".join(part + "; " for part in super().globals().split("; ") if part and not part.startswith("pid "))

    def pid(self):
        path = os.path.join(self.prefix, self.pid_name)
        return int(self.read(self.pid_name)) if os.path.exists(path) and self.read(self.pid_name).strip() else None


@pytest.mark.parametrize("included, pid_name", [("", "logs/fairlead.pid"), ("pid logs/other.pid;", "logs/other.pid")])
def test_the_pid_file_moves_with_the_prefix_and_is_found_in_included_files(included, pid_name):
    s = Bare("include parts/*.conf;\n" + CONF, **FIXED, files={"parts/pid.conf": included})
    s.pid_name = pid_name
    with s:
        assert s.pid() == s.process.pid
        told = s.run("-s", "quit")
        assert (told.returncode, told.stderr) == (0, "")
        s.wait()


LUA = """
init_by_lua_block { local braces = { '}', "{" } -- don't
    --[[ } pid logs/none; ' ]] }
server {
    listen 127.0.0.1:%%PORT_0%%;
    location / { content_by_lua_block { ngx.say("it's {") } }
}
"""


def test_the_pid_file_is_found_behind_another_language(idle_server):
    if "--without-lua" in idle_server(CONF, **FIXED).run("-V").stderr:
        pytest.skip("no Lua in this build")
    s = Bare("events {}\nhttp {" + LUA + "}\npid logs/late.pid;\n")
    s.pid_name = "logs/late.pid"
    with s:
        assert s.pid() == s.process.pid
        told = s.run("-s", "reload")
        assert (told.returncode, told.stderr) == (0, "")
        told = s.run("-s", "quit")
        assert (told.returncode, told.stderr) == (0, "")
        s.wait()
