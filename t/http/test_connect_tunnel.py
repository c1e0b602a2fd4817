# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""tunnel_pass: CONNECT over HTTP/1.1 and HTTP/2, where tunnels may lead, and how they end."""

import subprocess

import pytest

from lib import upstreams as up
from lib.client import Client, get, raw
from lib.h2client import H2Client
from lib.ports import in_time, wait_until

CONF = """
events {}
http {
    log_format facts '$request|$status|$upstream_addr|$upstream_status|$fail_reason|$bytes_sent';
    access_log access.log facts;
    map $request_port $allow_port { %%UP%% 1; %%OTHER%% 1; }
    geo $upstream_last_addr $allow_addr { volatile; 127.0.0.2/32 1; }
    upstream two { server 127.0.0.1:%%OTHER%%; server 127.0.0.2:%%UP%%; }
    server { listen 127.0.0.1:%%PORT_0%%; http2 on; tunnel_pass; tunnel_connect_timeout 20s; error_page 502 /sorry;
             location = /sorry { return 502 "sorry\\n"; } }
    server { listen 127.0.0.1:%%PORT_1%%; if ($allow_port != 1) { return 403; } tunnel_pass; tunnel_read_timeout %%IDLE%%; }
    server { listen 127.0.0.1:%%PORT_2%%; tunnel_allow_upstream $allow_addr;
             location / { tunnel_pass two; %%NEXT%% } }
    server { listen 127.0.0.1:%%PORT_3%%; location / { tunnel_pass unix:%%PREFIX%%/peer; } }
    server { listen 127.0.0.1:%%PORT_4%%; location / { root html; } location /no { tunnel_pass localhost:%%UP%%; } }
    server { listen 127.0.0.1:%%PORT_5%%; location / { root html; } }
}
"""
OPEN = b"CONNECT %s HTTP/1.1\r\nHost: whoever\r\n\r\n"


def start(server, up_port=9, other=10, more="", idle="60s"):
    return server(CONF, UP=up_port, OTHER=other, NEXT=more, IDLE=idle)


def opening(port, host="127.0.0.1"):
    return OPEN % f"{host}:{port}".encode()


def head_of(client):
    return client.reader.until(b"\r\n\r\n").decode()


def ping(port, head):
    """What comes for a head with bytes behind it up to the peer's answer, or to the end."""
    with Client(port) as c:
        c.send(head + b"ping")
        while not c.received.endswith(b"pong") and c.reader.fill():
            pass
        return c.received


ECHO = [up.read(4), up.send(b"pong"), up.read_to_end(), up.close()]


def test_bytes_go_both_ways_until_the_end(server, upstream):
    u = upstream(ECHO)
    s = start(server, u.port)
    with Client(s.port) as c:
        head = head_of(c.send(opening(u.port)))
        assert head.startswith("HTTP/1.1 200 ")
        names = {line.split(":")[0].lower() for line in head.split("\r\n")[1:] if line}
        assert not names & {"content-length", "transfer-encoding", "connection", "content-type"}
        assert c.send(b"ping").reader.exactly(4) == b"pong"
        c.send(b"more").half_close()
        assert c.read_until_close() == b""
    wait_until(lambda: u.connections[0].raw == b"pingmore", 5, "what the client sent")
    wait_until(lambda: f"|200|127.0.0.1:{u.port}|200|-|{len(head) + 4}" in s.read("access.log"), 5, "the log")


def test_what_follows_the_head_at_once_is_the_peers(server, upstream):
    u = upstream(ECHO)
    s = start(server, u.port)
    assert ping(s.port, opening(u.port)).endswith(b"\r\n\r\npong")


def test_a_peer_that_ends_ends_the_tunnel(server, upstream):
    u = upstream([up.send(b"bye"), up.close()])
    s = start(server, u.port)
    with Client(s.port) as c:
        c.send(opening(u.port))
        assert head_of(c) and c.reader.exactly(3) == b"bye"
        c.half_close()
        assert c.read_until_close() == b""


def test_large_amounts_pass_unchanged(server, upstream):
    body = bytes(range(256)) * 8192
    u = upstream([up.send(body), up.read(len(body)), up.close()])
    s = start(server, u.port)
    with Client(s.port) as c:
        c.send(opening(u.port))
        head_of(c)
        assert c.reader.exactly(len(body)) == body
        c.send(body)
        wait_until(lambda: len(u.connections[0].raw) == len(body), 10, "the upload")
        assert u.connections[0].raw == body


def test_over_http_2_beside_other_streams(server, upstream):
    u = upstream(ECHO)
    s = start(server, u.port)
    with H2Client(s.port) as c:
        stream = c.start(pseudo=[(":method", "CONNECT"), (":authority", f"127.0.0.1:{u.port}")], end=False)
        got = c.replies[stream]
        c.pump_until(lambda: got.headers)
        assert got.status == 200 and got.header("content-length") is None
        c.send(stream, b"ping")
        c.pump_until(lambda: got.body == b"pong")
        assert c.get("/", method="GET").status == 405
        c.send(stream, b"more", end=True)
        assert c.wait(stream).ended
    assert u.connections[0].raw == b"pingmore"


def test_an_http_2_tunnel_that_is_reset_closes_its_peer_alone(server, upstream):
    u = upstream([up.read(4), up.send(b"pong"), up.read_to_end()])
    s = start(server, u.port)
    with H2Client(s.port) as c:
        first, second = (c.start(pseudo=[(":method", "CONNECT"), (":authority", f"127.0.0.1:{u.port}")], end=False) for _ in range(2))
        c.send(first, b"ping")
        c.send(second, b"ping")
        c.pump_until(lambda: c.replies[first].body and c.replies[second].body)
        c.reset(first)
        wait_until(lambda: sum(one.closed for one in u.connections) == 1, 5, "the end of one peer's connection")
        c.send(second, b"more", end=True)
        assert c.wait(second).body == b"pong"


@pytest.mark.parametrize("head", [b"CONNECT 127.0.0.1 HTTP/1.1\r\nHost: a\r\n\r\n", b"CONNECT /path HTTP/1.1\r\nHost: a\r\n\r\n",
                                  b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
                                  b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])
def test_malformed_requests_are_400(server, head):
    s = start(server)
    assert raw(s.port, head).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("target", ["/path", "http://127.0.0.1:1/"])
def test_a_target_with_a_path_is_for_nobody(server, target):
    """405 where there are no tunnels, as in nginx; 400 where there are."""
    s = start(server)
    head = f"CONNECT {target} HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n".encode()
    assert raw(s.ports[5], head).startswith(b"HTTP/1.1 405 ")
    assert raw(s.port, head).startswith(b"HTTP/1.1 400 ")
    s.wait_for_log("client sent a CONNECT request for a path")


def test_a_refused_connect_is_502_and_nothing_behind_it_is_a_request(server, upstream):
    s = start(server, upstream().port)
    with Client(s.port) as c:
        c.send(opening(1) + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert c.read_until_close().count(b"HTTP/1.1") == 1
    reply = raw(s.port, opening(1))
    assert reply.startswith(b"HTTP/1.1 502 ") and reply.endswith(b"sorry\n") and b"Connection: close" in reply
    s.wait_for_log(r"connect\(\) failed \(111: Connection refused\) while connecting to upstream.*CONNECT 127.0.0.1:1")


def test_other_methods_and_other_places_are_405(server, upstream):
    u = upstream(ECHO)
    s = start(server, u.port)
    assert get(s.port, "/").status == 405
    for port in (s.ports[4], s.ports[5]):
        assert raw(port, opening(u.port) + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").count(b"HTTP/1.1 405") == 1
        assert get(port, "/").status == 403
    assert not u.connections


def test_rules_about_host_and_port(server, upstream):
    u = upstream(ECHO)
    s = start(server, u.port)
    assert raw(s.ports[1], opening(u.port + 1)).startswith(b"HTTP/1.1 403 ")
    assert ping(s.ports[1], opening(u.port)).endswith(b"pong")


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST", "localhost."])
def test_hosts_are_addresses_or_names(server, upstream, host):
    u = upstream(ECHO)
    s = start(server, u.port)
    assert ping(s.port, opening(u.port, host)).endswith(b"pong")


def test_a_peer_that_is_not_allowed_is_not_connected_to(server, upstream):
    other = upstream(ECHO)
    u = upstream(ECHO, host="127.0.0.2")
    s = start(server, u.port, other.port)
    replies = [ping(s.ports[2], opening(5)) for _ in range(2)]
    assert sorted(reply[9:12] for reply in replies) == [b"200", b"502"]
    assert not other.connections
    s.wait_for_log("access to the upstream is denied while connecting to upstream")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"])
def test_a_rule_about_an_ipv4_address_holds_for_the_ipv6_one_that_maps_it(server, upstream, host):
    u = upstream(ECHO)
    s = server(CONF.replace("geo $upstream_last_addr $allow_addr { volatile; 127.0.0.2/32 1; }",
                            r"map $upstream_last_addr $allow_addr { volatile; default 1; ~^127\. 0; }")
               .replace("tunnel_pass two; %%NEXT%%", "tunnel_pass;"), UP=u.port, OTHER=10, NEXT="", IDLE="60s")
    assert ping(s.ports[2], opening(u.port, host)).startswith(b"HTTP/1.1 502")
    assert not u.connections
    s.wait_for_log("access to the upstream is denied while connecting to upstream")


def test_denied_goes_to_the_next_peer_where_it_is_listed(server, upstream):
    other = upstream(ECHO)
    u = upstream(ECHO, host="127.0.0.2")
    s = start(server, u.port, other.port, "tunnel_next_upstream denied;")
    for _ in range(2):
        assert ping(s.ports[2], opening(5)).endswith(b"pong")
    assert not other.connections


TO_ANY = CONF.replace("tunnel_allow_upstream $allow_addr;", "")


def test_a_dead_peer_is_followed_by_the_next(server, upstream):
    u = upstream(ECHO, host="127.0.0.2")
    s = server(TO_ANY, UP=u.port, OTHER=10, NEXT="", IDLE="60s")
    for _ in range(2):
        assert ping(s.ports[2], opening(5)).endswith(b"pong")


def test_the_tries_are_counted(server, upstream):
    s = server(TO_ANY, UP=upstream(ECHO, host="127.0.0.2").port, OTHER=10, NEXT="tunnel_next_upstream_tries 1;", IDLE="60s")
    assert raw(s.ports[2], opening(5)).startswith(b"HTTP/1.1 502 ")


def test_the_local_address_and_small_buffers(server, upstream):
    def tell(seen):
        seen.socket.sendall(seen.socket.getpeername()[0].encode() + b" pong")
    u = upstream([up.read(4), tell, up.read_to_end(), up.close()], host="127.0.0.2")
    more = "tunnel_bind 127.0.0.9; tunnel_buffer_size 1k; tunnel_socket_keepalive on; tunnel_socket_rcvbuf 8k; tunnel_socket_sndbuf 8k;"
    s = server(TO_ANY, UP=u.port, OTHER=10, NEXT=more, IDLE="60s")
    assert ping(s.ports[2], opening(5)).endswith(b"\r\n\r\n127.0.0.9 pong")


def test_a_unix_socket(server, upstream):
    s = start(server)
    upstream(ECHO, unix=s.prefix + "/peer")
    assert ping(s.ports[3], opening(5)).endswith(b"pong")


def test_an_idle_tunnel_ends(server, upstream):
    u = upstream([up.hold()])
    s = start(server, u.port, idle="1s")
    with Client(s.ports[1]) as c:
        head_of(c.send(opening(u.port)))
        assert c.read_until_close() == b""
    wait_until(lambda: u.connections[0].closed, 5, "the end of the peer's connection")


def test_worker_shutdown_timeout_ends_tunnels(server, upstream):
    in_time(3, lambda: stays_to_the_end(server, upstream))


def stays_to_the_end(server, upstream):
    u = upstream([up.read(4), up.send(b"pong"), up.read_to_end()])
    s = server("worker_shutdown_timeout 3s;\n" + CONF, UP=u.port, OTHER=10, NEXT="", IDLE="60s")
    with Client(s.port) as c:
        head_of(c.send(opening(u.port)))
        s.reload()
        assert c.send(b"ping").reader.exactly(4) == b"pong"  # not before the time
        assert c.read_until_close() == b""


def test_curl_goes_through(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(200, "through " + r.target)))
    s = start(server, u.port)
    out = subprocess.run(["curl", "-sS", "--noproxy", "", "-p", "-x", f"http://127.0.0.1:{s.port}", f"http://127.0.0.1:{u.port}/x"],
                         capture_output=True, timeout=60, check=True)
    assert out.stdout == b"through /x"


def test_a_peer_that_fails_is_a_connect_error_to_a_client_of_http_2(server, upstream):
    """RFC 9113 section 8.5."""
    u = upstream([up.read(4), up.send(b"pong"), up.reset()])
    s = start(server, u.port)
    with H2Client(s.port) as c:
        stream = c.start(pseudo=[(":method", "CONNECT"), (":authority", f"127.0.0.1:{u.port}")], end=False)
        c.send(stream, b"ping")
        assert c.wait(stream).reset == 10
