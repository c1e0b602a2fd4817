# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""slice: a large response is asked for in ranges of one size and given as a whole, or as the range that the client wants."""

import re
import threading

import pytest

from lib import upstreams as up
from lib.client import Client, get
from lib.ports import TIME_SCALE

CONF = """
events {}
http {
    upstream few { zone few 128k; server 127.0.0.1:%%UP%% max_conns=1; keepalive 4; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { slice 100; proxy_set_header Range $slice_range; proxy_pass http://127.0.0.1:%%UP%%; }
        location /sub { slice 100; proxy_set_header Range $slice_range; proxy_pass http://127.0.0.1:%%UP%%;
                        sub_filter_types *; sub_filter 0405 "<45>"; }
        location /few { slice 100; proxy_set_header Range $slice_range; proxy_pass http://few; }
        location /nest { slice 200; error_page 418 = /; proxy_set_header Range $slice_range; if ($slice_range) { return 418; } }
        location /nest/off { slice 200; error_page 418 = /off; proxy_set_header Range $slice_range; if ($slice_range) { return 418; } }
        location /nest/name { slice 200; error_page 418 = @name; proxy_set_header Range $slice_range; if ($slice_range) { return 418; } }
        location @name { slice 100; add_header X-Slice "[$slice_range]"; return 200 "ok"; }
        location /off { proxy_pass http://127.0.0.1:%%UP%%; add_header X-Slice "[$slice_range]"; }
    }
}
"""
WHOLE = "".join(f"{n:02}" for n in range(100)) * 5  # 1000 bytes


@pytest.fixture
def asked():
    return []


def answer_with(asked, length=1000, **change):
    """A server of WHOLE that knows ranges; `change` by the begin of a slice: what it answers instead."""
    def answer(request):
        ranges = request.header("Range")
        asked.append(ranges)
        if request.target == "/whole" or not ranges:
            return up.reply(200, WHOLE)
        first, last = (int(n) for n in re.fullmatch(r"bytes=(\d+)-(\d+)", ranges).groups())
        if first >= length:
            return up.reply(416, "", headers=[("Content-Range", f"bytes */{length}")])
        last = min(last, length - 1)
        if f"at{first}" in change:
            return change[f"at{first}"]
        fields = [("Content-Range", f"bytes {first}-{last}/{length}"), ("ETag", '"t"'), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")]
        return up.reply(206, WHOLE[first:last + 1], headers=fields)
    return up.serve(answer)


def slices(*begins):
    return [f"bytes={n}-{n + 99}" for n in begins]


@pytest.fixture
def s(server, upstream, asked):
    return server(CONF, UP=upstream(answer_with(asked)).port)


def test_the_whole_in_slices(s, asked):
    with Client(s.port) as client:
        for _ in range(2):
            del asked[:]
            reply = client.get("/")
            assert (reply.status, reply.text, reply.header("Content-Length")) == (200, WHOLE, "1000")
            assert (reply.header("ETag"), reply.header("Accept-Ranges"), reply.header("Content-Range")) == ('"t"', "bytes", None)
            assert asked == slices(*range(0, 1000, 100))


@pytest.mark.parametrize("ranges, begin, end, begins", [
    ("0-9", 0, 10, [0]), ("250-349", 250, 350, [200, 300]), ("300-399", 300, 400, [300]), ("995-", 995, 1000, [900]),
    ("995-2000", 995, 1000, [900]), ("199-200", 199, 201, [100, 200]), ("-10", 990, 1000, [0, 900]),
])
def test_a_range_in_the_slices_it_needs(s, asked, ranges, begin, end, begins):
    reply = get(s.port, "/", {"Range": "bytes=" + ranges})
    assert (reply.status, reply.text, reply.header("Content-Range")) == (206, WHOLE[begin:end], f"bytes {begin}-{end - 1}/1000")
    assert asked == slices(*begins)


def test_what_gets_the_whole(s, asked):
    for fields in ({"Range": "bytes=1-2,500-501"}, {"Range": "bytes=300-310", "If-Range": '"other"'}, {"Range": "lines=300-310"}):
        del asked[:]
        reply = get(s.port, "/", fields)
        assert (reply.status, reply.text) == (200, WHOLE), fields
        assert asked == slices(*range(0, 1000, 100)), fields
    reply = get(s.port, "/", {"Range": "bytes=300-310", "If-Range": '"t"'})
    assert (reply.status, reply.text) == (206, WHOLE[300:311])


def test_slices_of_the_location_that_a_redirect_leads_to(s, asked):
    assert get(s.port, "/nest").text == WHOLE
    assert asked == slices(*range(0, 1000, 100))
    del asked[:]
    reply = get(s.port, "/nest", {"Range": "bytes=250-349"})
    assert (reply.status, reply.text, asked) == (206, WHOLE[250:350], slices(200, 300))
    assert get(s.port, "/nest/name", {"Range": "bytes=350-360"}).header("X-Slice") == "[bytes=300-399]"
    assert get(s.port, "/nest/off").header("X-Slice") == "[]"


@pytest.mark.parametrize("begin, slice", [
    ("18446744073709551615", "bytes=0-99"), ("18446744073709551000", "bytes=0-99"), ("9223372036854775808", "bytes=0-99"),
    ("9223372036854775806", "bytes=9223372036854775800-9223372036854775806"),
])
def test_no_range_ends_before_it_begins(s, asked, begin, slice):
    assert get(s.port, "/", {"Range": f"bytes={begin}-"}).status == 416
    assert asked == [slice]


def test_nothing_there(s):
    reply = get(s.port, "/", {"Range": "bytes=5000-"})
    assert (reply.status, reply.header("Content-Range")) == (416, "bytes */1000")


def test_conditions(s, asked):
    assert get(s.port, "/", {"If-None-Match": '"t"'}).status == 304
    assert asked == slices(0)


def test_an_upstream_without_ranges(s, asked):
    reply = get(s.port, "/whole", {"Range": "bytes=300-310"})
    assert (reply.status, reply.text, asked) == (200, WHOLE, slices(300))
    assert get(s.port, "/off").header("X-Slice") == "[]"


def test_filters_see_the_whole(s):
    reply = get(s.port, "/sub")
    assert reply.text == WHOLE.replace("0405", "<45>", 1) and reply.header("Content-Length") is None


BROKEN = {
    "unexpected status code 500": up.reply(500, "x"),
    "etag mismatch": up.reply(206, "x" * 100, headers=[("Content-Range", "bytes 300-399/1000"), ("ETag", '"other"')]),
    "unexpected range": up.reply(206, "x" * 100, headers=[("Content-Range", "bytes 400-499/1000"), ("ETag", '"t"')]),
    "unexpected range in slice response: 300-400": up.reply(206, "x" * 100,
                                                            headers=[("Content-Range", "bytes 300-399/1001"), ("ETag", '"t"')]),
    "invalid range": up.reply(206, "x" * 100, headers=[("Content-Range", "bytes x-y/z"), ("ETag", '"t"')]),
    "not complete": up.reply(206, "x" * 50, headers=[("Content-Range", "bytes 300-399/1000"), ("ETag", '"t"')]),
}


@pytest.mark.parametrize("log", BROKEN)
def test_a_broken_slice_never_looks_complete(server, upstream, asked, log):
    s = server(CONF, UP=upstream(answer_with(asked, at300=BROKEN[log])).port)
    with Client(s.port) as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        received = client.read_until_close()
    assert received.partition(b"\r\n\r\n")[2] == WHOLE[:300].encode()
    s.wait_for_log(log)


@pytest.mark.parametrize("field, log", [("bytes 0-99/*", "invalid range"), ("bytes 0-50/1000", "unexpected range"), ("x", "invalid range")])
def test_a_broken_first_slice_is_a_502(server, upstream, asked, field, log):
    s = server(CONF, UP=upstream(answer_with(asked, at0=up.reply(206, "x" * 100, headers=[("Content-Range", field)]))).port)
    reply = get(s.port, "/")
    assert (reply.status, reply.header("Content-Range")) == (502, None)
    s.wait_for_log(log)


def test_a_client_that_leaves_ends_the_fetching(server, upstream):
    left = threading.Event()

    def slice_at(n):
        return [up.request(), up.send(up.reply(206, WHOLE[n:n + 100], headers=[("Content-Range", f"bytes {n}-{n + 99}/1000")]))]
    peer = upstream([*slice_at(0), *slice_at(100), *slice_at(200), up.request(), up.read_to_end(), lambda seen: left.set()])
    s = server(CONF, UP=peer.port)
    client = Client(s.port).send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    while not client.received.endswith(WHOLE[:300].encode()):
        client.reader.fill()
    client.close()
    assert left.wait(5 * TIME_SCALE)


def test_the_first_slice_holds_no_connection_while_others_are_fetched(server, upstream, asked):
    u = upstream(answer_with(asked))
    s = server(CONF, UP=u.port)
    reply = get(s.port, "/few")
    assert (reply.status, reply.text, len(asked)) == (200, WHOLE, 10)
    assert len(u.connections) == 1, "one after the other over one connection, though the peer takes no second one"
    assert "no live upstreams" not in s.log()
