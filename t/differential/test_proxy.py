# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The same configuration and requests through Debian's nginx and through fairlead: what the upstream received and what the client got must
agree. What does not stands in DIFFERENCES with its reason."""

import itertools
import os
import re

import pytest

from lib import upstreams as up
from lib.client import Client, chunked
from lib.nginx import BINARY

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

CONF = """
events {}
http {
    upstream pool { server 127.0.0.1:%%UP%%; keepalive 8; }
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    underscores_in_headers on;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://pool; }
        location /with/ { proxy_pass http://pool/other/; }
        location /top/ { proxy_pass http://pool/; }
        location /bare { proxy_pass http://pool/x; }
        location /args/ { proxy_pass http://pool/a?b=; }
        location ~ ^/re/(.*) { proxy_pass http://pool; }
        location ~ ^/var/(.*) { proxy_pass http://127.0.0.1:%%UP%%/v/$1$is_args$args; }
        location /old { proxy_http_version 1.0; proxy_set_header Connection close; proxy_pass http://pool; }
        location /set/ { proxy_set_header Connection ""; proxy_set_header Host $host:$server_port; proxy_set_header X-Real $remote_addr;
                         proxy_set_header X-Gone ""; proxy_set_header X-For $proxy_add_x_forwarded_for; proxy_set_header Accept "";
                         proxy_pass http://pool; }
        location /method { proxy_method PUT; proxy_pass http://pool; }
        location /body { proxy_set_body "now: $request_uri"; proxy_pass http://pool; }
        location /nobody { proxy_pass_request_body off; proxy_set_header Connection ""; proxy_set_header Content-Length ""; proxy_pass http://pool; }
        location /nohead { proxy_pass_request_headers off; proxy_pass http://pool; }
        location /stream { proxy_request_buffering off; proxy_pass http://pool; }
        location /hide { proxy_hide_header X-A; proxy_hide_header Location; proxy_pass http://pool; }
        location /shown { proxy_hide_header X-A; proxy_hide_header Vary; proxy_pass_header X-A; proxy_pass http://pool; }
        location /pass { proxy_pass_header Server; proxy_pass_header Date; proxy_pass_header X-Accel-Expires; proxy_pass http://pool; }
        location /redir/ { proxy_redirect http://origin/ /moved/; proxy_redirect ~^/(a+)/(.*)$ /$2/$1; proxy_redirect ~IN(.) /all/$1;
                           proxy_pass http://pool; }
        location /default/ { proxy_pass http://pool/inner/; }
        location /noredir { proxy_redirect off; proxy_pass http://pool; }
        location /cookie { proxy_cookie_domain origin.test here.test; proxy_cookie_path /app/ /; proxy_cookie_path ~*^/x(.*) /y$1;
                           proxy_cookie_flags one secure httponly; proxy_cookie_flags ~two nosecure samesite=lax; proxy_pass http://pool;
                           proxy_cookie_domain ~(re)[.]x $1.y; proxy_cookie_path ~mid(.) /all/$1; }
        location /intercept { proxy_intercept_errors on; error_page 302 404 500 = /page; error_page 401 /page; proxy_pass http://pool; }
        location /page { return 200 "a page"; }
        location @named { return 200 "named $uri $args"; }
        location /named/ { try_files /none @passed; }
        location @passed { proxy_pass http://pool; }
        location /hidden/ { internal; return 200 "hidden $uri $args"; }
        location /ignore { proxy_ignore_headers X-Accel-Redirect; proxy_pass http://pool; }
        location /if { if ($arg_p) { set $x 1; } proxy_pass http://pool; }
        location /rw/ { rewrite ^/rw/(.*)$ /to/$1?more=1 break; proxy_pass http://pool; }
        location /rwu/ { rewrite ^/rwu/(.*)$ /to/$1 break; proxy_pass http://pool/other/; }
        location /limit { limit_except GET { proxy_pass http://pool; } proxy_pass http://pool; }
        location /unbuffered { proxy_buffering off; proxy_pass http://pool; }
    }
}
"""
LOCATIONS = ["/", "/with/", "/with", "/top/", "/bare", "/bare/y", "/args/", "/re/a", "/var/a", "/old", "/set/", "/method", "/body",
    "/nobody", "/nohead",
             "/stream", "/if", "/rw/", "/rwu/", "/limit", "/unbuffered"]
TAILS = ["", "?q=1&r", "%20sp%2Fsl%25", "a/../b/./c//d", "x%3Fy%23z?%20", "%c3%a9;p=1,2"]
FIELDS = [("Accept", "a/b"), ("X-Gone", "x"), ("X-For", "y"), ("X-Forwarded-For", "1.2.3.4"), ("Keep-Alive", "5"), ("TE", "trailers"),
    ("Cookie", "a=b"),
          ("Cookie", "c=d"), ("Under_Score", "u"), ("X-Empty", ""), ("Upgrade", "h2c"), ("Connection", "keep-alive, X-Mine"), ("X-Mine",
              "m")]


def request_bytes(method, target, body=None, coding="length", fields=FIELDS, host="Example.Test:81"):
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"] + [f"{n}: {v}" for n, v in fields]
    payload = b""
    if body is not None and coding == "chunked":
        lines.append("Transfer-Encoding: chunked")
        payload = chunked(body)
    elif body is not None:
        lines.append(f"Content-Length: {len(body)}")
        payload = body
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + payload


REQUESTS = [("GET", request_bytes("GET", location + tail)) for location, tail in itertools.product(LOCATIONS, TAILS)]
for _method, _location, _coding in itertools.product(["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PURGE"], ["/", "/with/x", "/method",
    "/body", "/nobody", "/nohead", "/stream", "/old", "/limit"],
                                                     ["length", "chunked", "none", "empty"]):
    _body = {"none": None, "empty": b""}.get(_coding, b"content")
    REQUESTS.append((_method, request_bytes(_method, _location, _body, _coding, fields=[("Content-Type", "t/x")])))

for _field in (("Proxy-Connection", "p"), ("Trailer", "t"), ("Host", "ignored")):
    REQUESTS.append(("GET", request_bytes("GET", "/", fields=[_field] if _field[0] != "Host" else [])))

OK = "HTTP/1.1 200 OK\r\n"
REPLIES = {
    "length": OK + "Content-Length: 4\r\nX-A: 1\r\nX-A: 2\r\n\r\nbody",
    "chunked": OK + "Transfer-Encoding: chunked\r\nX-A: 1\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "close": OK + "Connection: close\r\n\r\nbody",
    "old": "HTTP/1.0 200 OK\r\n\r\nbody",
    "created": "HTTP/1.1 201 Made It\r\nContent-Length: 0\r\nLocation: http://origin/a/b\r\n\r\n",
    "no content": "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
    "not modified": 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nLast-Modified: Mon, 28 Sep 1970 06:00:00 GMT\r\n\r\n',
    "404": "HTTP/1.1 404 Gone Fishing\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nnone",
    "500": "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops",
    "401": 'HTTP/1.1 401 Who\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n',
    "odd status": "HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n",
    "no reason": "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    "hop by hop": OK + "Keep-Alive: x\r\nConnection: keep-alive\r\nContent-Length: 0\r\nDate: now\r\nServer: other\r\nX-Pad: p\r\nX-Accel-Expires: 5\r\n\r\n",
    "location origin": "HTTP/1.1 302 Found\r\nLocation: http://origin/x?y\r\nContent-Length: 0\r\n\r\n",
    "location pool": "HTTP/1.1 302 Found\r\nLocation: http://pool/inner/x\r\nContent-Length: 0\r\n\r\n",
    "location aa": "HTTP/1.1 302 Found\r\nLocation: /aaa/rest\r\nContent-Length: 0\r\n\r\n",
    "location relative": "HTTP/1.1 301 Moved\r\nLocation: next?z\r\nContent-Length: 0\r\n\r\n",
    "location within": "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/a?u=INb&c\r\nContent-Length: 0\r\n\r\n",
    "refresh within": OK + "Refresh: 5; url=http://elsewhere/INb/c\r\nContent-Length: 0\r\n\r\n",
    "refresh": OK + "Refresh: 5; url=http://origin/r\r\nContent-Length: 0\r\n\r\n",
    "refresh pool": OK + "Refresh: 5; URL=http://pool/inner/r\r\nContent-Length: 0\r\n\r\n",
    "cookies": OK + "Set-Cookie: one=1; Domain=.origin.test; Path=/app/x; Max-Age=5\r\nSet-Cookie: two=2; path=/x1; Secure\r\n"
                    "Set-Cookie: three=3\r\nContent-Length: 0\r\n\r\n",
    "domains": OK + "".join(f"Set-Cookie: a=b; Domain={name}\r\n" for name in (
        "ORIGIN.test", "origin.test.evil", "not.origin.test", "re.x", ".re.x", "q.RE.X.z", " origin.test ",
        "")) + "Content-Length: 0\r\n\r\n",
    "paths": OK + "".join(f"Set-Cookie: {text}\r\n" for text in (
        "a=b; Path=/a/mid/b", "a=b ; Path = /app/x;Secure", "path=/app/x; Path=/APP/x", "a=b; Path")) + "Content-Length: 0\r\n\r\n",
    "accel": OK + "X-Accel-Redirect: /hidden/file?a=b\r\nX-A: 1\r\nContent-Type: t/u\r\nSet-Cookie: s=1\r\nContent-Disposition: d\r\nETag: e\r\n"
                  "Content-Length: 4\r\n\r\nbody",
    "accel unsafe": OK + "X-Accel-Redirect: /hidden/../../x\r\nContent-Length: 0\r\n\r\n",
    "accel unsafe encoded": OK + "X-Accel-Redirect: /hidden/%2e%2E/x\r\nContent-Length: 0\r\n\r\n",
    "accel unsafe backslash": OK + "X-Accel-Redirect: /hidden/..%5c..\r\nContent-Length: 0\r\n\r\n",
    "accel decoded": OK + "X-Accel-Redirect: /hidden/a%20b%3fc?d=%20\r\nContent-Length: 0\r\n\r\n",
    "accel dots in a name": OK + "X-Accel-Redirect: /hidden/a..b/...\r\nContent-Length: 0\r\n\r\n",
    "accel relative": OK + "X-Accel-Redirect: hidden/x\r\nContent-Length: 0\r\n\r\n",
    "accel nowhere": OK + "X-Accel-Redirect: /nowhere/x\r\nContent-Length: 0\r\n\r\n",
    "accel bad percent": OK + "X-Accel-Redirect: /hidden/%zz\r\nContent-Length: 0\r\n\r\n",
    "accel NUL": OK + "X-Accel-Redirect: /hidden/%00x\r\nContent-Length: 0\r\n\r\n",
    "accel empty": OK + "X-Accel-Redirect: \r\nContent-Length: 0\r\n\r\n",
    "accel named": OK + "X-Accel-Redirect: @named\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n",
    "accel unknown name": OK + "X-Accel-Redirect: @unknown\r\nContent-Length: 0\r\n\r\n",
    "accel on an error": "HTTP/1.1 404 No\r\nX-Accel-Redirect: /hidden/x\r\nContent-Length: 0\r\n\r\n",
    "accel limit": OK + "X-Accel-Limit-Rate: 100000\r\nX-Accel-Charset: koi8-r\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok",
    "two of many": OK + "Date: a\r\nETag: \"e\"\r\nLast-Modified: x\r\nContent-Range: bytes 0-1/2\r\n"
                        "X-A: 1\r\nVary: b\r\nContent-Length: 0\r\n\r\n",
    "206": 'HTTP/1.1 206 Partial\r\nContent-Range: bytes 1-2/9\r\nContent-Length: 2\r\n\r\nok',
    "accel unbuffered": OK + "X-Accel-Buffering: no\r\nContent-Length: 4\r\n\r\nbody",
    "vary": OK + "Vary: a\r\nCache-Control: no-cache\r\nCache-Control: private\r\nExpires: 0\r\nAccept-Ranges: bytes\r\nLink: <a>\r\nContent-Length: 0\r\n\r\n",
    "content": OK + "Content-Type: text/html; charset=x\r\nContent-Encoding: gzip\r\nContent-Language: en\r\nContent-Length: 2\r\n\r\nzz",
}
REPLY_LOCATIONS = ["/", "/hide", "/shown", "/pass", "/redir/", "/default/", "/noredir", "/cookie", "/intercept", "/ignore", "/unbuffered",
                   "/old", "/re/a", "/named/x"]

# Requests and replies that are meant to differ: a pattern over "what: name", and why.
DIFFERENCES = [
    (r"request: .*(Proxy-Connection|Trailer): ", "fields of the connection (RFC 9110 section 7.6.1), which nginx passes on"),
    (r"request: .*GET /var/a%20sp", "a space that a variable holds would end the request line: nginx sends it, we send %20"),
    (r"reply: .* no reason$", "nginx sends an empty reason phrase, we the usual one"),
    (r"request: .*/stream .*chunked", "what came with the head: nginx knows the length when all of a chunked body did, we stream it"),
    (r"reply: HEAD (?!/intercept|/ignore)\S+ accel (unsafe|unsafe encoded|NUL|empty|unknown name)$|"
     r"reply: HEAD (?!/ignore)\S+ accel (nowhere|relative)$", "the length of the built-in page, in which the server's name stands"),
]


def different(name):
    return any(re.search(pattern, name) for pattern, _ in DIFFERENCES)


def fields_of(message, dropped=()):
    return sorted((n.lower(), v) for n, v in message.headers if n.lower() not in dropped)


def as_received(request, port):
    return request.first_line, [(n, v.replace(str(port), "PORT")) for n, v in fields_of(request)], request.body


def as_answered(reply, port):
    dropped = {"date", "server", "keep-alive"} if not reply.all("x-kept") else set()
    body = reply.body if reply.status < 400 or b"<center>" not in reply.body else b"a built-in page"
    fields = [(n, v.replace(str(port), "PORT")) for n, v in fields_of(reply,
        dropped) if not (n == "content-length" and body == b"a built-in page")]
    return reply.version, reply.status, reply.reason, fields, body


def exchange(server, method, data):
    with Client(server.port) as client:
        client.send(data)
        return as_answered(client.read_reply(method), server.port)


def compare(ours, theirs, names):
    wrong = []
    for name, a, b in zip(names, ours, theirs):
        if a != b and not different(name):
            wrong.append(f"{name}\n   ours: {a}\n  nginx: {b}")
        elif a == b and different(name):
            wrong.append(f"{name}: listed as different, but it agrees")
    assert not wrong, f"{len(wrong)} of {len(names)} differ\n" + "\n".join(wrong)


def test_what_the_upstream_receives(server, nginx, upstream):
    received = []
    for make in (server, nginx):
        u = upstream(up.serve(lambda r: up.reply(200, "ok", {"Connection": "close"} if r.has_word("connection", "close") else {})))
        s = make(CONF, UP=u.port)
        seen = []
        for method, data in REQUESTS:
            before = len(u.requests)
            answer = exchange(s, method, data)
            new = u.requests[before:]
            seen.append((answer[1], [as_received(r, s.port if b"/set/" in data else u.port) for r in new]))
        received.append(seen)
    compare(*received, [f"request: {data!r}" for _, data in REQUESTS])


def test_what_the_client_gets(server, nginx, upstream):
    cases = list(itertools.product(REPLY_LOCATIONS, REPLIES, ["GET", "HEAD", "GET 1.0"]))
    answers = []
    for make in (server, nginx):
        now = {}
        u = upstream(up.serve(lambda r: now["reply"]))
        s = make(CONF, UP=u.port)
        got = []
        for location, name, how in cases:
            method, _, version = how.partition(" ")
            raw = REPLIES[name].encode()
            if method == "HEAD":
                raw = raw.split(b"\r\n\r\n")[0] + b"\r\n\r\n"
            close = name in ("close", "old")
            now["reply"] = raw if not close else raw.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n",
                1) if b"Connection: close" not in raw else raw
            got.append(exchange(s, method, f"{method} {location} HTTP/{version or '1.1'}\r\nHost: here.test\r\n\r\n".encode()))
        answers.append(got)
    compare(*answers, [f"reply: {how} {location} {name}" for location, name, how in cases])
