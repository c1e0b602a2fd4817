#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What one hop adds: p50 and p99 of one keepalive connection through each subject, and the origin asked directly, in turns."""

import subjects


def measure(options):
    rounds = {}
    with subjects.Origin() as origin:
        running = {}
        try:
            for name, make in subjects.makers(options).items():
                running[name] = make(origin.port).start()
            ports = {"direct": origin.port, **{n: s.port for n, s in running.items()}}
            for port in ports.values():
                subjects.wrk(port, "/", 1, 1)
            for _ in range(options.rounds):
                for name, port in ports.items():
                    rounds.setdefault(name, []).append(subjects.wrk(port, "/", 1, options.seconds))
        finally:
            for subject in running.values():
                subject.stop()
    direct = rounds["direct"]
    result = {}
    for name, mine in rounds.items():
        result[name] = {k: subjects.median_of(mine, k) for k in ("p50_us", "p99_us")}
        for k in ("p50_us", "p99_us"):
            result[name]["added_" + k] = subjects.statistics.median(a[k] - b[k] for a, b in zip(mine, direct))
    if "fairlead" in rounds:
        result["fairlead/nginx"] = {k: subjects.ratio_of(rounds["fairlead"], rounds["nginx"], k) for k in ("p50_us", "p99_us")}
    return result


def show(result):
    print("latency of one connection, microseconds")
    rows = [[n, r["p50_us"], r["p99_us"], r["added_p50_us"], r["added_p99_us"]] for n, r in result.items() if "/" not in n]
    subjects.table(rows, ["path", "p50", "p99", "added p50", "added p99"])
    if "fairlead/nginx" in result:
        ratio = result["fairlead/nginx"]
        print(f"fairlead/nginx: p50 {ratio['p50_us']:.3f}, p99 {ratio['p99_us']:.3f}")


def main():
    options = subjects.arguments(__doc__, seconds=3, rounds=3).parse_args()
    result = measure(options)
    show(result)
    subjects.finish(options, result)


if __name__ == "__main__":
    main()
