# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""No spelling of a path leaves `root` or `alias`, whatever serves it: files, index, try_files, autoindex, random_index, gzip_static,
error_page."""

import itertools

import pytest

from lib.client import Client

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%/html;
        merge_slashes %%MERGE%%;
        autoindex on;
        gzip_static always;
        location / { }
        location /alias/ { alias %%PREFIX%%/html/sub/; }
        location /open { alias %%PREFIX%%/html/sub/; }
        location /shown { alias %%PREFIX%%/html/sub/; return 200 "[$request_filename]"; }
        location /bare { alias %%PREFIX%%/html/sub; }
        location ~ ^/re(?<rest>.*)$ { alias %%PREFIX%%/html/sub/$1; }
        location ~ ^/named(?<more>.*)$ { alias %%PREFIX%%/html/sub/$more; }
        location /try/ { try_files $arg_f /../$arg_f $uri $uri/ /none =404; }
        location ~ ^/tryre/(.*)$ { alias %%PREFIX%%/html/sub/; try_files $arg_f $1 =404; }
        location /last/ { try_files /none $arg_f; }
        location /index/ { index $arg_f; }
        location /random/ { random_index on; }
        location /page/ { error_page 404 $arg_f; }
        location /rewritten/ { rewrite ^/rewritten(.*)$ $arg_f$1; }
    }
}
"""
FILES = {"html/a.txt": "alpha", "html/sub/b.txt": "beta", "html/index/x": "x", "html/try/x": "x", "html/last/x": "x",
         "html/random/sub/x": "x",
         "secret.txt": "the secret", "secret.txt.gz": "the secret", "outside/secret.txt": "the secret", "html/secret-list/.keep": "",
         "outside/the secret": ""}
DOTS = ["..", "%2e%2e", ".%2E", "%252e%252e", "..%00", "%c0%ae%c0%ae", "..;", "...", ".%0a."]
SLASHES = ["/", "%2f", "//", "/./", "\\", "%252f", "%c0%af"]
PLACES = ["/", "/sub/", "/alias/", "/alias", "/open", "/open/", "/bare", "/bare/", "/re", "/re/", "/named", "/named/", "/tryre/",
          "/index/", "/random/", "/none/", "/a.txt/"]
GOALS = ["secret.txt", ""]
BY_ARGUMENT = ["/try/?f=", "/tryre/x?f=", "/last/?f=", "/index/?f=", "/page/x?f=", "/rewritten/?f=", "/rewritten/secret.txt?f="]
ARGUMENTS = ["../secret.txt", "/../secret.txt", "/sub/../../secret.txt", "../../secret.txt", "/../outside/", "..", "/..", "/../",
             "%2e%2e/secret.txt", "/%2e%2e/secret.txt", "//../secret.txt", "/.././../secret.txt",
             "/a.txt/../../secret.txt", "../secret.txt%00.txt"]


def targets():
    for place, dots, slash, goal in itertools.product(PLACES, DOTS, SLASHES, GOALS):
        yield place + dots + slash + goal
        yield place + dots + slash + dots + slash + goal
    for place, text in itertools.product(BY_ARGUMENT, ARGUMENTS):
        yield place + text
    yield from ("http://localhost/../secret.txt", "/..", "/../..", "/open..", "/re..", "/open../..", "/secret.txt",
                "/sub/../../secret.txt", "/open../outside/", "/re../../outside/")


@pytest.mark.parametrize("merge", ["on", "off"])
def test_no_spelling_leaves_the_folder(server, merge):
    s = server(CONF, files=FILES, MERGE=merge, log_level="crit")
    count, client = 0, None
    for target in targets():
        client = client or Client(s.port)
        reply = client.get(target)
        assert b"the secret" not in reply.body and b'href="secret.txt"' not in reply.body, target
        assert reply.status in (200, 301, 302, 400, 403, 404), (target, reply.status)
        if reply.header("Connection") == "close":
            client.close()
            client = None
        count += 1
    assert count > 4000
    with Client(s.port) as client:
        assert client.get("/a.txt").text == "alpha"
        assert [client.get(place + "b.txt").text for place in ("/alias/", "/open/", "/re/", "/open")] == ["beta"] * 4


def test_a_climb_is_logged(server):
    s = server(CONF, files=FILES, MERGE="on")
    with Client(s.port) as client:
        assert client.get("/open../secret.txt").status == 404
    s.wait_for_log('"/open../secret.txt" leads outside of "')


def test_nobody_climbed_where_a_path_is_only_shown(server):
    s = server(CONF, files=FILES, MERGE="on")
    with Client(s.port) as client:
        assert client.get("/shown../secret.txt").text == "[]"
        assert client.get("/shownb.txt").text == f"[{s.prefix}/html/sub/b.txt]"
        assert client.get("/open../last").status == 404
    s.wait_for_log('"/open../last" leads outside of "')
    assert '"/shown../secret.txt" leads' not in s.log()
