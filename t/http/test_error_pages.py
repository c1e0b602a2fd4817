# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""error_page: what is shown in place of an error, with which status, and that it ends (recursive_error_pages)."""

import pytest

from lib.client import get, request

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location = /missing { error_page 404 /page; return 404; }
        location = /page { return 200 "page of $request_method $uri"; }
        location = /ok { error_page 404 =200 /page; return 404; }
        location = /own { error_page 404 = /teapot; return 404; }
        location = /teapot { return 418 "short and stout"; }
        location = /named { error_page 500 502 @name; return 502; }
        location @name { return 203 "named for $uri"; }
        location = /away { error_page 403 http://other.test/; return 403; }
        location = /args { error_page 404 /args_page?a=b; return 404; }
        location = /args_page { return 200 "args $args"; }
        location = /empty { error_page 404 /nothing; return 404; }
        location = /nothing { return 204; }
        location = /first { error_page 404 /second; return 404; }
        location = /second { error_page 403 /page; return 403; }
        location /deep/ {
            recursive_error_pages on;
            location = /deep/first { error_page 404 /deep/second; return 404; }
            location = /deep/second { error_page 403 = /deep/third; return 403; }
            location = /deep/third { return 200 "third"; }
            location = /deep/circle { error_page 404 /deep/circle; return 404; }
        }
    }
}
"""


@pytest.fixture
def pages(server):
    return server(CONF)


@pytest.mark.parametrize("path, status, text", [
    ("/missing", 404, "page of GET /page"), ("/ok", 200, "page of GET /page"), ("/own", 418, "short and stout"),
    ("/named", 502, "named for /named"), ("/args", 404, "args a=b"), ("/first", 403, "<html>\r\n<head><title>403 Forbidden</title></head>"),
])
def test_what_is_shown(pages, path, status, text):
    reply = get(pages.port, path)
    assert reply.status == status
    assert reply.text.startswith(text)


def test_a_page_is_asked_for_with_get(pages):
    assert request(pages.port, "POST", "/missing", body=b"x").text == "page of GET /page"


def test_an_url_is_a_redirect(pages):
    reply = get(pages.port, "/away")
    assert (reply.status, reply.header("location")) == (302, "http://other.test/")


def test_an_empty_page_keeps_the_status_of_the_error(pages):
    assert get(pages.port, "/empty").status == 404


def test_pages_of_pages_only_if_asked_for(pages):
    assert "third" not in get(pages.port, "/first").text
    reply = get(pages.port, "/deep/first")
    assert (reply.status, reply.text) == (200, "third")


def test_a_circle_of_pages_ends(server):
    s = server(CONF)
    assert get(s.port, "/deep/circle").status == 500
    s.wait_for_log("rewrite or internal redirection cycle")
