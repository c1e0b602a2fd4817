# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Request bodies as variables and files: $request_body, $request_body_file, client_body_in_file_only, client_body_in_single_buffer."""

import os

import pytest

from lib import upstreams as up
from lib.client import Client, chunked, post, raw
from lib.ports import wait_until

CONF = """
events {}
http {
    client_body_buffer_size 8k;
    client_body_temp_path bodies 1 2;
    log_format body escape=none '$uri [$request_body] [$request_body_file]';
    access_log logs/body.log body;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://127.0.0.1:%%UP%%; proxy_set_header X-File $request_body_file; }
        location /single { proxy_pass http://127.0.0.1:%%UP%%; client_body_in_single_buffer on; }
        location /stays { proxy_pass http://127.0.0.1:%%UP%%; client_body_in_file_only on; proxy_set_header X-File $request_body_file; }
        location /clean { proxy_pass http://127.0.0.1:%%UP%%; client_body_in_file_only clean; proxy_set_header X-File $request_body_file; }
        location /twice { proxy_pass http://127.0.0.1:%%UP%%; proxy_set_body "<$request_body>"; }
        location /unread { return 200; }
        location /tiny { client_body_buffer_size 4; proxy_pass http://127.0.0.1:%%UP%%; proxy_set_header X-Body $request_body;
                         proxy_set_header X-File $request_body_file; }
        location /apart/ {
            proxy_pass_request_body off; proxy_set_header Content-Length "";
            proxy_set_header X-Body $request_body; proxy_set_header X-File $request_body_file;
            location /apart/text { proxy_pass http://127.0.0.1:%%UP%%; }
            location /apart/unbuffered { proxy_request_buffering off; proxy_pass http://127.0.0.1:%%UP%%; }
            location /apart/file { client_body_in_file_only clean; proxy_pass http://127.0.0.1:%%UP%%; }
            location /apart/set { proxy_set_body "<$request_body>"; proxy_pass http://127.0.0.1:%%UP%%; }
            location /apart/limited { client_max_body_size 3; proxy_pass http://127.0.0.1:%%UP%%; }
        }
        location /set { proxy_request_buffering off; proxy_set_body "<$request_body>"; proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""


def echo(request):
    return up.reply(200, request.body, {"X-File": request.header("X-File") or "none", "X-Body": request.header("X-Body") or "none"})


@pytest.fixture
def peer(upstream):
    return upstream(up.serve(echo))


@pytest.fixture
def kept(server, peer):
    return server(CONF, UP=peer.port)


def log_of(server):
    wait_until(lambda: server.read("logs/body.log"), 5, "the access log")
    return server.read("logs/body.log").splitlines()


@pytest.mark.parametrize("path", ["/", "/single"])
def test_a_body_in_memory_is_a_variable(kept, path):
    c = Client(kept.port)
    c.send(f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nConnection: close\r\n\r\none").send_pieces(b"twotri", 1)
    assert c.read_reply("POST").body == b"onetwotri"
    c.read_until_close()
    assert log_of(kept) == [f"{path} [onetwotri] []"]


def test_a_chunked_body_is_joined(kept):
    raw(kept.port, b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunked(b"ab", b"c", b"def"))
    assert log_of(kept) == ["/ [abcdef] []"]


def test_it_can_be_sent_within_another_body(kept):
    assert post(kept.port, "/twice", b"inner").body == b"<inner>"


def test_a_body_that_nobody_read_is_empty(kept):
    raw(kept.port, b"POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc")
    assert log_of(kept) == ["/unread [] []"]


def test_a_large_body_is_in_a_file_and_no_variable(kept):
    body = b"x" * 100_000
    reply = post(kept.port, "/", body)
    assert reply.body == body
    assert reply.header("X-File").startswith(os.path.join(kept.prefix, "bodies/"))
    kept.wait_for_log("a client request body is buffered to a temporary file")


def test_a_file_that_is_to_stay_stays_below_its_levels(kept):
    reply = post(kept.port, "/stays", b"short")
    path = reply.header("X-File")
    folder, first, second, name = path.rsplit("/", 3)
    assert folder == os.path.join(kept.prefix, "bodies")
    assert name.endswith(second + first)
    with open(path, "rb") as f:
        assert f.read() == b"short"
    assert reply.body == b"short"
    kept.wait_for_log(r"\[notice\] .* a client request body is buffered to a temporary file")


def test_a_file_to_be_cleaned_is_gone_behind_its_request(kept):
    reply = post(kept.port, "/clean", b"short")
    path = reply.header("X-File")
    assert path.startswith(os.path.join(kept.prefix, "bodies/")) and reply.body == b"short"
    wait_until(lambda: not os.path.exists(path), 5, "the end of the file")


def post_chunked(server, path):
    """In pieces: nothing of the body is there when the head is."""
    with Client(server.port) as c:
        c.send(f"POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").send_pieces(chunked(b"hel", b"lo"), 4)
        return c.read_reply("POST")


@pytest.mark.parametrize("path, has, body", [
    ("/apart/text", "hello", b""), ("/apart/unbuffered", "hello", b""), ("/apart/set", "hello", b"<hello>"), ("/set", "none", b"<hello>"),
])
def test_a_body_that_is_not_passed_on_is_read_all_the_same(kept, path, has, body):
    reply = post_chunked(kept, path)
    assert (reply.header("X-Body"), reply.body) == (has, body)


def test_its_file_can_be_named_in_place_of_it(kept):
    reply = post_chunked(kept, "/apart/file")
    path = reply.header("X-File")
    assert path.startswith(os.path.join(kept.prefix, "bodies/")) and reply.body == b""
    wait_until(lambda: not os.path.exists(path), 5, "the end of the file")


def test_what_came_with_the_head_is_a_variable_however_small_the_buffer(kept):
    reply = post(kept.port, "/tiny", b"longer than that")
    assert (reply.header("X-Body"), reply.header("X-File"), reply.body) == ("longer than that", "none", b"longer than that")
    with Client(kept.port) as c:
        c.send("POST /tiny HTTP/1.1\r\nHost: h\r\nContent-Length: 16\r\nExpect: 100-continue\r\n\r\n")
        assert c.read_reply("POST").status == 100
        c.send("longer than that")
        reply = c.read_reply("POST")
    assert (reply.header("X-Body"), reply.header("X-File") != "none", reply.body) == ("none", True, b"longer than that")


@pytest.mark.parametrize("framing, rest, has_file", [
    ("Content-Length: 0\r\n", b"", True), ("Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", True), ("", b"", False),
])
def test_an_empty_body_has_a_file_if_its_head_names_it(kept, framing, rest, has_file):
    with Client(kept.port) as c:
        c.send(f"POST /stays HTTP/1.1\r\nHost: h\r\n{framing}\r\n".encode() + rest)
        path = c.read_reply("POST").header("X-File")
        c.send(f"POST /clean HTTP/1.1\r\nHost: h\r\n{framing}\r\n".encode() + rest)
        cleaned = c.read_reply("POST").header("X-File")
    if not has_file:
        assert (path, cleaned) == ("none", "none")
        return
    assert path.startswith(os.path.join(kept.prefix, "bodies/")) and os.path.getsize(path) == 0
    wait_until(lambda: not os.path.exists(cleaned), 5, "the end of the file")
    kept.wait_for_log(r"\[notice\] .* a client request body is buffered to a temporary file " + path)
    assert log_of(kept)[0] == f"/stays [] [{path}]"


def test_its_limit_holds(kept, peer):
    assert post_chunked(kept, "/apart/limited").status == 413
    assert peer.requests == []
