# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Rewriting of responses by conf/lua, used as its README says; and all policies' counters in one place."""

import random
import re

from lib import upstreams as up
from lib.client import get, request
from lib.policies import CONF, start
from lib.ports import wait_until


def html(body, *fields, status=200):
    head = [f"HTTP/1.1 {status} X", "Content-Type: text/html; charset=utf-8", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def rewritten(server, upstream, answer, body='replace = { { "http://old.example", "https://new.example" } }', head="body = true"):
    u = upstream(up.serve(answer))

    def edit(text):
        text = re.sub(r"head \{ body = true", "head { " + head, text)
        return re.sub(r"body \{ replace.*", lambda m: "body { " + body + " } }", text)
    return start(server, "rewrite_response", "rewrite_decision", edit, "lua_shared_dict decisions 100k;", UP=u.port), u


def test_links_and_fields_are_changed(server, upstream):
    fields = ("X-Powered-By: X", "X-Frame-Options: ALLOW", 'ETag: "1"', "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT",
              "Accept-Ranges: bytes")
    page = b'<a href="http://old.example/a"><a href="http://old.example/b">http://old.exampl'
    s, u = rewritten(server, upstream, lambda r: html(page, *fields))
    r = get(s.port, "/", headers={"Accept-Encoding": "gzip"})
    assert r.body == b'<a href="https://new.example/a"><a href="https://new.example/b">http://old.exampl'
    gone = ("x-powered-by", "last-modified", "accept-ranges")
    assert [r.header(n) for n in ("x-frame-options", "etag", *gone)] == ["DENY", 'W/"1"', None, None, None]
    assert u.requests[0].header("accept-encoding") is None
    head = request(s.port, "HEAD", "/")
    assert (head.status, head.header("content-length"), head.header("x-powered-by")) == (200, None, None)
    metrics = get(s.port, "/metrics").body.decode()
    assert 'rewrite_response_decisions_total{decision="rewritten"} 1' in metrics
    wait_until(lambda: "rewritten 200" in s.read("logs/access.log"))


def test_only_documents_of_the_types_are_changed(server, upstream):
    def answer(request):
        if request.target == "/gzip":
            return html(b"http://old.example", "Content-Encoding: gzip")
        if request.target == "/part":
            return html(b"http://old.example", "Content-Range: bytes 0-17/30", status=206)
        return up.reply(200, b"http://old.example")
    s, u = rewritten(server, upstream, answer)
    for target, decision in (("/gzip", "skipped 200"), ("/part", "skipped 206"), ("/plain", "untouched 200")):
        r = get(s.port, target)
        assert (r.body, r.header("content-length"), r.header("x-frame-options")) == (b"http://old.example", "18", "DENY")
        wait_until(lambda: decision in s.read("logs/access.log"))


def test_texts_are_found_wherever_the_pieces_end(server, upstream):
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    texts = [("abab", "1"), ("aba", "2"), ("ba", ""), ("c", "<c>")]
    want = re.compile("|".join(a for a, _ in texts).encode())
    pages = [bytes(chance.choice(b"abc") for _ in range(chance.randrange(1, 60))) for _ in range(20)]

    def answer(request):
        page = pages[int(request.target[1:])]
        out = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
        while page:
            size = chance.randrange(1, 6)
            out += b"%x\r\n%s\r\n" % (len(page[:size]), page[:size])
            page = page[size:]
        return out + b"0\r\n\r\n"
    pairs = ", ".join('{ "%s", "%s" }' % t for t in texts)
    s, u = rewritten(server, upstream, answer, f"replace = {{ {pairs} }}")
    changes = {a.encode(): b.encode() for a, b in texts}
    for n, page in enumerate(pages):
        assert get(s.port, f"/{n}").body == want.sub(lambda m: changes[m.group()], page), (seed, page)


def test_patterns_want_the_whole_body(server, upstream):
    body = 'patterns = { { "([0-9]+)-([0-9]+)", "$2-$1" }, { "(", "" } }, append = "!", bytes_max = 100'
    s, u = rewritten(server, upstream, lambda r: html(b"x" * int(r.target[1:]) + b" 12-34"), body)
    assert get(s.port, "/50").body == b"x" * 50 + b" 34-12!"
    assert get(s.port, "/200000").body == b"x" * 200000 + b" 12-34!"
    wait_until(lambda: "too_long 200" in s.read("logs/access.log") and "rewritten 200" in s.read("logs/access.log"))
    s.wait_for_log(r"rewrite_response: \(: pcre_compile\(\) failed")


def test_a_status_and_more_fields(server, upstream):
    s, u = rewritten(server, upstream, lambda r: up.reply(502, b"x"), head='status = { [502] = 503 }, add = { ["Set-Cookie"] = "a=b" }')
    r = get(s.port)
    assert (r.status, r.header("set-cookie"), r.body) == (503, "a=b", b"x")
    wait_until(lambda: "head 503" in s.read("logs/access.log"))


def test_all_counters_in_one_place(server, upstream):
    conf = CONF.replace("location /metrics {", """location /all { content_by_lua_block { require("decisions").metrics() } }
        location /key { access_by_lua_block { require("api_key").check { keys = { a = 'x' } } } content_by_lua_block { } }
        location /canary { content_by_lua_block { require("decisions").count("canary", 'a"b', "stable") } }
        location /metrics {""")
    u = upstream(up.serve(lambda r: up.reply(200, b"x")))
    s = start(server, "rate_limit", "rate_limit_decision", conf=conf, UP=u.port)
    for target in ("/", "/key", "/canary"):
        get(s.port, target)
    lines = get(s.port, "/all").body.decode().split("\n")
    assert lines == ["# TYPE api_key_decisions_total counter", 'api_key_decisions_total{decision="missing"} 1',
                     "# TYPE canary_decisions_total counter", 'canary_decisions_total{name="a\\"b",decision="stable"} 1',
                     "# TYPE rate_limit_decisions_total counter", 'rate_limit_decisions_total{name="api",decision="passed"} 1', ""]
