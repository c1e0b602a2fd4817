# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""proxy_store: a copy of each whole reply of status 200, and of nothing else."""

import calendar
import os
import stat
import threading

import pytest

from lib import upstreams as up
from lib.client import Client, chunked, get
from lib.ports import wait_until

CONF = """
events {}
http {
    proxy_temp_path %%PREFIX%%/temp;
    proxy_store_access group:rw all:r;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { root %%PREFIX%%/kept; proxy_store on; proxy_pass http://127.0.0.1:%%UP%%; }
        location /alias/ { alias %%PREFIX%%/kept/other/; proxy_store on; proxy_store_access user:rw; proxy_pass http://127.0.0.1:%%UP%%; }
        location /text/ { proxy_store %%PREFIX%%/kept/$arg_name; proxy_pass http://127.0.0.1:%%UP%%; }
        location /off { proxy_pass http://127.0.0.1:%%UP%%; }
        location /unbuffered { root %%PREFIX%%/kept; proxy_buffering off; proxy_store on; proxy_pass http://127.0.0.1:%%UP%%; }
        location /nowhere { proxy_store /proc/nowhere/file; proxy_pass http://127.0.0.1:%%UP%%; }
        location /served/ { root %%PREFIX%%/kept; error_page 404 = @fetch; }
        location @fetch { root %%PREFIX%%/kept; proxy_store on; proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""
DATE = "Mon, 28 Sep 1970 06:00:00 GMT"
BODY = bytes(range(256)) * 4000


def kept(s, name):
    path = os.path.join(s.prefix, "kept", name)
    if not os.path.exists(path):
        return None
    with open(path, "rb") as f:
        return f.read()


def leftovers(s):
    return [name for _, _, names in os.walk(os.path.join(s.prefix, "temp")) for name in names]


REPLIES = {
    "length": up.reply(200, BODY, {"Last-Modified": DATE}),
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(BODY[:7], BODY[7:]),
    "empty": up.reply(200, b""),
    "small": up.reply(200, b"s"),
}


@pytest.mark.parametrize("kind", REPLIES)
@pytest.mark.parametrize("place", ["/a/b/file", "/unbuffered"])
def test_a_reply_is_kept(server, upstream, kind, place):
    s = server(CONF, UP=upstream(up.serve(lambda r: REPLIES[kind])).port)
    got = get(s.port, place)
    assert got.status == 200
    wait_until(lambda: kept(s, place[1:]) is not None, 5, "the stored file")
    assert kept(s, place[1:]) == got.body and not leftovers(s)
    assert get(s.port, place).body == got.body  # in place of the file that is there
    path = os.path.join(s.prefix, "kept", place[1:])
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o664
    if kind == "length":
        assert os.stat(path).st_mtime == calendar.timegm((1970, 9, 28, 6, 0, 0))


def test_where_files_go_and_who_may_read_them(server, upstream):
    s = server(CONF, UP=upstream(up.serve(lambda r: up.reply(200, r.target))).port)
    get(s.port, "/alias/x/y")
    get(s.port, "/text/?name=n")
    get(s.port, "/off")
    wait_until(lambda: kept(s, "n") and kept(s, "other/x/y"), 5, "the stored files")
    assert kept(s, "other/x/y") == b"/alias/x/y" and kept(s, "n") == b"/text/?name=n" and kept(s, "off") is None
    path = os.path.join(s.prefix, "kept/other/x")
    assert stat.S_IMODE(os.stat(path + "/y").st_mode) == 0o600 and stat.S_IMODE(os.stat(path).st_mode) == 0o700


def test_a_missing_file_is_fetched_once(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, "made")))
    s = server(CONF, UP=u.port)
    for _ in range(3):
        assert get(s.port, "/served/f").text == "made"
        wait_until(lambda: kept(s, "served/f"), 5, "the stored file")
    assert len(u.requests) == 1


@pytest.mark.parametrize("script, method", [
    (up.serve(lambda r: up.reply(404, b"none")), "GET"), (up.serve(lambda r: up.reply(201, b"made")), "GET"),
    (up.serve(lambda r: up.reply(200, b"", length=4)), "HEAD"),
    ([up.request(), up.send(up.reply(200, b"half", length=8)), up.close()], "GET"),
    ([up.request(), up.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"), up.close()], "GET"),
])
def test_what_is_not_whole_or_not_200_is_not_kept(server, upstream, script, method):
    s = server(CONF, UP=upstream(script).port)
    with Client(s.port) as c:
        try:
            c.request(method, "/f")
        except AssertionError:
            pass
    s.quit()
    assert kept(s, "f") is None and not leftovers(s)


def test_a_client_that_leaves_does_not_end_the_copy(server, upstream):
    gate = threading.Event()
    u = upstream([up.request(), up.send(up.reply(200, BODY[:100], length=len(BODY))), up.wait_for(gate), up.send(BODY[100:])])
    s = server(CONF, UP=u.port)
    with Client(s.port) as c:
        c.send(b"GET /left HTTP/1.1\r\nHost: h\r\n\r\n")
        c.reader.until(b"\r\n\r\n")
    gate.set()
    wait_until(lambda: kept(s, "left") is not None, 5, "the stored file")
    assert kept(s, "left") == BODY


def test_a_place_that_cannot_be_made_costs_the_copy_only(server, upstream):
    s = server(CONF, UP=upstream(up.serve(lambda r: up.reply(200, BODY))).port)
    assert get(s.port, "/nowhere").body == BODY
    s.wait_for_log(r'\[crit\].*rename\(\) of a temporary file failed for "/proc/nowhere/file" \(\d+: .*while storing')
    wait_until(lambda: not leftovers(s), 5, "the end of the temporary file")


def test_another_file_system(server, upstream):
    """The temporary folder and the place are apart: the file is copied."""
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat("/tmp").st_dev:
        pytest.skip("one file system")
    conf = CONF.replace("proxy_temp_path %%PREFIX%%/temp", "proxy_temp_path /dev/shm/fairlead-test-%%PORT_0%%")
    s = server(conf, UP=upstream(up.serve(lambda r: REPLIES["length"])).port)
    assert get(s.port, "/apart").body == BODY
    wait_until(lambda: kept(s, "apart") == BODY, 5, "the stored file")
    assert os.listdir(os.path.join(s.prefix, "kept")) == ["apart"]
    temp = f"/dev/shm/fairlead-test-{s.port}"
    wait_until(lambda: not os.listdir(temp), 5, "the end of the temporary file")
    os.rmdir(temp)
