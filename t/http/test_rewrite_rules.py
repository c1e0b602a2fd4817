# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""`rewrite`, `set`, `break`: order, flags, queries, limits. The comparison with nginx is in differential/test_rewrite.py."""

import pytest

from lib.client import get

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        set $seen "";
        rewrite ^/old/(.*)$ /new/$1 last;
        rewrite ^/new/x$ /wrong last;
        location / { return 200 "root $uri"; }
        location /new/ { return 200 "$uri?$args"; }
        location /step/ { rewrite ^/step/0$ /step/1 last; rewrite ^/step/1$ /new/2 last; return 200 "step $uri"; }
        location /both/ { rewrite ^/both/(.*)$ /new/$1; set $seen "$seen on"; rewrite ^/new/(.*)$ /show/$1; }
        location /show/ { return 200 "$uri$seen"; }
        location /query/ { rewrite ^/query/(.*)$ /new/?k=$1 last; }
        location /noquery/ { rewrite ^/noquery/(.*)$ /new/$1? last; }
        location /named/ { rewrite ^/named/(?<part>\\d+)$ /show/x last; }
        location /named/see { return 200 "[$part]"; }
        location /ten/ { rewrite "^/ten/(x{9}.*)$" /new/done last; rewrite ^/ten/(.*)$ /ten/x$1 last; }
        location /loop/ { rewrite ^ /loop/x last; }
        location /empty/ { rewrite ^/empty/(.*)$ $1 last; }
        location /inner { internal; return 200 "inner"; }
        location /toinner { rewrite ^ /inner last; }
        location /unset { return 200 "<$never>"; }
        location /never { set $never 1; }
        location /args { set $args "a=$arg_b"; return 200 "$args $arg_a"; }
        location /uri { rewrite_log on; rewrite ^/uri/(.*)$ /new/$1 last; }
    }
}
"""


@pytest.fixture
def s(server):
    return server(CONF)


@pytest.mark.parametrize("target, want", [
    ("/old/x", "/new/x?"),  # last: the following rule of the server is not tried
    ("/old/a%20b?q", "/new/a b?q"),
    ("/step/0", "/new/2?"), ("/step/7", "step /step/7"),
    ("/both/a", "/show/a on"),  # without a flag the statements go on, then the location is found anew
    ("/query/a%26b?c=d", "/new/?k=a%26b&c=d"),  # a capture in the query is escaped, the request's own follows
    ("/noquery/a?c=d", "/new/a?"),
    ("/toinner", "inner"),
    ("/unset", "<>"),
    ("/args?b=7", "a=7 7"),
])
def test_where_it_leads(s, target, want):
    assert get(s.port, target).text == want


def test_ten_changes_are_allowed_and_eleven_are_a_500(s):
    assert get(s.port, "/ten/z").text == "/new/done?"
    assert get(s.port, "/loop/").status == 500
    s.wait_for_log(r'rewrite or internal redirection cycle while processing "/loop/x"')


def test_an_empty_uri_is_a_500(s):
    assert get(s.port, "/empty/").status == 500
    s.wait_for_log("the rewritten URI has a zero length")


def test_internal_locations_are_closed_to_clients(s):
    assert get(s.port, "/inner").status == 404


def test_a_variable_that_set_did_not_reach_is_logged(s):
    get(s.port, "/unset")
    s.wait_for_log('using uninitialized "never" variable')


def test_rewrite_log_says_what_matched(s):
    get(s.port, "/uri/x?y")
    s.wait_for_log(r'\[notice\].*"\^/uri/\(\.\*\)\$" matches "/uri/x"')
    s.wait_for_log(r'\[notice\].*rewritten data: "/new/x", args: "y"')


REDIRECTS = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        port_in_redirect off;
        rewrite (?s)^/r/(.*)$ /to/$1 redirect;
        rewrite ^/p/(.*)$ /to/$1? permanent;
        rewrite ^/h/(.*)$ http://other.example/$1;
        rewrite ^/q/(.*)$ https://other.example/?p=$1 permanent;
        rewrite ^/s/(.*)$ $scheme://other.example/$1;
        location / { return 404; }
    }
}
"""


@pytest.mark.parametrize("target, want", [
    ("/r/x?a=b", (302, "http://localhost/to/x?a=b")),
    ("/r/x%20y%0d%0aZ:1", (302, "http://localhost/to/x%20y%0D%0AZ:1")),  # never decoded into the head
    ("/r/%3F%25", (302, "http://localhost/to/?%25")),
    ("/p/x?a=b", (301, "http://localhost/to/x")),
    ("/h/a/b?c", (302, "http://other.example/a/b?c")),
    ("/q/a?b=c", (301, "https://other.example/?p=a&b=c")),
    ("/s/a", (302, "http://other.example/a")),
])
def test_redirects(server, target, want):
    reply = get(server(REDIRECTS).port, target)
    assert (reply.status, reply.header("Location")) == want
