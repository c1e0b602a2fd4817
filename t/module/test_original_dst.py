# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Transparent capture in network namespaces of the test's own: conf/sidecar/iptables.sh sends connections here, `listen ... original_dst`
knows where they were bound, proxy_pass http://$original_dst takes them there, and never back here."""

import pathlib

import pytest

from lib import upstreams as up
from lib.client import Client
from lib.fairlead import Server
from lib.namespace import Namespace, command
from lib.upstreams import Upstream

SCRIPT = str(pathlib.Path(__file__).parents[2] / "conf/sidecar/iptables.sh")
SAYS = '"$original_dst|$original_dst_addr|$original_dst_port"'
CONF = """
user nobody;
events {}
http {
    server {
        listen 0.0.0.0:%%PORT_0%% original_dst;
        listen [::]:%%PORT_0%% original_dst;
        add_header X-Via fairlead always;
        location / { proxy_set_header Host $http_host; proxy_set_header X-Dst SAYS; proxy_pass http://$original_dst; }
        location = /here { return 200 SAYS; }
    }
    server { listen 127.0.0.1:%%PORT_1%%; return 200 SAYS; }
}
""".replace("SAYS", SAYS)


@pytest.fixture
def namespace():
    namespace = Namespace(tools=("ip", "iptables", "ip6tables"))
    yield namespace
    namespace.stop()


class Running:
    """What was started inside a namespace; stops in reverse order."""

    def __init__(self, namespace):
        self.namespace, self.started = namespace, []

    def start(self, make):
        product = self.namespace.run(make)
        self.started.append(product)
        return product

    def stop(self):
        for product in reversed(self.started):
            self.namespace.run(product.stop)


@pytest.fixture
def running(namespace):
    running = Running(namespace)
    yield running
    running.stop()


def echo(request):
    return up.reply(200, f"{request.header('Host')}|{request.header('X-Dst')}".encode())


def test_outbound_connections_are_captured_and_released(namespace, running):
    inside = namespace.run
    for address in ("10.99.0.1/32", "10.99.0.2/32"):
        inside(lambda address=address: command("ip", "addr", "add", address, "dev", "lo"))
    inside(lambda: command("ip", "-6", "addr", "add", "fd99::2/128", "dev", "lo", "nodad"))
    app = running.start(lambda: Upstream(up.serve(echo), host="10.99.0.2"))
    app6 = running.start(lambda: Upstream(up.serve(echo), host="fd99::2"))
    s = running.start(lambda: Server(CONF).start())

    def ask(host, port, target="/"):
        with inside(lambda: Client(port, host=host)) as client:
            return client.get(target, headers=[("X-Dst", "none")], host="app")

    def captured():
        return ask("10.99.0.2", app.port).header("X-Via")

    assert captured() is None
    inside(lambda: command(SCRIPT, "up", "--user", "nobody", "--outbound-port", str(s.port), "--inbound-port", "0", "--ipv6"))
    reply = ask("10.99.0.2", app.port)
    assert reply.header("X-Via") == "fairlead"
    assert reply.text == f"app|10.99.0.2:{app.port}|10.99.0.2|{app.port}"
    reply = ask("fd99::2", app6.port)
    assert reply.text == f"app|[fd99::2]:{app6.port}|fd99::2|{app6.port}"
    assert ask("10.99.0.2", 1, "/here").text == "10.99.0.2:1|10.99.0.2|1", "nobody listens there, but the connection is ours"
    assert ask("10.99.0.2", 1).status == 502
    s.wait_for_log("Connection refused.* while connecting to upstream.*http://10.99.0.2:1/")

    # Straight to the listener: going on to where the client went would come back here.
    for host in ("127.0.0.1", "10.99.0.1", "::1"):
        assert ask(host, s.port).status == 502, host
    s.wait_for_log(f"the original destination 127.0.0.1:{s.port} is the server's own listener")
    s.wait_for_log(f"the original destination 10.99.0.1:{s.port} is the server's own listener")
    assert ask("127.0.0.1", s.ports[1]).text == "||", "no original_dst, no variables"

    inside(lambda: command(SCRIPT, "up", "--user", "nobody", "--outbound-port", str(s.port), "--inbound-port", "0", "--exclude-outbound",
                           str(app.port)))
    assert captured() is None, "`up` again replaces what the first one wrote"
    inside(lambda: command(SCRIPT, "down", "--ipv6"))
    assert captured() is None
    assert "FAIRLEAD" not in inside(lambda: command("iptables-save", "-t", "nat")) + inside(lambda: command("ip6tables-save", "-t", "nat"))


@pytest.fixture
def neighbour(namespace):
    """A second namespace behind a cable: 10.98.0.2 here, 10.98.0.1 there."""
    other = Namespace()
    namespace.run(lambda: command("ip", "link", "add", "cable0", "type", "veth", "peer", "name", "cable1", "netns", str(other.pid)))
    for place, device, address in ((namespace, "cable0", "10.98.0.2/24"), (other, "cable1", "10.98.0.1/24")):
        place.run(lambda device=device, address=address: command("ip", "addr", "add", address, "dev", device))
        place.run(lambda device=device: command("ip", "link", "set", device, "up"))
    yield other
    other.stop()


def test_inbound_connections_are_captured(namespace, running, neighbour):
    app = running.start(lambda: Upstream(up.serve(echo), host="10.98.0.2"))
    s = running.start(lambda: Server(CONF).start())
    namespace.run(lambda: command(SCRIPT, "up", "--outbound-port", "0", "--inbound-port", str(s.port)))
    with neighbour.run(lambda: Client(app.port, host="10.98.0.2")) as client:
        reply = client.get("/")
        assert reply.header("X-Via") == "fairlead" and reply.text == f"localhost|10.98.0.2:{app.port}|10.98.0.2|{app.port}"
    namespace.run(lambda: command(SCRIPT, "down"))


def test_tproxy_keeps_the_destination(namespace, running, neighbour):
    conf = CONF.replace(" original_dst;", " original_dst=tproxy;")
    s = running.start(lambda: Server(conf).start())
    for line in (f"iptables -t mangle -A PREROUTING -p tcp -d 192.0.2.0/24 -j TPROXY --on-port {s.port} --on-ip 0.0.0.0 --tproxy-mark 1",
                 "ip rule add fwmark 1 lookup 100", "ip route add local 0.0.0.0/0 dev lo table 100"):
        namespace.run(lambda line=line: command(*line.split()))
    neighbour.run(lambda: command("ip", "route", "add", "default", "via", "10.98.0.2"))
    with neighbour.run(lambda: Client(8080, host="192.0.2.7")) as client:
        assert client.get("/here").text == "192.0.2.7:8080|192.0.2.7|8080"
    with neighbour.run(lambda: Client(s.port, host="192.0.2.7")) as client:
        assert client.get("/here").text == f"192.0.2.7:{s.port}|192.0.2.7|{s.port}"
        assert client.get("/").status == 502  # nobody is there
        assert "own listener" not in s.log(), "another host's port of the same number"
    with neighbour.run(lambda: Client(s.port, host="10.98.0.2")) as client:
        assert client.get("/here").status == 200
        assert client.get("/").status == 502, "straight to the listener"
