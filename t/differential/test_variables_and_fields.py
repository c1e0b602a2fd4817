# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""map, geo, split_clients, access, userid, add_header, add_trailer, expires, addition, random_index, log formats and stub_status through
Debian's nginx and through fairlead: status, fields, bodies and log lines must agree."""

import base64
import itertools
import os
import re
import struct

import pytest

from lib import upstreams as up
from lib.client import Client, request
from lib.nginx import BINARY
from lib.ports import wait_until

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

CONF = """
events {}
http {
    server_tokens off;
    set_real_ip_from 127.0.0.1;
    map $arg_v $mapped { hostnames; default none; include %%PREFIX%%/more.map; *.wild.test wild; .both.test both; pre.* "pre $arg_w";
                         ~^(?<part>[a-z])x$ "part $part"; ~*UP upper; \\default word; "" empty; volatile; }
    map $arg_v$arg_w $pair { ab 1; ~^a(.*)$ $1; default $arg_v; }
    geo $arg_ip $net { default out; 10.0.0.0/8 ten; 10.1.0.0/16 "ten one"; 10.1.2.3 host; 2001:db8::/32 six; 127.0.0.1 local;
                       10.2.0.0/16 gone; delete 10.2.0.0/16; include %%PREFIX%%/more.geo; }
    geo $arg_ip $range { ranges; default out; 10.0.0.0-10.0.0.9 low; 10.0.0.10-10.0.0.20 mid; 10.0.0.15-10.0.0.16 in;
                         192.168.0.0-192.168.255.255 home; }
    split_clients $arg_v $split { 0.5% half; 20% fifth; 33.33% third; * rest; }
    split_clients $arg_v $nothing { 50% x; * ""; }
    log_format plain "$arg_v|$http_user_agent|$missing_one|$sent_http_x_one|$status|$body_bytes_sent|$request|$http_x_empty";
    log_format json escape=json '{"v":"$arg_v","agent":"$http_user_agent","none":"$missing_one"}';
    log_format none escape=none "$arg_v [$http_user_agent] [$missing_one]";
    map $uri $missing_one { default ""; }
    map $arg_log $logged { 0 0; "" ""; default 1; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%/files;
        default_type text/plain;
        location /map { return 200 "$mapped|$pair|$part"; }
        location /geo { return 200 "$net|$range"; }
        location /split { return 200 "$split|$nothing"; }
        location /access/one { allow 10.0.0.0/8; deny 10.1.2.3; allow 127.0.0.1; deny all; try_files /none =204; }
        location /access/order { deny 10.1.2.3; allow 10.0.0.0/8; deny all; try_files /none =204; }
        location /access/six { deny 2001:db8::1; allow 2001:db8::/32; deny all; try_files /none =204; }
        location /access/open { try_files /none =204; }
        location /access/sub { deny all; location /access/sub/in { allow all; try_files /none =204; } }
        location /fields { add_header X-One "[$arg_v]"; add_header X-Two two always; add_header X-Empty $missing_one; return 200 "x"; }
        location /fields/error { add_header X-One 1; add_header X-Two two always; return 404; }
        location /fields/inner { add_header X-One 1; location /fields/inner/own { add_header X-Three 3; return 200 "x"; }
                                 location /fields/inner/none { return 204; } }
        location /expires/ { return 200 "x"; }
        location /expires/hour { expires 1h; return 200 "x"; }
        location /expires/past { expires -1; return 200 "x"; }
        location /expires/epoch { expires epoch; return 200 "x"; }
        location /expires/max { expires max; return 200 "x"; }
        location /expires/off { expires off; return 200 "x"; }
        location /expires/variable { expires $arg_v; return 200 "x"; }
        location /expires/error { expires 1h; return 404; }
        location /expires/up { expires 1h; proxy_pass http://127.0.0.1:%%UP%%; }
        location /trailer { add_trailer X-Last "[$arg_v]"; add_trailer X-Void $missing_one; proxy_pass http://127.0.0.1:%%UP%%; }
        location /addition/ { addition_types text/plain; add_before_body /piece/before; add_after_body /piece/after; }
        location /addition/html { addition_types text/html; add_before_body /piece/before; }
        location /piece/ { add_header X-Piece 1; }
        location /random/ { random_index on; }
        location /user { userid on; userid_domain d.test; userid_path /p; userid_expires 1h; userid_service 5; userid_mark z;
                         return 200 "[$uid_got]"; }
        location /user/old { userid v1; userid_service 5; return 200 "[$uid_got]"; }
        location /user/log { userid log; return 200 "[$uid_got]"; }
        location /user/p3p { userid on; userid_p3p 'policyref="/x"'; userid_expires max; return 200 "x"; }
        location /log/plain { access_log %%PREFIX%%/logs/out plain; add_header X-One "a\\"b"; return 200 "body"; }
        location /log/json { access_log %%PREFIX%%/logs/out json; return 200 "body"; }
        location /log/none { access_log %%PREFIX%%/logs/out none; return 200 "body"; }
        location /log/if { access_log %%PREFIX%%/logs/out none if=$logged; return 200 "body"; }
        location /log/combined { access_log %%PREFIX%%/logs/out; return 200 "body"; }
        location = /status { stub_status; }
    }
}
"""
FILES = {"more.map": "exact found;\n", "more.geo": "10.3.0.0/16 three;\n", "files/addition/a.txt": "middle\n",
         "files/addition/html": "middle\n", "files/piece/before": "before\n", "files/piece/after": "after\n",
         "files/random/only.txt": "the only one\n"}

VALUES = ["", "exact", "a.wild.test", "wild.test", "both.test", "x.both.test", "pre.fix", "ax", "aX", "sup", "default", "none", "ab", "a",
          "b", "EXACT", "A.Wild.Test", "%2e"]
ADDRESSES = ["10.0.0.1", "10.0.0.5", "10.0.0.9", "10.0.0.10", "10.0.0.20", "10.0.0.21", "10.1.0.0", "10.1.2.3", "10.1.2.4", "10.2.0.1",
             "10.3.0.1", "11.0.0.0", "2001:db8::1", "2001:db9::1", "127.0.0.1", "", "x", "192.168.3.4", "255.255.255.255",
             "::ffff:10.1.2.3"]
REAL = [a for a in ADDRESSES if a != "255.255.255.255"]  # to nginx's parser, which realip uses, that is no address
TIMES = ["1h", "-1h", "epoch", "max", "off", "@15h30m", "0", "x", ""]
KNOWN_USER = base64.b64encode(struct.pack("=4I", 1, 2, 3, 4)).decode()
COOKIES = [None, f"uid={KNOWN_USER}", f"uid={KNOWN_USER[:-1]}", "uid=", "uid=" + "A" * 22, f"a=b; uid={KNOWN_USER}; c=d", "uid=!!!"]
AGENTS = ["plain", 'a"b\\c', "a\tb", "\u00e9".encode().decode("latin1"), "x" * 300]


def requests():
    yield from (("GET", f"/map?v={v}&w={w}", []) for v, w in itertools.product(VALUES, ["", "b"]))
    yield from (("GET", f"/geo?ip={a}", []) for a in ADDRESSES)
    yield from (("GET", f"/split?v={n}", []) for n in range(200))
    yield from (("GET", path, [("X-Real-IP", a)] if a else []) for path, a in
                itertools.product(["/access/one", "/access/order", "/access/six", "/access/open", "/access/sub", "/access/sub/in"], REAL))
    yield from ((m, path, []) for m, path in itertools.product(["GET", "HEAD"], [
        "/fields?v=1", "/fields?v=", "/fields/error", "/fields/inner", "/fields/inner/own", "/fields/inner/none", "/expires/",
        "/expires/hour", "/expires/past", "/expires/epoch", "/expires/max", "/expires/off", "/expires/error", "/expires/up",
        "/expires/up/own", "/expires/up/404",
        "/trailer?v=1", "/trailer?v=", "/addition/a.txt", "/addition/none", "/addition/html", "/random/", "/random", "/user/p3p"]))
    yield from (("GET", f"/expires/variable?v={t}", []) for t in TIMES)
    yield from (("GET", "/addition/a.txt", fields) for fields in ([("Range", "bytes=1-3")], [("If-Modified-Since", "x")]))
    yield from (("GET", path, [("Cookie", c)] if c is not None else []) for path, c in
                itertools.product(["/user", "/user/old", "/user/log"], COOKIES))


# Of its own time or its own number.
def steady(name, value):
    if name == "expires":
        year = re.search(r"\d{4}", value)
        return f"in {year.group(0)}" if year and year.group(0) in ("1970", "2037") else "a time"
    if name == "last-modified":
        return "a time"
    if name == "set-cookie":
        cookie, rest = re.match(r"(\w+=)[^;]*(.*)", value).groups()
        return cookie + re.sub(r"expires=[^;]*", lambda m: "expires=max" if "2037" in m.group(0) else "expires=soon", rest)
    if name == "etag":
        return "a weak tag" if value.startswith("W/") else "a tag"
    return value


def visible(reply, server):
    kept = sorted((n.lower(), steady(n.lower(), v).replace(str(server.port), "PORT")) for n, v in reply.headers
                  if n.lower() not in ("server", "date", "content-length"))
    return reply.status, kept, reply.body.replace(b"nginx", b"NAME").replace(b"fairlead", b"NAME"), getattr(reply, "trailers", None)


CONF_REAL = CONF.replace("set_real_ip_from 127.0.0.1;", "set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;")


EXPIRES = [("Expires", "x")]
LOGGED = ["/log/plain?v=%22", "/log/json?v=a%0A%22%5C", "/log/none?v=a", "/log/combined?v=1"]


@pytest.fixture
def both(server, nginx, upstream):
    peer = upstream(up.serve(lambda r: up.reply(404 if "404" in r.target else 200, "reply", headers=EXPIRES if "own" in r.target else [])))
    return server(CONF_REAL, UP=peer.port, files=FILES), nginx(CONF_REAL, UP=peer.port, files=FILES)


def test_replies_are_the_same(both):
    different = []
    for method, target, fields in requests():
        got, want = [visible(request(s.port, method, target, headers=fields), s) for s in both]
        if got != want:
            different.append(f"{method} {target} {fields}\n  ours  {str(got)[:400]}\n  nginx {str(want)[:400]}")
    assert not different, f"{len(different)} differ\n" + "\n".join(different)


def test_log_lines_are_the_same(both):
    logged = []
    for s in both:
        with Client(s.port) as client:
            for path, agent in itertools.product(LOGGED, AGENTS):
                client.get(path, headers=[("User-Agent", agent), ("X-Empty", "")])
            for value in ("", "0", "1", "00"):
                client.get(f"/log/if?log={value}&v={value}")
            client.get("/log/plain")
        lines = 4 * len(AGENTS) + 3
        wait_until(lambda s=s: len(s.read("logs/out").splitlines()) == lines, 5, "the log")
        logged.append([re.sub(r"\[\d+/\w+/\d+:[^]]*\]", "[TIME]", line) for line in s.read("logs/out").splitlines()])
    assert logged[0] == logged[1]


def test_the_status_page_is_the_same(both):
    pages = [re.sub(r"\d+", "N", request(s.port, "GET", "/status").text) for s in both]
    assert pages[0] == pages[1]
