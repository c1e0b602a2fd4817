# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""`server NAME resolve` and `service=` in groups with a zone: one worker asks, all follow, and what is known outlives reloads."""

import collections
import os
import signal
import time

import pytest

from lib import upstreams as up
from lib.client import Client, get
from lib.dns import NXDOMAIN, SERVFAIL, a
from lib.ports import TIME_SCALE, wait_until

CONF = """
worker_processes {workers};
events {}
http {
    upstream named {
        zone named 128k;
        {resolver}
        {server}
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://named; proxy_connect_timeout 20s; }
    }
}
"""
RESOLVER = "resolver 127.0.0.1:%%DNS%% ipv6=off; resolver_timeout 60s;"
IMPATIENT = RESOLVER.replace("resolver_timeout 60s", "resolver_timeout 1s")  # where the name server is silent and somebody waits


def conf(server, resolver=RESOLVER, workers=3):
    return CONF.replace("{server}", server).replace("{resolver}", resolver).replace("{workers}", str(workers))


@pytest.fixture
def hosts():
    made = up.Hosts(*(f"127.0.0.{i}" for i in range(21, 25)))
    yield made
    made.stop()


def answers(server, requests=12):
    return collections.Counter(get(server.port, "/").text for _ in range(requests))


def wait_answers(server, *hosts, seconds=10):
    wait_until(lambda: set(answers(server)) == set(hosts), seconds, f"answers of {hosts}")


def test_one_worker_asks_and_all_follow(server, names, hosts):
    one, two, three, _ = hosts.names
    names.answers["app.test"] = a(one)
    s = server(conf("server app.test:%%UP%% resolve;"), DNS=names.port, UP=hosts.port)
    s.wait_workers(3)
    assert set(answers(s)) == {one}  # no request came too early
    names.answers["app.test"] = a(two, three)
    wait_answers(s, two, three)
    began, asked = time.monotonic(), names.asked("app.test")
    names.wait_asked("app.test", asked + 4)
    assert names.asked("app.test") - asked <= time.monotonic() - began + 1.5  # by the TTL of a second, not three times that
    names.answers["app.test"] = a(one, two, three)
    wait_answers(s, one, two, three)


def test_valid_goes_before_the_ttl(server, names, hosts):
    one, two = hosts.names[:2]
    names.answers["app.test"] = a(one, ttl=3600)
    s = server(conf("server app.test:%%UP%% resolve;", RESOLVER.replace("ipv6=off", "ipv6=off valid=1s")), DNS=names.port, UP=hosts.port)
    wait_answers(s, one)
    names.answers["app.test"] = a(two, ttl=3600)
    wait_answers(s, two)


def test_a_failing_name_server_takes_nothing_and_an_unknown_name_all(server, names, hosts):
    one, two = hosts.names[:2]
    names.answers["app.test"] = a(one, two)
    s = server(conf("server app.test:%%UP%% resolve;"), DNS=names.port, UP=hosts.port)
    wait_answers(s, one, two)
    names.answers["app.test"] = SERVFAIL
    s.wait_for_log(r'\[error\].*app.test could not be resolved \(2: Server failure\) in upstream "named"')
    assert set(answers(s)) == {one, two}
    names.answers["app.test"] = NXDOMAIN
    wait_until(lambda: get(s.port, "/").status == 502, 15, "the end of its peers")
    s.wait_for_log("no live upstreams while connecting to upstream")
    names.answers["app.test"] = a(two)
    wait_answers(s, two, seconds=15)


def test_a_family_whose_question_fails_keeps_its_addresses(server, names):
    four, six = "127.0.0.21", "::1"
    hosts = up.Hosts(four, six)
    names.answers["both.test"] = [("A", four, 1), ("AAAA", six, 1)]
    s = server(conf("server both.test:%%UP%% resolve;", RESOLVER.replace("ipv6=off", "")), DNS=names.port, UP=hosts.port)
    wait_answers(s, four, six)
    names.answers["both.test", "AAAA"] = SERVFAIL
    names.wait_asked("both.test", names.asked("both.test", "AAAA") + 2, "AAAA")
    assert set(answers(s)) == {four, six}
    names.answers["both.test", "AAAA"] = []  # an answer: there are none
    wait_answers(s, four, seconds=20)
    hosts.stop()


@pytest.mark.parametrize("gone", [SERVFAIL, "silent"])
def test_what_workers_learnt_survives_a_reload_without_a_name_server(server, names, hosts, gone):
    one, two = hosts.names[:2]
    names.answers["app.test"] = a(one)
    s = server(conf("server app.test:%%UP%% resolve;"), DNS=names.port, UP=hosts.port)
    names.answers["app.test"] = a(two)
    wait_answers(s, two)  # learnt since the start
    if gone == "silent":
        names.silent.add("app.test")
    else:
        names.answers["app.test"] = gone
    for _ in range(3):
        s.reload()
        began = time.monotonic()
        assert set(answers(s, 6)) == {two}
        assert time.monotonic() - began < 30  # nobody waits for an answer


def test_the_state_of_resolved_peers_survives_a_reload(server, names, hosts):
    one, _, _, _ = hosts.names
    dead = "127.0.0.99"
    names.answers["app.test"] = a(one)
    s = server(conf("server app.test:%%UP%% resolve max_fails=1 fail_timeout=600s;"), DNS=names.port, UP=hosts.port)
    wait_answers(s, one)
    names.answers["app.test"] = a(dead, one)
    wait_until(lambda: set(answers(s)) == {one} and "connect() failed" in s.log(), 10, "the dead peer's failure")
    assert s.log().count("connect() failed") == 1
    for workers in (1, 4):
        s.reload(conf("server app.test:%%UP%% resolve max_fails=1 fail_timeout=600s;", workers=workers))
        assert answers(s) == {one: 12}
    assert s.log().count("connect() failed") == 1


@pytest.mark.parametrize("zone", ["zone named 128k;", ""])
@pytest.mark.parametrize("changes", [((0, 1), (0, 2)), ((1,), (0, 2))], ids=["others come", "it leaves and comes back"])
def test_running_requests_count_when_peers_change(server, names, hosts, zone, changes):
    full = hosts.names[0]
    hosts[full].scripts = [[up.request(), up.hold()]]
    names.answers["app.test"] = a(full)
    text = conf("server app.test:%%UP%% resolve max_conns=1;", workers=1).replace("zone named 128k;", zone)
    s = server(text, DNS=names.port, UP=hosts.port)
    with Client(s.port) as first:
        first.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        hosts[full].wait_requests(1)
        for answer in changes:
            names.answers["app.test"] = a(*(hosts.names[i] for i in answer))
            wait_answers(s, hosts.names[answer[-1]])  # nothing that the full one would hold
        assert len(hosts[full].requests) == 1


def test_the_name_server_may_come_later(server, names, hosts):
    """The start does not wait for it; requests do, as long as resolver_timeout says."""
    names.silent.add("app.test")
    began = time.monotonic()
    s = server(conf("server app.test:%%UP%% resolve;", IMPATIENT), DNS=names.port, UP=hosts.port)
    assert time.monotonic() - began < 5 * TIME_SCALE
    assert get(s.port, "/").status == 502
    names.answers["app.test"] = a(hosts.names[0])
    names.silent.clear()
    wait_answers(s, hosts.names[0], seconds=15)


def test_a_killed_worker_does_not_end_the_asking(server, names, hosts):
    one, two = hosts.names[:2]
    names.answers["app.test"] = a(one)
    s = server(conf("server app.test:%%UP%% resolve;", workers=2), DNS=names.port, UP=hosts.port,
               allow_log=[r"\[alert\].*exited on signal 9"])
    wait_answers(s, one)
    before = s.wait_workers(2)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(s.workers()) - set(before)) == 2, 10, "new workers")
    names.answers["app.test"] = a(two)
    wait_answers(s, two)


def test_a_name_that_is_silent_holds_up_no_other(server, names, hosts):
    one, two = hosts.names[:2]
    names.silent.add("slow.test")
    names.answers["app.test"] = a(one)
    s = server(conf("server slow.test:%%UP%% resolve; server app.test:%%UP%% resolve;"),
               DNS=names.port, UP=hosts.port)
    wait_answers(s, one)
    names.answers["app.test"] = a(two)
    wait_answers(s, two)


@pytest.mark.parametrize("line", ["server many.test:%%UP%% resolve;", "server many.test service=http resolve;"])
def test_all_addresses_of_a_name_serve(server, names, line):
    many = up.Hosts(*(f"127.0.3.{i}" for i in range(1, 101)))
    names.truncate.update({"many.test", "_http._tcp.many.test"})  # the rest comes over TCP
    names.answers["many.test"] = a(*many.names, ttl=60)
    names.answers["_http._tcp.many.test"] = srv(*((0, 1, many.port, f"t{i}.test") for i in range(100)), ttl=60)
    names.answers.update({f"t{i}.test": a(host, ttl=60) for i, host in enumerate(many.names)})
    s = server(conf(line, workers=1), DNS=names.port, UP=many.port)
    assert answers(s, 100) == dict.fromkeys(many.names, 1)
    many.stop()


def test_names_without_room_are_told_of(server, names, hosts):
    """32k hold the names of a group, but not hundreds of long ones."""
    long = "of-a-rather-long-name." * 8 + "test"
    servers = "".join(f"server n{i}.{long}:%%UP%% resolve;" for i in range(160))
    for i in range(160):
        names.answers[f"n{i}.{long}"] = a(hosts.names[0], ttl=60)
    s = server(conf(servers, workers=1).replace("128k", "32k"), DNS=names.port, UP=hosts.port)
    s.wait_for_log(r'\[error\].*zone of upstream "named" has no room for its names')
    wait_answers(s, hosts.names[0])


def test_a_zone_has_room_for_the_addresses_before_and_after(server, names):
    hosts = up.Hosts(*(f"127.0.4.{i}" for i in range(1, 127)))
    first, second = hosts.names[:63], hosts.names[63:]
    names.truncate.add("many.test")
    names.answers["many.test"] = a(*first)
    s = server(conf("server many.test:%%UP%% resolve;").replace("128k", "64k"), DNS=names.port, UP=hosts.port)
    for now in (first, second, first):
        names.answers["many.test"] = a(*now)
        wait_until(lambda: set(answers(s, 200)) == set(now), 15, "the other addresses")
    assert "has no room" not in s.log()
    hosts.stop()


# -- SRV

SERVICE = "server app.test service=http resolve {more};"


def srv(*records, ttl=1):
    return [("SRV", record, ttl) for record in records]


def test_a_service_gives_ports_weights_and_backups(server, names, hosts):
    one, two, three, four = hosts.names
    for i, host in enumerate(hosts.names):
        names.answers[f"t{i}.test"] = a(host, ttl=60)
    port = hosts.port
    names.answers["_http._tcp.app.test"] = srv((10, 3, port, "t0.test"), (10, 1, port, "t1.test"), (20, 5, port, "t2.test"))
    s = server(conf(SERVICE.replace("{more}", "fail_timeout=600s")), DNS=names.port, UP=hosts.port)
    assert answers(s, 40) == {one: 30, two: 10}
    names.answers["_http._tcp.app.test"] = srv((10, 0, port, "t1.test"), (20, 7, port, "t3.test"))
    wait_answers(s, two)
    hosts.all[two].leave()
    wait_answers(s, four)  # the first of its priority is gone: the next one serves
    assert names.asked("_http._tcp.app.test", "SRV") >= 2


@pytest.mark.parametrize("service, asked", [("http", "_http._tcp.app.test"), ("_web._udp", "_web._udp.app.test"),
                                            ("a.b.c", "a.b.c.app.test")])
def test_the_name_of_a_service(server, names, hosts, service, asked):
    names.answers["t.test"] = a(hosts.names[0], ttl=60)
    names.answers[asked] = srv((0, 0, hosts.port, "t.test"))
    s = server(conf(f"server app.test service={service} resolve;", workers=1), DNS=names.port, UP=hosts.port)
    wait_answers(s, hosts.names[0])


def test_the_weight_of_the_line_goes_before_that_of_the_record(server, names, hosts):
    one, two, three, _ = hosts.names
    names.answers.update({"t0.test": a(one, ttl=60), "t1.test": a(two, ttl=60), "plain.test": a(three, ttl=60)})
    names.answers["_http._tcp.app.test"] = srv((0, 9, hosts.port, "t0.test"), (0, 1, hosts.port, "t1.test"))
    s = server(conf(SERVICE.replace("{more}", "weight=2") + "server plain.test:%%UP%% resolve;"), DNS=names.port, UP=hosts.port)
    wait_answers(s, one, two, three)
    assert answers(s, 50) == {one: 20, two: 20, three: 10}


def test_a_target_that_fails_keeps_its_addresses(server, names, hosts):
    one, two, three, _ = hosts.names
    names.answers.update({"t0.test": a(one), "t1.test": a(two)})
    names.answers["_http._tcp.app.test"] = srv((0, 1, hosts.port, "t0.test"), (0, 1, hosts.port, "t1.test"))
    s = server(conf(SERVICE.replace("{more}", "")), DNS=names.port, UP=hosts.port)
    wait_answers(s, one, two)
    names.answers["t0.test"] = SERVFAIL
    s.wait_for_log(r"t0.test could not be resolved \(2: Server failure\) while resolving service http of app.test")
    names.answers["t1.test"] = a(three)
    wait_answers(s, one, three, seconds=15)


def test_a_target_that_does_not_exist_has_no_addresses(server, names, hosts):
    one, two, _, _ = hosts.names
    names.answers.update({"t0.test": a(one), "t1.test": a(two)})
    names.answers["_http._tcp.app.test"] = srv((0, 1, hosts.port, "t0.test"), (0, 1, hosts.port, "t1.test"))
    s = server(conf(SERVICE.replace("{more}", "")), DNS=names.port, UP=hosts.port)
    wait_answers(s, one, two)
    names.answers["t1.test"] = NXDOMAIN
    wait_answers(s, one)


def test_silent_targets_hold_up_no_other(server, names, hosts):
    """All are asked at once: the first answer waits for one time limit, not for one after another."""
    targets = [f"t{i}.test" for i in range(8)]
    names.answers[targets[0]] = a(hosts.names[0], ttl=60)
    names.silent.update(targets[1:])
    names.answers["_http._tcp.app.test"] = srv(*((0, 1, hosts.port, target) for target in targets), ttl=60)
    s = server(conf(SERVICE.replace("{more}", ""), IMPATIENT), DNS=names.port, UP=hosts.port)
    began = time.monotonic()
    wait_answers(s, hosts.names[0], seconds=20)
    assert time.monotonic() - began < 4  # of 7 that take a second each


def test_the_first_priority_that_has_an_address_is_no_backup(server, names, hosts):
    """The method knows no backups: they would get their requests in turns, whatever the key."""
    names.answers.update({f"t{i}.test": a(host, ttl=60) for i, host in enumerate(hosts.names)})
    names.answers["_http._tcp.app.test"] = srv((1, 1, hosts.port, "gone.test"), *((5, 1, hosts.port, f"t{i}.test") for i in range(4)))
    s = server(conf("hash $arg_key consistent;" + SERVICE.replace("{more}", "")), DNS=names.port, UP=hosts.port)
    for key in range(8):
        assert len({get(s.port, f"/?key={key}").text for _ in range(8)}) == 1


def test_a_service_that_fails(server, names, hosts):
    names.answers["_http._tcp.app.test"] = SERVFAIL
    s = server(conf(SERVICE.replace("{more}", ""), workers=1), DNS=names.port, UP=hosts.port)
    assert get(s.port, "/").status == 502
    s.wait_for_log(r'service http of app.test could not be resolved \(2: Server failure\) in upstream "named"')


def test_killed_workers_leave_their_room_to_others(server, names, hosts):
    """Each worker learns addresses of its own time; if they stayed when it is killed the zone would be full of them."""
    one = hosts.names[0]
    names.answers["app.test"] = a(one)
    text = conf("server app.test:%%UP%% resolve;", workers=1).replace("zone named 128k", "zone named 64k")
    s = server(text, DNS=names.port, UP=hosts.port, allow_log=[r"\[alert\].*exited on signal 9"])
    for turn in range(5):
        names.answers["app.test"] = a(one, *(f"127.1.{turn}.{i}" for i in range(1, 31)))
        asked = names.asked("app.test")
        wait_until(lambda: names.asked("app.test") >= asked + 2, 10, "the new answer to be taken")
        assert get(s.port, "/").text == one
        (worker,) = s.workers()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: worker not in s.workers() and s.workers(), 10, "another worker")
    wait_answers(s, one)
    assert "has no room for its peers" not in s.log()
