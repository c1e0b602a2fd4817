#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Runs every macro benchmark against one binary and prints one table: figure, limit, verdict. Exit status 1 if a limit is broken."""

import argparse
import sys

import auth
import bodies
import conns
import cpu
import features
import idle
import idle_tls
import instructions
import latency
import lua
import mesh
import size
import start
import subjects
import syscalls
import tls
import wakes

TLS_LIMITS = {"keepalive": 0.85, "h2": 0.80, "full": 1.0, "resumed": 1.0}


def of_tls(options, details):
    kinds = details["tls"] = tls.show(tls.measure(options, round(30_000 * options.scale)))
    print()
    return [(f"cpu of TLS, {kind}, of nginx's", kinds[kind]["ratio"]["total_us"], limit) for kind, limit in TLS_LIMITS.items()]


def of_features(options, keep):
    local = keep("features", features.measure(options), features)
    found = [(f"cpu of {case}, of nginx's", local[case]["ratio"]["fairlead/nginx"]["total_us"], 1.0) for case in features.LOADS]
    found.append(("cpu of a known token, of an auth_request", local["auth_jwt"]["median"]["fairlead"]["total_us"] /
                  local["auth_request"]["median"]["fairlead"]["total_us"], None))
    hooks = keep("lua", lua.measure(options), lua)
    for case in lua.CASES[1:]:
        found.append((f"cpu of a Lua {case} hook, of nginx's", hooks[case]["ratio"]["fairlead/nginx"]["total_us"], 0.80))
    return found


def figures(options):
    """(what, value, limit or None) for each figure; details go into the second value."""
    found, details = [], {}

    def keep(name, result, module, *more):
        details[name] = result
        module.show(result, *more)
        print()
        return result

    def set_load(seconds, rounds, connections=32):
        options.seconds, options.rounds, options.connections = seconds * options.scale, max(1, round(rounds * options.scale)), connections

    set_load(4, 5)
    small = keep("cpu", cpu.summary(cpu.compare(options, floor=options.floor)), cpu, "256 bytes, 32 connections")["ratio"]
    found += [("cpu per request, total, of nginx's", small["fairlead/nginx"]["total_us"], 0.80),
              ("cpu per request, user, of nginx's", small["fairlead/nginx"]["pooled_user_us"], 0.50),
              ("cpu per request, total, of haproxy's", small["fairlead/haproxy"]["total_us"], None)]
    if "floor" in details["cpu"]:
        found.append(("cpu of a relay that does nothing, total, of nginx's", details["cpu"]["floor"], None))
    found.append(("data system calls per request", keep("syscalls", syscalls.measure(options), syscalls)["fairlead"]["data"], 4.01))
    if options.binary and instructions.can_count():
        counted = keep("instructions", instructions.measure(options), instructions)
        found.append(("user instructions per request, of nginx's", counted["fairlead"] / counted["nginx"], None))
    set_load(3, 3, 16)
    big = keep("bodies", bodies.measure(options), bodies)
    found += [(f"cpu per {title} body, of nginx's", big[name]["ratio"]["fairlead/nginx"]["total_us"], 1.05) for name, title in bodies.SIZES]
    set_load(4, 3, 512)
    many = keep("conns", conns.measure(options), conns, 512)["ratio"]["fairlead/nginx"]
    found += [("nginx's req/s over ours, 512 connections", 1 / many["per_second"], 1 / 0.95),
              ("p99 of nginx's, 512 connections", many["p99_us"], 1.10)]
    set_load(3, 3, 1)
    one = keep("latency", latency.measure(options), latency)["fairlead/nginx"]
    found += [("p50 of nginx's, 1 connection", one["p50_us"], 1.05), ("p99 of nginx's, 1 connection", one["p99_us"], 1.10)]
    if options.binary:
        asked = keep("auth", auth.measure(options), auth)
        found += [("us that ext_authz adds by HTTP, p50", asked["http"]["added_p50_us"], 150.0),
                  ("us that ext_authz adds by gRPC, p50", asked["grpc"]["added_p50_us"], 150.0),
                  ("us of processor that a known token adds", asked["jwt"]["added_total_us"], None)]
    quiet = keep("idle", idle.measure(options), idle, 10000)["fairlead"]
    found.append(("KiB per idle connection", quiet["bytes_per_connection"] / 1024 if quiet["all_open"] else float("inf"), 0.9))
    if options.binary:
        secret = keep("idle_tls", idle_tls.measure(options), idle_tls)
        found.append(("memory per idle TLS connection, of nginx's", idle_tls.ratio(secret), 1.0))
        set_load(2, 3, 16)
        found += of_tls(options, details)
        set_load(3, 3, 1)
        pair = keep("mesh", mesh.measure(options), mesh)
        found += [("us that a pair of sidecars adds, p50", pair["fairlead"]["added_p50_us"], None),
                  ("us that a pair of sidecars adds, p99", pair["fairlead"]["added_p99_us"], None),
                  ("p50 that a pair of sidecars adds, of nginx's", pair["fairlead/nginx"]["added_p50_us"], 1.05),
                  ("p99 that a pair of sidecars adds, of nginx's", pair["fairlead/nginx"]["added_p99_us"], None)]
        set_load(2, 5)
        found += of_features(options, keep)
    set_load(1, 10)
    began = keep("start", start.measure(options), start)["fairlead"]
    found += [("ms from exec to first answer", began["median_start_ms"], 20.0)]
    if began["median_respawn_ms"] is not None:
        found.append(("ms from SIGKILL of the worker to an answer", began["median_respawn_ms"], 20.0))
    set_load(5, 1)
    found.append(("wake-ups of the idle processes", keep("wakes", wakes.measure(options), wakes)["fairlead"]["wakes"], 0))
    weight = keep("size", size.measure(options), size)["fairlead"]
    found.append(("PSS of the sidecar, MB", weight["pss"] / 1e6, 5.0))
    if "stripped_bytes" in weight:
        found.append(("stripped binary, MB", weight["stripped_bytes"] / 1e6, 3.0))
    return found, details


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--binary", help="a built fairlead")
    which.add_argument("--prototype", metavar="CMD", help="run as CMD LISTEN_PORT ORIGIN_PORT")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies durations and rounds: 0.5 for a quick look")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--floor", metavar="CMD", help="t/bench/macro/floor.cc, built: measured beside the others in cpu")
    options = parser.parse_args()
    found, details = figures(options)
    rows = [[what, float(value), "-" if limit is None else f"{limit:.2f}", "" if limit is None else ("ok" if value <= limit else "BROKEN")]
            for what, value, limit in found]
    subjects.table(rows, ["figure", "fairlead", "limit", ""])
    subjects.finish(options, {"figures": [{"what": w, "value": v, "limit": l} for w, v, l in found], "details": details})
    return any(limit is not None and value > limit for _, value, limit in found)


if __name__ == "__main__":
    sys.exit(main())
