# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Names of upstreams and their name server: what is asked, when, and what a changed answer changes."""

import threading
import time

import pytest

from lib import upstreams as up
from lib.client import Client, get
from lib.dns import NXDOMAIN, REFUSED, SERVFAIL, a
from lib.ports import TIME_SCALE, wait_until

CONF = """
worker_processes %%WORKERS%%;
events {}
http {
    resolver 127.0.0.1:%%DNS%% %%OPTIONS%%;
    resolver_timeout %%PATIENCE%%;
    %%GROUPS%%
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /var { proxy_pass http://$arg_host:%%UP%%; }
        location /var2 { set $backend http://$arg_host:%%UP%%/given; proxy_pass $backend; }
        location /group { proxy_pass http://named; }
        location /name { proxy_pass http://backend.test:%%UP%%; }
    }
}
"""
NAMED = "upstream named { %%ZONE%% server backend.test:%%UP%%; }"


@pytest.fixture
def hosts():
    made = up.Hosts("127.0.0.11", "127.0.0.12", "127.0.0.13")
    yield made
    made.stop()


def start(server, names, hosts, groups="", options="ipv6=off", workers=1, zone="", patience="30s", **more):
    groups = groups.replace("%%ZONE%%", zone).replace("%%UP%%", str(hosts.port))
    return server(CONF, PATIENCE=patience, GROUPS=groups, DNS=names.port, OPTIONS=options, WORKERS=workers, UP=hosts.port,
                  allow_log=[r"\[emerg\].*host not found"], **more)


def test_a_name_known_at_run_time_is_asked_for_once(server, names, hosts):
    names.answers["one.test"] = a("127.0.0.11", ttl=60)
    s = start(server, names, hosts)
    for name in ("one.test", "One.TEST", "one.test."):
        assert get(s.port, f"/var?host={name}").text == "127.0.0.11"
    assert get(s.port, "/var2?host=one.test").text == "127.0.0.11" and hosts["127.0.0.11"].last.target == "/given"
    assert [q for q in names.questions if q[0].lower().startswith("one.")] == [("one.test", "A", "udp")]


def test_all_addresses_take_turns(server, names, hosts):
    names.answers["three.test"] = a("127.0.0.11", "127.0.0.12", "127.0.0.13", ttl=60)
    s = start(server, names, hosts)
    assert {get(s.port, "/var?host=three.test").text for _ in range(9)} == set(hosts.all)


def test_a_dead_address_is_left_for_the_next(server, names, hosts):
    names.answers["two.test"] = a("127.0.0.99", "127.0.0.12", ttl=60)
    s = start(server, names, hosts)
    assert [get(s.port, "/var?host=two.test").text for _ in range(4)] == ["127.0.0.12"] * 4


@pytest.mark.parametrize("options, ttl, asked", [("ipv6=off", 1, 2), ("ipv6=off valid=60s", 0, 1), ("ipv6=off valid=1s", 60, 2),
                                                 ("ipv6=off", 60, 1), ("ipv6=off valid=4294967296s", 0, 1)])
def test_how_long_an_answer_holds(server, names, hosts, options, ttl, asked):
    names.answers["one.test"] = a("127.0.0.11", ttl=ttl)
    s = start(server, names, hosts, options=options)
    assert get(s.port, "/var?host=one.test").text == "127.0.0.11"
    names.answers["one.test"] = a("127.0.0.12", ttl=ttl)
    time.sleep(1.3)
    assert get(s.port, "/var?host=one.test").text == ("127.0.0.12" if asked == 2 else "127.0.0.11")
    assert names.asked("one.test") == asked


def test_a_ttl_of_zero_holds_for_nothing(server, names, hosts):
    names.answers["zero.test"] = a("127.0.0.11", ttl=0)
    s = start(server, names, hosts)
    for _ in range(3):
        get(s.port, "/var?host=zero.test")
    assert names.asked("zero.test") == 3


def test_aliases_and_large_answers(server, names, hosts):
    names.answers.update({"alias.test": [("CNAME", "next.test", 60)], "next.test": [("CNAME", "end.test", 60)],
                          "end.test": a("127.0.0.13", ttl=60), "large.test": a("127.0.0.12", ttl=60)})
    names.truncate.add("large.test")
    s = start(server, names, hosts)
    assert get(s.port, "/var?host=alias.test").text == "127.0.0.13"
    assert get(s.port, "/var?host=large.test").text == "127.0.0.12"
    assert ("large.test", "A", "tcp") in names.questions


@pytest.mark.parametrize("code, text", [(NXDOMAIN, "3: Host not found"), (SERVFAIL, "2: Server failure"),
                                        (REFUSED, "5: Operation refused")])
def test_errors_are_told_and_not_kept(server, names, hosts, code, text):
    names.answers["bad.test"] = code
    s = start(server, names, hosts)
    assert get(s.port, "/var?host=bad.test").status == 502
    s.wait_for_log(rf"\[error\].*bad.test could not be resolved \({text}\), client: 127.0.0.1")
    names.answers["bad.test"] = a("127.0.0.11")
    assert get(s.port, "/var?host=bad.test").text == "127.0.0.11"


def test_a_silent_server_is_a_timeout_and_waiting_clients_may_leave(server, names, hosts):
    names.silent.add("slow.test")
    s = start(server, names, hosts, patience="2s")
    leaving = [Client(s.port) for _ in range(3)]
    for c in leaving:
        c.send(b"GET /var?host=slow.test HTTP/1.1\r\nHost: h\r\n\r\n")
    names.wait_asked("slow.test")
    for c in leaving:
        c.close()
    assert get(s.port, "/var?host=slow.test").status == 502
    s.wait_for_log(r"slow.test could not be resolved \(110: Operation timed out\)")
    assert names.asked("slow.test") < 4 * 3  # asked together, again after a while
    names.answers["slow.test"] = a("127.0.0.11")
    names.silent.clear()
    # Not at once: a question may be under way that was asked of the silent server.
    wait_until(lambda: get(s.port, "/var?host=slow.test").text == "127.0.0.11")


# -- names in the configuration

@pytest.mark.parametrize("path, groups", [("/group", NAMED), ("/name", "upstream named { server 127.0.0.1:1; }")])
@pytest.mark.parametrize("workers, zone", [(1, ""), (3, ""), (3, "zone names 256k;")])
def test_a_changed_address_is_followed(server, names, hosts, path, groups, workers, zone):
    names.answers["backend.test"] = a("127.0.0.11")
    s = start(server, names, hosts, groups, workers=workers, zone=zone)
    wait_until(lambda: get(s.port, path).text == "127.0.0.11", 10, "the first address")
    names.answers["backend.test"] = a("127.0.0.12", "127.0.0.13")
    wait_until(lambda: {get(s.port, path).text for _ in range(12)} == {"127.0.0.12", "127.0.0.13"}, 10, "the new addresses")
    names.answers["backend.test"] = SERVFAIL
    time.sleep(1.5)
    assert all(get(s.port, path).text in hosts.all for _ in range(12))  # what is known stays
    s.wait_for_log(r"\[error\].*backend.test could not be resolved \(2: Server failure\) in upstream")


def test_requests_in_flight_end_on_the_address_they_began_with(server, names, hosts, upstream):
    gate = threading.Event()
    slow = upstream([up.request(), up.wait_for(gate), up.send(up.reply(200, "old"))], up.serve(lambda r: up.reply(200, "still")),
                    host="127.0.0.14", port=hosts.port)
    slow.port = None
    names.answers["backend.test"] = a("127.0.0.14")
    s = start(server, names, hosts, NAMED)
    wait_until(lambda: names.asked("backend.test"), 5, "the first question")
    with Client(s.port) as c:
        c.send(b"GET /group HTTP/1.1\r\nHost: h\r\n\r\n")
        slow.wait_requests(1)
        names.answers["backend.test"] = a("127.0.0.11")
        wait_until(lambda: get(s.port, "/group").text == "127.0.0.11", 10, "the new address")
        gate.set()
        assert c.read_reply().text == "old"


def test_unchanged_peers_keep_their_state(server, names, hosts):
    """A banned address is not tried again because another one came."""
    dead = "127.0.0.99"
    group = "upstream named { %%ZONE%% server backend.test:%%UP%% max_fails=1 fail_timeout=60s; }"
    for zone in ("", "zone names 256k;"):
        names.answers["backend.test"] = a(dead, "127.0.0.11")
        s = start(server, names, hosts, group, zone=zone)
        wait_until(lambda s=s: [get(s.port, "/group").text for _ in range(4)] == ["127.0.0.11"] * 4, 10, "the first addresses")
        assert s.log().count("connect() failed") == 1
        names.answers["backend.test"] = a(dead, "127.0.0.11", "127.0.0.12")
        wait_until(lambda s=s: {get(s.port, "/group").text for _ in range(6)} == {"127.0.0.11", "127.0.0.12"}, 10, "the new address")
        assert s.log().count("connect() failed") == 1


@pytest.mark.parametrize("path", ["/group", "/name"])
def test_no_request_fails_while_the_first_answer_is_awaited(server, names, hosts, path):
    """At the start and after each reload: the name is known to the test's name server only, so the master never knows it."""
    names.answers["backend.test"] = a("127.0.0.11", ttl=60)
    s = start(server, names, hosts, NAMED)
    assert get(s.port, path).text == "127.0.0.11"
    for _ in range(5):
        s.reload()
        assert get(s.port, path).text == "127.0.0.11"


def test_a_silent_name_server_does_not_stop_a_start(server, names, hosts):
    names.silent.add("backend.test")
    began = time.monotonic()
    s = start(server, names, hosts, NAMED, patience="2s")
    assert time.monotonic() - began < 10 * TIME_SCALE
    assert get(s.port, "/group").status == 502  # after resolver_timeout
    names.silent.clear()
    names.answers["backend.test"] = a("127.0.0.12")
    wait_until(lambda: get(s.port, "/group").text == "127.0.0.12", 15, "the address")


def test_a_name_that_does_not_resolve_is_down_until_it_does(server, names, hosts):
    s = start(server, names, hosts, NAMED)
    assert get(s.port, "/group").status == 502
    s.wait_for_log("no live upstreams while connecting to upstream")
    assert s.log().count("could not be resolved") <= 2  # told once per worker and name
    names.answers["backend.test"] = a("127.0.0.11")
    wait_until(lambda: get(s.port, "/group").text == "127.0.0.11", 15, "the address")


def test_strict_refuses_the_start(idle_server, names, hosts):
    s = start(idle_server, names, hosts, "resolve_at_start strict; " + NAMED)
    done = s.run("-t")
    assert done.returncode == 1 and 'host not found in upstream "backend.test:' in done.stderr
    s.set_conf(s.conf.replace("resolve_at_start strict", "resolve_at_start warn"))
    done = s.run("-t")
    assert done.returncode == 0 and "[warn]" in done.stderr and "test is successful" in done.stderr
    s.set_conf(s.conf.replace("resolve_at_start warn", "resolve_at_start maybe"))
    assert 'invalid value "maybe"' in s.run("-t").stderr


def test_the_time_of_the_request_bounds_the_search_for_its_name(server, names):
    names.silent.add("nobody.test")
    s = server("""
events {}
http {
    resolver 127.0.0.1:%%DNS%% ipv6=off;
    resolver_timeout 30s;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        set $name nobody.test;
        location / { proxy_request_timeout 300ms; proxy_pass http://$name:80/; }
    }
}
""", DNS=names.port)
    assert get(s.port, "/").status == 504  # the client waits for 5 s
    s.wait_for_log("upstream timed out: the request's time is over while forwarding")
