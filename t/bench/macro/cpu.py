#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Processor time per small proxied request: nginx, haproxy and fairlead in turns in one run, as ratios.

Keepalive on both sides, replies of 256 bytes, the subject alone on its core. `total` is exact (schedstat); the split into user and system
is sampled by the timer tick, so the user ratio is also given over all rounds together (`pooled`), which is the figure to judge by.
"""

import subjects


def pooled(rounds, key):
    requests = sum(r["requests"] for r in rounds)
    return sum(r[key] * r["requests"] for r in rounds) / requests


def in_turns(options, makers, loads):
    """`makers`: name -> function that gives a subject not yet started; `loads`: case -> what wrk() takes. case -> name -> rounds."""
    rounds = {}
    with subjects.all_running(makers) as running:
        for case, load in loads.items():
            for subject in running.values():
                subjects.wrk(subject.port, connections=options.connections, seconds=1, **load)
            rounds[case] = subjects.in_turns(options.rounds, running, lambda subject: subjects.measured_load(
                subject, connections=options.connections, seconds=options.seconds, **load))
    return rounds


def compare(options, path="/", haproxy=True, location="", floor=None):
    with subjects.Origin() as origin:
        makers = subjects.makers(options, haproxy, location=location,
                                 keepalive=2 * options.connections, connections=1024 + 4 * options.connections)
        if floor:
            makers["floor"] = lambda origin: subjects.Prototype(origin, floor)
        started = {name: lambda make=make: make(origin.port) for name, make in makers.items()}
        return in_turns(options, started, {path: {"path": path}})[path]


def summary(rounds):
    keys = ("per_second", "total_us", "user_us", "system_us", "p50_us", "p99_us")
    result = {"rounds": rounds, "median": {n: {k: subjects.median_of(r, k) for k in keys} for n, r in rounds.items()}, "ratio": {}}
    for other in ("nginx", "haproxy"):
        if "fairlead" in rounds and other in rounds:
            mine, theirs = rounds["fairlead"], rounds[other]
            ratio = {k: subjects.ratio_of(mine, theirs, k) for k in keys}
            for key in ("total_us", "user_us"):
                ratio["pooled_" + key] = pooled(mine, key) / pooled(theirs, key)
            result["ratio"]["fairlead/" + other] = ratio
    if "floor" in rounds:
        result["floor"] = subjects.ratio_of(rounds["floor"], rounds["nginx"], "total_us")
    return result


def show(result, title):
    print(title)
    rows = [[n, m["per_second"], m["total_us"], m["user_us"], m["system_us"], m["p50_us"], m["p99_us"]]
            for n, m in result["median"].items()]
    subjects.table(rows, ["subject", "req/s", "total us/req", "user us/req", "sys us/req", "p50 us", "p99 us"])
    rows = [[n, r["per_second"], r["total_us"], r["pooled_total_us"], r["user_us"], r["pooled_user_us"]]
            for n, r in result["ratio"].items()]
    if rows:
        subjects.table(rows, ["ratio", "req/s", "total", "total pooled", "user", "user pooled"])
    if "floor" in result:
        print(f"total of a relay that does nothing but the four data calls, of nginx's: {result['floor']:.3f}")


def show_cases(results, what):
    """Of case -> summary(): a row each; what nginx does not have is ours alone. `floor`: a server of nothing but data calls."""
    rows, with_floor = [], any("floor" in result for result in results.values())
    for case, result in results.items():
        ours, theirs = result["median"]["fairlead"], result["median"].get("nginx")
        ratio = result["ratio"].get("fairlead/nginx")
        rows.append([case, theirs["total_us"] if theirs else "-", ours["total_us"],
                     *([ratio[k] for k in ("total_us", "pooled_total_us", "pooled_user_us")] if ratio else ["-"] * 3)])
        if with_floor:
            rows[-1].append(result.get("floor", "-"))
    subjects.table(rows, [what, "nginx us/req", "fairlead us/req", "ratio", "pooled", "user pooled"] + ["floor"] * with_floor)


def add_floor(parser):
    parser.add_argument("--floor", metavar="CMD", help="beside them t/bench/macro/floor.cc, built: what the kernel alone costs")


def run_cases(description, measure, cases, what, floor=False):
    """The whole of a benchmark of several cases: `measure(options, cases)` gives case -> summary(). `floor`: it can measure one too."""
    parser = subjects.arguments(description, seconds=2, rounds=5)
    parser.add_argument("--case", action="append", choices=cases)
    if floor:
        add_floor(parser)
    options = parser.parse_args()
    results = measure(options, options.case or cases)
    show_cases(results, what)
    subjects.finish(options, results)


def main():
    parser = subjects.arguments(__doc__)
    add_floor(parser)
    options = parser.parse_args()
    result = summary(compare(options, floor=options.floor))
    show(result, f"256 bytes, {options.connections} connections, {options.rounds} rounds of {options.seconds:g} s")
    subjects.finish(options, result)


if __name__ == "__main__":
    main()
