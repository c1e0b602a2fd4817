#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Requests per second and p99 with 512 busy keepalive connections, as ratios to nginx's and haproxy's in the same run."""

import cpu
import subjects


def measure(options):
    return cpu.summary(cpu.compare(options))


def show(result, connections):
    cpu.show(result, f"256 bytes, {connections} connections")
    for name, ratio in result["ratio"].items():
        print(f"{name}: req/s {ratio['per_second']:.3f}, p99 {ratio['p99_us']:.3f}")


def main():
    options = subjects.arguments(__doc__, seconds=4, rounds=3, connections=512).parse_args()
    result = measure(options)
    show(result, options.connections)
    subjects.finish(options, result)


if __name__ == "__main__":
    main()
