# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Conditional requests: 304 and 412."""

import os

import pytest

from lib import upstreams as up
from lib.client import Client, get, request

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%/html;
        add_header X-Added yes;
        expires 1h;
        error_page 412 /page.txt;
        location /before/ { alias %%PREFIX%%/html/; if_modified_since before; }
        location /off/ { alias %%PREFIX%%/html/; if_modified_since off; }
        location /built_in/ { alias %%PREFIX%%/html/; error_page 404 /page.txt; }
        location /text { return 200 text; }
        location /other { return 201 text; }
        location /up { proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"
EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"
TAG = '"2ebc98a1-5"'


@pytest.fixture
def dated(server):
    s = server(CONF, UP=1, files={"html/a.txt": "alpha", "html/page.txt": "failed"})
    os.utime(os.path.join(s.prefix, "html/a.txt"), (784111777, 784111777))
    return s


@pytest.mark.parametrize("field, value, status", [
    ("If-Modified-Since", DATE, 304), ("If-Modified-Since", LATER, 200), ("If-Modified-Since", EARLIER, 200),
    ("If-Modified-Since", "rubbish", 200), ("If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT", 304),
    ("If-Modified-Since", DATE + "; length=5", 304), ("If-Modified-Since", DATE[:-4], 304), ("If-Modified-Since", DATE[:-4] + " UTC", 200),
    ("If-None-Match", TAG, 304), ("If-None-Match", "W/" + TAG, 304), ("If-None-Match", "*", 304), ("If-None-Match", '"x"', 200),
    ("If-None-Match", f'"x", "y,{TAG[1:-1]}" ,{TAG}', 304), ("If-None-Match", f'"y,{TAG[1:-1]}"', 200),
    ("If-Unmodified-Since", DATE, 200), ("If-Unmodified-Since", LATER, 200), ("If-Unmodified-Since", EARLIER, 412),
    ("If-Match", TAG, 200), ("If-Match", "*", 200), ("If-Match", '"x"', 412), ("If-Match", "W/" + TAG, 412),
])
def test_one_condition(dated, field, value, status):
    assert get(dated.port, "/a.txt", {field: value}).status == status


def test_if_modified_since_before_and_off(dated):
    assert get(dated.port, "/before/a.txt", {"If-Modified-Since": LATER}).status == 304
    assert get(dated.port, "/before/a.txt", {"If-Modified-Since": EARLIER}).status == 200
    assert get(dated.port, "/off/a.txt", {"If-Modified-Since": DATE}).status == 200


def test_a_304_has_the_validators_and_no_length(dated):
    with Client(dated.port) as client:
        reply = client.get("/a.txt", {"If-None-Match": TAG})
        assert (reply.status, reply.body, reply.header("etag"), reply.header("last-modified")) == (304, b"", TAG, DATE)
        assert reply.header("content-length") is None and reply.header("content-type") is None
        assert (reply.header("x-added"), reply.header("cache-control")) == ("yes", "max-age=3600")
        assert client.get("/a.txt").status == 200


def test_tags_go_before_dates(dated):
    assert get(dated.port, "/a.txt", {"If-None-Match": '"x"', "If-Modified-Since": DATE}).status == 200
    assert get(dated.port, "/a.txt", {"If-None-Match": TAG, "If-Modified-Since": LATER}).status == 304
    assert get(dated.port, "/a.txt", {"If-Match": TAG, "If-Unmodified-Since": EARLIER}).status == 200


def test_a_412_takes_its_error_page(dated):
    reply = get(dated.port, "/a.txt", {"If-Match": '"x"'})
    assert (reply.status, reply.text) == (412, "failed")
    reply = get(dated.port, "/built_in/a.txt", {"If-Match": '"x"'})
    assert reply.status == 412 and "412 Precondition Failed" in reply.text
    assert reply.header("etag") is None


def test_a_condition_goes_before_a_range(dated):
    assert get(dated.port, "/a.txt", {"If-None-Match": TAG, "Range": "bytes=0-1"}).status == 304
    assert get(dated.port, "/a.txt", {"If-Match": TAG, "Range": "bytes=0-1"}).status == 206


def test_head_and_texts(dated):
    assert request(dated.port, "HEAD", "/a.txt", headers={"If-None-Match": TAG}).status == 304


@pytest.mark.parametrize("field, value, status", [
    ("If-None-Match", "*", 304), ("If-None-Match", '"x"', 200), ("If-Match", "*", 200), ("If-Match", '"x"', 412),
    ("If-Modified-Since", DATE, 200), ("If-Unmodified-Since", DATE, 200)])
def test_an_answer_without_validators(dated, field, value, status):
    """But for If-Unmodified-Since, which counts for nothing where no date is known (RFC 9110 section 13.1.4), as in nginx."""
    assert get(dated.port, "/text", {field: value}).status == status
    assert get(dated.port, "/other", {field: value}).status == 201


@pytest.mark.parametrize("field, value", [("If-None-Match", "*"), ("If-Match", '"x"')])
def test_a_reply_was_judged_by_who_made_it(server, upstream, field, value):
    peer = upstream(up.serve(lambda asked: up.reply(200, b"peer", {"ETag": '"y"'})))
    s = server(CONF, UP=peer.port)
    assert (get(s.port, "/up", {field: value}).text, peer.last.header(field)) == ("peer", value)
