# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The URI an upstream gets: as the client wrote it, unless it was changed on the way. A named location alone changes nothing."""

import pytest

from lib import upstreams as up
from lib.client import get

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://127.0.0.1:%%UP%%; }
        location /tried/ { try_files $uri @app; }
        location /tried/folders/ { try_files $uri $uri/index.html @app; }
        location /coded/ { error_page 418 = @app; return 418; }
        location /missing/ { error_page 404 = @app; }
        location /checked/ { try_files $uri @checked; }
        location /renamed/ { try_files $uri @renamed; }
        location /rewritten/ { rewrite ^/rewritten/(.*)$ /$1 last; }
        location /led_on/ { try_files $uri /led$uri; }
        location @app { proxy_pass http://127.0.0.1:%%UP%%; }
        location @checked { if (!-f $request_filename) { proxy_pass http://127.0.0.1:%%UP%%; break; } }
        location @renamed { rewrite ^ /new break; proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""
KEPT = ["/a%2Fb//c", "/tried/group%2Fproject?x=%2F", "/tried/folders//a%2Fb", "/coded/./a%2Fb", "/missing/a%2fb", "/checked/a%2Fb"]
MADE = {
    "/renamed/a%2Fb": "/new",
    "/rewritten/a%2Fb": "/a/b",
    "/led_on/a%2Fb?x=1": "/led/led_on/a/b",
}


@pytest.fixture
def passing(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, r.target)))
    return server(CONF, UP=u.port)


def test_what_the_client_wrote_is_passed_on_through_a_named_location(passing):
    for target in KEPT:
        assert get(passing.port, target).text == target


def test_what_was_changed_is_passed_on_in_its_normal_form(passing):
    for target, passed in MADE.items():
        assert get(passing.port, target).text == passed


def test_nginx_passes_on_the_same(nginx, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, r.target)))
    s = nginx(CONF, UP=u.port)
    for target, passed in [*((one, one) for one in KEPT), *MADE.items()]:
        assert get(s.port, target).text == passed
