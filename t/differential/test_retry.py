# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What is tried again: every fault under every list of conditions, with and without a body, through Debian's nginx and through fairlead.
Status, body, $upstream_status and what each peer was asked must agree."""

import os
import re

import pytest

from lib import upstreams as up
from lib.client import request
from lib.nginx import BINARY

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

LISTS = ["error timeout", "off", "error", "timeout", "invalid_header", "http_404", "http_500 http_503", "error http_404 non_idempotent",
         "error timeout invalid_header http_500 http_502 http_503 http_504 http_403 http_404 http_429 non_idempotent"]
CONF = """
events {}
http {
    upstream pair { server 127.0.0.1:%%A%% max_fails=0; server 127.0.0.1:%%B%% backup max_fails=0; }
    upstream dead { server 127.0.0.1:%%DEAD%% max_fails=0; server 127.0.0.1:%%B%% backup max_fails=0; }
    upstream three { server 127.0.0.1:%%A%% max_fails=0; server 127.0.0.1:%%DEAD%% max_fails=0 backup; server 127.0.0.1:%%B%% backup; }
    proxy_http_version 1.1;
    proxy_set_header Connection close;
    proxy_intercept_errors off;
    add_header X-Tried $upstream_status always;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%LOCATIONS%%
        location /two { proxy_next_upstream error http_503; proxy_next_upstream_tries 2; proxy_pass http://three; }
        location /unbuffered { proxy_request_buffering off; proxy_next_upstream error http_503 non_idempotent; proxy_pass http://pair; }
    }
}
"""


def locations():
    text = ""
    for i, conditions in enumerate(LISTS):
        text += f"location /list{i} {{ proxy_next_upstream {conditions}; proxy_pass http://pair; }}\n        "
        text += f"location /dead{i} {{ proxy_next_upstream {conditions}; proxy_pass http://dead; }}\n        "
        text += f"location /quick{i} {{ proxy_read_timeout 1s; proxy_next_upstream {conditions}; proxy_pass http://pair; }}\n        "
    return text


def behave(seen, letter):
    """What the last element of the path says for A, the argument for B."""
    target = seen.requests[-1].target
    how = re.search(r"b=(\w*)", target).group(1) if letter == "B" else re.search(r"/\w+/(\w*)", target).group(1)
    if how.isdigit():
        seen.socket.sendall(up.reply(int(how), letter, {"Connection": "close"}))
    elif how == "malformed":
        seen.socket.sendall(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n")
    elif how == "half":
        seen.socket.sendall(b"HTTP/1.1 200 O")
    elif how == "silent":
        seen.reader.rest()
    if how == "reset":
        up.reset()(seen)
    up.close()(seen)


FAULTS = ["close", "reset", "half", "malformed", "404", "403", "429", "500", "502", "503", "504", "200"]
CASES = [(method, f"/list{i}/{a}?b=200") for i in range(len(LISTS)) for a in FAULTS for method in ("GET", "POST")]
CASES += [("PUT", f"/list0/{a}?b=200") for a in ("close", "503")] + [("DELETE", "/list0/close?b=200"), ("PATCH", "/list0/close?b=200"),
                                                                     ("HEAD", "/list6/503?b=500"), ("OPTIONS", "/list0/reset?b=200")]
CASES += [(method, f"/dead{i}/x?b=200") for i in range(len(LISTS)) for method in ("GET", "POST")]
CASES += [("GET", f"/list8/{a}?b={b}") for a in ("close", "404", "500") for b in ("close", "404", "503", "malformed")]
CASES += [("GET", "/two/503?b=200"), ("GET", "/two/200?b=200"), ("GET", "/two/close?b=200")]
CASES += [("PUT", f"/unbuffered/{a}?b=200") for a in ("close", "503", "200")]
CASES += [("GET", f"/quick{i}/silent?b=200") for i in (0, 2, 3)]

DIFFERENCES = []  # patterns over "METHOD target", and why


def ask(s, peers, method, target):
    before = [len(p.requests) for p in peers]
    reply = request(s.port, method, target, body=b"content" if method not in ("GET", "HEAD") else None)
    asked = [len(p.requests) - n for p, n in zip(peers, before)]
    bodies = [r.body for p, n in zip(peers, before) for r in p.requests[n:]]
    text = "a built-in page" if b"<center>" in reply.body else reply.text
    return reply.status, text, reply.header("X-Tried"), asked, bodies


@pytest.mark.parametrize("part", range(3))
def test_the_same_is_tried(server, nginx, upstream, part):
    a = upstream([up.request(), lambda seen: behave(seen, "A")])
    b = upstream([up.request(), lambda seen: behave(seen, "B")])
    refused = up.Refused()
    names = {"A": a.port, "B": b.port, "DEAD": refused.port, "LOCATIONS": locations()}
    ours, theirs = server(CONF, **names), nginx(CONF, **names)
    wrong = []
    for method, target in CASES[part::3]:
        here, there = ask(ours, (a, b), method, target), ask(theirs, (a, b), method, target)
        listed = any(re.search(p, f"{method} {target}") for p, _ in DIFFERENCES)
        if (here != there) != listed:
            wrong.append(f"{method} {target}\n   ours: {here}\n  nginx: {there}")
    refused.stop()
    assert not wrong, f"{len(wrong)} differ\n" + "\n".join(wrong)
