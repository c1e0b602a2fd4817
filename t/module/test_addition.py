# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""add_before_body, add_after_body: what subrequests answer goes before and behind a response, and nowhere else. Debian's nginx is asked,
too, where it has the same."""

import os

import pytest

from lib import upstreams as up
from lib.client import Client, get, request
from lib.nginx import BINARY

CONF = """
events {}
http {
    default_type text/html;
    add_before_body /before;
    add_after_body /after;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://127.0.0.1:%%UP%%; }
        location /static { root %%PREFIX%%/html; }
        location /none { add_before_body ""; add_after_body ""; proxy_pass http://127.0.0.1:%%UP%%; }
        location /dead { add_before_body /gone; proxy_pass http://127.0.0.1:%%UP%%; }
        location /text { addition_types text/plain; proxy_pass http://127.0.0.1:%%UP%%; }
        location = /before { internal; proxy_pass http://127.0.0.1:%%UP%%; }
        location = /after { internal; proxy_pass http://127.0.0.1:%%UP%%; }
        location = /gone { return 404; }
    }
}
"""


def answer(request):
    kind = "text/plain" if "text" in request.target or "plain" in request.target else "text/html"
    status = 404 if "missing" in request.target else 200
    return up.reply(status, f"[{request.target}]".encode(), headers=[("Content-Type", kind), ("ETag", '"x"')])


@pytest.fixture(params=["fairlead", "nginx"])
def s(request, server, nginx, upstream):
    if request.param == "nginx" and not os.path.exists(BINARY):
        pytest.skip("no nginx to compare with")
    made = (server if request.param == "fairlead" else nginx)(CONF, UP=upstream(up.serve(answer)).port)
    made.write("html/static", "a file")
    return made


def test_both_ends(s):
    with Client(s.port) as client:
        for _ in range(2):
            reply = client.get("/x")
            assert reply.text == "[/before][/x][/after]"
            assert reply.header("Transfer-Encoding") == "chunked" and not reply.all("Content-Length")
        assert client.get("/static").text == "[/before]a file[/after]"


def test_what_is_left_alone(s):
    assert get(s.port, "/none").text == "[/none]"
    assert get(s.port, "/missing").text == "[/missing]"
    assert get(s.port, "/plain").text == "[/plain]"
    assert get(s.port, "/text").text == "[/before][/text][/after]"


def test_the_tag_is_weak_and_head_says_no_length(s):
    assert get(s.port, "/x").header("ETag") == 'W/"x"' and get(s.port, "/static").header("Last-Modified")
    for target in ("/x", "/static"):
        head = request(s.port, "HEAD", target)
        assert head.body == b"" and not head.all("Content-Length"), target


def test_a_response_that_is_too_long(server, upstream):
    html = [("Content-Type", "text/html")]
    peer = upstream(up.serve(lambda r: up.reply(200, b"x" * 100 if r.target == "/before" else b"y", headers=html)))
    s = server(CONF.replace("add_before_body /before;", "add_before_body /before; addition_max_size 50;"), UP=peer.port)
    assert get(s.port, "/x").text == "x" * 50 + "yy"
    s.wait_for_log("the response of a subrequest is too large")


def test_a_missing_part_leaves_the_rest(server, upstream):
    s = server(CONF, UP=upstream(up.serve(answer)).port)
    text = get(s.port, "/dead").text
    assert text.endswith("[/dead][/after]") and "404 Not Found" in text
