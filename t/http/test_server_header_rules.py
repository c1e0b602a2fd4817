# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Which header fields are taken, and how long a head may be: by the rules of the server that Host names, from Host on."""

import pytest

from lib.client import Client, raw
from lib.h2client import H2Client

CONF = """
events {}
http {
    server { listen 127.0.0.1:%%PORT_0%%; server_name first; http2 on; return 200 "first[$http_x_token]"; }
    server { listen 127.0.0.1:%%PORT_0%%; server_name second; underscores_in_headers on; large_client_header_buffers 8 32k;
             return 200 "second[$http_x_token]"; }
    server { listen 127.0.0.1:%%PORT_0%%; server_name strict; ignore_invalid_headers off; large_client_header_buffers 1 1k;
             return 200 "strict[$http_x_token]"; }
    server { listen 127.0.0.1:%%PORT_0%%; server_name few; max_headers 4; return 200 "few[$http_x_token]"; }
    server { listen 127.0.0.1:%%PORT_1%%; server_name only; underscores_in_headers on; return 200 "only[$http_x_token]"; }
}
"""
TOKEN = "X_Token: secret\r\n"


def head(*lines, line="GET / HTTP/1.1"):
    return (line + "\r\n" + "".join(f"{one}\r\n" for one in lines) + "Connection: close\r\n\r\n").encode()


def ask(port, request, piece):
    """The answer's status and text, the head sent whole or in pieces of that size."""
    if piece == 0:
        answer = raw(port, request)
    else:
        with Client(port) as client:
            client.send_pieces(request, piece, 0.0005)
            answer = client.read_until_close()
    start, _, text = answer.partition(b"\r\n\r\n")
    return int(start[9:12]), text.decode()


@pytest.fixture
def named(server):
    return server(CONF)


@pytest.mark.parametrize("piece", [0, 1])
@pytest.mark.parametrize("request_head, answer", [
    (head("Host: first", "X_Token: secret"), "first[]"),
    (head("Host: second", "X_Token: secret"), "second[secret]"),
    (head("Host: SECOND:80", "X_Token: secret"), "second[secret]"),
    (head("X_Token: secret", "Host: second"), "second[]"),
    (head("Host: unknown", "X_Token: secret"), "first[]"),
    (head("Host: first", "X_Token: secret", line="GET http://second/ HTTP/1.1"), "second[secret]"),
    (head("Host: second", "X_Token: secret", line="GET http://first HTTP/1.1"), "first[]"),
])
def test_names_with_an_underscore(named, request_head, answer, piece):
    assert ask(named.port, request_head, piece) == (200, answer)


def test_how_many_fields_there_may_be(named):
    assert ask(named.port, head("Host: few", "A: 1", "B: 1"), 0) == (200, "few[]")
    assert ask(named.port, head("Host: few", "A: 1", "B: 1", "C: 1"), 0)[0] == 400
    before = [f"A{number}: 1" for number in range(6)]
    assert ask(named.port, head(*before, "Host: few", *before), 0)[0] == 400, "more than few before few is named"


def test_names_that_are_no_tokens(named):
    assert ask(named.port, head("Host: first", "X@y: 1"), 0) == (200, "first[]")
    assert ask(named.port, head("X@y: 1", "Host: strict"), 0) == (200, "strict[]")
    assert ask(named.port, head("Host: strict", "X@y: 1"), 0)[0] == 400


@pytest.mark.parametrize("piece", [0, 1500])
def test_how_long_a_line_may_be(named, piece):
    big = "Big: " + "a" * 12000
    assert ask(named.port, head("Host: second", big), piece) == (200, "second[]")
    assert ask(named.port, head("Host: second", *[big] * 8), piece) == (200, "second[]"), "all of them more than the default server takes"
    assert ask(named.port, head("Host: first", big), piece)[0] == 400
    assert ask(named.port, head(big, "Host: second"), piece)[0] == 400
    middle = "Middle: " + "a" * 1200
    assert ask(named.port, head("Host: first", middle), piece) == (200, "first[]")
    assert ask(named.port, head("Host: strict", middle), piece)[0] == 400


def test_an_address_with_one_server_has_its_rules_from_the_first_byte(named):
    assert ask(named.ports[1], head("X_Token: secret", "Host: other"), 0) == (200, "only[secret]")


def test_requests_of_one_connection_have_their_own(named):
    with Client(named.port) as client:
        for host, token in (("second", "secret"), ("first", ""), ("second", "secret")):
            assert client.get("/", headers={"X_Token": "secret"}, host=host).text == f"{host}[{token}]"


def test_of_streams(named):
    client = H2Client(named.port)
    for host, token in (("second", "secret"), ("first", ""), ("second", "secret")):
        reply = client.get("/", authority=host, headers=[("x_token", "secret")])
        assert reply.text == f"{host}[{token}]"
    client.close()
