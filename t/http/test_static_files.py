# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Files under root and alias, index files, and that no spelling of a path leaves the folder."""

import os

import pytest

from lib.client import Client, get, post, raw, request_bytes

CONF = """
events {}
http {
    types { text/html html; text/plain text; }
    types { text/plain txt; image/png png; }  # adds to it
    default_type application/octet-stream;
    sendfile %%SENDFILE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%/html;
        index index.html $arg_index /fallback.txt;
        location /alias/ { alias %%PREFIX%%/html/sub/; }
        location /cut { alias %%PREFIX%%/html/sub; }
        location /plain/ { etag off; log_not_found off; index none.html index.html; }
        location ~ ^/re/(.*)$ { alias %%PREFIX%%/html/sub/$1; }
        location = /fallback.txt { return 200 "fallback for $uri"; }
        location /page/ { error_page 404 /missing.html; }
    }
}
"""
FILES = {
    "html/a.txt": "alpha\n",
    "html/UP.TXT": "upper\n",
    "html/none": "no extension\n",
    "html/empty.txt": "",
    "html/missing.html": "the page",
    "html/sub/index.html": "index of sub",
    "html/sub/b.txt": "beta",
    "html/plain/index.html": "plain index",
    "html/bare/x.txt": "x",
    "html/big.txt": bytes(range(256)) * 8000,
    "secret.txt": "the secret",
}


@pytest.fixture(params=["on", "off"])
def static(server, request):
    return server(CONF, files=FILES, SENDFILE=request.param)


def test_a_file_comes_with_its_type_date_tag_and_length(static):
    path = os.path.join(static.prefix, "html/a.txt")
    os.utime(path, (784111777, 784111777))
    reply = get(static.port, "/a.txt")
    assert (reply.status, reply.text) == (200, "alpha\n")
    assert reply.header("content-type") == "text/plain"
    assert reply.header("content-length") == "6"
    assert reply.header("last-modified") == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert reply.header("etag") == '"2ebc98a1-6"'
    assert reply.header("accept-ranges") == "bytes"


def test_types_ignore_case_and_fall_back_to_default_type(static):
    assert get(static.port, "/UP.TXT").header("content-type") == "text/plain"
    assert get(static.port, "/none").header("content-type") == "application/octet-stream"


def test_a_large_file_is_whole_and_the_connection_goes_on(static):
    with Client(static.port) as client:
        assert client.get("/big.txt").body == FILES["html/big.txt"]
        assert client.get("/a.txt").text == "alpha\n"


def test_head_has_the_same_head_and_no_body(static):
    with Client(static.port) as client:
        reply = client.request("HEAD", "/a.txt")
        assert (reply.status, reply.body, reply.header("content-length")) == (200, b"", "6")
        assert client.get("/a.txt").text == "alpha\n"


def test_an_empty_file(static):
    reply = get(static.port, "/empty.txt")
    assert (reply.status, reply.body, reply.header("content-length")) == (200, b"", "0")


def test_post_to_a_file_is_405_and_to_nothing_404(static):
    assert post(static.port, "/a.txt", b"x").status == 405
    assert post(static.port, "/nothing", b"x").status == 404


def test_a_missing_file_is_logged_with_its_path(static):
    assert get(static.port, "/gone.txt").status == 404
    static.wait_for_log(r'open\(\) "' + static.prefix + r'/html/gone\.txt" failed \(2: No such file or directory\)')


def test_log_not_found_off_is_silent(static):
    assert get(static.port, "/plain/gone.txt").status == 404
    assert get(static.port, "/gone.txt").status == 404
    static.wait_for_log("html/gone.txt")
    assert "plain/gone.txt" not in static.log()


def test_etag_off(static):
    assert get(static.port, "/plain/index.html").header("etag") is None


def test_a_folder_without_a_slash_is_redirected(static):
    reply = get(static.port, "/sub?x=1", host="example.test")
    assert (reply.status, reply.header("location")) == (301, f"http://example.test:{static.port}/sub/?x=1")


def test_index_files(static):
    assert get(static.port, "/sub/").text == "index of sub"
    assert get(static.port, "/plain/").text == "plain index"
    assert get(static.port, "/bare/?index=x.txt").text == "x"
    assert get(static.port, "/bare/").text == "fallback for /fallback.txt"
    assert get(static.port, "/nofolder/").status == 404


def test_alias(static):
    assert get(static.port, "/alias/b.txt").text == "beta"
    assert get(static.port, "/alias/").text == "index of sub"
    assert get(static.port, "/cut/b.txt").text == "beta"
    assert get(static.port, "/re/b.txt").text == "beta"


def test_an_error_page_may_be_a_file(static):
    reply = get(static.port, "/page/gone")
    assert (reply.status, reply.text, reply.header("content-type")) == (404, "the page", "text/html")


def test_a_fifo_is_no_file(static):
    os.mkfifo(os.path.join(static.prefix, "html/fifo.txt"))
    assert get(static.port, "/fifo.txt").status == 404


DOTS = ["..", "%2e%2e", "%2E.", ".%2e"]
SLASHES = ["/", "%2f", "%2F", "//", "/./"]
TRAVERSALS = [f"/{dots}{slash}secret.txt" for dots in DOTS for slash in SLASHES]
TRAVERSALS += [f"/sub/{dots}{slash}{dots}{slash}secret.txt" for dots in DOTS for slash in SLASHES]
TRAVERSALS += [f"/alias/{dots}{slash}{dots}{slash}secret.txt" for dots in DOTS for slash in SLASHES]
TRAVERSALS += [f"/re/{dots}{slash}{dots}{slash}secret.txt" for dots in DOTS for slash in SLASHES]
TRAVERSALS += ["/alias../../secret.txt", "/cut../../secret.txt", "/%2e%2e%5csecret.txt", "/..\\secret.txt", "/%252e%252e/secret.txt",
               "/%c0%ae%c0%ae/secret.txt", "/a.txt/../../secret.txt", "/a.txt%00/../../secret.txt", "/%2e%2e%00/secret.txt",
               "http://localhost/../secret.txt", "/sub/%2e%2e%2f%2e%2e%2fsecret.txt?/../", "/...//secret.txt", "/....//....//secret.txt"]


def test_no_spelling_of_a_path_leaves_the_folder(static):
    for target in TRAVERSALS:
        reply = raw(static.port, request_bytes("GET", target, headers=[("Connection", "close")]))
        assert b"the secret" not in reply, target
        assert reply.split(b" ")[1] in (b"400", b"404", b"405"), (target, reply[:80])
