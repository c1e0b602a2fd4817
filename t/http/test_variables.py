# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The variables of the http engine, as `return 200 "$x"` shows them."""

import datetime
import os
import re
import socket

import pytest

from lib.client import Client, get, raw
from lib.ports import wait_until


def conf(text, server=""):
    return f"""
events {{}}
http {{
    server {{
        listen 127.0.0.1:%%PORT_0%%;
        server_name first.test second.test;
        {server}
        location / {{ return 200 "{text}"; }}
    }}
}}
"""


def ask(server, text, request, directives=""):
    """What the body says when a request like that is sent."""
    s = server(conf(text, directives))
    with Client(s.port) as c:
        return c.send(request).read_reply().text


def head(line, *fields):
    return "\r\n".join([line, *fields, "Connection: close", "", ""])


def test_the_uri_is_normalised_and_the_request_line_is_not(server):
    got = ask(server, "$uri|$document_uri|$request_uri|$request|$request_method", head("GET /a%20b/../c%2Fd//e?x=%20#f HTTP/1.1", "Host: h"))
    assert got == "/c/d/e|/c/d/e|/a%20b/../c%2Fd//e?x=%20#f|GET /a%20b/../c%2Fd//e?x=%20#f HTTP/1.1|GET"


@pytest.mark.parametrize("args, want", [
    ("?a=1&A=2&b=3", "a=1&A=2&b=3|?|1|3|"), ("", "||||"), ("?", "||||"), ("?a", "a|?|||"), ("?a=&ab=7&b=4=5", "a=&ab=7&b=4=5|?||4=5|"),
    ("?xa=1&a=2&c=%20", "xa=1&a=2&c=%20|?|2||%20"),
])
def test_arguments(server, args, want):
    assert ask(server, "$query_string|$is_args|$arg_a|$arg_B|$arg_c", head(f"GET /{args} HTTP/1.1", "Host: h")) == want


def test_cookies_are_found_by_name_in_any_cookie_field(server):
    got = ask(server, "$cookie_a|$cookie_b|$cookie_d|$cookie_cc|$cookie_none|$http_cookie",
              head("GET / HTTP/1.1", "Host: h", "Cookie: aa=0; a=1; b = 2, d=9", 'Cookie: CC="q"'))
    assert got == '1|2, d=9|9|"q"||aa=0; a=1; b = 2, d=9; CC="q"'


def test_repeated_fields_are_joined(server):
    got = ask(server, "$http_x_foo|$http_x_forwarded_for|$http_none|$content_type|$http_content_type",
              head("GET / HTTP/1.1", "Host: h", "X-Foo: 1", "x-foo: 2", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 2.2.2.2", "Content-Type: a/b"))
    assert got == "1, 2|1.1.1.1, 2.2.2.2||a/b|a/b"


@pytest.mark.parametrize("line, fields, want", [
    ("GET / HTTP/1.1", ["Host: Foo.Example.:8080"], "foo.example|Foo.Example.:8080"),
    ("GET http://Abs.Host:90/x HTTP/1.1", ["Host: other"], "abs.host|other"),
    ("GET / HTTP/1.0", [], "first.test|"),
])
def test_host_comes_from_the_line_then_the_field_then_the_server(server, line, fields, want):
    assert ask(server, "$host|$http_host", head(line, *fields)) == want


@pytest.mark.parametrize("credentials, want", [("dXNlcjpwdw==", "user"), ("YTpiOmM=", "a"), ("OnB3", ""), ("dXNlcg==", ""), ("***", ""),
                                               ("dXNlcjpwdw==x", "user"), ("dXNlcjpwdw= x", "user"), ("dXNlcjpwdw!=", "")])
def test_the_user_of_basic_authorization(server, credentials, want):
    text = conf("[$remote_user]", "access_log %%PREFIX%%/logs/users users;")
    s = server(text.replace("http {", "http {\n    log_format users $remote_user;"))
    with Client(s.port) as c:
        assert c.send(head("GET / HTTP/1.1", "Host: h", "Authorization: Basic " + credentials)).read_reply().text == f"[{want}]"
    wait_until(lambda: s.read("logs/users") == (want or "-") + "\n", 5, "the user in the log, - without one")


def test_addresses_and_names(server):
    s = server(conf("$remote_addr|$remote_port|$server_addr|$server_port|$server_name|$scheme|$https|$server_protocol|$hostname"))
    with Client(s.port) as c:
        mine = c.socket.getsockname()[1]
        c.send(head("GET / HTTP/1.1", "Host: h"))
        assert c.read_reply().text == f"127.0.0.1|{mine}|127.0.0.1|{s.port}|first.test|http||HTTP/1.1|{socket.gethostname().lower()}"


def test_the_server_address_behind_a_wildcard_is_the_connections_own(server):
    s = server(conf("$server_addr:$server_port").replace("listen 127.0.0.1:", "listen "))
    with Client(s.port, host="127.0.0.5") as c:
        assert c.send(head("GET / HTTP/1.1", "Host: h")).read_reply().text == f"127.0.0.5:{s.port}"


def test_the_request_id_is_one_per_request(server):
    s = server(conf("$request_id $request_id"))
    ids = set()
    for _ in range(3):
        one, two = get(s.port, "/").text.split()
        assert one == two and re.fullmatch("[0-9a-f]{32}", one)
        ids.add(one)
    assert len(ids) == 3


def test_connection_counts_and_pipelining(server):
    s = server(conf("$connection_requests$pipe"))
    with Client(s.port) as c:
        one = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
        assert c.send(one).read_reply().text == "1."
        c.send(one + one)
        assert [c.read_reply().text, c.read_reply().text] == ["2.", "3p"]


def test_times_have_three_decimals_and_sane_values(server):
    s = server(conf("$request_time|$connection_time|$msec|$time_iso8601|$time_local"))
    request_time, connection_time, msec, iso, local = get(s.port, "/").text.split("|")
    assert re.fullmatch(r"0\.\d{3}", request_time) and re.fullmatch(r"0\.\d{3}", connection_time)
    assert re.fullmatch(r"\d{10}\.\d{3}", msec)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", iso)
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}", local)


def test_dates_are_in_the_form_of_server_side_includes(server, monkeypatch):
    monkeypatch.setenv("TZ", "XYZ-3")
    s = server(conf("$date_gmt|$date_local"))
    gmt, local = get(s.port, "/").text.split("|")
    form = "%A, %d-%b-%Y %H:%M:%S"
    assert gmt.endswith(" GMT") and local.endswith(" XYZ")
    apart = datetime.datetime.strptime(local[:-4], form) - datetime.datetime.strptime(gmt[:-4], form)
    assert apart == datetime.timedelta(hours=3)


def test_the_time_of_a_request_begins_with_its_first_byte(server):
    s = server(conf("$request_time"))
    with Client(s.port) as c:
        c.get("/")  # the connection is accepted: each piece is read when it comes
        c.send_pieces("GET / HTTP/1.1\r\nHost: h\r\n\r\n", size=13, pause=0.15)
        assert float(c.read_reply().text) >= 0.25


def test_the_length_of_a_request_is_what_was_received(server):
    request = head("GET /abc HTTP/1.1", "Host: h")
    assert ask(server, "$request_length", request) == str(len(request))


def test_no_upstream_no_upstream_variables(server):
    assert ask(server, "[$upstream_addr$upstream_status$upstream_response_time$upstream_http_x]", head("GET / HTTP/1.1", "Host: h")) == "[]"


def test_limit_rate_of_the_configuration(server):
    assert ask(server, "$limit_rate", head("GET / HTTP/1.1", "Host: h"), "limit_rate 5k;") == "5120"


@pytest.mark.parametrize("name", ["$nothing_known", "$arg", "$http"])
def test_an_unknown_name_is_an_error_with_its_place(idle_server, name):
    ended = idle_server(conf(name), allow_log=[r"\[emerg\]"]).run("-t")
    assert ended.returncode == 1
    assert re.search(r'unknown "%s" variable' % name[1:], ended.stderr)


def test_what_cannot_be_read_is_quietly_empty(server):
    s = server(conf("[$sent_http_x_none$cookie_x$arg_x$http_x$sent_http_transfer_encoding$remote_user$content_length]"))
    assert b"[]" in raw(s.port, b"GET / HTTP/1.0\r\n\r\n")
    assert b"[]" in raw(s.port, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")


def test_no_cache_had_a_part_in_the_answer(server):
    assert ask(server, "[$upstream_cache_status]", head("GET / HTTP/1.1", "Host: h")) == "[]"


SENT_CONF = """
events {}
http {
    log_format sent "$uri $status $sent_http_etag $sent_http_last_modified";
    access_log logs/sent.log sent;
    map $sent_http_etag $known { "" no; default yes; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%/html;
        error_page 404 /404.txt;
        add_header X-Etag $sent_http_etag always;
        add_header X-Known $known always;
        add_header X-Modified "<$sent_http_last_modified>" always;
        location /text { return 200 text; }
    }
}
"""


def test_the_validators_of_a_file_are_known_while_its_head_is_made(server):
    s = server(SENT_CONF, files={"html/a.txt": "alpha", "html/404.txt": "missing"})
    for name in ("a.txt", "404.txt"):
        os.utime(os.path.join(s.prefix, "html", name), (784111777, 784111777))
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    with Client(s.port) as c:
        reply = c.get("/a.txt")
        assert (reply.header("X-Etag"), reply.header("X-Known"), reply.header("X-Modified")) == (reply.header("ETag"), "yes", f"<{date}>")
        reply = c.get("/none")
        assert (reply.status, reply.text, reply.header("Last-Modified")) == (404, "missing", None)
        assert (reply.header("X-Etag"), reply.header("X-Modified")) == (reply.header("ETag"), "<>")
        reply = c.get("/text")
        assert (reply.header("X-Etag"), reply.header("X-Known"), reply.header("X-Modified")) == (None, "no", "<>")
    tags = ('\\x222ebc98a1-5\\x22', '\\x222ebc98a1-7\\x22')
    wait_until(lambda: s.read("logs/sent.log").splitlines() == [
        f"/a.txt 200 {tags[0]} {date}", f"/404.txt 404 {tags[1]} -", "/text 200 - -"], 5, "three lines")
