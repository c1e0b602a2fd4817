#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What one hop adds: p50 and p99 of one keepalive connection through each subject, and the origin asked directly, in turns."""

import subjects


def measure(options):
    with subjects.Origin() as origin:
        starters = {name: lambda make=make: make(origin.port) for name, make in subjects.makers(options).items()}
        with subjects.all_running(starters) as running:
            return compare(options, {"direct": origin.port, **{name: subject.port for name, subject in running.items()}})


def compare(options, ports):
    """`ports`: way -> where it begins, "direct" among them. For each way its percentiles and what it adds to the direct one."""
    for port in ports.values():
        subjects.wrk(port, "/", options.connections, 1)
    rounds = subjects.in_turns(options.rounds, ports, lambda port: subjects.wrk(port, "/", options.connections, options.seconds))
    result, keys = {}, ("p50_us", "p99_us")
    for way, mine in rounds.items():
        result[way] = {k: subjects.median_of(mine, k) for k in keys}
        for k in keys:
            result[way]["added_" + k] = subjects.statistics.median(a[k] - b[k] for a, b in zip(mine, rounds["direct"]))
    if "fairlead" in rounds:
        ratio = {k: subjects.ratio_of(rounds["fairlead"], rounds["nginx"], k) for k in keys}
        ratio |= {"added_" + k: result["fairlead"]["added_" + k] / max(result["nginx"]["added_" + k], 1e-9) for k in keys}
        result["fairlead/nginx"] = ratio
    return result


def show(result, title="latency of one connection, microseconds"):
    print(title)
    rows = [[n, r["p50_us"], r["p99_us"], r["added_p50_us"], r["added_p99_us"]] for n, r in result.items() if "/" not in n]
    subjects.table(rows, ["way", "p50", "p99", "added p50", "added p99"])
    if "fairlead/nginx" in result:
        print("fairlead/nginx: p50 {p50_us:.3f}, p99 {p99_us:.3f}, added p50 {added_p50_us:.3f}, added p99 {added_p99_us:.3f}".format(
            **result["fairlead/nginx"]))


if __name__ == "__main__":
    subjects.run(__doc__, measure, show, rounds=3, seconds=3, connections=1)
