# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Wrong and odd lines of proxy_* and upstream: what -t says of them, here and in Debian's nginx, word for word."""

import os
import re

import pytest

from lib.fairlead import Server
from lib.nginx import BINARY, Nginx

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

CONF = """events {}
http {
    %%GROUPS%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location %%WHERE%% { %%LINES%% }
    }
}
"""
GROUP = "upstream u { server 127.0.0.1:1; }"

# Inside `location / { proxy_pass http://u; ... }`.
LINES = """
proxy_bind 1.2.3;|proxy_bind off transparent;|proxy_bind 127.0.0.1 opaque;|proxy_bind 127.0.0.1:99999;
proxy_buffer_size 0;|proxy_buffer_size x;|proxy_buffers 8;|proxy_connect_timeout -1;|proxy_connect_timeout 1x;
proxy_cookie_domain a;|proxy_cookie_domain off off;|proxy_cookie_domain off; proxy_cookie_domain a b;
proxy_cookie_domain a b; proxy_cookie_domain off;|proxy_cookie_path a;|proxy_cookie_path off; proxy_cookie_path a b;
proxy_cookie_flags a;|proxy_cookie_flags a secure; proxy_cookie_flags off;|proxy_cookie_flags a secure nosecure;
proxy_hide_header A B;|proxy_http_version 0.9;|proxy_http_version 1.1; proxy_http_version 1.0;
proxy_ignore_headers X;|proxy_ignore_headers x-accel-redirect;|proxy_ignore_headers X-Accel-Redirect X-Accel-Redirect;
proxy_limit_rate 1x;|proxy_limit_rate 10k;|proxy_max_temp_file_size x;|proxy_method POST GET;
proxy_next_upstream ERROR;|proxy_next_upstream x;|proxy_next_upstream error error;|proxy_next_upstream_tries x;
proxy_pass http://127.0.0.1:2;|proxy_redirect default;|proxy_redirect on;|proxy_redirect off off;
proxy_redirect off; proxy_redirect default;|proxy_redirect a b; proxy_redirect off;|proxy_redirect off; proxy_redirect a b;
proxy_request_buffering x;|proxy_request_buffering OFF;|proxy_send_lowat 1k;|proxy_send_lowat x;|proxy_set_header A;
proxy_store on; proxy_store off;|proxy_store_access user:x;|proxy_store_access foo:rw;|proxy_store_access user;
proxy_store_access group:;|proxy_store_access ug:rw;|proxy_store_access user:rw group:rw all:r;|proxy_temp_path a 1 2 3 4;
"""
# In any location: "where: lines".
PLACES = """
/: proxy_pass foo;|/: proxy_pass ftp://x;|/: proxy_pass http://;|/: proxy_pass http:///x;|/: proxy_pass http://u:80;
/: proxy_pass http://127.0.0.1:70000;|/: proxy_pass http://[::1;|/: proxy_pass http://unix:;|/: proxy_pass http://unix:/x:/y;
~ /: proxy_pass http://u/;|@n: proxy_pass http://u/;|@n: proxy_pass http://u;|/: proxy_pass;|/: proxy_pass http://u http://v;
/: if ($uri) { proxy_pass http://u/; }|/: limit_except GET { proxy_pass http://u/x; }|/: proxy_redirect default; proxy_pass http://u;
/: proxy_pass http://$host; proxy_redirect default;|/: proxy_redirect default;|/: proxy_pass http://:80;|/: proxy_pass HTTP://u;
/: resolver 127.0.0.1 valid=x;|/: resolver 127.0.0.1 ipv6=x;|/: resolver;|/: resolver_timeout x;
"""
# Inside `upstream u { ... }`.
GROUPS = """
server;|server 127.0.0.1 weight=0;|server 127.0.0.1 weight=;|server 127.0.0.1 max_fails=-1;|server 127.0.0.1 fail_timeout=1ms;
server 127.0.0.1 max_conns=x;|server 127.0.0.1 backup;|server 127.0.0.1 down;|server 127.0.0.1 foo;|server 127.0.0.1:0;
server unix:;|server [::1;|server 127.0.0.1:65536;|ip_hash; server 127.0.0.1; server 127.0.0.2 backup;
hash $uri; server 127.0.0.1; server 127.0.0.2 backup;|random; server 127.0.0.1; server 127.0.0.2 backup;
ip_hash; hash $uri; server 127.0.0.1;|ip_hash; ip_hash; server 127.0.0.1;|hash; server 127.0.0.1;|hash $uri foo; server 127.0.0.1;
random three; server 127.0.0.1;|random two foo; server 127.0.0.1;|server 127.0.0.1; keepalive x;|server 127.0.0.1; keepalive_timeout x;
server 127.0.0.1; keepalive_requests 1; keepalive_requests 2;|server 127.0.0.1; zone;|server 127.0.0.1; zone z;
server 127.0.0.1; zone z 1k;|server 127.0.0.1; zone z x;|server 127.0.0.1; zone "" 64k;|listen 80;
"""
# Whole groups.
WHOLE = ["upstream u {}", "upstream { server 127.0.0.1; }", "upstream u { server 127.0.0.1; } upstream u { server 127.0.0.1; }",
         "upstream U { server 127.0.0.1; } upstream u { server 127.0.0.1; }",
         "upstream u { server 127.0.0.1; zone a 64k; } upstream v { server 127.0.0.1; zone a 128k; }"]


def cut(table):
    return [case.strip() for row in table.strip().split("\n") for case in row.split("|")]


CASES = [("/", "proxy_pass http://u; " + lines, GROUP) for lines in cut(LINES)]
CASES += [(*case.split(": ", 1), GROUP) for case in cut(PLACES)]
CASES += [("/", "proxy_pass http://u;", "upstream u { " + lines + " }") for lines in cut(GROUPS)]
CASES += [("/", "proxy_pass http://u;", groups) for groups in WHOLE]


def said(make, case):
    where, lines, groups = case
    s = make(CONF, WHERE=where, LINES=lines, GROUPS=groups)
    done = s.run("-t")
    told = []
    for line in done.stderr.replace(s.prefix, "PREFIX").replace(str(s.port), "PORT").split("\n"):
        line = re.sub(r"^(?:nginx: |fairlead: )?(?:\d{4}/\d\d/\d\d \S+ )?(\[\w+\]) (?:\d+#\d+: )?", r"\1 ", line)
        if line.startswith("["):
            told.append(line)
    s.discard()
    return done.returncode, told


@pytest.mark.parametrize("part", range(4))
def test_the_same_is_said(part):
    wrong = []
    for case in CASES[part::4]:
        ours, theirs = said(Server, case), said(Nginx, case)
        if ours != theirs:
            wrong.append(f"{case}\n   ours: {ours}\n  nginx: {theirs}")
    assert not wrong, f"{len(wrong)} differ\n" + "\n".join(wrong)
