# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""`try_files`: files, folders, what is next, and `alias` in prefix and regex locations."""

import pytest

from lib.client import get

CONF = """
events {}
http {
    root %%PREFIX%%/www;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        try_files $uri /index.txt;
        location /files/ { try_files $uri $uri.txt $uri/ /back?from=$uri; }
        location /back { return 200 "back $args"; }
        location /status/ { try_files $uri =404; }
        location /teapot/ { try_files $uri =418; }
        location /named/ { try_files $uri @named; }
        location @named { return 200 "named $uri"; }
        location /gone/ { try_files $uri @gone; }
        location /folder/ { try_files $uri $uri/ =404; index own.txt; }
        location /loop/ { try_files $uri /loop/again; }
        location /alias/ { alias %%PREFIX%%/www/files/; try_files $uri sub/b.txt =404; }
        location ~ ^/rx/(\\w+)$ { alias %%PREFIX%%/www/files; try_files /$1.txt =404; }
        location ~ ^/whole/(\\w+)$ { alias %%PREFIX%%/www/files/$1.txt; try_files "" =404; }
        location /left/ { alias %%PREFIX%%/www/files/; rewrite ^/left/(.*)$ /$1 break; try_files $uri =404; }
    }
}
"""

FILES = {"www/index.txt": "top", "www/files/a.txt": "a", "www/files/sub/b.txt": "b", "www/folder/d/own.txt": "own", "www/x": "x"}


@pytest.fixture
def s(server):
    return server(CONF, files=FILES)


@pytest.mark.parametrize("target, status, want", [
    ("/x", 200, "x"),
    ("/nothing", 200, "top"),  # of the server, where no location matches
    ("/files/a.txt", 200, "a"), ("/files/a", 200, "a"), ("/files/none?q", 200, "back from=/files/none"),
    ("/status/none", 404, None), ("/teapot/none", 418, ""),
    ("/named/none", 200, "named /named/none"),
    ("/gone/none", 500, None),
    ("/folder/d", 301, None), ("/folder/d/", 200, "own"), ("/folder/e", 404, None),
    ("/whole/a", 200, "a"), ("/whole/none", 404, None),
    ("/alias/a.txt", 200, "a"), ("/alias/none", 200, "b"),
    ("/rx/a", 200, "a"), ("/rx/none", 404, None),
])
def test_what_is_found(s, target, status, want):
    reply = get(s.port, target)
    assert reply.status == status
    assert want is None or reply.text == want


def test_a_cycle_is_a_500(s):
    assert get(s.port, "/loop/x").status == 500
    s.wait_for_log('rewrite or internal redirection cycle while internally redirecting to "/loop/again"')


def test_an_unknown_named_location_is_logged(s):
    get(s.port, "/gone/none")
    s.wait_for_log('could not find named location "@gone"')


def test_an_alias_is_refused_for_a_uri_that_left_the_location(s):
    assert get(s.port, "/left/a.txt").status == 500
    s.wait_for_log('"alias" cannot be used in location "/left/" where URI was rewritten')
