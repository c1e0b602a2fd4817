# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The variables of the core against nginx: in the text of a return, in a field of a proxied response and in the log, where "-" shows
that one is missing."""

import os

import pytest

from lib import upstreams as up
from lib.client import request
from lib.nginx import BINARY
from lib.ports import wait_until
from lib.wire import Closed

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

NAMES = """
    arg_a args body_bytes_sent bytes_sent connection_requests content_length content_type cookie_c document_root document_uri host
    http_host http_user_agent http_x_y https is_args limit_rate pipe proxy_host proxy_port proxy_add_x_forwarded_for query_string
    realpath_root remote_addr remote_user request request_body request_body_file request_completion request_filename
    request_length request_method request_uri scheme server_addr server_name server_protocol status uri upstream_status
    upstream_http_x_up upstream_cookie_a sent_http_content_type sent_http_content_length sent_http_location sent_http_etag
    sent_http_x_up http_cookie http_via sent_trailer_x
""".split()
# What has a value at the end only is kept as it was when it is asked for before: not in the texts, then.
EARLY = [name for name in NAMES if not name.startswith("sent_") and name not in ("request_completion", "status")]
TEXT = "status=$status|" + "|".join(f"{name}=${name}" for name in EARLY)
SENT = "|".join(f"{name}=${name}" for name in EARLY if not name.startswith("proxy_"))
# The length of pages depends on the server's name.
LOGGED = "|".join(f"{name}=${name}" for name in NAMES if "bytes_sent" not in name and name != "sent_http_content_length")

CONF = """
events {}
http {
    log_format all "%%LOGGED%%";
    access_log logs/all all;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name .first.test other.test ~^re(?<number>\\d+)$;
        proxy_http_version 1.1;
        location / { default_type text/plain; return 200 "%%TEXT%%|$number"; }
        location /proxied/ { proxy_pass http://127.0.0.1:%%UP%%/; add_header Seen "%%SENT%%"; }
        location /moved { return 301 /else?$args; }
        location /refused { return 403; }
        location /page { error_page 404 = @page; return 404; }
        location @page { return 202 "$status $uri $request_uri"; }
        location /dead { proxy_pass http://127.0.0.1:1; }
        location /gone { return 408; }
        location ~ ^/pattern/(.*)$ { alias %%PREFIX%%/$1; }
    }
}
"""
REQUESTS = [("GET", target, {}) for target in (
    "/", "/?", "/?a=1&b=2", "/x?A=1", "/?a", "/?a=&a=2", "/?ba=1&a=3", "/%41?%61=1", "/a//b/../c", "/proxied/x?a=1", "/proxied/",
    "/moved", "/moved?x", "/refused", "/page?q", "/dead", "/gone", "/pattern/", "/pattern/nowhere", "/pattern/logs/")]
REQUESTS += [("HEAD", "/", {}), ("HEAD", "/proxied/x", {}), ("DELETE", "/", {})]
REQUESTS += [("POST", "/?a", {"body": b"abc"}), ("POST", "/proxied/", {"body": b"abc"})]
REQUESTS += [("GET", "/", {"headers": fields}) for fields in (
    [("Cookie", "a=b; c=d; e=f"), ("X-Y", "1")], [("Cookie", "xc=1;c=2")], [("Cookie", 'c="q r"')],
    [("Via", "a"), ("User-Agent", '"x\\y\xe9"')],
    [("X-Forwarded-For", "1.1.1.1")], [("Authorization", "Basic dXNlcjpwYXNz")], [("Authorization", "Basic !!!")],
    [("Authorization", "basic dXNlcg==")])]
REQUESTS += [("GET", "/", {"headers": [("Host", host)]}) for host in ("first.test", "a.first.test:80", "OTHER.test", "re42", "else")]


def echo(r):
    body = b"" if r.method == "HEAD" else b"ok"
    return up.reply(200, body, headers=[("X-Up", "1"), ("Set-Cookie", "a=b"), ("ETag", '"x"')])


def answer(server, method, target, options):
    try:
        got = request(server.port, method, target, **options)
    except (ConnectionError, Closed):
        return None
    named = [got.body, *((got.header(name) or "").encode("latin-1") for name in ("Seen", "Location"))]
    return got.status, *(part.replace(str(server.port).encode(), b"PORT").replace(server.prefix.encode(), b"PREFIX")
                         for part in (named if got.status < 300 else named[1:]))


def lines(server):
    text = open(os.path.join(server.prefix, "logs/all"), encoding="latin-1").read()
    return text.replace(str(server.port), "PORT").replace(server.prefix, "PREFIX").splitlines()


def test_values_are_the_same(server, nginx, upstream):
    peer = upstream(up.serve(echo))
    both = [make(CONF, UP=peer.port, LOGGED=LOGGED, TEXT=TEXT, SENT=SENT) for make in (server, nginx)]
    for method, target, options in REQUESTS:
        ours, theirs = (answer(one, method, target, options) for one in both)
        assert ours == theirs, (method, target, options)
    for one in both:
        wait_until(lambda: len(lines(one)) >= len(REQUESTS), 5, "the log")
    assert [] == [(request, mine, other) for request, ours, theirs in zip(REQUESTS, lines(both[0]), lines(both[1]))
                  for mine, other in zip(ours.split("|"), theirs.split("|")) if mine != other]
