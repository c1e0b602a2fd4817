# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""early_hints: which 103 of an upstream reaches the client."""

import pytest

from lib import upstreams as up
from lib.client import Client, get, raw

CONF = """
events {}
http {
    proxy_hide_header X-Secret;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://127.0.0.1:%%UP%%; }
        location /on { early_hints 1; proxy_pass http://127.0.0.1:%%UP%%; }
        location /if { early_hints $arg_a $arg_b; proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""
HINTS = (b"HTTP/1.1 100 Continue\r\n\r\n"
         b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nX-Secret: s\r\nConnection: close\r\nServer: x\r\n\r\n"
         b"HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n")


def answers(s, target):
    with Client(s.port) as c:
        c.send(f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
        got = []
        while not got or got[-1].status < 200:
            got.append(c.read_reply())
        return got


@pytest.fixture
def hinting(server, upstream):
    return server(CONF, UP=upstream(up.serve(lambda r: HINTS + up.reply(200, "done", {"Link": "</c>"}))).port)


@pytest.mark.parametrize("target, passed", [("/", False), ("/on", True), ("/if", False), ("/if?a=0&b=0", False), ("/if?b=x", True),
                                            ("/if?a=1", True)])
def test_hints_are_passed_on_if_a_condition_holds(hinting, target, passed):
    got = answers(hinting, target)
    assert [r.status for r in got] == ([103, 103] if passed else []) + [200]
    assert got[-1].text == "done" and got[-1].all("link") == ["</c>"]
    if passed:
        assert got[0].headers == [("Link", "</a>; rel=preload")] and got[1].headers == [("Link", "</b>")]


def test_not_to_a_client_of_http_1_0(hinting):
    assert raw(hinting.port, b"GET /on HTTP/1.0\r\nHost: h\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_hints_before_the_end_of_an_upload(server, upstream):
    u = upstream([up.head(), up.send(HINTS), up.body(), up.send(up.reply(200, "read"))])
    s = server(CONF.replace("http {", "http { proxy_request_buffering off;"), UP=u.port)
    with Client(s.port) as c:
        c.send(b"POST /on HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n12")
        assert [c.read_reply().status for _ in range(2)] == [103, 103]
        c.send(b"34")
        assert c.read_reply().text == "read"


def test_the_log_counts_the_response_alone(server, upstream):
    log = "http { log_format f '$status $upstream_status $upstream_http_link'; access_log %%PREFIX%%/logs/a.log f;"
    s = server(CONF.replace("http {", log),
               UP=upstream(up.serve(lambda r: HINTS + up.reply(200, "done", {"Link": "</c>"}))).port)
    answers(s, "/on")
    get(s.port, "/")
    s.quit()
    assert s.read("logs/a.log") == "200 200 </c>\n" * 2
