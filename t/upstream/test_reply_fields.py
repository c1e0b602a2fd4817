# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Fields of a reply on their way to the client: those that came twice, Server and Date where they are passed, what is rewritten in them.
As in nginx; of a field that came twice the first counts, which is what nginx does since 1.23."""

import pytest

from lib import upstreams as up
from lib.client import get

CONF = """
events {}
http {
    log_format shown '$upstream_http_content_type|$upstream_http_etag|$upstream_http_vary|$sent_http_content_type';
    access_log shown.log shown;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://127.0.0.1:%%UP%%; }
        location /passed { proxy_pass_header Server; proxy_pass_header Date; proxy_pass http://127.0.0.1:%%UP%%; }
        location /passed/page { proxy_pass_header Server; proxy_intercept_errors on; error_page 404 = /page;
                                proxy_pass http://127.0.0.1:%%UP%%; }
        location = /page { return 200 page; }
        location /moved { proxy_redirect http://old/ /new/; proxy_pass http://127.0.0.1:%%UP%%; }
        location /typed { types { } default_type application/x-own; return 200 typed; }
        location /packed { gzip on; gzip_min_length 0; gzip_types text/css; proxy_pass http://127.0.0.1:%%UP%%; }
        location /flags { proxy_cookie_flags ~. nosamesite nosecure nohttponly; proxy_pass http://127.0.0.1:%%UP%%; }
        location /strict { proxy_cookie_flags ~. samesite=strict; proxy_pass http://127.0.0.1:%%UP%%; }
        location /set { proxy_cookie_flags ~. secure httponly samesite=lax; proxy_cookie_path / /x; proxy_pass http://127.0.0.1:%%UP%%; }
        location /empty { proxy_redirect "$arg_from" http://e; proxy_cookie_path "$arg_from" /x; proxy_cookie_domain "$arg_from" d;
                          proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""
ONCE = {"Content-Type": ["text/css", "text/html"], "ETag": ['"a"', '"b"'], "Location": ["http://old/1", "http://old/2"],
        "Refresh": ["5; url=/a", "6; url=/b"], "Expires": ["-1", "0"], "Accept-Ranges": ["none", "bytes"],
        "Last-Modified": ["Wed, 09 Jun 2021 10:18:14 GMT", "Thu, 09 Jun 2022 10:18:14 GMT"], "Content-Encoding": ["identity", "x"]}
MANY = {"Set-Cookie": ["a=1", "b=2"], "Vary": ["A", "B"], "Cache-Control": ["no-cache", "private"], "Link": ["</a>", "</b>"],
        "WWW-Authenticate": ["Basic", "Bearer"], "Content-Disposition": ["x", "y"]}
COOKIE = "a=1; SameSite=None; Secure; samesite=Lax; secure; HttpOnly; Path=/; httponly"


def values(reply, name):
    return [value for field, value in reply.headers if field.lower() == name.lower()]


@pytest.fixture
def door(server, upstream):
    fields = []
    peer = upstream(up.serve(lambda asked: up.reply(404 if asked.target == "/passed/page" else 200, b"ok", headers=fields)))
    started = server(CONF, UP=peer.port)
    started.fields = fields
    return started


def test_a_field_whose_name_is_no_token_is_left_out_and_the_log_says_so(door):
    door.fields.extend([("X-Before", "1"), ("X-Foo(bar)", "2"), ("X_Behind", "3")])
    reply = get(door.port, "/")
    assert (reply.header("X-Before"), reply.header("X_Behind"), reply.header("X-Foo(bar)")) == ("1", "3", None)
    door.wait_for_log(r'\[warn\] .* upstream sent invalid header line: "X-Foo\(bar\): 2", ignored while reading response header from '
                      r'upstream, client: .*, upstream: "http://')


def test_the_first_of_a_field_that_may_come_once(door):
    door.fields.extend((name, value) for name, both in (ONCE | MANY).items() for value in both)
    reply = get(door.port, "/")
    assert {name: values(reply, name) for name in ONCE} == {name: both[:1] for name, both in ONCE.items()}
    assert {name: values(reply, name) for name in MANY} == MANY
    for name, (first, second) in ONCE.items():
        line = f'upstream sent duplicate header line: "{name}: {second}", previous value: "{name}: {first}", ignored while reading'
        assert door.log().count(line) == 1 and "[warn]" in next(each for each in door.log().split("\n") if line in each)
    assert "WWW" not in door.log() and door.log().count("duplicate header line") == len(ONCE)
    assert door.read("shown.log") == 'text/css|\\x22a\\x22|A, B|text/css\n'


def test_what_is_done_by_a_type_goes_by_the_first(door):
    door.fields += [("Content-Type", "text/css"), ("Content-Type", "image/png")]
    reply = get(door.port, "/packed", {"Accept-Encoding": "gzip"})
    assert (values(reply, "Content-Type"), reply.header("Content-Encoding")) == (["text/css"], "gzip")


def test_of_two_locations_the_first_is_rewritten_and_sent(door):
    door.fields += [("Location", "http://old/1"), ("Location", "http://old/2")]
    assert values(get(door.port, "/moved"), "Location") == [f"http://localhost:{door.port}/new/1"]
    door.fields[:] = [("Location", "http://other/1"), ("Location", "http://old/2")]
    assert values(get(door.port, "/moved"), "Location") == ["http://other/1"]


def test_the_first_of_two_types_goes_with_a_redirect_inside(door):
    door.fields += [("X-Accel-Redirect", "/typed"), ("X-Accel-Redirect", "/page"), ("Content-Type", "a/b"), ("Content-Type", "c/d")]
    reply = get(door.port, "/")
    assert (reply.text, values(reply, "Content-Type")) == ("typed", ["a/b"])


def test_server_is_the_peers_own_where_it_is_passed(door):
    """nginx sends no Date of its own either; a message that is passed on without one must get it (RFC 9110 section 6.6.1)."""
    bare = get(door.port, "/passed")
    assert values(bare, "Server") == [] and len(values(bare, "Date")) == 1
    assert values(get(door.port, "/"), "Server")[0].startswith("fairlead")
    assert values(get(door.port, "/passed/page"), "Server")[0].startswith("fairlead"), "a page of ours"
    door.fields += [("Server", "one"), ("Server", "two"), ("Date", "then")]
    passed = get(door.port, "/passed")
    assert (values(passed, "Server"), values(passed, "Date")) == (["one"], ["then"])
    assert values(get(door.port, "/"), "Server")[0].startswith("fairlead")


@pytest.mark.parametrize("path, cookie", [("/flags", "a=1; Path=/"), ("/strict", COOKIE.replace("None", "Strict"))])
def test_flags_are_taken_out_as_often_as_they_stand_there(door, path, cookie):
    door.fields.append(("Set-Cookie", COOKIE))
    assert values(get(door.port, path), "Set-Cookie") == [cookie]


@pytest.mark.parametrize("sent, passed", [
    ("a=1", "a=1; Secure; HttpOnly; SameSite=Lax"),
    ("a=1; secure; HTTPONLY; samesite=LAX", "a=1; secure; HTTPONLY; samesite=LAX"),  # as they were written
    ("a=1; samesite=none", "a=1; SameSite=Lax; Secure; HttpOnly"),
    ("one", "one"), ("one; Path=/", "one; Path=/"), ("=1", "=1"),
])
def test_flags_are_set_where_they_are_not(door, sent, passed):
    door.fields.append(("Set-Cookie", sent))
    assert values(get(door.port, "/set"), "Set-Cookie") == [passed]


@pytest.mark.parametrize("target, fields", [
    ("/empty", {"Location": "http://e/y", "Refresh": "5; url=http://e/z", "Set-Cookie": "a=1; Path=/x/q; Path=/x; Domain="}),
    ("/empty?from=/none", {"Location": "/y", "Refresh": "5; url=/z", "Set-Cookie": "a=1; Path=/q; Path=; Domain="}),
])
def test_an_empty_pattern_begins_every_text(door, target, fields):
    door.fields += [("Location", "/y"), ("Refresh", "5; url=/z"), ("Set-Cookie", "a=1; Path=/q; Path=; Domain=")]
    reply = get(door.port, target)
    assert {name: values(reply, name) for name in fields} == {name: [value] for name, value in fields.items()}
