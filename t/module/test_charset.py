# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""charset: what Content-Type says, and texts recoded from one charset to another, wherever their pieces begin and end."""

import pytest

from lib import upstreams as up
from lib.client import get

MAP = """
    charset_map koi8-r utf-8 {
%s
    }
    charset_map koi8-r windows-1251 { C1 E0 ; C2 E1 ; D7 E2 ; }
""" % "\n".join(f"        {n:X} {bytes([n]).decode('koi8-r').encode().hex().upper()} ;" for n in range(0xc0, 0x100))
CONF = """
events {}
http {
MAP
    default_type text/html;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        proxy_buffering off;
        location / { charset utf-8; return 200 "x"; }
        location /plain { default_type text/plain; charset $arg_c; return 200 "x"; }
        location /image { default_type image/gif; charset utf-8; return 200 "x"; }
        location /types { default_type text/css; charset utf-8; charset_types text/css; return 200 "x"; }
        location /off { charset off; return 200 "x"; }
        location /up { proxy_pass http://127.0.0.1:%%UP%%; }
        location /up/named { charset utf-8; proxy_pass http://127.0.0.1:%%UP%%; }
        location /up/override { charset utf-8; override_charset on; proxy_pass http://127.0.0.1:%%UP%%; }
        location /up/to-utf8 { charset utf-8; source_charset koi8-r; proxy_pass http://127.0.0.1:%%UP%%; }
        location /up/to-koi8 { charset koi8-r; source_charset utf-8; proxy_pass http://127.0.0.1:%%UP%%; }
        location /up/to-windows { charset windows-1251; source_charset KOI8-R; proxy_pass http://127.0.0.1:%%UP%%; }
        location /file/ { alias %%PREFIX%%/html/; charset utf-8; source_charset koi8-r; }
        location /up/led_on { proxy_pass http://127.0.0.1:%%UP%%; }
        location /led/ { alias %%PREFIX%%/html/; charset utf-8; charset_types text/plain; }
        location /windows/ { alias %%PREFIX%%/html/; charset windows-1251; source_charset KOI8-R; }
        location /none { charset utf-8; source_charset $arg_s; return 200 "x"; }
    }
}
""".replace("MAP", MAP)
TEXT = "Привет, мир! " * 50


def type_of(reply):
    return reply.header("Content-Type")


@pytest.fixture
def s(server, upstream):
    def answer(asked):
        fields = {"/up/override": [("Content-Type", "text/html; charset=koi8-r")],
                  "/up/named": [("Content-Type", "text/html; x=y; charset=\"koi8-r\"")],
                  "/up/accel/unknown": [("Content-Type", "text/html"), ("X-Accel-Charset", "koi9")],
                  "/up/accel": [("Content-Type", "text/html"), ("X-Accel-Charset", "windows-1251")],
                  "/up/to-utf8/packed": [("Content-Type", "text/html"), ("Content-Encoding", "gzip")]}.get(asked.target,
                      [("Content-Type", "text/html")])
        return up.reply(200, TEXT.encode("utf-8" if "koi8" in asked.target else "koi8-r"), headers=fields)
    return server(CONF, UP=upstream(up.serve(answer)).port, files={"html/x": TEXT.encode("koi8-r")})


@pytest.mark.parametrize("target, content_type", [
    ("/", "text/html; charset=utf-8"), ("/plain?c=utf-8", "text/plain; charset=utf-8"), ("/plain?c=off", "text/plain"),
    ("/plain", "text/plain"),
    ("/image", "image/gif"), ("/types", "text/css; charset=utf-8"), ("/off", "text/html"), ("/up", "text/html"),
    ("/up/accel", "text/html; charset=windows-1251"),
    ("/up/named", 'text/html; x=y; charset="koi8-r"'),
])
def test_what_content_type_says(s, target, content_type):
    assert type_of(get(s.port, target)) == content_type


def test_a_charset_that_nobody_knows(s):
    assert type_of(get(s.port, "/up/accel/unknown")) == "text/html"
    s.wait_for_log(r'\[error\].* unknown charset "koi9" to override while reading response header from upstream, client:')


def test_recoding(s):
    for target, charset, coding in (("/up/to-utf8", "utf-8", "utf-8"), ("/up/to-koi8", "koi8-r", "koi8-r"),
                                    ("/up/override", "utf-8", "utf-8"), ("/file/x", "utf-8", "utf-8")):
        reply = get(s.port, target)
        assert (type_of(reply), reply.body.decode(coding)) == (f"text/html; charset={charset}", TEXT), target
        assert reply.header("Content-Length") is None and reply.header("Accept-Ranges") is None
    reply = get(s.port, "/up/to-windows")
    assert (type_of(reply), reply.header("Content-Length")) == ("text/html; charset=windows-1251", str(len(TEXT)))
    assert reply.body == bytes({0xc1: 0xe0, 0xc2: 0xe1, 0xd7: 0xe2}.get(b, b if b < 128 else ord("?")) for b in TEXT.encode("koi8-r"))


def test_ranges_of_what_keeps_its_length(s):
    whole = get(s.port, "/windows/x")
    assert (len(whole.body), whole.header("Accept-Ranges")) == (len(TEXT), "bytes")
    for first, last in ((0, 9), (25, 639), (640, 649)):
        part = get(s.port, "/windows/x", headers={"Range": f"bytes={first}-{last}"})
        assert (part.status, part.body) == (206, whole.body[first:last + 1])
    parts = get(s.port, "/windows/x", headers={"Range": "bytes=0-9,100-109"})
    assert parts.status == 206 and whole.body[:10] in parts.body and whole.body[100:110] in parts.body
    parts = get(s.port, "/windows/x", headers={"Range": "bytes=0-9,100-639"})
    boundary = type_of(parts).partition("boundary=")[2].encode()
    assert whole.body[100:640] in parts.body and parts.body.endswith(b"\r\n--" + boundary + b"--\r\n")
    assert get(s.port, "/file/x", headers={"Range": "bytes=0-1"}).status == 200, "the length is not known"


def test_what_is_not_recoded(s):
    assert get(s.port, "/up/to-utf8/packed").body == TEXT.encode("koi8-r")
    assert type_of(get(s.port, "/none?s=latin1")) == "text/html"
    s.wait_for_log('no "charset_map" between the charsets "latin1" and "utf-8"')
    assert get(s.port, "/file/x", {"Range": "bytes=0-1"}).status == 200


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_characters_in_pieces(server, upstream, size):
    sent = "aП€𐍈б".encode() + b"\xff\xd0<\xe2\x82\xf0\x90\xd0"
    steps = [up.request(), up.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")]
    steps += [up.send(b"%x\r\n%s\r\n" % (len(p), p)) for p in (sent[at:at + size] for at in range(0, len(sent),
        size))] + [up.send(b"0\r\n\r\n")]
    s = server(CONF, UP=upstream(steps).port)
    assert get(s.port, "/up/to-koi8").body == b"a" + "П".encode("koi8-r") + b"&#8364;&#66376;" + "б".encode("koi8-r") + b"??<????"[:6]


@pytest.mark.parametrize("line, error", [
    ("charset_map a A { }", '"charset_map" between the same charsets "a" and "A"'),
    ("charset_map a b { } charset_map B A { }", 'duplicate "charset_map" between "B" and "A"'),
    ("charset_map a b { 1 ; }", "invalid parameters number"), ("charset_map a b { 1 x ; }", 'invalid value "x"'),
    ("charset_map a b { 123 1 ; }", 'invalid value "123"'),
    ("charset_map a utf-8 { 80 D0 ; }", 'invalid value "D0"'), ("charset a; source_charset b;",
                                                                'no "charset_map" between the charsets "b" and "a"'),
])
def test_bad_lines(idle_server, line, error):
    done = idle_server(f"events {{}} http {{ {line} server {{ listen 127.0.0.1:%%PORT_0%%; }} }}").run("-t")
    assert done.returncode == 1 and error in done.stderr, done.stderr


def test_a_file_that_an_upstream_led_to_has_the_type_of_the_reply_and_the_charset_of_the_place(server, upstream):
    u = upstream([up.request(), up.send(up.reply(200, "", {"X-Accel-Redirect": "/led/a.html", "Content-Type": "text/plain"}))])
    s = server(CONF, UP=u.port, files={"html/a.html": "x"})
    reply = get(s.port, "/up/led_on")
    assert (reply.text, type_of(reply)) == ("x", "text/plain; charset=utf-8")
