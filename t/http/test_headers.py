# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""add_header, add_trailer, expires and their inheritance."""

import re
import time
from email.utils import parsedate_to_datetime

import pytest

from lib import upstreams as up
from lib.client import Client, get, raw, request

CONF = """
events {}
http {
    add_header X-Http http;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%/html;
        add_header X-Server "server $arg_v";
        add_header X-Always yes always;
        location / { }
        location /own/ { alias %%PREFIX%%/html/; add_header X-Own own; add_header X-Own twice; add_header X-Empty $arg_none; }
        location /merge/ { alias %%PREFIX%%/html/; add_header X-Own own; add_header_inherit merge; }
        location /off/ { alias %%PREFIX%%/html/; add_header_inherit off; location /off/inner/ { alias %%PREFIX%%/html/; } }
        location /special/ {
            alias %%PREFIX%%/html/;
            add_header Last-Modified "Sun, 06 Nov 1994 08:49:37 GMT";
            add_header ETag '"mine"';
            add_header Cache-Control a;
            add_header Cache-Control b;
        }
        location /typed/ { alias %%PREFIX%%/html/; default_type text/plain; add_header Content-Type application/json; }
        location /nothing { default_type text/plain; add_header Content-Type application/grpc; add_header grpc-status 14; return 204; }
        location /untyped { default_type text/plain; add_header grpc-status 14; return 204; }
        location /bare/ { alias %%PREFIX%%/html/; add_header Last-Modified ""; add_header ETag ""; }
        location /expires/ {
            add_header_inherit off;
            location /expires/hour { expires 1h; return 200 x; }
            location /expires/past { expires -1; return 200 x; }
            location /expires/epoch { expires epoch; return 200 x; }
            location /expires/max { expires max; return 200 x; }
            location /expires/off { expires off; return 200 x; }
            location /expires/zero { expires 0; return 200 x; }
            location /expires/day { expires @12h; return 200 x; }
            location /expires/variable { expires $arg_e; return 200 x; }
            location /expires/status { expires 1h; return 404; }
            location /expires/modified/ { expires modified 100y; alias %%PREFIX%%/html/; }
            location /expires/both { expires 1h; add_header Cache-Control public; return 200 x; }
        }
        location /trailer/ { alias %%PREFIX%%/html/; add_trailer X-Status "$status $arg_v"; add_trailer X-Late late always; }
        location /led/ { alias %%PREFIX%%/html/; add_header Last-Modified "Mon, 06 Nov 1994 08:49:37 GMT"; add_header Accept-Ranges none; }
        location /made { add_header Location /made/1; return 201; }
        location /moved { add_header Location /made/1; return 302 /away; }
        location /inject { add_header X-In "$arg_v"; add_header X-Path "[$uri]"; return 200 x; }
    }
}
"""


PROXIED_CONF = """
events {}
http { server { listen 127.0.0.1:%%PORT_0%%; location / { expires modified 36500d; proxy_pass http://127.0.0.1:%%UP%%; } } }
"""


@pytest.fixture
def adding(server):
    return server(CONF, files={"html/a.txt": "alpha"})


def test_a_content_type_takes_the_place_of_the_one_there_is(adding):
    assert get(adding.port, "/typed/a.txt").all("Content-Type") == ["application/json"]


def test_a_204_has_no_content_type_but_one_that_was_added(adding):
    reply = get(adding.port, "/nothing")
    assert (reply.status, reply.all("Content-Type"), reply.header("grpc-status")) == (204, ["application/grpc"], "14")
    assert get(adding.port, "/untyped").all("Content-Type") == []


def test_inheritance_is_all_or_nothing(adding):
    reply = get(adding.port, "/a.txt?v=1")
    assert (reply.header("x-server"), reply.header("x-always"), reply.header("x-http")) == ("server 1", "yes", None)
    reply = get(adding.port, "/own/a.txt")
    assert reply.all("x-own") == ["own", "twice"]
    assert reply.header("x-server") is None and reply.header("x-empty") is None


def test_always_is_for_errors_too(adding):
    reply = get(adding.port, "/gone")
    assert (reply.status, reply.header("x-always"), reply.header("x-server")) == (404, "yes", None)


def test_inheritance_may_merge_or_end(adding):
    reply = get(adding.port, "/merge/a.txt")
    assert (reply.header("x-own"), reply.header("x-server"), reply.header("x-always")) == ("own", "server", "yes")
    for target in ("/off/a.txt", "/off/inner/a.txt"):
        assert get(adding.port, target).header("x-always") is None, target


def test_fields_there_is_one_of_are_replaced(adding):
    reply = get(adding.port, "/special/a.txt")
    assert reply.all("last-modified") == ["Sun, 06 Nov 1994 08:49:37 GMT"]
    assert reply.all("etag") == ['"mine"']
    assert reply.all("cache-control") == ["a", "b"]
    reply = get(adding.port, "/bare/a.txt")
    assert reply.all("last-modified") == [] and reply.all("etag") == []


@pytest.mark.parametrize("name, cache_control, seconds", [
    ("hour", "max-age=3600", 3600), ("past", "no-cache", -1), ("zero", "max-age=0", 0), ("variable?e=10m", "max-age=600", 600),
    ("variable?e=-5", "no-cache", -5), ("max", "max-age=315360000", None), ("epoch", "no-cache", None),
])
def test_expires(adding, name, cache_control, seconds):
    now = time.time()
    reply = get(adding.port, "/expires/" + name)
    assert reply.all("cache-control") == [cache_control]
    if seconds is not None:
        assert now - 2 < parsedate_to_datetime(reply.header("expires")).timestamp() - seconds < time.time() + 2
    elif name == "max":
        assert reply.header("expires") == "Thu, 31 Dec 2037 23:55:55 GMT"
    else:
        assert reply.header("expires") == "Thu, 01 Jan 1970 00:00:01 GMT"


def test_what_is_added_stays_as_it_was_written(adding):
    reply = get(adding.port, "/led/a.txt")
    assert reply.all("last-modified") == ["Mon, 06 Nov 1994 08:49:37 GMT"], "a Sunday"
    assert reply.all("accept-ranges") == ["none", "bytes"]
    assert get(adding.port, "/made").all("location") == ["/made/1"], "only our own redirects become absolute"
    assert get(adding.port, "/moved").all("location")[0] == f"http://localhost:{adding.port}/away"


def test_expires_that_do_not_hold(adding):
    for name in ("off", "variable?e=off", "variable?e=rubbish", "variable", "status"):
        reply = get(adding.port, "/expires/" + name)
        assert reply.header("expires") is None and reply.header("cache-control") is None, name


def test_expires_at_a_time_of_day_and_after_a_change(adding):
    before = time.time()
    reply = get(adding.port, "/expires/day")
    moment = parsedate_to_datetime(reply.header("expires")).timestamp()
    assert time.localtime(moment)[3:6] == (12, 0, 0) and before - 2 < moment < time.time() + 86402
    reply = get(adding.port, "/expires/modified/a.txt")
    changed = parsedate_to_datetime(reply.header("last-modified"))
    assert parsedate_to_datetime(reply.header("expires")).timestamp() == changed.timestamp() + 100 * 365 * 86400


def test_expires_after_the_change_that_a_reply_tells(server, upstream):
    dated = {"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    u = upstream(up.serve(lambda r: up.reply(200, b"x", dated if r.target == "/dated" else {})))
    s = server(PROXIED_CONF, UP=u.port)
    assert get(s.port, "/dated").header("expires") == "Wed, 08 Dec 2123 00:00:00 GMT"  # 36500 days on
    reply = get(s.port, "/undated")
    assert parsedate_to_datetime(reply.header("expires")).timestamp() > time.time() + 36_499 * 86_400


def test_cache_control_beside_expires(adding):
    assert get(adding.port, "/expires/both").all("cache-control") == ["max-age=3600", "public"]


def test_trailers_come_behind_a_chunked_body(adding):
    reply = get(adding.port, "/trailer/a.txt?v=7")
    assert (reply.text, reply.header("content-length"), reply.header("transfer-encoding")) == ("alpha", None, "chunked")
    assert [(n.lower(), v) for n, v in reply.trailers] == [("x-status", "200 7"), ("x-late", "late")]
    reply = get(adding.port, "/trailer/gone")
    assert reply.status == 404 and [v for _, v in reply.trailers] == ["late"]


def test_http_1_0_and_head_get_no_trailers(adding):
    with Client(adding.port) as client:
        reply = client.get("/trailer/a.txt", version="HTTP/1.0")
        assert (reply.text, reply.header("content-length"), reply.trailers) == ("alpha", "5", [])
    reply = request(adding.port, "HEAD", "/trailer/a.txt")
    assert (reply.status, reply.header("content-length"), reply.header("transfer-encoding")) == (200, "5", None)


def test_control_characters_do_not_leave(adding):
    answer = raw(adding.port, b"GET /inject/a%0d%0aX-Evil:%201?v=ok HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert b"200 OK" in answer and b"X-In: ok" in answer
    assert b"X-Path: [/inject/a X-Evil: 1]\r\n" in answer  # a line break is a space: one field, whatever stands in it
    answer = raw(adding.port, b"GET /inject/a%00b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert b"X-Path" not in answer


WRITTEN_OVER_LINES = """
events {}
http {
    map $arg_a $policy { default "default-src 'self';
                                  img-src *"; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        add_header Literal "default-src 'self';
                            script-src 'self';

                            img-src *
                           " always;
        add_header Mapped "$policy;
                           x";
        add_header Colon: "one two";
        add_header "No Name" x;
        add_header "" x;
        add_trailer Late: "$policy";
        location / { root %%PREFIX%%/html; }
        location /proxied {
            proxy_set_header Literal "a
                                      b";
            proxy_set_header Mapped $policy;
            proxy_set_header Colon: c;
            proxy_set_header "No Name" x;
            proxy_pass http://127.0.0.1:%%UP%%;
        }
    }
}
"""


def test_values_of_several_lines_and_odd_names(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, "x")))
    s = server(WRITTEN_OVER_LINES, files={"html/a.txt": "alpha"}, UP=u.port)
    policy = "default-src 'self'; img-src *"
    reply = get(s.port, "/a.txt")
    assert reply.header("literal") == "default-src 'self'; script-src 'self'; img-src *"
    assert (reply.header("mapped"), reply.header("colon")) == (policy + "; x", "one two")
    assert dict(reply.trailers) == {"Late": policy} and not any(not name or " " in name or ":" in name for name, _ in reply.headers)
    assert get(s.port, "/proxied").status == 200
    sent = u.requests[-1]
    assert [sent.header(name) for name in ("literal", "mapped", "colon", "no name")] == ["a b", policy, "c", None]
    log = s.log()
    assert log.count('[warn]') == 6 and 'the colon of the field name "Colon:" is left out in ' in log
    assert '"No Name" is no field name, the field is not sent in ' in log


@pytest.mark.parametrize("line, error", [
    ("add_header X", 'invalid number of arguments in "add_header" directive'),
    ("add_header X y sometimes", 'invalid parameter "sometimes"'),
    ("expires x", "invalid value"), ("expires modified @1h", 'daily time cannot be used with "modified" parameter'),
    ("expires @25h", "daily time value must be less than 24 hours"), ("add_header_inherit maybe", 'invalid value "maybe"'),
])
def test_bad_lines(idle_server, line, error):
    done = idle_server(f"events {{}} http {{ server {{ listen 127.0.0.1:%%PORT_0%%; {line}; }} }}").run("-t")
    assert done.returncode == 1 and re.search(re.escape(error), done.stderr), done.stderr
