# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""listen ... proxy_protocol: the header in front of a connection, what it says as variables, and what is refused."""

import os
import signal
import struct
import time

import pytest

from lib.client import Client, raw

CONF = """
events {}
http {
    client_header_timeout %%TIME%%;
    server {
        listen 127.0.0.1:%%PORT_0%% proxy_protocol;
        listen 127.0.0.1:%%PORT_1%%;
        location / {
            return 200 "$proxy_protocol_addr|$proxy_protocol_port|$proxy_protocol_server_addr|$proxy_protocol_server_port|$remote_addr";
        }
        location /tlv {
            set $plain "$proxy_protocol_tlv_alpn|$proxy_protocol_tlv_0xe0|$proxy_protocol_tlv_netns";
            return 200 "$plain|$proxy_protocol_tlv_ssl_cn|$proxy_protocol_tlv_ssl_verify";
        }
    }
}
"""
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ADDRESSES = bytes([1, 2, 3, 4, 5, 6, 7, 8]) + struct.pack(">HH", 1234, 80)


def v2(command, family, rest):
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(rest)) + rest


def tlv(kind, value):
    return bytes([kind]) + struct.pack(">H", len(value)) + value


HEADERS = {
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n": "192.0.2.1|1234|192.0.2.2|80|127.0.0.1",
    b"PROXY TCP6 2001:db8::1 2001:db8::2 5 65535\r\n": "2001:db8::1|5|2001:db8::2|65535|127.0.0.1",
    b"PROXY UNKNOWN\r\n": "||||127.0.0.1",
    b"PROXY UNKNOWN what ever it says\r\n": "||||127.0.0.1",
    v2(0x21, 0x11, ADDRESSES): "1.2.3.4|1234|5.6.7.8|80|127.0.0.1",
    v2(0x21, 0x21, bytes(15) + b"\1" + bytes(15) + b"\2" + struct.pack(">HH", 3, 4)): "::1|3|::2|4|127.0.0.1",
    v2(0x20, 0x00, b""): "||||127.0.0.1",
    v2(0x21, 0x31, bytes(216)): "||||127.0.0.1",
}


def test_the_header_becomes_variables(server):
    s = server(CONF, TIME="60s")
    for header, want in HEADERS.items():
        with Client(s.port) as client:
            client.send(header)
            assert client.get("/").text == want, header
            assert client.get("/").text == want, "the header holds for the whole connection"
    with Client(s.ports[1]) as client:
        assert client.get("/").text == "||||127.0.0.1"


def test_a_header_and_requests_may_come_in_any_pieces(server):
    s = server(CONF, TIME="60s")
    for header, want in HEADERS.items():
        with Client(s.port) as client:
            client.send_pieces(header + b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n", size=7)
            assert client.read_reply().text == want
            assert client.read_reply().text == want


def test_tlvs(server):
    s = server(CONF, TIME="60s")
    ssl = b"\x07" + struct.pack(">I", 258) + tlv(0x22, b"someone")
    with Client(s.port) as client:
        client.send(v2(0x21, 0x11, ADDRESSES + tlv(1, b"h2") + tlv(0xE0, b"own") + tlv(0x20, ssl)))
        assert client.get("/tlv").text == "h2|own||someone|258"


@pytest.mark.parametrize("bytes_, reason", [
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", r'broken header: "GET / HTTP/1.1" \(no signature\)'),
    (b"PROXY TCP4 1.2.3.4 5.6.7.8 99999 80\r\n", r'broken header: "PROXY TCP4 1.2.3.4 5.6.7.8 99999 80" \(invalid address or port\)'),
    (b"PROXY " + b"x" * 200, r"the line is too long"),
    (v2(0x21, 0x11, ADDRESSES[:5]), "the addresses are cut"),
    (v2(0x31, 0x11, ADDRESSES), "unknown version"),
    (v2(0x21, 0x11, ADDRESSES + b"\1\0\7abc"), "a TLV is cut"),
    (v2(0x21, 0x11, ADDRESSES + tlv(3, b"\0\0\0\0")), "wrong checksum"),
    (SIGNATURE + b"\x21\x11\xff\xff", "the header is too large"),
], ids=["http", "port", "long", "cut", "version", "tlv", "checksum", "large"])
def test_a_malformed_header_ends_the_connection_and_no_other(server, bytes_, reason):
    s = server(CONF, TIME="60s")
    with Client(s.port) as bystander:
        bystander.send(b"PROXY UNKNOWN\r\n")
        assert bystander.get("/").status == 200
        assert raw(s.port, bytes_) == b""
        s.wait_for_log(reason + r"\)? while reading PROXY protocol, client: 127.0.0.1, server: 127.0.0.1:%d" % s.port)
        assert bystander.get("/").status == 200


def test_a_header_that_does_not_end_meets_the_timeout(server):
    s = server(CONF, TIME="1s")
    with Client(s.port) as client:
        client.send(b"PROXY TCP4 1.2")
        began = time.monotonic()
        assert client.is_closed()
        assert time.monotonic() - began > 0.5
    s.wait_for_log("client timed out while reading PROXY protocol, client: 127.0.0.1")
    with Client(s.port) as silent:
        assert silent.is_closed()


def test_a_header_that_comes_with_the_end_of_the_wait_is_read(server):
    s = server(CONF, TIME="1s")
    worker, = s.wait_workers(1)
    with Client(s.port) as client:
        assert b" 200 OK" in raw(s.port, b"PROXY UNKNOWN\r\nGET / HTTP/1.0\r\n\r\n")  # so that the one before is accepted
        s.pause(worker)
        client.send(b"PROXY UNKNOWN\r\n")
        time.sleep(1.5)  # until the time is over when the worker goes on
        os.kill(worker, signal.SIGCONT)
        assert client.get("/").status == 200


def test_a_client_that_leaves_in_the_header(server):
    s = server(CONF, TIME="60s")
    assert raw(s.port, b"PROXY TCP4", half_close=True) == b""
    s.wait_for_log("client closed connection while reading PROXY protocol")
    assert raw(s.port, b"", half_close=True) == b""


def test_waiting_for_a_header_does_not_delay_quit(server):
    s = server(CONF, TIME="600s")
    with Client(s.port) as waiting, Client(s.port) as served:
        served.send(b"PROXY UNKNOWN\r\n")
        assert served.get("/").status == 200
        s.signal(signal.SIGQUIT)
        assert waiting.is_closed()


def test_the_parameter_holds_for_the_address_whichever_server_says_it(server):
    s = server("""
events {}
http {
    server { listen 127.0.0.1:%%PORT_0%%; return 200 "first $proxy_protocol_addr"; }
    server { listen 127.0.0.1:%%PORT_0%% proxy_protocol; server_name two; return 200 "two $proxy_protocol_addr"; }
}
""")
    for host, want in (("one", "first 192.0.2.1"), ("two", "two 192.0.2.1")):
        with Client(s.port) as client:
            client.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
            assert client.get("/", host=host).text == want
