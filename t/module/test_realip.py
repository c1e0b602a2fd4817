# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""realip: whom a trusted proxy names is the client, for variables, access rules, the logs and balancing."""

import pytest

from lib import upstreams as up
from lib.client import Client, get
from lib.ports import wait_until

WHO = '"$remote_addr|$remote_port|$realip_remote_addr|$proxy_add_x_forwarded_for"'
CONF = """
events {}
http {
    log_format who "$remote_addr $realip_remote_addr $request_uri";
    access_log logs/who.log who;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen unix:%%DIR%%/sock;
        set_real_ip_from 127.0.0.0/8;
        location / { return 200 WHO; }
        location /allowed { allow 192.0.2.0/24; deny all; try_files /none =204; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        set_real_ip_from 127.0.0.1;
        set_real_ip_from 10.0.0.0/8;
        set_real_ip_from 2001:db8::/32;
        real_ip_header x-forwarded-FOR;
        real_ip_recursive on;
        return 200 WHO;
    }
    server {
        listen 127.0.0.1:%%PORT_2%% proxy_protocol;
        set_real_ip_from 127.0.0.1;
        real_ip_header proxy_protocol;
        return 200 WHO;
    }
    server {
        listen 127.0.0.1:%%PORT_3%%;
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Own;
        location /here { real_ip_header X-Forwarded-For; proxy_set_header X-Who WHO; proxy_pass http://127.0.0.1:%%UP%%; }
        location / { proxy_set_header X-Who WHO; proxy_pass http://127.0.0.1:%%UP%%; }
        location /asked { auth_request /asked/by; add_header X-Seen $seen; try_files /none =204; }
        location = /asked/by { internal; set $seen "$realip_remote_addr|$realip_remote_port|$remote_addr"; return 204; }
        location /untrusted { set_real_ip_from 192.0.2.9; proxy_set_header X-Who WHO; proxy_pass http://127.0.0.1:%%UP%%; }
    }
    server {
        listen 127.0.0.1:%%PORT_4%%;
        set_real_ip_from unix:;
        set_real_ip_from localhost;
        return 200 WHO;
    }
    server { listen unix:%%DIR%%/trusted; set_real_ip_from unix:; return 200 WHO; }
}
""".replace("WHO", WHO)


@pytest.fixture
def s(server, upstream, tmp_path):
    return server(CONF, UP=upstream(up.serve(lambda request: up.reply(200, request.header("X-Who")))).port, DIR=str(tmp_path))


@pytest.mark.parametrize("fields, want", [
    ({}, "127.0.0.1|PORT|127.0.0.1|127.0.0.1"),
    ({"X-Real-IP": "192.0.2.1"}, "192.0.2.1||127.0.0.1|192.0.2.1"),
    ({"X-Real-IP": "192.0.2.1:81"}, "192.0.2.1|81|127.0.0.1|192.0.2.1"),
    ({"X-Real-IP": "2001:db8::1"}, "2001:db8::1||127.0.0.1|2001:db8::1"),
    ({"X-Real-IP": "[2001:db8::1]:82"}, "2001:db8::1|82|127.0.0.1|2001:db8::1"),
    ({"X-Real-IP": "192.0.2.1, 192.0.2.2"}, "192.0.2.2||127.0.0.1|192.0.2.2"),
    ({"X-Real-IP": "nonsense"}, "127.0.0.1|PORT|127.0.0.1|127.0.0.1"),
    ({"X-Real-IP": ""}, "127.0.0.1|PORT|127.0.0.1|127.0.0.1"),
    ({"X-Forwarded-For": "192.0.2.1"}, "127.0.0.1|PORT|127.0.0.1|192.0.2.1, 127.0.0.1"),
])
def test_x_real_ip(s, fields, want):
    with Client(s.port) as client:
        port = str(client.socket.getsockname()[1])
        assert client.get("/", headers=fields).text == want.replace("PORT", port)
        assert client.get("/").text == f"127.0.0.1|{port}|127.0.0.1|127.0.0.1", "it holds for one request"


@pytest.mark.parametrize("fields, want", [
    ([("X-Forwarded-For", "192.0.2.1, 10.1.1.1, 10.2.2.2")], "192.0.2.1"),
    ([("X-Forwarded-For", "1.1.1.1, 192.0.2.1,10.1.1.1")], "192.0.2.1"),
    ([("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-For", "10.1.1.1")], "192.0.2.1"),
    ([("X-Forwarded-For", "10.1.1.1, 10.2.2.2")], "10.1.1.1"),
    ([("X-Forwarded-For", "192.0.2.1, bad, 10.2.2.2")], "10.2.2.2"),
    ([("X-Forwarded-For", "192.0.2.7, 2001:db8::7")], "192.0.2.7"),
    ([], "127.0.0.1"),
])
def test_x_forwarded_for_recursive(s, fields, want):
    assert get(s.ports[1], "/", headers=fields).text.split("|")[0] == want


def test_proxy_protocol(s):
    with Client(s.ports[2]) as client:
        client.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n")
        for _ in range(2):
            assert client.get("/").text == "192.0.2.1|1234|127.0.0.1|192.0.2.1"
    with Client(s.ports[2]) as client:
        client.send(b"PROXY UNKNOWN\r\n")
        assert client.get("/").text.startswith("127.0.0.1|")


def test_any_field_and_the_location_decides_if_the_server_found_nothing(s):
    def who(path, fields):
        return get(s.ports[3], path, headers=fields).text.split("|")[0]
    assert who("/", {"X-Own": "192.0.2.1", "X-Forwarded-For": "192.0.2.2"}) == "192.0.2.1"
    assert who("/here", {"X-Forwarded-For": "192.0.2.2"}) == "192.0.2.2"
    assert who("/here", {"X-Own": "192.0.2.1", "X-Forwarded-For": "192.0.2.2"}) == "192.0.2.1"
    assert who("/untrusted", {}) == "127.0.0.1"


def test_subrequests_know_the_connections_own_address(s):
    with Client(s.ports[3]) as client:
        port = client.socket.getsockname()[1]
        assert client.get("/asked", headers={"X-Own": "192.0.2.1"}).header("X-Seen") == f"127.0.0.1|{port}|192.0.2.1"


def test_names_and_unix_sockets_may_be_trusted(s, tmp_path):
    assert get(s.ports[4], "/", headers={"X-Real-IP": "192.0.2.1"}).text.startswith("192.0.2.1|")
    assert get(0, "/", headers={"X-Real-IP": "192.0.2.1"}, unix=str(tmp_path / "trusted")).text.startswith("192.0.2.1||unix:|")
    assert get(0, "/", headers={"X-Real-IP": "192.0.2.1"}, unix=str(tmp_path / "sock")).text.startswith("unix:||unix:|")


def test_access_rules_and_logs_see_the_real_client(s):
    assert get(s.port, "/allowed", headers={"X-Real-IP": "192.0.2.1"}).status == 204
    assert get(s.port, "/allowed").status == 403
    s.wait_for_log("access forbidden by rule, client: 127.0.0.1")
    assert get(s.port, "/allowed", headers={"X-Real-IP": "198.51.100.1"}).status == 403
    s.wait_for_log("access forbidden by rule, client: 198.51.100.1")
    wait_until(lambda: "192.0.2.1 127.0.0.1 /allowed\n" in open(s.prefix + "/logs/who.log").read(), 5, "the line of the access log")
