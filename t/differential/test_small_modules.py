# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""secure_link, referer, browser, empty_gif, charset through Debian's nginx and through fairlead: status, fields and bytes must agree."""

import base64
import hashlib
import itertools
import os

import pytest

from lib import upstreams as up
from lib.client import request
from lib.nginx import BINARY

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

CONF = """
events {}
http {
    server_tokens off;
    charset_map koi8-r utf-8 { C0 D18E ; C1 D0B0 ; D7 D0B2 ; 80 E29480 ; }
    charset_map koi8-r windows-1251 { C1 E0 ; C2 E1 ; D7 E2 ; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name own.test *.wild.test ~^re[0-9]+[.]test$;
        valid_referers none blocked server_names example.org/galleries/ *.example.com www.example.* ~[.]google[.] .both.test;
        modern_browser msie 5.5; modern_browser gecko 1.0.0; modern_browser safari 2; modern_browser konqueror 3.1;
        location /link { secure_link $arg_m,$arg_e; secure_link_md5 "$arg_e$uri"; return 200 "$secure_link|$secure_link_expires"; }
        location /plain { secure_link $arg_m; secure_link_md5 "$uri"; return 200 "$secure_link|$secure_link_expires"; }
        location /secret { secure_link_secret x; return 200 "$secure_link"; }
        location /referer { return 200 "[$invalid_referer]"; }
        location /only { valid_referers only.test/a ~^x[.]test/a; return 200 "[$invalid_referer]"; }
        location /browser { return 200 "$modern_browser|$ancient_browser|$msie"; }
        location /unlisted { modern_browser opera 9; modern_browser unlisted; ancient_browser Lynx netscape4; ancient_browser_value old;
                             return 200 "$modern_browser|$ancient_browser"; }
        location /none { modern_browser_value x; return 200 "$modern_browser|$ancient_browser"; }
        location /gif { empty_gif; }
        location /c/ { charset utf-8; default_type text/html; return 200 "x"; }
        location /c/css { charset utf-8; default_type text/css; return 200 "x"; }
        location /c/off { charset off; default_type text/html; return 200 "x"; }
        location /c/missing { charset utf-8; }
        location /c/redirect { charset utf-8; return 301 /x; }
        location /up { proxy_pass http://127.0.0.1:%%UP%%; }
        location /up/named { charset utf-8; proxy_pass http://127.0.0.1:%%UP%%; }
        location /up/override { charset utf-8; override_charset on; proxy_pass http://127.0.0.1:%%UP%%; }
        location /up/to { charset utf-8; source_charset koi8-r; proxy_pass http://127.0.0.1:%%UP%%; }
        location /up/from { charset koi8-r; source_charset utf-8; proxy_pass http://127.0.0.1:%%UP%%; }
        location /up/windows { charset windows-1251; source_charset koi8-r; proxy_pass http://127.0.0.1:%%UP%%; }
        location /up/ignore { charset utf-8; proxy_ignore_headers X-Accel-Charset; proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""


def md5(text):
    return base64.urlsafe_b64encode(hashlib.md5(text.encode()).digest()).decode().rstrip("=")


HEX = hashlib.md5(b"a/b?c=dx").hexdigest()
LINKS = [f"/link?m={md5(t + '/link')}&e={e}" for t, e in itertools.product(["4102444800", "1", "0", "x", ""],
                                                                           ["4102444800", "1", "0", "x", "", "4102444800,1"])]
LINKS += [f"/plain?m={m}" for m in (md5("/plain"), md5("/plain") + "==", md5("/plain") + "=", md5("/plain")[:-1], "", "x", "%41",
                                    "A" * 24, "A" * 25)]
LINKS += [f"/secret/{h}/{rest}" for h, rest in itertools.product([HEX, HEX.upper(), HEX[:-1], HEX + "0", "g" * 32, ""],
                                                                 ["a/b?c=d", "a/b", "", "a"])] + ["/secret", "/secret/", "/secret/x"]
REFERERS = [None, "", "x", "no scheme at all", "http://i.r", "http://own.test/x", "https://OWN.test", "HTTP://own.test",
            "http://own.test:80/", "http://a.wild.test", "http://wild.test/",
            "http://re1.test/", "http://example.org/galleries/1", "http://example.org/other", "http://example.org:8080/galleries/",
            "http://example.org", "http://a.b.example.com/",
            "http://example.com/xx", "http://www.example.net/", "http://www.example", "http://www.google.de/q", "http://x.test/?.google.",
            "http://both.test/", "http://a.both.test/", "http:///",
            "ftp://own.test/xxx", "http://only.test/a", "http://only.test/b", "http://x.test/ab", "http://own.test@evil/",
            "http://own.test?x/y", "http://" + "a" * 300]
AGENTS = [None, "curl", "", "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", "Mozilla/4.0 (compatible; MSIE 5.01; Windows)",
          "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.0; en) Opera 8.0",
          "Opera/9.01 (X11)", "Opera/8.0", "Opera", "Mozilla/5.0 (X11; U; Linux i686; en-US; rv:1.0.0) Gecko/20020610",
          "Mozilla/5.0 (X11; rv:0.9.9.9) x", "Mozilla/5.0 (Mac) Safari/125.7",
          "Mozilla/5.0 (Mac) Safari/1.9", "Mozilla/5.0 (compatible; Konqueror/3.0; Linux)",
          "Mozilla/5.0 (compatible; Konqueror/3.4; Linux)", "MSIE 7.0", "MSIE 7", "Lynx/2", "Mozilla/4.72 [en] (X11)",
          "Mozilla/4.7", "Mozilla/5.0 (X11; rv:", "Mozilla/5.0 (X11; rv:x"]
BODIES = {"/up": [("Content-Type", "text/html")], "/up/named": [("Content-Type", "text/html; charset=koi8-r")],
          "/up/override": [("Content-Type", "text/html; charset=koi8-r")],
          "/up/override/utf": [("Content-Type", "text/html; charset=utf-8")],
          "/up/override/odd": [("Content-Type", "text/html; charset=odd")], "/up/named/accel": [("Content-Type", "text/html"),
          ("X-Accel-Charset", "latin1")], "/up/accel": [("Content-Type", "text/html"), ("X-Accel-Charset", "koi8-r")],
          "/up/accel/odd": [("Content-Type", "text/html"), ("X-Accel-Charset", "odd")], "/up/to/css": [("Content-Type", "text/css")],
          "/up/to/gzip": [("Content-Type", "text/html"), ("Content-Encoding", "x")],
          "/up/ignore": [("Content-Type", "text/html"), ("X-Accel-Charset", "koi8-r")], "/up/to/bare": []}
CHARSETS = ["/c/", "/c/css", "/c/off", "/c/missing", "/c/redirect", "/up/to", "/up/from", "/up/windows", *BODIES]
TEXT = b"plain \xc1\xd7\xc0\x80\xff " * 3
UTF8 = "plain авю─ € ".encode() * 3


def requests():
    yield from (("GET", target, []) for target in LINKS + CHARSETS)
    yield from (("GET", target, [("Referer", r)] if r is not None else []) for target,
                r in itertools.product(["/referer", "/only"], REFERERS))
    yield from (("GET", target, [("User-Agent", a)] if a is not None else []) for target,
                a in itertools.product(["/browser", "/unlisted", "/none"], AGENTS))
    yield from ((m, "/gif", f) for m, f in itertools.product(["GET", "HEAD", "POST", "PUT"],
                                                             [[], [("If-Modified-Since", "Mon, 28 Sep 1970 06:00:00 GMT")],
                                                              [("Range", "bytes=0-3")]]))


# A location of nginx takes over the server names that are patterns, though it has a valid_referers without them.
KNOWN = {("/only", "http://re1.test/")}


def visible(reply, server):
    kept = sorted((n.lower(), v.replace(str(server.port), "PORT")) for n,
                  v in reply.headers if n.lower() not in ("server", "date", "content-length"))
    length = reply.header("Content-Length") if reply.status < 300 else ""
    return reply.status, kept, length, reply.body.replace(b"nginx", b"NAME").replace(b"fairlead", b"NAME")


def test_replies_are_the_same(server, nginx, upstream):
    peer = upstream(up.serve(lambda r: up.reply(200, UTF8 if "from" in r.target else TEXT,
                                                headers=BODIES.get(r.target, [("Content-Type", "text/html")]))))
    ours, theirs = server(CONF, UP=peer.port), nginx(CONF, UP=peer.port)
    different = []
    for method, target, fields in requests():
        got, want = [visible(request(s.port, method, target, headers=fields), s) for s in (ours, theirs)]
        if got != want and (target, fields[0][1] if fields else "") not in KNOWN:
            different.append(f"{method} {target} {fields}\n  ours  {str(got)[:400]}\n  nginx {str(want)[:400]}")
    assert not different, f"{len(different)} differ\n" + "\n".join(different)
