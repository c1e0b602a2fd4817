# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""valid_referers: names, wildcards, paths, patterns, and no Referer at all."""

import pytest

from lib.client import get

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name own.test *.wild.test ~^re\\d+[.]test$;
        valid_referers none blocked server_names example.org/galleries/ *.example.com www.example.* ~[.]google[.] .both.test;
        location / { return 200 "[$invalid_referer]"; }
        location /strict { valid_referers only.test; return 200 "[$invalid_referer]"; }
        location /pattern { valid_referers ~^x[.]test/a; return 200 "[$invalid_referer]"; }
    }
}
"""


@pytest.fixture
def s(server):
    return server(CONF)


@pytest.mark.parametrize("referer, valid", [
    (None, True), ("", True), ("xxx", True), ("no scheme at all here", True), ("http://own.test/x", True), ("https://OWN.test", True),
    ("http://own.test:80/", True),
    ("http://a.wild.test", True), ("http://wild.test/", False), ("http://re12.test/", True), ("http://rex.test/", False),
    ("http://example.org/galleries/1", True),
    ("http://example.org/other", False), ("http://example.org:8080/galleries/", True), ("http://example.org", False),
    ("http://a.b.example.com/", True),
    ("http://example.com/", False), ("http://www.example.net/", True), ("http://www.google.de/q", True),
    ("http://x.test/?.google.", True), ("http://both.test/", True),
    ("http://a.both.test/", True), ("http://evil.test/own.test", False), ("http://own.test.evil.test/", False),
    ("http://" + "a" * 300 + ".test/", False),
    ("ftp://own.test/xxx", True),
])
def test_which_are_valid(s, referer, valid):
    fields = {} if referer is None else {"Referer": referer}
    assert get(s.port, "/", fields).text == ("[]" if valid else "[1]")


def test_inner_lines_replace_outer_ones(s):
    for referer, text in (("http://only.test/", "[]"), ("http://own.test/", "[1]"), ("xxx", "[1]")):
        assert get(s.port, "/strict", {"Referer": referer}).text == text
    assert get(s.port, "/strict").text == "[1]"
    assert get(s.port, "/pattern", {"Referer": "http://X.test/A"}).text == "[]"


@pytest.mark.parametrize("line, error", [
    ("valid_referers a..b", 'invalid hostname or wildcard "a..b"'), ("valid_referers ~", 'empty regex in "~"'),
    ("valid_referers x X", 'conflicting parameter "x"'),
    ("valid_referers none", 'referers are specified in the "valid_referers" directive without any valid referer'),
    ('valid_referers ""', 'invalid referer ""'),
])
def test_bad_lines(idle_server, line, error):
    done = idle_server(f"events {{}} http {{ server {{ listen 127.0.0.1:%%PORT_0%%; {line}; }} }}").run("-t")
    assert done.returncode == 1 and error in done.stderr, done.stderr
