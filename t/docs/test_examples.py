# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The configurations of conf/ do what README.md and they themselves say. Ports apart they run as they stand; Debian's nginx runs the same
texts, so that they stay configurations of nginx, too."""

import os
import re
import signal

import pytest
import yaml

from lib import upstreams as up
from lib.client import get
from lib.ports import wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def text_of(path):
    with open(os.path.join(ROOT, path)) as f:
        return f.read()


@pytest.fixture(params=["fairlead", "nginx"])
def start(request):
    return request.getfixturevalue("server" if request.param == "fairlead" else "nginx")


def demo(start):
    text = text_of("conf/demo.conf")
    for number in range(4):
        text = text.replace(f"127.0.0.1:808{number}", f"127.0.0.1:%%PORT_{number}%%")
    # The temporary folders of Debian's nginx are its package's; logs go under the prefix either way.
    return start(text)


def test_the_demo_answers_though_a_backend_fails(start):
    s = demo(start)
    replies = [get(s.port, "/") for _ in range(60)]
    assert all(reply.status == 200 for reply in replies)
    assert {reply.text for reply in replies} == {"backend one\n", "backend two\n", "backend three\n"}
    tried = [(reply.header("X-Tried"), reply.header("X-Statuses")) for reply in replies]
    retried = [(addresses, statuses) for addresses, statuses in tried if "," in addresses]
    assert retried, "no retry in 60 requests"
    for addresses, statuses in retried:
        assert addresses.startswith(f"127.0.0.1:{s.ports[3]}, ") and statuses == "503, 200"
    wait_until(lambda: s.read("logs/access.log").count("\n") == 60, 5, "sixty lines")
    lines = s.read("logs/access.log").splitlines()
    assert any(re.fullmatch(rf'127\.0\.0\.1 "GET / HTTP/1\.1" 200 \d+ \d\.\d{{3}} upstream=127\.0\.0\.1:{s.ports[3]}, 127\.0\.0\.1:\d+ '
                            r"status=503, 200 time=\d\.\d{3}, \d\.\d{3}", line) for line in lines)


def test_the_demo_without_retries_shows_the_failure(start):
    s = demo(start)
    replies = [get(s.port, "/once") for _ in range(60)]
    failed = [reply for reply in replies if reply.status != 200]
    assert failed and len(failed) < 40
    assert all((reply.status, reply.text, reply.header("X-Statuses")) == (503, "backend three fails\n", "503") for reply in failed)


def test_the_demo_counts(start):
    s = demo(start)
    assert "Active connections: 1 \n" in get(s.port, "/status").text


def test_the_lines_to_try_name_places_of_the_demo():
    text = text_of("conf/demo.conf")
    places = set(re.findall(r"^\s*location (?:= )?(\S+)", text, re.M))
    for source in (text, text_of("README.md")):
        named = re.findall(r"http://127\.0\.0\.1:8080(/\w*)", source)
        assert named and set(named) <= places


def with_ports(text, ports):
    """Others in place of those that are printed, in one pass: 30021 in place of 3001 is not to be taken for 3002 and a 1."""
    printed = re.findall(r"127\.0\.0\.1:(\d+)", text)
    assert set(ports) <= set(printed)
    return re.sub(r"127\.0\.0\.1:(\d+)", lambda found: f"127.0.0.1:{ports.get(found.group(1), found.group(1))}", text)


def sidecar(start, upstreams):
    text = text_of("conf/examples/sidecar.conf").replace("listen 8000", "listen 127.0.0.1:%%PORT_0%%")
    text = text.replace("worker_processes auto", "worker_processes 1")  # round robin is counted below
    return start(with_ports(text, {f"300{number}": one.port for number, one in enumerate(upstreams, 1)}))


def answers(status=200, content=b""):
    return up.serve(lambda request: up.reply(status, content))


def test_the_sidecar_spreads_by_weight_and_keeps_connections(start, upstream):
    heavy, light = upstream(answers(content=b"heavy")), upstream(answers(content=b"light"))
    s = sidecar(start, (heavy, light))
    texts = [get(s.port, "/x?y").text for _ in range(12)]
    assert (texts.count("heavy"), texts.count("light")) == (9, 3)
    assert len(heavy.requests) == 9 and len(heavy.connections) == 1
    seen = heavy.last
    assert seen.target == "/x?y" and seen.version == "HTTP/1.1" and seen.header("Connection") is None
    assert (seen.header("Host"), seen.header("X-Real-IP"), seen.header("X-Forwarded-For"), seen.header("X-Forwarded-Proto")) == (
        "localhost", "127.0.0.1", "127.0.0.1", "http")


def test_the_sidecar_tries_the_other_process(start, upstream):
    s = sidecar(start, (upstream(answers(503, b"busy")), upstream(answers(content=b"fine"))))
    assert [get(s.port).text for _ in range(6)] == ["fine"] * 6


def test_the_sidecar_tells_its_health_and_its_numbers(start, upstream):
    s = sidecar(start, (upstream(answers()), upstream(answers())))
    health = get(s.port, "/health")
    assert (health.status, health.text) == (200, "OK")
    assert re.match(r"Active connections: \d+ \nserver accepts handled requests\n \d+ \d+ \d+ \nReading: 0 Writing: 1 Waiting: 0 \n\Z",
                    get(s.port, "/metrics").text)
    assert get(s.port, "/metrics", source="127.0.0.2").status == 403


def leaves_slowly(text):
    """With a shutdown_delay of minutes, which a second signal ends: what holds before it can be seen on a slow machine, too."""
    changed, count = re.subn(r"^( *shutdown_delay) \d+s;", r"\1 600s;", text, flags=re.M)
    assert count == 1
    return changed


# ---- conf/examples/kubernetes

def pod():
    return list(yaml.safe_load_all(text_of("conf/examples/kubernetes/pod.yaml")))


def test_the_config_map_of_the_pod_serves_as_printed(server, upstream):
    config_map, _ = pod()
    u = upstream(up.serve(lambda request: up.reply(200, request.header("X-Forwarded-For"))))
    text = config_map["data"]["fairlead.conf"].replace("/dev/stdout", "%%PREFIX%%/logs/access.log").replace("/tmp/", "%%PREFIX%%/")
    for number, port in enumerate((8080, 9090)):
        text = text.replace(f"listen {port};", f"listen 127.0.0.1:%%PORT_{number}%%;")
    text = leaves_slowly(text)
    s = server(with_ports(text, {"3000": u.port}))
    assert get(s.port, "/").text == "127.0.0.1"
    admin = s.ports[1]
    assert get(admin, "/ready").text == "ready\n" and get(admin, "/live").text == "live\n"
    assert "fairlead_http_requests_total" in get(admin, "/metrics").text
    s.signal(signal.SIGTERM)
    wait_until(lambda: get(admin, "/ready").status == 503, 5, "503 of /ready")
    assert get(s.port, "/").status == 200 and get(admin, "/live").status == 200
    s.signal(signal.SIGTERM)
    assert s.wait(20) == 0


def test_the_pod_and_its_config_map_fit_each_other():
    config_map, made = pod()
    (sidecar,) = made["spec"]["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    ports = {port["name"]: port["containerPort"] for port in sidecar["ports"]}
    conf = config_map["data"]["fairlead.conf"]
    listens = {int(port) for port in re.findall(r"listen (\d+);", conf)}
    assert listens == set(ports.values())
    for probe in ("readinessProbe", "livenessProbe"):
        asked = sidecar[probe]["httpGet"]
        assert asked["port"] in ports and f"location = {asked['path']} " in conf
    mounts = {mount["name"]: mount["mountPath"] for mount in sidecar["volumeMounts"]}
    (path,) = [word for word in sidecar["args"] if word.endswith(".conf")]
    assert os.path.dirname(path) == mounts["conf"] and os.path.basename(path) in config_map["data"]
    assert path in sidecar["startupProbe"]["exec"]["command"] and "wait" in sidecar["startupProbe"]["exec"]["command"]
    delay, timeout = (int(re.search(rf"{name} (\d+)s;", conf).group(1)) for name in ("shutdown_delay", "worker_shutdown_timeout"))
    assert made["spec"]["terminationGracePeriodSeconds"] > delay + timeout


def test_the_container_configuration_serves(server):
    text = text_of("conf/dist/container.conf").replace("/tmp/", "%%PREFIX%%/").replace("/dev/stdout", "%%PREFIX%%/logs/access.log")
    text = text.replace("listen 8080;", "listen 127.0.0.1:%%PORT_0%%;").replace("include mime", f"include {ROOT}/conf/mime")
    s = server(text, files={"html/index.html": "hello\n"})
    assert get(s.port, "/").text == "hello\n" and get(s.port, "/ready").text == "ready\n"
    s.signal(signal.SIGTERM)
    assert s.wait() == 0
    assert "gracefully shutting down" in s.output()


# ---- conf/examples/gateway.conf

GATEWAY_PORTS = {"orders_a": 3001, "orders_b": 3002, "catalog": 3003, "policy": 3004, "shadow": 3005}


@pytest.fixture
def gateway(server, upstream, h2_upstream):
    """The gateway as printed, but for ports and a rate that a test reaches; its services by name."""
    def authorize(asked):
        if asked.header("X-Api-Key") != "good":
            return up.reply(401, "", {"WWW-Authenticate": "Key"})
        return up.reply(200, "", {"X-User": "ann"})
    def answer(name):
        return authorize if name == "policy" else lambda asked: up.reply(200, f"{name} {asked.target}")
    services = {name: upstream(up.serve(answer(name))) for name in GATEWAY_PORTS}
    services["collector"] = h2_upstream(lambda stream: stream.reply(
        200, b"\0\0\0\0\0", [("content-type", "application/grpc")], [("grpc-status", "0")]))
    text = text_of("conf/examples/gateway.conf")
    text = with_ports(text, {str(port): services[name].port for name, port in {**GATEWAY_PORTS, "collector": 4317}.items()})
    text = text.replace("listen 8000;", "listen 127.0.0.1:%%PORT_0%%;").replace("listen 127.0.0.1:9090;", "listen 127.0.0.1:%%PORT_1%%;")
    text = text.replace("sample=5%", "sample=100%").replace("10% on", "100% on").replace("rate=100r/s", "rate=1r/m")
    return server(text), services


def test_the_readme_prints_the_gateway():
    assert "```nginx\n" + text_of("conf/examples/gateway.conf") + "```" in text_of("README.md")


def test_the_gateway_lets_in_who_may_and_says_who_it_was(gateway):
    s, services = gateway
    assert get(s.port, "/orders/7").status == 401
    got = get(s.port, "/orders/7?x=1", headers={"X-Api-Key": "good", "X-User": "somebody else"})
    assert got.status == 200 and re.fullmatch(r"orders_[ab] /7\?x=1", got.text)
    (seen,) = services["orders_a"].requests + services["orders_b"].requests
    assert seen.header("X-User") == "ann" and seen.header("X-Forwarded-For") == "127.0.0.1"
    asked = services["policy"].requests[-1]
    assert (asked.target, asked.header("X-Original-URI"), asked.header("X-Original-Method")) == ("/check", "/orders/7?x=1", "GET")
    assert get(s.port, "/catalog/list").text == "catalog /list" and get(s.port, "/other").status == 404
    assert len(services["policy"].requests) == 2


def test_the_gateway_limits_mirrors_and_traces(gateway):
    s, services = gateway
    key = {"X-Api-Key": "good", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    statuses = [get(s.port, "/orders/", headers=key).status for _ in range(60)]
    assert statuses.count(200) == 51 and statuses.count(429) == 9
    assert get(s.port, "/catalog/").status == 200, "another client has its own rate"
    services["shadow"].wait_requests(51)
    assert services["shadow"].requests[0].target == "/orders/"
    seen = (services["orders_a"].requests + services["orders_b"].requests)[0]
    assert seen.header("traceparent").startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert seen.header("b3").startswith("0af7651916cd43dd8448eb211c80319c-")
    wait_until(lambda: "trace=0af7651916cd43dd8448eb211c80319c user=ann" in s.read("logs/access.log"), 5, "the log")
    wait_until(lambda: any(c.streams for c in services["collector"].connections), 10, "spans at the collector")


def test_the_gateway_goes_on_when_a_service_fails_and_says_when_it_leaves(gateway):
    s, services = gateway
    services["orders_a"].refuse()
    for _ in range(4):
        assert get(s.port, "/orders/", headers={"X-Api-Key": "good"}).text == "orders_b /"
    admin = s.ports[1]
    assert get(admin, "/ready").text == "ready\n" and "fairlead_upstream_retries_total" in get(admin, "/metrics").text
    s.reload(leaves_slowly(s.conf))
    s.signal(signal.SIGTERM)
    wait_until(lambda: get(admin, "/ready").status == 503, 5, "503 of /ready")
    s.signal(signal.SIGTERM)
    assert s.wait(20) == 0
