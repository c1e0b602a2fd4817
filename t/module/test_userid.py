# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""userid: a cookie that tells clients apart, its attributes, its marks, and what the log gets of it."""

import base64
import re
import struct

import pytest

from lib.client import Client, get
from lib.ports import wait_until

CONF = """
events {}
http {
    log_format said "$uid_got|$uid_set";
    server {
        listen 127.0.0.1:%%PORT_0%%;
        userid on;
        location / { add_header X-Got "[$uid_got]"; return 200 "x"; }
        location /all { userid_name me; userid_domain example.org; userid_path /p; userid_expires max; userid_p3p 'policyref="/x"';
                        userid_service 7; userid_flags secure httponly samesite=strict; userid_mark z; return 200 "x"; }
        location /hour { userid_expires 1h; userid_path ""; userid_flags samesite=none; return 200 "x"; }
        location /v1 { userid v1; userid_service 9; return 200 "x"; }
        location /log { userid log; add_header X-Got "[$uid_got]"; return 200 "x"; }
        location /off { userid off; add_header X-Got "[$uid_got]"; return 200 "x"; }
        location /reset { set $uid_reset $arg_r; return 200 "x"; }
        location /set { access_log %%PREFIX%%/logs/set.log said; return 200 "x"; }
    }
}
"""


@pytest.fixture
def s(server):
    return server(CONF)


def uid(cookie, order=">"):
    return struct.unpack(order + "4I", base64.b64decode(cookie))


def given(reply):
    cookie = reply.header("Set-Cookie")
    return cookie and re.match(r"(\w+)=([^;]*)(.*)", cookie).groups()


def test_a_new_client(s):
    with Client(s.port) as client:
        seen = [given(client.get("/")) for _ in range(3)]
    assert [(name, rest) for name, _, rest in seen] == [("uid", "; path=/")] * 3
    numbers = [uid(value) for _, value, _ in seen]
    assert {n[0] for n in numbers} == {0x7f000001} and len({n[3] for n in numbers}) == 3 and len({n[2] for n in numbers}) == 1


def test_a_known_client(s):
    _, value, _ = given(get(s.port, "/"))
    words = struct.unpack("=4I", base64.b64decode(value))
    reply = get(s.port, "/", {"Cookie": f"a=b; uid={value}"})
    assert reply.header("Set-Cookie") is None and reply.header("X-Got") == "[uid=" + "".join(f"{w:08X}" for w in words) + "]"
    assert get(s.port, "/log", {"Cookie": f"uid={value}"}).header("X-Got") == reply.header("X-Got")
    reply = get(s.port, "/off", {"Cookie": f"uid={value}"})
    assert (reply.header("X-Got"), reply.header("Set-Cookie")) == ("[]", None)


def test_every_attribute(s):
    name, value, rest = given(get(s.port, "/all"))
    assert name == "me" and value[22:] == "z=" and uid(value[:22] + "==")[0] == 7
    assert rest == "; expires=Thu, 31-Dec-37 23:55:55 GMT; domain=example.org; path=/p; secure; httponly; samesite=strict"
    assert get(s.port, "/all").header("P3P") == 'policyref="/x"'
    assert get(s.port, "/all", {"Cookie": f"me={value}"}).header("Set-Cookie") is None
    assert given(get(s.port, "/all", {"Cookie": f"me={value[:22]}=="}))[1] == value  # marked anew, the same client
    rest = given(get(s.port, "/hour"))[2]
    assert re.fullmatch(r"; expires=\w{3}, \d\d-\w{3}-\d\d \d\d:\d\d:\d\d GMT; samesite=none", rest), rest


def test_version_1(s):
    first, second = (uid(given(get(s.port, "/v1"))[1], "=") for _ in range(2))
    assert first[0] == 9 and second[3] - first[3] == 0x100


def test_reset(s):
    cookie = {"Cookie": "uid=" + given(get(s.port, "/"))[1]}
    assert get(s.port, "/reset?r=0", cookie).header("Set-Cookie") is None and get(s.port, "/reset", cookie).header("Set-Cookie") is None
    assert "uid=" + given(get(s.port, "/reset?r=1", cookie))[1] != cookie["Cookie"]
    assert given(get(s.port, "/reset?r=log", cookie))
    s.wait_for_log(r'userid cookie "uid=[0-9A-F]{32}" was reset')
    assert given(get(s.port, "/reset?r=log"))
    assert s.log().count("was reset") == 1, "nothing was, of a client that had none"


def test_the_log(s):
    value = given(get(s.port, "/set"))[1]
    get(s.port, "/set", {"Cookie": "uid=" + value})
    words = "uid=" + "".join(f"{w:08X}" for w in struct.unpack("=4I", base64.b64decode(value)))
    wait_until(lambda: s.read("logs/set.log").count("\n") == 2, 5, "two lines")
    assert s.read("logs/set.log").split("\n")[:2] == [f"-|{words}", f"{words}|-"]


@pytest.mark.parametrize("cookie, log", [("uid=short", "client sent too short userid cookie"),
                                         ("uid=" + "!" * 24, "client sent invalid userid cookie")])
def test_a_cookie_that_is_none(s, cookie, log):
    assert given(get(s.port, "/", {"Cookie": cookie}))
    s.wait_for_log(log)


@pytest.mark.parametrize("line, error", [
    ("userid maybe", 'invalid value "maybe"'), ("userid_mark ab", 'value must be "off" or a single letter, digit or "="'),
    ("userid_expires x", "invalid value"),
    ("userid_service x", "invalid number"), ("userid_flags x", 'invalid value "x"'),
])
def test_bad_lines(idle_server, line, error):
    done = idle_server(f"events {{}} http {{ server {{ listen 127.0.0.1:%%PORT_0%%; {line}; }} }}").run("-t")
    assert done.returncode == 1 and error in done.stderr, done.stderr
