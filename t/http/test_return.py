# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""`return`: statuses, texts, redirects, and the silent end. The comparison with nginx is in differential/test_rewrite.py."""

import pytest

from lib.client import Client, get, post, raw, request

CONF = """
events {}
http {
    types { text/html html; }
    default_type text/plain;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        error_page 410 =202 /page;
        location /text { return 200 "a $arg_x b"; }
        location /x.html { return 200 html; }
        location /big { return 200 "%%BIG%%"; }
        location /empty { return 200; }
        location /204 { return 204 "no such thing"; }
        location /404 { return 404; }
        location /404text { return 404 "own words"; }
        location /silent { return 444; }
        location /gone { return 410; }
        location /page { return 204; }
        location /moved { return 301 /there?$args; }
        location /away { return https://other.example$request_uri; }
        location /308 { return 308 relative; }
        location /decoded { return 302 http://other.example$uri; }
    }
}
"""


@pytest.fixture
def s(server):
    return server(CONF, BIG="0123456789" * 30000)


def test_a_text_has_its_length_and_type(s):
    reply = get(s.port, "/text?x=1")
    assert (reply.status, reply.text, reply.header("Content-Length"), reply.header("Content-Type")) == (200, "a 1 b", "5", "text/plain")
    assert get(s.port, "/x.html").header("Content-Type") == "text/html"


def test_an_empty_text_is_an_empty_body(s):
    reply = get(s.port, "/empty")
    assert (reply.status, reply.body, reply.header("Content-Length")) == (200, b"", "0")


def test_a_text_larger_than_the_socket_takes_arrives_whole(s):
    assert get(s.port, "/big").body == b"0123456789" * 30000


def test_head_has_the_length_and_no_body(s):
    reply = request(s.port, "HEAD", "/text?x=22")
    assert (reply.status, reply.header("Content-Length"), reply.body) == (200, "6", b"")


def test_204_says_nothing_about_a_body_and_keeps_the_connection(s):
    with Client(s.port) as c:
        reply = c.get("/204")
        assert (reply.status, reply.header("Content-Type"), reply.header("Content-Length")) == (204, None, None)
        assert c.get("/text").text == "a  b"


def test_an_error_without_text_has_the_built_in_page_and_one_with_text_that_text(s):
    assert "<h1>404 Not Found</h1>" in get(s.port, "/404").text
    reply = get(s.port, "/404text")
    assert (reply.status, reply.text) == (404, "own words")


def test_444_closes_without_a_byte(s):
    assert raw(s.port, "GET /silent HTTP/1.1\r\nHost: h\r\n\r\n") == b""


def test_a_204_for_an_error_page_keeps_the_status_that_was_asked_for(s):
    reply = get(s.port, "/gone")
    assert (reply.status, reply.body) == (202, b"")


def test_redirects(s):
    origin = f"http://localhost:{s.port}"
    reply = get(s.port, "/moved?a=b")
    assert (reply.status, reply.header("Location")) == (301, origin + "/there?a=b")
    assert "301 Moved Permanently" in reply.text
    reply = get(s.port, "/away?x")
    assert (reply.status, reply.header("Location")) == (302, "https://other.example/away?x")
    assert get(s.port, "/308").header("Location") == "relative"


def test_a_decoded_line_end_does_not_begin_a_field(s):
    reply = get(s.port, "/decoded%0d%0aX-Evil:%201")
    assert (reply.status, reply.header("X-Evil"), reply.header("Location")) == (302, None, "http://other.example/decoded%0D%0AX-Evil: 1")


def test_a_body_that_nobody_reads_does_not_disturb_the_next_request(s):
    with Client(s.port) as c:
        assert c.request("POST", "/text?x=1", b"x" * 5000).text == "a 1 b"
        assert c.get("/text?x=2").text == "a 2 b"
    assert post(s.port, "/404", b"body").status == 404
