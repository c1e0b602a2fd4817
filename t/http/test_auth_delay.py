# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""auth_delay: a 401 is held back, everything else is not, and a client that leaves does not keep its place."""

import re
import time

from lib.client import Client, get
from lib.ports import wait_until

CONF = """
events {}
http {
    log_format said "$status $request_time";
    access_log %%PREFIX%%/logs/access.log said;
    auth_delay %%DELAY%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        auth_basic "x";
        auth_basic_user_file %%PREFIX%%/users;
        location / { try_files /none =204; }
        location /any { satisfy any; deny all; try_files /none =204; }
        location /forbidden { auth_basic off; deny all; try_files /none =204; }
        location /now { auth_delay 0; try_files /none =204; }
    }
}
"""
USERS = {"users": "a:{PLAIN}b\n"}


def timed(*args):
    began = time.monotonic()
    return get(*args).status, time.monotonic() - began


def test_only_401_waits(server):
    s = server(CONF, files=USERS, DELAY="1s")
    for target in ("/", "/any"):
        status, seconds = timed(s.port, target)
        assert status == 401 and seconds > 0.9, target
    s.wait_for_log("delaying unauthorized request")
    assert timed(s.port, "/forbidden")[0] == 403 and timed(s.port, "/now")[0] == 401
    assert timed(s.port, "/", {"Authorization": "Basic YTpi"})[0] == 204
    wait_until(lambda: len(re.findall(r"^401 (?:[1-9]|0\.9)", s.read("logs/access.log"), re.M)) == 2, 5, "two lines of a second")


def test_a_client_that_leaves(server):
    s = server(CONF, files=USERS, DELAY="1h")
    client = Client(s.port).send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    s.wait_for_log("delaying unauthorized request")
    client.close()
    wait_until(lambda: "499" in s.read("logs/access.log"))
