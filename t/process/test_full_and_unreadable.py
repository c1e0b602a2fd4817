# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A full disk, full zones, no memory or descriptors left, and files that may not be read: a line in the log, a defined status, and the
worker goes on."""

import os
import re
import resource
import subprocess
import time

import pytest

from lib import upstreams as up
from lib.client import Client, get, request
from lib.ports import wait_until

CONF = """
%%USER%%
worker_processes 1;
events {}
http {
    client_body_temp_path %%DISK%%/bodies;
    proxy_temp_path %%DISK%%/replies;
    limit_req_zone $arg_k zone=rate:32k rate=1r/m;
    limit_conn_zone $arg_k zone=at_once:32k;
    server {
        listen 127.0.0.1:%%PORT_0%% sndbuf=64k;  # else the kernel may take all of a large reply
        root %%PREFIX%%/files;
        client_max_body_size 10m;
        client_body_buffer_size 4k;
        location / { proxy_pass http://127.0.0.1:%%UP%%; proxy_buffers 4 4k; proxy_busy_buffers_size 4k; proxy_send_timeout 60s; }
        location /mirrored { mirror /pid; proxy_pass http://127.0.0.1:%%UP%%; }
        location /asked { auth_request /pid; auth_request_body 8m; proxy_pass http://127.0.0.1:%%UP%%; }
        location = /pid { return 200 $pid; }
        location /logged { access_log %%LOG%%; return 200 "in"; }
        location /file/ { alias %%PREFIX%%/files/; }
        location /tried/ { alias %%PREFIX%%/files/; error_page 403 = /pid; }
        location /rate { limit_req zone=rate; try_files /none =204; }
        location /buffer { proxy_pass http://127.0.0.1:%%UP%%; proxy_buffer_size 60m; proxy_buffers 4 60m; }
        location /conn { limit_conn at_once 100; limit_conn_status 429; proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""
FIXED = dict(USER="", LOG="off")


@pytest.fixture
def small_disk(tmp_path):
    """A folder with room for 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=777", "tmpfs", str(folder)], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    os.chmod(tmp_path, 0o755)
    yield str(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


def goes_on(s, pid):
    return get(s.port, "/pid").text == pid


# ---- a full disk

@pytest.mark.parametrize("path", ["/", "/mirrored", "/asked"])
def test_a_body_that_does_not_fit_the_disk(server, upstream, small_disk, path):
    u = upstream(up.serve(lambda r: up.reply(200, str(len(r.body)))))
    s = server(CONF, **FIXED, UP=u.port, DISK=small_disk)
    pid = get(s.port, "/pid").text
    assert request(s.port, "POST", path, body=b"x" * 100_000).text == "100000"
    assert request(s.port, "POST", path, body=b"x" * 2_000_000).status == 500
    s.wait_for_log(r"\[crit\] .*(write|pwrite|pwritev)\(\) .*failed \(28: No space left on device\)")
    assert request(s.port, "POST", path, body=b"x" * 100_000).text == "100000", "what was written before is gone"
    assert goes_on(s, pid) and len(u.requests) == 2


def test_a_reply_that_does_not_fit_the_disk_waits_for_its_client(server, upstream, small_disk):
    whole = b"0123456789" * 400_000
    s = server(CONF, **FIXED, UP=upstream(up.serve(lambda r: up.reply(200, whole))).port, DISK=small_disk)
    pid = get(s.port, "/pid").text
    with Client(s.port) as client:
        client.send("GET /big HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_until(lambda: os.statvfs(small_disk).f_bfree == 0, 10, "a full disk")
        assert client.read_reply().body == whole
    s.wait_for_log(r"\[crit\] .*failed \(28: No space left on device\).* while reading upstream")
    assert goes_on(s, pid)


def test_a_log_on_a_full_disk(server, upstream, tmp_path):
    s = server(CONF, USER="", LOG="/dev/full", UP=1, DISK=str(tmp_path), allow_log=[r"\[alert\] .*/dev/full"])
    pid = get(s.port, "/pid").text
    assert [get(s.port, "/logged").text for _ in range(3)] == ["in"] * 3
    s.wait_for_log(r'\[alert\] .*write\(\) to "/dev/full" failed, \d+ lines or buffers dropped \(28: No space left on device\)')
    assert goes_on(s, pid)


# ---- full zones

def long_key(number):
    return f"{number:04}" + "k" * 900


def test_a_full_zone_of_rates_forgets_the_oldest(server, upstream, tmp_path):
    s = server(CONF, **FIXED, UP=1, DISK=str(tmp_path))
    pid = get(s.port, "/pid").text
    with Client(s.port) as client:
        assert {client.get(f"/rate?k={long_key(n)}").status for n in range(200)} == {204}
        assert client.get(f"/rate?k={long_key(199)}").status == 503, "the newest is remembered"
        assert client.get(f"/rate?k={long_key(0)}").status == 204
    assert goes_on(s, pid)


def test_a_full_zone_of_connections_refuses(server, upstream, tmp_path):
    """Nothing in it may be forgotten: each entry is a request at work."""
    u = upstream([up.request(), up.read_to_end()])
    s = server(CONF, **FIXED, UP=u.port, DISK=str(tmp_path))
    pid = get(s.port, "/pid").text
    waiting = []
    try:
        for n in range(60):
            waiting.append(Client(s.port).send(f"GET /conn?k={long_key(n)} HTTP/1.1\r\nHost: h\r\n\r\n"))
        s.wait_for_log('limiting connections by zone "at_once"')
        assert get(s.port, f"/conn?k={long_key(99)}").status == 429
        assert goes_on(s, pid)
    finally:
        for client in waiting:
            client.close()
    wait_until(lambda: Client(s.port).send(f"GET /conn?k={long_key(99)} HTTP/1.1\r\nHost: h\r\n\r\n") and
               len([r for r in u.requests if long_key(99) in r.target]) > 0, 10, "room again")


# ---- files that may not be read

@pytest.mark.skipif(os.geteuid() != 0, reason="files of another user need root")
def test_a_file_of_somebody_else(server, upstream, tmp_path):
    s = server(CONF, USER="user nobody;", LOG="off", UP=1, DISK=str(tmp_path), files={"files/open": "open", "files/secret": "secret"})
    os.chmod(os.path.join(s.prefix, "files/secret"), 0o600)
    pid = get(s.port, "/pid").text
    assert get(s.port, "/file/open").text == "open"
    assert get(s.port, "/file/secret").status == 403
    s.wait_for_log(r'\[error\] .*open\(\) "\S+/files/secret" failed \(13: Permission denied\)')
    assert get(s.port, "/tried/secret").text == pid
    assert goes_on(s, pid)


def test_a_file_that_is_none(server, upstream, tmp_path):
    s = server(CONF, **FIXED, UP=1, DISK=str(tmp_path), files={"files/open": "open"})
    os.mkfifo(os.path.join(s.prefix, "files/pipe"))
    pid = get(s.port, "/pid").text
    assert get(s.port, "/file/open/below").status == 404
    assert get(s.port, "/file/pipe").status == 404
    assert get(s.port, "/file/" + "x" * 300).status == 404
    s.wait_for_log(r"failed \(36: File name too long\)")
    assert goes_on(s, pid)


def test_no_descriptors_left(server, tmp_path):
    """Said once a second, as long as it lasts; who waits is served when it is over."""
    s = server(CONF, **FIXED, DISK=tmp_path, UP=1)
    (worker,) = s.wait_workers()
    get(s.port, "/pid")
    before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    begin = time.monotonic()
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{worker}/fd")), before[1]))
    with Client(s.port) as waiting:
        waiting.send(b"GET /pid HTTP/1.1\r\nHost: h\r\n\r\n")
        s.wait_for_log(r"\[crit\].*accept4\(\) failed \(24: Too many open files\)")
        wait_until(lambda: s.log().count("accept4() failed") >= 3, 5, "the third line")
        assert time.monotonic() - begin > 1.9
        resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
        assert waiting.read_reply("GET").text == str(worker)


def test_a_buffer_that_does_not_fit_the_memory(server, upstream, tmp_path):
    """Its request fails; the others of the worker go on."""
    s = server(CONF, **FIXED, DISK=tmp_path, UP=upstream(up.serve(lambda r: up.reply(200, b"whole"))).port)
    (worker,) = s.wait_workers()
    with open(f"/proc/{worker}/status") as f:
        mapped = 1024 * int(re.search(r"VmSize:\s+(\d+)", f.read()).group(1))
    if mapped > 2**40:
        pytest.skip("the memory of a sanitizer build cannot be limited")
    with Client(s.port) as other:
        assert other.get("/pid").text == str(worker)
        resource.prlimit(worker, resource.RLIMIT_AS, (mapped + 24 * 2**20, resource.RLIM_INFINITY))
        assert get(s.port, "/buffer").status == 500
        s.wait_for_log(r"\[\w+\] \d+#.*recv\(\) failed \(12: Cannot allocate memory\)")
        assert other.get("/pid").text == str(worker)
        assert request(s.port, "POST", "/", body=b"small").text == "whole"
