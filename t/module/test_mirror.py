# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""mirror: copies of requests go elsewhere, and hold nothing of their request back."""

import signal
import threading

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client, chunked, get, post
from lib.fairlead import title_of
from lib.ports import wait_until

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        client_body_buffer_size 8k;
        set_real_ip_from 127.0.0.1;
        location / { mirror /copy; proxy_pass http://127.0.0.1:%%UP%%; }
        location /who { mirror /who/copy; proxy_set_header X-Id $request_id; proxy_pass http://127.0.0.1:%%UP%%; }
        location = /who/copy { internal; proxy_set_header X-Id $request_id;
                               proxy_set_header X-Who "$realip_remote_addr|$remote_addr|$connection_requests";
                               proxy_pass http://127.0.0.1:%%COPY%%; }
        location /two { mirror /copy; mirror /copy?second; proxy_pass http://127.0.0.1:%%UP%%; }
        location /bare { mirror /copy; mirror_request_body off; proxy_pass http://127.0.0.1:%%UP%%; }
        location /off { mirror off; proxy_pass http://127.0.0.1:%%UP%%; }
        location /sampled { mirror /copy sample=25%; proxy_pass http://127.0.0.1:%%UP%%; }
        location /few { mirror /copy max_inflight=2; proxy_pass http://127.0.0.1:%%UP%%; }
        location /timed { mirror /copy timeout=200ms; proxy_pass http://127.0.0.1:%%UP%%; }
        location /shadow { mirror /copy host=$host-shadow; proxy_pass http://127.0.0.1:%%UP%%; }
        location /slow { mirror /copy; client_body_timeout 200ms; proxy_pass http://127.0.0.1:%%UP%%; }
        location /again { mirror /copy; error_page 404 = /again/page; try_files /none =404; }
        location /again/page { mirror /copy; proxy_pass http://127.0.0.1:%%UP%%; }
        location /copy { internal; proxy_set_header Host $host; proxy_set_header X-Client $remote_addr; proxy_read_timeout 20s;
                         proxy_pass http://127.0.0.1:%%COPY%%$request_uri; }
    }
}
"""


class World:
    def __init__(self, server, upstream):
        self.gate = threading.Event()
        self.up = upstream(up.serve(lambda request: up.reply(200, b"answer")))
        self.copy = upstream(up.serve(self.answer_copy))
        self.server = server(CONF, UP=self.up.port, COPY=self.copy.port)

    def answer_copy(self, request):
        if "hold" in request.target:
            self.gate.wait(60)
        return up.reply(500, b"x" * 1000)

    def copies(self, count):
        return self.copy.wait_requests(count)


@pytest.fixture
def world(server, upstream):
    world = World(server, upstream)
    yield world
    world.gate.set()


@pytest.mark.parametrize("path", ["/a", "/bare"])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_copy_says_as_the_request_does_that_there_is_no_body(world, path, method):
    with Client(world.server.port) as client:
        client.request(method, path, headers={"Content-Length": "0"})
        client.request(method, path)
    copies = world.copies(2)
    assert [copy.header("Content-Length") for copy in copies] == ["0", None], [copy.first_line for copy in copies]
    assert [asked.header("Content-Length") for asked in world.up.requests] == ["0", None]


def test_a_copy_has_all_of_the_request(world):
    with Client(world.server.port) as client:
        reply = client.request("PUT", "/a%20b?q=1", b"the body", headers={"X-A": "one", "Cookie": "c=d"}, host="Example.org")
        assert reply.text == "answer"
        copy = world.copies(1)[0]
        assert copy.first_line == "PUT /a%20b?q=1 HTTP/1.1" and copy.body == b"the body"
        assert copy.header("Host") == "example.org" and copy.header("X-A") == "one" and copy.header("Cookie") == "c=d"
        assert copy.header("X-Client") == "127.0.0.1"
        assert world.up.last.body == b"the body"


def test_a_copy_has_the_id_of_its_request(world):
    ids = set()
    for count in (1, 2):
        get(world.server.port, "/who")
        ids.add(world.up.last.header("X-Id"))
        assert {copy.header("X-Id") for copy in world.copies(count)} == ids
    assert len(ids) == 2


def test_a_copy_knows_the_connection_of_its_request(world):
    with Client(world.server.port) as client:
        for _ in range(2):
            client.get("/who", headers={"X-Real-IP": "192.0.2.1"})
    assert sorted(copy.header("X-Who") for copy in world.copies(2)) == ["127.0.0.1|192.0.2.1|1", "127.0.0.1|192.0.2.1|2"]


@pytest.mark.parametrize("size", [0, 1, 8192, 300_000])
def test_bodies_of_all_sizes(world, size):
    body = bytes(i % 251 for i in range(size))
    assert post(world.server.port, "/x", body).text == "answer"
    with Client(world.server.port) as client:
        client.send(b"POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + (chunked(body) if body else b"0\r\n\r\n"))
        assert client.read_reply().text == "answer"
    assert sorted(len(r.body) for r in world.copies(2)) == [size, size]
    assert all(r.body == body for r in world.copies(2) + world.up.requests)


def test_two_mirrors_and_none(world):
    get(world.server.port, "/off")
    post(world.server.port, "/two", b"twice")
    assert [r.body for r in world.copies(2)] == [b"twice", b"twice"]
    post(world.server.port, "/bare", b"unseen")
    assert [r.body for r in world.copies(3) if r.target == "/bare"] == [b""] and world.up.last.body == b"unseen"


def test_a_body_that_does_not_come(world):
    with Client(world.server.port) as client:
        client.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab")
        assert client.read_reply("POST").status == 408
    get(world.server.port, "/last")
    assert [r.target for r in world.copies(1)] == ["/last"], "and nothing was sent of it"


def test_an_internal_redirect_does_not_mirror_again(world):
    assert get(world.server.port, "/again").text == "answer"
    get(world.server.port, "/last")
    wait_until(lambda: any(r.target == "/last" for r in world.copy.requests) and len(world.copy.requests) >= 2)
    assert len(world.copy.requests) == 2


def test_a_copy_holds_nothing_back(world):
    with Client(world.server.port) as client:
        for i in range(3):
            assert client.get(f"/hold{i}").text == "answer", "on one connection, while the copies wait"
    world.copies(3)
    world.gate.set()
    assert get(world.server.port, "/after").text == "answer"


def test_a_client_that_leaves_does_not_end_the_copy(world):
    with Client(world.server.port) as client:
        client.get("/hold")
    world.copies(1)
    world.gate.set()
    wait_until(lambda: world.copy.connections[0].ended is None and len(world.copy.requests) == 1)
    post(world.server.port, "/next", b"reuses the connection of the copy before")
    assert world.copies(2)[-1].target == "/next"


def test_a_dead_mirror_disturbs_nobody(world):
    world.copy.refuse()
    assert get(world.server.port, "/x").text == "answer"
    world.server.wait_for_log(r'connect\(\) failed .* request: "GET /x HTTP/1.1", subrequest: "/copy", upstream: ')


def test_limits(world):
    for _ in range(4):
        assert get(world.server.port, "/few?hold").text == "answer"
    world.server.wait_for_log('a request was not mirrored to "/copy"')
    assert len(world.copies(2)) == 2
    assert get(world.server.port, "/timed?hold").text == "answer"
    world.server.wait_for_log('a detached request to "/copy" timed out')


def test_a_part_of_the_requests(world):
    with Client(world.server.port) as client:
        for i in range(400):
            client.get("/sampled")
    get(world.server.port, "/last")
    wait_until(lambda: any(r.target == "/last" for r in world.copy.requests))
    assert 50 < len(world.copy.requests) < 160


def test_the_host_of_a_copy(world):
    get(world.server.port, "/shadow")
    assert world.copies(1)[0].header("Host") == "localhost-shadow"
    assert world.up.last.header("Host") != "localhost-shadow"


def test_copies_do_not_delay_quit(world):
    get(world.server.port, "/hold")
    world.copies(1)
    world.server.stop()


FACTS = "$ssl_client_verify|$ssl_client_s_dn|$ssl_protocol|$ssl_server_name|$ssl_alpn_protocol|$https|$server_addr:$server_port"
CONNECTION_CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%% ssl; server_name a.test;
        ssl_certificate %%CERTS%%/server.pem; ssl_certificate_key %%CERTS%%/server.key;
        ssl_verify_client optional; ssl_client_certificate %%CERTS%%/ca.pem;
        if ($ssl_client_verify != SUCCESS) { return 403; }
        location / { mirror /copy; proxy_set_header X-Facts "%%FACTS%%"; proxy_pass http://127.0.0.1:%%UP%%; }
        location = /copy { internal; proxy_set_header X-Facts "%%FACTS%%"; proxy_set_header X-Rtt $tcpinfo_rtt;
                           proxy_pass http://127.0.0.1:%%COPY%%; }
        location = /hold { mirror /hold/copy; proxy_pass http://127.0.0.1:%%UP%%; }
        location = /hold/copy { internal; proxy_intercept_errors on; error_page 500 = /copy; proxy_pass http://127.0.0.1:%%COPY%%; }
    }
    server {
        listen %%PORT_1%% proxy_protocol;
        location / { mirror /copy; proxy_pass http://127.0.0.1:%%UP%%; }
        location = /copy { internal; proxy_set_header X-Facts "$proxy_protocol_addr|$proxy_protocol_tlv_authority|$server_addr";
                           proxy_pass http://127.0.0.1:%%COPY%%; }
    }
}
"""


class ConnectionWorld:
    def __init__(self, server, upstream, folder):
        self.gate = threading.Event()
        self.ca = Authority(folder)
        self.ca.leaf("server", "a.test", file="server")
        self.client = self.ca.leaf("client", client=True)
        self.copy = upstream(up.serve(self.answer))
        self.up = upstream(up.serve(lambda request: up.reply(200, b"answer")))
        self.server = server(CONNECTION_CONF, UP=self.up.port, COPY=self.copy.port, CERTS=self.ca.folder, FACTS=FACTS)

    def answer(self, request):
        if request.target == "/hold/copy":
            self.gate.wait(20)
        return up.reply(500, b"")

    def knock(self, certificate=None):
        return Client(self.server.port, tls=self.ca.client_context(certificate), server_name="a.test")


@pytest.fixture
def known(server, upstream, tmp_path):
    world = ConnectionWorld(server, upstream, tmp_path / "certs")
    yield world
    world.gate.set()


def test_a_copy_knows_the_tls_of_its_request(known):
    with known.knock(known.client) as client:
        assert client.get("/", host="a.test").text == "answer"
    copy = known.copy.wait_requests(1)[0]
    assert copy.header("X-Facts") == known.up.last.header("X-Facts")
    assert copy.header("X-Facts").startswith("SUCCESS|CN=client|TLSv1.")
    assert copy.header("X-Facts").endswith(f"|127.0.0.1:{known.server.port}")
    assert int(copy.header("X-Rtt")) > 0


def test_a_copy_knows_it_when_the_connection_has_ended(known):
    """The first request of the copy is answered only then, and what the second one says is found out after that."""
    with known.knock(known.client) as client:
        assert client.get("/hold", host="a.test").text == "answer"
        known.copy.wait_requests(1)
    with known.knock() as another:  # not only ended: the worker has turned to other connections since
        assert another.get("/", host="a.test").status == 403
    known.gate.set()
    last = known.copy.wait_requests(2)[1]
    assert last.header("X-Facts").startswith("SUCCESS|CN=client|TLSv1.")
    assert last.header("X-Facts").endswith(f"|127.0.0.1:{known.server.port}")
    assert int(last.header("X-Rtt")) > 0


def test_a_copy_knows_what_the_proxy_protocol_said(known):
    rest = bytes([192, 0, 2, 1, 5, 6, 7, 8, 4, 210, 0, 80, 2, 0, 4]) + b"name"
    with Client(known.server.ports[1]) as client:
        client.send(b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + len(rest).to_bytes(2, "big") + rest)
        assert client.get("/").text == "answer"
    assert known.copy.wait_requests(1)[0].header("X-Facts") == "192.0.2.1|name|127.0.0.1"


PATIENT = """
events {}
http {
    upstream patient { server 127.0.0.1:%%FIRST%% max_fails=0; server 127.0.0.1:%%SECOND%% backup; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { mirror /copy; proxy_pass http://127.0.0.1:%%SECOND%%; }
        location = /copy { internal; proxy_pass http://patient; }
    }
}
"""


@pytest.mark.parametrize("end", ["reload", "quit"])
def test_a_worker_that_drains_finishes_its_copies(server, upstream, end):
    go = threading.Event()
    first = upstream([up.request(), up.wait_for(go), up.close()])
    second = upstream(up.serve(lambda request: up.reply(200, b"taken")))
    s = server(PATIENT, FIRST=first.port, SECOND=second.port)
    (old,) = s.wait_workers()
    assert get(s.port, "/").text == "taken"
    first.wait_requests(1)
    if end == "reload":
        s.reload()
    else:
        s.signal(signal.SIGQUIT)
    s.wait_for_log(rf"{old}#.* gracefully shutting down")
    go.set()
    second.wait_requests(2)
    wait_until(lambda: not title_of(old), 5, "the end of the drained worker")
