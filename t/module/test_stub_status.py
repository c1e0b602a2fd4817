# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""stub_status: nginx's bytes, its numbers, and metrics for those who name an exposition format."""

import re

import pytest

from lib.client import Client, get, post

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /status { stub_status; }
        location /old { stub_status on; }
        location /vars { return 200 "$connections_active $connections_reading $connections_writing $connections_waiting"; }
        location / { return 200 "x"; }
    }
}
"""


def numbers(server):
    text = get(server.port, "/status").text
    found = re.fullmatch(r"Active connections: (\d+) \nserver accepts handled requests\n (\d+) (\d+) (\d+) \n"
                         r"Reading: (\d+) Writing: (\d+) Waiting: (\d+) \n", text)
    assert found, text
    return tuple(int(n) for n in found.groups())


def test_counts_of_an_idle_server_with_idle_and_half_sent_clients(server):
    s = server(CONF)
    assert numbers(s) == (1, 1, 1, 1, 0, 1, 0)
    with Client(s.port) as idle, Client(s.port) as half:
        assert idle.get("/").status == 200 and idle.get("/").status == 200
        half.get("/")
        half.send("GET / HT")
        assert numbers(s) == (3, 4, 4, 5, 1, 1, 1)
        assert get(s.port, "/vars").text == "3 1 1 1"
    assert numbers(s)[0] == 1


@pytest.mark.parametrize("accept", [None, "*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "text/plain", "application/json",
                                    "text/plain;q=1, application/openmetrics-text;q=0.1"])
def test_nginx_bytes_unless_an_exposition_is_named(server, accept):
    s = server(CONF)
    for path in ("/status", "/old"):
        reply = get(s.port, path, headers={"Accept": accept} if accept else {})
        assert reply.text.startswith("Active connections: 1 \n") and reply.header("content-type") == "text/plain"


@pytest.mark.parametrize("accept, kind, last", [
    ("text/plain;version=0.0.4", "text/plain; version=0.0.4", "\n"),
    ("application/openmetrics-text", "application/openmetrics-text", "# EOF\n"),
    ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.7,*/*;q=0.1", "text/plain; version=0.0.4", "\n"),
    ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.7,*/*;q=0.1", "application/openmetrics-text", "# EOF\n"),
])
def test_metrics_for_those_who_name_them(server, accept, kind, last):
    reply = get(server(CONF).port, "/status", headers={"Accept": accept})
    assert reply.header("content-type").startswith(kind)
    assert "\nfairlead_connections_active 1" in reply.text and reply.text.endswith(last)
    assert ("# EOF" in reply.text) == (last != "\n")


def test_other_methods_are_refused(server):
    assert post(server(CONF).port, "/status", b"x").status == 405
