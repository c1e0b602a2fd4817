# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""$fail_reason of requests that no peer has seen: who refused them. (t/upstream has those of failed tries.)"""

import pytest

from lib.client import get, raw
from lib.ports import wait_until

CONF = """
events {}
http {
    log_format reasons "$status $uri $fail_reason";
    access_log logs/reasons.log reasons;
    limit_req_zone $uri zone=rate:64k rate=1r/m;
    limit_conn_zone $uri zone=number:64k;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 ok; }
        location /rate { limit_req zone=rate; }
        location /dry { limit_req zone=rate; limit_req_dry_run on; try_files /none =404; }
        location /denied { deny all; }
        location /any { satisfy any; deny all; auth_basic realm; auth_basic_user_file none; }
        location /let { satisfy any; allow all; auth_basic realm; auth_basic_user_file none; try_files /none =404; }
    }
}
"""


def wait_for_line(server, line):
    wait_until(lambda: line in server.read("logs/reasons.log").splitlines(), 5, f"{line!r} in the log")


@pytest.mark.parametrize("path, times, line", [
    ("/", 1, "200 / -"), ("/rate", 2, "503 /rate RL"), ("/dry", 2, "404 /dry -"), ("/denied", 1, "403 /denied UAEX"),
    ("/any", 1, "401 /any UAEX"), ("/let", 1, "404 /let -")])
def test_who_refused_it(server, path, times, line):
    s = server(CONF)
    for _ in range(times):
        get(s.port, path)
    wait_for_line(s, line)


def test_a_request_that_is_none(server):
    s = server(CONF)
    raw(s.port, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
    wait_for_line(s, "400 / DPE")


def test_a_request_that_does_not_come(server):
    s = server(CONF.replace("server {", "server {\n        client_header_timeout 1s;"))
    raw(s.port, b"GET /slow HTTP/1.1\r\n")
    wait_for_line(s, "408 /slow SI")
    s.wait_for_log(r"client timed out \(110: .*\) while reading client request headers, client: 127.0.0.1")
