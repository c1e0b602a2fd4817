# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What the $upstream_* variables say of each try, also of those that ended with the client or before anything was reached."""

import re

from lib import upstreams as up
from lib.client import Client, get, raw
from lib.ports import wait_until

CONF = """
events {}
http {
    log_format tries '$upstream_addr|$upstream_status|$upstream_connect_time|$upstream_header_time|$upstream_response_time|'
                     '$upstream_bytes_sent|$upstream_bytes_received|$upstream_response_length|$status|$bytes_sent';
    access_log %%PREFIX%%/logs/tries.log tries;
    log_format fields '$upstream_status|$upstream_http_x|$upstream_cookie_id|$upstream_trailer_t|$fail_reason';
    access_log %%PREFIX%%/logs/fields.log fields;
    upstream pair { server 127.0.0.1:%%A%% max_fails=0; server 127.0.0.1:%%B%% backup max_fails=0; }
    upstream other { server 127.0.0.1:%%B%%; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        proxy_read_timeout 5s;
        location / { proxy_pass http://pair; }
        location /page { error_page 502 503 = @other; proxy_intercept_errors on; proxy_next_upstream off; proxy_pass http://pair; }
        location @other { proxy_pass http://other; }
        location /ws { proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_pass http://pair; }
        location /none { access_log %%PREFIX%%/logs/tries.log tries; return 204; }
    }
}
"""
TIME = r"\d+\.\d{3}"


def last(s, count=1):
    wait_until(lambda: s.read("logs/tries.log").count("\n") >= count, 5, "the access log")
    return s.read("logs/tries.log").split("\n")[count - 1].split("|")


def test_a_try_that_did_not_connect_and_one_that_did(server, upstream):
    dead, good = up.Refused(), upstream(up.serve(lambda r: up.reply(200, b"12345", {"X": "y"})))
    s = server(CONF, A=dead.port, B=good.port)
    assert get(s.port, "/").text == "12345"
    addr, status, connect, header, response, sent, received, length, _, _ = last(s)
    assert addr == f"127.0.0.1:{dead.port}, 127.0.0.1:{good.port}" and status == "502, 200"
    assert re.fullmatch(rf"-, {TIME}", connect) and re.fullmatch(rf"-, {TIME}", header) and re.fullmatch(rf"{TIME}, {TIME}", response)
    request = len(good.connections[0].raw)
    assert sent == f"0, {request}" and received == f"0, {len(up.reply(200, b'12345', {'X': 'y'}))}" and length == "0, 5"
    dead.stop()


def test_a_client_that_leaves_during_the_second_try(server, upstream):
    bad, slow = upstream([up.request(), up.close()]), upstream([up.request(), up.hold()])
    s = server(CONF, A=bad.port, B=slow.port)
    with Client(s.port) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        slow.wait_requests(1)
    addr, status, connect, header, response, _, received, length, client, _ = last(s)
    assert addr.count(", ") == 1 and status == "502, -" and client == "499"
    assert re.fullmatch(rf"{TIME}, {TIME}", connect) and header == "-, -" and re.fullmatch(rf"{TIME}, {TIME}", response)
    assert received == "0, 0" and length == "0, 0"


def test_a_client_that_leaves_while_the_reply_is_read(server, upstream):
    u = upstream([up.request(), up.send(up.reply(200, b"half", length=8)), up.hold()])
    s = server(CONF, A=u.port, B=1)
    with Client(s.port) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        c.reader.until(b"half")
    _, status, connect, header, response, _, _, length, client, _ = last(s)
    assert status == "200" and length == "4" and client == "200"
    assert all(re.fullmatch(TIME, text) for text in (connect, header, response))


def test_another_group_after_an_internal_redirect(server, upstream):
    bad, good = upstream(up.serve(lambda r: up.reply(503, b"busy"))), upstream()
    s = server(CONF, A=bad.port, B=good.port)
    assert get(s.port, "/page").status == 200
    addr, status, *_ = last(s)
    assert addr == f"127.0.0.1:{bad.port} : 127.0.0.1:{good.port}" and status == "503 : 200"


def test_without_upstream_there_is_a_dash(server):
    s = server(CONF, A=1, B=2)
    assert get(s.port, "/none").status == 204
    assert last(s)[:8] == ["-"] * 8


def test_the_bytes_of_a_tunnel_are_counted(server, upstream):
    """Those of the wire; as a 101 has no body, its length stays 0."""
    switch = b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    u = upstream([up.head(), up.send(switch + b"0123456789"), up.read(4), up.close()])
    s = server(CONF, A=u.port, B=1)
    got = raw(s.port, b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nabcd")
    assert got.endswith(b"0123456789")
    _, status, _, _, _, sent, received, length, client, to_client = last(s)
    assert (status, client, length) == ("101", "101", "0")
    assert int(received) == len(switch) + 10 and int(sent) == len(u.connections[0].raw) and int(to_client) == len(got)


def test_fields_are_those_of_the_last_upstream(server, upstream):
    """... which has none where it did not answer: what the one before it said is not its word."""
    dead = up.Refused()
    fields = b"HTTP/1.1 503 X\r\nX: y\r\nSet-Cookie: id=7\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: u\r\n\r\n"
    first = upstream(up.serve(lambda r: fields))
    s = server(CONF, A=first.port, B=dead.port)
    assert get(s.port, "/page").status == 502
    wait_until(lambda: s.read("logs/fields.log"), 5, "the access log")
    assert s.read("logs/fields.log") == "503 : 502|-|-|-|tries\n"
    dead.stop()
