# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Work-arounds for faults of browsers: keepalive_disable, msie_padding, msie_refresh."""

import pytest

from lib.client import Client, get

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        keepalive_disable safari msie6;
        return 200 ok;
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        location / { return 404; }
        location /bare { msie_padding off; return 404; }
        location /moved { msie_refresh on; return 301 "http://other.test/a'b\\"c"; }
        location /plain { return 301 http://other.test/; }
    }
    server {
        listen 127.0.0.1:%%PORT_2%%;
        return 200 ok;
    }
    server {
        listen 127.0.0.1:%%PORT_3%%;
        keepalive_disable none;
        return 200 ok;
    }
}
"""
MSIE6 = "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)"
MSIE6_SV1 = "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)"
OPERA = "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1) Opera 9"
SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605 (KHTML, like it) Version/17 Safari/605"
CHROME = "Mozilla/5.0 (X11; Linux) AppleWebKit/537 (KHTML, like it) Chrome/120.0 Safari/537"
FIREFOX = "Mozilla/5.0 (X11; Linux; rv:109.0) Gecko/20100101 Firefox/115.0"
PADDING = b"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n" * 6


def stays_open(port, method, agent):
    c = Client(port)
    c.send(f"{method} / HTTP/1.1\r\nHost: h\r\nUser-Agent: {agent}\r\nContent-Length: 0\r\n\r\n")
    reply = c.read_reply(method)
    closed = reply.has_word("connection", "close")
    assert closed == (not c.is_quiet())
    return not closed


@pytest.mark.parametrize("server_index, method, agent, kept", [
    (0, "POST", MSIE6, False), (0, "GET", MSIE6, True), (0, "POST", MSIE6_SV1, True), (0, "POST", OPERA, True),
    (0, "GET", SAFARI, False), (0, "GET", CHROME, True), (0, "GET", FIREFOX, True), (0, "POST", "", True),
    (2, "POST", MSIE6, False), (2, "GET", SAFARI, True), (3, "POST", MSIE6, True),
])
def test_connections_of_old_browsers_are_not_kept(server, server_index, method, agent, kept):
    s = server(CONF)
    assert stays_open(s.ports[server_index], method, agent) is kept


def test_small_error_pages_are_filled_for_some(server):
    s = server(CONF)
    port = s.ports[1]
    for agent in (MSIE6, CHROME):
        assert get(port, "/", {"User-Agent": agent}).body.endswith(b"</html>\r\n" + PADDING)
        assert get(port, "/bare", {"User-Agent": agent}).body.endswith(b"</html>\r\n")
    for agent in (SAFARI, OPERA, FIREFOX, "curl"):
        assert get(port, "/", {"User-Agent": agent}).body.endswith(b"</html>\r\n")
    assert get(port, "/plain", {"User-Agent": MSIE6}).body.endswith(b"</html>\r\n")


def test_a_redirect_becomes_a_page_for_msie(server):
    s = server(CONF)
    reply = get(s.ports[1], "/moved", {"User-Agent": MSIE6})
    assert (reply.status, reply.header("location")) == (200, None)
    refresh = b'<meta http-equiv="Refresh" content="0; URL=http://other.test/a%27b%22c">'
    assert reply.body == b"<html><head>" + refresh + b"</head><body></body></html>\r\n"
    assert get(s.ports[1], "/moved", {"User-Agent": FIREFOX}).status == 301
    assert get(s.ports[1], "/plain", {"User-Agent": MSIE6}).status == 301
