# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What a client, the error log and $upstream_* say when an upstream does something wrong."""

import re
import threading

import pytest

from lib import upstreams as up
from lib.client import Client, Closed, chunked, get, post

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%WAITS%%
        proxy_buffer_size 1k; proxy_buffers 4 1k; proxy_busy_buffers_size 2k; proxy_temp_file_write_size 2k;
        error_page 502 504 = /told;
        location / { proxy_pass http://127.0.0.1:%%UP%%; }
        location = /told { return 200 "$upstream_status|$upstream_addr|$upstream_header_time|$upstream_response_length|$upstream_fail_reason"; }
    }
}
"""
PATIENT = ""  # the defaults of nginx, a minute each: an upstream of this test may be kept from its processor for a while
IMPATIENT = "proxy_connect_timeout 1s; proxy_read_timeout 1s; proxy_send_timeout 1s;"
READING = " while reading response header from upstream, client: 127.0.0.1, server: , request: \"GET / HTTP/1.1\", upstream: \"http://127.0.0.1:"


def errors(server):
    return [line for line in server.log().split("\n") if "[error]" in line]


# What the upstream does, the status it stands for, the line, the short flag.
HEAD_FAULTS = {
    "reset before the head": ([up.request(), up.reset()], 502, r"recv\(\) failed \(104: Connection reset by peer\)", "UR"),
    "closed before the head": ([up.request(), up.close()], 502, "upstream prematurely closed connection", "UC"),
    "closed in the status line": ([up.request(), up.send(b"HTTP/1.1 20"), up.close()], 502, "upstream prematurely closed connection", "UC"),
    "closed in a field": ([up.request(), up.send(b"HTTP/1.1 200 OK\r\nX: "), up.close()], 502, "upstream prematurely closed connection",
        "UC"),
    "reset in a field": ([up.request(), up.send(b"HTTP/1.1 200 OK\r\nX: "), up.sleep(0.05), up.reset()], 502, r"recv\(\) failed \(104",
        "UR"),
    "only 100": ([up.request(), up.send(b"HTTP/1.1 100 Continue\r\n\r\n"), up.close()], 502, "upstream prematurely closed connection",
        "UC"),
    "only 1xx": ([up.request(), up.send(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 3), up.close()], 502, "upstream prematurely closed",
        "UC"),
    "an unasked 101": ([up.request(), up.send(b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc")], 502,
                       "upstream sent unexpected 101 response", "DPE"),
    "no head on a kept connection": ([up.request(), up.send(up.reply(200, b"ok")), up.request(), up.send(b"late\r\n\r\n"), up.close()], 502,
                                    "upstream sent no valid HTTP/1.0 header", "DPE"),
    "silence": ([up.request(), up.hold()], 504, r"upstream timed out \(110: Connection timed out\)", "UT"),
    "silence in the head": ([up.request(), up.send(b"HTTP/1.1 200 OK\r\n"), up.hold()], 504, r"upstream timed out \(110", "UT"),
    "a head too large": ([up.request(), up.send(up.reply(200, b"x", {"X": "y" * 2000}))], 502, "upstream sent too big header", "DPE"),
    "a field name with a space": ([up.request(), up.send(b"HTTP/1.1 200 OK\r\nA B: c\r\n\r\n")], 502, "upstream sent invalid header: ",
        "DPE"),
    "a line without a colon": ([up.request(), up.send(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n")], 502, "upstream sent invalid header: ",
        "DPE"),
    "NUL in a value": ([up.request(), up.send(b"HTTP/1.1 200 OK\r\nA: a\0b\r\n\r\n")], 502, r'upstream sent invalid header: "A: a\\x00',
        "DPE"),
    "two lengths": ([up.request(), up.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi")], 502,
                    'upstream sent duplicate header line: "Content-Length', "DPE"),
    "a negative length": ([up.request(), up.send(b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi")], 502,
                          'upstream sent invalid "Content-Length" header: "-2"', "DPE"),
    "a huge length": ([up.request(), up.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhi")], 502,
                      'upstream sent invalid "Content-Length" header', "DPE"),
    "an unknown coding": ([up.request(), up.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")], 502,
                          'upstream sent unknown "Transfer-Encoding": "gzip, chunked"', "DPE"),
    "two codings": ([up.request(),
        up.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")], 502,
                    'upstream sent duplicate header line: "Transfer-Encoding', "DPE"),
    "length and coding": ([up.request(), up.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")],
        502,
                          'upstream sent "Content-Length" and "Transfer-Encoding" headers at the same time', "DPE"),
}


def head_of(size):
    begin = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: "
    return begin + b"y" * (size - len(begin) - 4) + b"\r\n\r\n"


@pytest.mark.parametrize("size, fits", [(1024, True), (1025, False), (1500, False)])
@pytest.mark.parametrize("early", [1, 1000, 2000])
def test_a_head_is_as_large_however_it_arrives(server, upstream, size, fits, early):
    whole = head_of(size) + b"hi"
    u = upstream([up.request(), up.send(whole[:early]), up.sleep(0.03), up.send(whole[early:]), up.close()])
    s = server(CONF, UP=u.port, WAITS=PATIENT)
    assert get(s.port, "/").text.split("|")[0] == ("hi" if fits else "502")
    if not fits:
        s.wait_for_log("upstream sent too big header" + re.escape(READING))


@pytest.mark.parametrize("fault", HEAD_FAULTS)
def test_a_fault_before_the_end_of_the_head(server, upstream, fault):
    script, status, line, reason = HEAD_FAULTS[fault]
    u = upstream(script)
    s = server(CONF, UP=u.port, WAITS=IMPATIENT if status == 504 else PATIENT)
    if "kept" in fault:
        assert get(s.port, "/").text == "ok"
    reply = get(s.port, "/")
    want = f"{status}|127.0.0.1:{u.port}|"
    assert reply.status == 200 and reply.text.startswith(want), reply.text
    assert reply.text.endswith("|0|" + reason), reply.text
    assert len(errors(s)) == 1, errors(s)
    assert re.search(line, errors(s)[0]) and READING in errors(s)[0], errors(s)[0]
    assert len(u.connections) == 1


def test_a_refused_connection(server, upstream):
    refused = up.Refused()
    s = server(CONF, UP=refused.port, WAITS=PATIENT)
    reply = get(s.port, "/x?y")
    assert reply.text == f"502|127.0.0.1:{refused.port}|-|0|UF"
    assert re.search(r"connect\(\) failed \(111: Connection refused\) while connecting to upstream, client: 127.0.0.1, server: , "
                     rf'request: "GET /x\?y HTTP/1.1", upstream: "http://127.0.0.1:{refused.port}/x\?y", host: "localhost"', errors(s)[0])
    refused.stop()


def test_a_peer_that_never_accepts_times_out_while_connecting(server, upstream):
    import socket
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    port = full.getsockname()[1]
    held = []
    for _ in range(4):  # more than a backlog of nothing takes
        c = socket.socket()
        c.setblocking(False)
        c.connect_ex(("127.0.0.1", port))
        held.append(c)
    s = server(CONF, UP=port, WAITS=IMPATIENT)
    assert get(s.port, "/").text == f"504|127.0.0.1:{port}|-|0|UT"
    assert re.search(r"upstream timed out \(110: Connection timed out\) while connecting to upstream", errors(s)[0])
    for c in [full, *held]:
        c.close()


CUT_BODIES = {
    "by length": up.reply(200, b"half", length=8),
    "in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf",
    "between chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    "before the last line": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
}


@pytest.mark.parametrize("pause", [0, 0.1])
@pytest.mark.parametrize("cut", CUT_BODIES)
def test_a_truncated_body_reaches_the_client_as_truncated(server, upstream, cut, pause):
    u = upstream([up.request(), up.send(CUT_BODIES[cut]), up.sleep(pause), up.close()])
    s = server(CONF, UP=u.port, WAITS=PATIENT)
    with Client(s.port) as c, pytest.raises(Closed):
        try:
            c.get("/")
        finally:
            assert b"half" in c.received and not c.received.endswith(b"0\r\n\r\n"), c.received
    s.wait_for_log(r"\[error\].*upstream prematurely closed connection while reading upstream")


@pytest.mark.parametrize("bad", [b"x\r\n", b"4\nhalf\r\n0\r\n\r\n", b"4\r\nhalfx\r\n0\r\n\r\n", b"fffffffffffffffff\r\n"])
def test_malformed_chunks_cut_the_reply(server, upstream, bad):
    u = upstream([up.request(), up.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n" + bad), up.hold()])
    s = server(CONF, UP=u.port, WAITS=PATIENT)
    with Client(s.port) as c, pytest.raises(Closed):
        c.get("/")
    s.wait_for_log(r"\[error\].*upstream sent invalid chunked response while reading upstream")


def test_a_silent_body_times_out(server, upstream):
    u = upstream([up.request(), up.send(up.reply(200, b"half", length=8)), up.hold()])
    s = server(CONF, UP=u.port, WAITS=IMPATIENT)
    with Client(s.port) as c, pytest.raises(Closed):
        c.get("/")
    s.wait_for_log(r"\[error\].*upstream timed out \(110: Connection timed out\) while reading upstream")


def test_a_slow_reply_is_no_fault(server, upstream):
    u = upstream([up.request(), up.send_slowly(up.reply(200, b"slowly", {"X-Y": "z"}), 4, 0.001)])
    s = server(CONF, UP=u.port, WAITS=PATIENT)
    assert get(s.port, "/").text == "slowly"
    assert not errors(s)


def test_bytes_behind_the_length_are_dropped_and_end_the_connection(server, upstream):
    u = upstream([up.request(), up.send(up.reply(200, b"okMORE", length=2)), up.hold()], [up.request(), up.send(up.reply(200, b"two"))])
    s = server(CONF, UP=u.port, WAITS=PATIENT)
    with Client(s.port) as c:
        assert c.get("/").body == b"ok"
        assert c.get("/").body == b"two"
    assert len(u.connections) == 2
    s.wait_for_log(r'\[warn\].* upstream sent more data than specified in "Content-Length" header while reading upstream, client:')


def test_bytes_behind_the_last_chunk_end_the_connection(server, upstream):
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"ok") + b"MORE"
    u = upstream([up.request(), up.send(reply), up.hold()], [up.request(), up.send(up.reply(200, b"two"))])
    s = server(CONF, UP=u.port, WAITS=PATIENT)
    with Client(s.port) as c:
        assert c.get("/").body == b"ok"
        assert c.get("/").body == b"two"
    s.wait_for_log(r"\[warn\].* upstream sent data after final chunk while reading upstream, client:")


@pytest.mark.parametrize("method, reply, said", [
    ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "a body in reply to a HEAD request"),
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "a body in reply to a HEAD request"),
    ("GET", b"HTTP/1.1 204 No\r\n\r\nok", 'more data than specified in "Content-Length" header')])
def test_a_body_where_none_may_be_ends_the_connection(server, upstream, method, reply, said):
    u = upstream([up.request(), up.send(reply), up.hold()], [up.request(), up.send(up.reply(200, b"two"))])
    s = server(CONF, UP=u.port, WAITS=PATIENT)
    with Client(s.port) as c:
        assert c.request(method, "/").status == int(reply[9:12])
        assert c.get("/").body == b"two"
    s.wait_for_log(rf"\[warn\].* upstream sent {said} while reading upstream, client:")


def test_a_unix_socket_that_is_not_there(server):
    s = server(CONF.replace("http://127.0.0.1:%%UP%%", "http://unix:%%PREFIX%%/nobody"), WAITS=PATIENT)
    assert get(s.port, "/a").body.startswith(b"502|unix:")
    s.wait_for_log(r"\[crit\].* connect\(\) to unix:\S+/nobody failed \(2: No such file or directory\) while connecting to upstream, .*"
                   r'upstream: "http://unix:\S+/nobody:/a"')


def test_an_answer_without_a_head_is_a_body(server, upstream):
    """As in nginx; but framed, where nginx passes the bytes on bare."""
    u = upstream([up.request(), up.send(b"plain old\ntext"), up.close()])
    s = server(CONF, UP=u.port, WAITS=PATIENT)
    reply = get(s.port, "/")
    assert (reply.status, reply.body) == (200, b"plain old\ntext")
    assert "upstream sent no valid HTTP/1.0 header while reading response header from upstream" in errors(s)[0]


def test_interim_responses_are_skipped(server, upstream):
    u = upstream([up.request(), up.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + up.reply(201,
        b"made"))])
    s = server(CONF, UP=u.port, WAITS=PATIENT)
    reply = get(s.port, "/")
    assert (reply.status, reply.body, reply.header("Link")) == (201, b"made", None)


@pytest.mark.parametrize("setting, most", [("", 32), ("proxy_max_interim_responses 3;", 3), ("proxy_max_interim_responses 0;", 0)])
@pytest.mark.parametrize("together", [True, False])
def test_so_many_interim_responses_and_no_more(server, upstream, setting, most, together):
    interim = b"HTTP/1.1 102 Processing\r\n\r\n"
    answer = up.send(up.reply(200, b"made"))

    def script(count):
        pieces = [interim * count] if together else [interim] * count
        return [up.request(), *[step for piece in pieces for step in (up.send(piece), up.sleep(0.005))], answer]
    u = upstream(script(most) + script(most + 1))
    s = server(CONF, UP=u.port, WAITS=setting)
    assert get(s.port, "/").body == b"made"
    assert get(s.port, "/").text.startswith("502|")
    assert "upstream sent too many interim responses while reading response header from upstream" in errors(s)[0]


def test_a_peer_that_stops_reading_an_upload_times_out_while_sending(server, upstream):
    told = threading.Event()
    u = upstream([up.head(), up.wait_for(told)])
    s = server(CONF.replace("location / {", "client_max_body_size 0; location / {"), UP=u.port, WAITS=IMPATIENT)
    reply = post(s.port, "/", b"x" * 20_000_000)
    told.set()
    assert reply.text.startswith("504|")
    assert re.search(r"upstream timed out \(110: Connection timed out\) while sending request to upstream", errors(s)[0])


def test_a_reply_that_comes_instead_of_reading_the_upload_is_passed_on(server, upstream):
    told = threading.Event()  # a close before would take with it what has not been read of the reply
    u = upstream([up.head(), up.send(up.reply(413, b"too much", {"Connection": "close"})), up.wait_for(told), up.close()])
    s = server(CONF.replace("location / {", "client_max_body_size 0; location / {"), UP=u.port, WAITS=PATIENT)
    reply = post(s.port, "/", b"x" * 20_000_000)
    told.set()
    assert (reply.status, reply.body) == (413, b"too much")
    assert not errors(s)


@pytest.mark.parametrize("times", [1, 3])
def test_a_head_larger_than_one_read_is_whole(server, upstream, times):
    fields = {f"X-{i}": "v" * 100 for i in range(6)}
    u = upstream(up.serve(lambda r: up.reply(200, r.target, fields)))
    s = server(CONF, UP=u.port, WAITS=PATIENT)
    with Client(s.port) as c:
        for i in range(times):
            reply = c.get(f"/{i}")
            assert reply.text == f"/{i}" and reply.header("X-5") == "v" * 100


def test_chunked_uploads_reach_the_peer_with_a_length(server, upstream):
    u = upstream()
    s = server(CONF, UP=u.port, WAITS=PATIENT)
    with Client(s.port) as c:
        c.send(b"POST /u HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"abc", b"defg"))
        assert c.read_reply().status == 200
    assert u.last.header("Content-Length") == "7" and u.last.body == b"abcdefg" and not u.last.all("Transfer-Encoding")
