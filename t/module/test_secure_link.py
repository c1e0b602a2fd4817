# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""secure_link: the right sum opens, any other does not, and time runs out."""

import base64
import hashlib
import time

import pytest

from lib.client import get

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / {
            secure_link $arg_md5,$arg_expires;
            secure_link_md5 "$secure_link_expires$uri secret";
            add_header X-Expires "[$secure_link_expires]" always;
            if ($secure_link = "") { return 403; }
            if ($secure_link = "0") { return 410; }
            return 200 "in";
        }
        location /plain { secure_link $arg_md5; secure_link_md5 "$uri secret"; return 200 "[$secure_link]"; }
        location /p/ { secure_link_secret word; return 200 "[$secure_link]"; }
        location /none { return 200 "[$secure_link]"; }
    }
}
"""


def md5(text):
    return base64.urlsafe_b64encode(hashlib.md5(text.encode()).digest()).decode().rstrip("=")


@pytest.fixture
def s(server):
    return server(CONF)


def test_expires(s):
    now = int(time.time())
    later, before = now + 1000, now - 1000
    reply = get(s.port, f"/a?md5={md5(f'{later}/a secret')}&expires={later}")
    assert (reply.status, reply.text, reply.header("X-Expires")) == (200, "in", f"[{later}]")
    assert get(s.port, f"/a?md5={md5(f'{before}/a secret')}&expires={before}").status == 410
    for target in (f"/a?md5={md5(f'{later}/a secret')}&expires={later + 1}", f"/b?md5={md5(f'{later}/a secret')}&expires={later}", "/a",
                   f"/a?md5={md5('0/a secret')}&expires=0", f"/a?md5={md5('x/a secret')}&expires=x", f"/a?md5={md5('/a secret')}&expires=",
                   f"/a?md5={md5('-1/a secret')}&expires=-1", "/a?md5=%&expires=1", "/a?md5=" + "A" * 22 + f"&expires={later}"):
        assert get(s.port, target).status == 403, target


def test_without_a_time(s):
    right = md5("/plain secret")
    assert get(s.port, "/plain?md5=" + right).text == "[1]"
    assert get(s.port, f"/plain?md5={right}==").text == "[1]"
    for wrong in ("", right[:-1], right + "A", right.swapcase(), "A" * 24, "A" * 25, "!" * 22):
        assert get(s.port, "/plain?md5=" + wrong).text == "[]", wrong


def test_the_older_form(s):
    digits = hashlib.md5(b"a/b.html?x=y" + b"word").hexdigest()
    assert get(s.port, f"/p/{digits}/a/b.html?x=y").text == "[a/b.html?x=y]"
    assert get(s.port, f"/p/{digits.upper()}/a/b.html?x=y").text == "[a/b.html?x=y]"
    for target in (f"/p/{digits}/a/b.html", f"/p/{digits}/", f"/p/{digits}", f"/p/{digits[:-1]}/a/b.html?x=y",
                   "/p/" + "g" * 32 + "/a/b.html?x=y"):
        assert get(s.port, target).text == "[]", target
    assert get(s.port, "/none").text == "[]"


def test_both_forms_at_once(idle_server):
    done = idle_server("""events {} http { secure_link $arg_a;
                          server { listen 127.0.0.1:%%PORT_0%%; location / { secure_link_secret x; } } }""").run("-t")
    assert done.returncode == 1 and '"secure_link_secret" cannot be mixed with "secure_link" and "secure_link_md5"' in done.stderr
