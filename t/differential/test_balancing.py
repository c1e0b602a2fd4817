# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Which peer serves which request, through Debian's nginx and through fairlead: weights, backups, peers that are down or dead, for every
method that is not left to chance."""

import os

import pytest

from lib import upstreams as up
from lib.client import Client
from lib.nginx import BINARY

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

# The servers of each group: A to E answer with their letter, X refuses, Y answers 503.
GROUPS = {
    "rr": "A weight=5; B; C;", "rr_down": "A weight=2; B down; C weight=3; D;", "rr_backup": "A; B weight=2; C backup;",
    "rr_dead": "A; X; B weight=3; C;", "rr_fails": "A; X max_fails=3 weight=4; B;", "rr_all_dead": "X; A backup; B backup weight=2;",
    "rr_503": "A weight=2; Y max_fails=2 weight=2; B;", "rr_one": "A;", "rr_one_backup": "X max_fails=0; C backup;",
    "lc": "A weight=3; B; C weight=2;", "lc_dead": "A weight=3; X; B;", "lc_backup": "X; A backup;",
    "ip": "A; B; C;", "ip_weight": "A weight=2; B down; C weight=3; D;", "ip_dead": "A; X; B weight=2;",
    "key": "A; B; C; D;", "key_weight": "A weight=2; B down; C weight=3; D;", "key_dead": "A; X weight=3; B; C;", "key_one": "A;",
    "ring": "A; B; C; D; E;", "ring_weight": "A weight=3; B; C down; D weight=2;", "ring_dead": "A; X; B; C;", "ring_one": "A;",
    "ring_twice": "A weight=1; B weight=3; A weight=5; C; C down; D weight=2; D weight=2;",
    "ring_twice_dead": "X; A; X weight=4; B weight=2;",
    "ring_503": "A; Y max_fails=0; B;",
}
METHODS = {"lc": "least_conn;", "ip": "ip_hash;", "key": "hash $arg_k;", "ring": "hash $arg_k consistent;"}
REQUESTS = 60


def make_conf(zone):
    groups = ""
    locations = ""
    for name, servers in GROUPS.items():
        lines = "".join(f"server 127.0.0.1:%%{line.split()[0]}%% {' '.join(line.split()[1:])}; " for line in servers.split(";") if line)
        shared = f"zone {name} 256k;" if zone else ""
        groups += f"    upstream {name} {{ {shared} {METHODS.get(name.split('_')[0], '')} {lines} }}\n"
        locations += f"        location /{name} {{ proxy_pass http://{name}; }}\n"
    return ("events {}\nhttp {\n    proxy_http_version 1.1;\n    proxy_set_header Connection close;\n"
            "    proxy_next_upstream error timeout http_503;\n"
            f"{groups}    server {{\n        listen 127.0.0.1:%%PORT_0%%;\n{locations}    }}\n}}\n")


def choices(server, name):
    """The letters that answered, with X for no live upstreams."""
    got = ""
    by_address = name.startswith("ip")
    client = None if by_address else Client(server.port)
    for i in range(REQUESTS):
        key = "" if i % 10 == 9 else f"key-{i * 7919}"
        one = client or Client(server.port, source=f"127.{i % 7}.{i * 3 % 11}.{i + 1}")
        reply = one.get(f"/{name}?k={key}")
        got += reply.text if reply.status == 200 else f"[{reply.status}]"
        if by_address:
            one.close()
    if client:
        client.close()
    return got


@pytest.mark.parametrize("zone", [False, True], ids=["own", "zone"])
def test_the_same_peers_are_chosen(server, nginx, upstream, zone):
    peers = {letter: upstream(up.serve(lambda r, letter=letter: up.reply(200, letter, {"Connection": "close"}))) for letter in "ABCDE"}
    peers["Y"] = upstream(up.serve(lambda r: up.reply(503, "busy", {"Connection": "close"})))
    refused = up.Refused()
    ports = {**{letter: u.port for letter, u in peers.items()}, "X": refused.port}
    conf = make_conf(zone)
    ours, theirs = server(conf, **ports), nginx(conf, **ports)
    wrong = [f"{name}: {GROUPS[name]}\n   ours: {a}\n  nginx: {b}" for name in GROUPS
             if (a := choices(ours, name)) != (b := choices(theirs, name))]
    refused.stop()
    assert not wrong, "\n".join(wrong)
