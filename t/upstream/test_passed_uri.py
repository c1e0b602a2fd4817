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


# -- what a client smuggles in by way of a variable: $uri and captures are decoded

HOSTILE = "x%20HTTP/1.1%0d%0aHost:%20u%0d%0a%0d%0aGET%20/second"
SAFE = "x%20HTTP/1.1%0D%0AHost:%20u%0D%0A%0D%0AGET%20/second"
HOSTILE_CONF = """
events {}
http {
    upstream pool { server 127.0.0.1:%%UP%%; keepalive 4; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /named/ { proxy_pass http://pool$uri; }
        location /asked/ { proxy_pass http://pool?x=$uri; }
        location /tried/ { try_files /none /out?x=$uri; }
        location /coded/ { error_page 404 /out?x=$uri; return 404; }
        location /rewritten/ { rewrite ^ /out?x=$uri? last; }
        location /set/ { set $args $uri; proxy_pass http://pool/z/; }
        location ~ ^/method/([^?]+)$ { proxy_method $1; proxy_pass http://pool; }
        location /out { proxy_pass http://pool; }
    }
}
"""
ESCAPED = {
    "/named/": f"/named/{SAFE}",
    "/asked/": f"/?x=/asked/{SAFE}",
    "/tried/": f"/out?x=/tried/{SAFE}",
    "/coded/": f"/out?x=/coded/{SAFE}",
    "/rewritten/": f"/out?x=/rewritten/{SAFE}",
    "/set/": f"/z/{SAFE}?/set/{SAFE}",
}


def test_no_variable_ends_the_request_line(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, r.target)))
    s = server(HOSTILE_CONF, UP=u.port)
    for place, passed in ESCAPED.items():
        assert get(s.port, place + HOSTILE).text == passed, place
    assert len(u.requests) == len(ESCAPED), "each request was one for the peer, too"


def test_no_variable_makes_a_method_that_is_none(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, r.method)))
    s = server(HOSTILE_CONF, UP=u.port)
    assert get(s.port, "/method/PUT").text == "PUT"
    assert get(s.port, "/method/PUT%20/a%20HTTP/1.1%0d%0a%0d%0aGET").text == "GET"
    s.wait_for_log(r'\[error\] .* invalid proxy_method "PUT /a HTTP')
    assert len(u.requests) == 2


REWRITTEN_CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location ~ ^/([^/]+)$ {
            proxy_redirect http://back/ http://front/$1/;
            proxy_cookie_path /in /$1;
            proxy_cookie_domain in.test $1;
            proxy_pass http://127.0.0.1:%%UP%%;
        }
    }
}
"""
REWRITTEN_REPLY = {"Location": "http://back/a", "Refresh": "3; url=http://back/a", "Set-Cookie": "c=d; Path=/in; Domain=in.test"}


def test_no_variable_ends_a_rewritten_field_of_the_reply(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(302, "", REWRITTEN_REPLY)))
    s = server(REWRITTEN_CONF, UP=u.port)
    reply = get(s.port, "/x%0d%0aX-Injected:%20yes")
    assert reply.header("X-Injected") is None
    assert reply.header("Location") == "http://front/x%0D%0AX-Injected: yes/a"
    assert reply.header("Refresh") == "3; url=http://front/x%0D%0AX-Injected: yes/a"
    assert reply.header("Set-Cookie") == "c=d; Path=/x%0D%0AX-Injected: yes; Domain=x%0D%0AX-Injected: yes"
