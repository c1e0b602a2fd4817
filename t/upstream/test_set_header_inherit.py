# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""proxy_set_header_inherit and grpc_set_header_inherit: lines of outer blocks beside own ones."""

import pytest

from lib import upstreams as up
from lib.client import get, request

CONF = """
events {}
http {
    %%WHAT%%_set_header X-Http http;
    %%WHAT%%_set_header X-Both outer;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%WHAT%%_set_header_inherit merge;
        %%WHAT%%_set_header X-Server "$arg_a";
        location / { %%WHAT%%_set_header x-both inner; %%WHAT%%_set_header X-Own own; %%WHAT%%_pass 127.0.0.1:%%UP%%; }
        location /none { %%WHAT%%_pass 127.0.0.1:%%UP%%; }
        location /on { %%WHAT%%_set_header_inherit on; %%WHAT%%_set_header X-Own own; %%WHAT%%_pass 127.0.0.1:%%UP%%; }
        location /empty { %%WHAT%%_set_header X-Http ""; %%WHAT%%_pass 127.0.0.1:%%UP%%; }
    }
}
"""
NAMES = ("X-Http", "X-Both", "X-Server", "X-Own")
WANTED = {"/": ["http", "inner", "a", "own"], "/none": ["http", "outer", "a", None], "/on": [None, None, None, "own"],
          "/empty": [None, "outer", "a", None]}


def test_proxy(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, "x")))
    s = server(CONF.replace("%%WHAT%%_pass ", "proxy_pass http://"), UP=u.port, WHAT="proxy")
    for target, wanted in WANTED.items():
        assert get(s.port, target + "?a=a").status == 200
        assert [u.requests[-1].header(name) for name in NAMES] == wanted, target


def test_grpc(server, h2_upstream):
    fields = [("content-type", "application/grpc"), ("grpc-status", "0")]
    u = h2_upstream(lambda stream: stream.head(200, fields, end=True))
    s = server(CONF, UP=u.port, WHAT="grpc")
    for target, wanted in WANTED.items():
        assert request(s.port, "POST", target + "?a=a", b"").status == 200
        assert [u.requests[-1].header(name.lower()) for name in NAMES] == wanted, target


@pytest.mark.parametrize("line", ["proxy_set_header_inherit off", "grpc_set_header_inherit yes"])
def test_bad_lines(idle_server, line):
    done = idle_server(f"events {{}} http {{ server {{ listen 127.0.0.1:%%PORT_0%%; {line}; }} }}").run("-t")
    assert done.returncode == 1 and f'invalid value "{line.split()[1]}"' in done.stderr, done.stderr
