# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""PROXY headers and realip through Debian's nginx and through fairlead: the same bytes, the same variables or the same silence. Where we
are stricter stands in DIFFERENCES with its reason."""

import itertools
import os
import struct

import pytest

from lib.client import Client
from lib.nginx import BINARY
from lib.ports import TIME_SCALE

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

SAYS = ('"$remote_addr|$realip_remote_addr|$proxy_protocol_addr|$proxy_protocol_port|'
        '$proxy_protocol_server_addr|$proxy_protocol_server_port"')
CONF = """
events {}
http {
    server { listen 127.0.0.1:%%PORT_0%% proxy_protocol; return 200 SAYS; }
    server { listen 127.0.0.1:%%PORT_1%% proxy_protocol; set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol; return 200 SAYS; }
    server { listen 127.0.0.1:%%PORT_2%%; set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/8; return 200 SAYS; }
    server { listen 127.0.0.1:%%PORT_3%%; set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/8; real_ip_recursive on;
             return 200 SAYS; }
    server { listen 127.0.0.1:%%PORT_4%%; set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For;
             return 200 SAYS; }
    server { listen 127.0.0.1:%%PORT_5%%; set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/8; set_real_ip_from ::1;
             real_ip_header X-Forwarded-For; real_ip_recursive on; return 200 SAYS; }
    server { listen 127.0.0.1:%%PORT_6%%; set_real_ip_from 192.0.2.0/24; real_ip_header X-Forwarded-For; return 200 SAYS; }
}
""".replace("SAYS", SAYS)

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = bytes([1, 2, 3, 4, 5, 6, 7, 8]) + struct.pack(">HH", 1234, 80)
V6 = bytes(15) + b"\1" + bytes(15) + b"\2" + struct.pack(">HH", 3, 4)


def v2(command, family, rest):
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(rest)) + rest


HEADERS = [
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n", b"PROXY TCP6 2001:db8::1 ::2 0 65535\r\n", b"PROXY UNKNOWN\r\n",
    b"PROXY UNKNOWN 1 2 3 4\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 70000 80\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 70000\r\n",
    b"PROXY TCP4 1.2.3.4 5.6.7.8 x 1\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", b"PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n", b"PROXY\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n", v2(0x21, 0x11, V4), v2(0x21, 0x21, V6),
    v2(0x20, 0, b""), v2(0x20, 0x11, V4), v2(0x21, 0x12, V4), v2(0x21, 0x00, b""), v2(0x21, 0x31, bytes(216)),
    v2(0x21, 0x11, V4 + b"\x04\0\3abc"), v2(0x31, 0x11, V4), v2(0x21, 0x11, V4[:7]),
]
LISTS = ["192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", "2001:db8::1", "192.0.2.1, 10.0.0.1", "192.0.2.1,10.0.0.1,10.0.0.2", "10.0.0.1",
         "192.0.2.1 10.0.0.1", "10.0.0.1, 10.0.0.2", "x", "x, 10.0.0.1", "192.0.2.1, x", "", ",", "192.0.2.1,", "unix:", "192.0.2.300",
         "192.0.2.1:99999", "1.1.1.1, 192.0.2.5, ::1", " 192.0.2.1 "]
DIFFERENCES = {
    b"PROXY TCP4 192.0.2.1 2001:db8::1 1 2\r\n": "an address that is not of the header's family is refused (nginx reads it as text)",
    b"PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n": "what is no address is refused (nginx reads it as text)",
}


def ask(port, header, fields=()):
    with Client(port) as client:
        client.socket.settimeout(5 * TIME_SCALE)
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        client.send(header + f"GET / HTTP/1.1\r\nHost: a\r\n{lines}Connection: close\r\n\r\n".encode())
        return client.read_until_close().rpartition(b"\r\n\r\n")[2].decode()


def test_proxy_headers(server, nginx):
    ours, theirs = server(CONF), nginx(CONF, allow_log=["."])
    for header, index in itertools.product(HEADERS, (0, 1)):
        assert ask(ours.ports[index], header) == ask(theirs.ports[index], header), header
    for header, reason in DIFFERENCES.items():
        assert ask(ours.port, header) == "" != ask(theirs.port, header), reason


def test_realip(server, nginx):
    ours, theirs = server(CONF), nginx(CONF)
    for text, index in itertools.product(LISTS, range(2, 7)):
        for fields in ([("X-Real-IP", text)], [("X-Forwarded-For", text)], [("X-Forwarded-For", text), ("X-Forwarded-For", "10.9.9.9")],
                       [("X-Real-IP", "192.0.2.77"), ("X-Real-IP", text)]):
            assert ask(ours.ports[index], b"", fields) == ask(theirs.ports[index], b"", fields), (index, fields)
