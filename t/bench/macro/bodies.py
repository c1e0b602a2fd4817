#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Processor time per proxied reply of 64 KiB and of 1 MiB, as ratios to nginx's in the same run.

Buffering is on and temporary files are off on both sides, so that the figure is the relay's and not the file system's; --temp-files
leaves nginx's default.
"""

import cpu
import subjects

SIZES = (("64k", "64 KiB"), ("1m", "1 MiB"))


def measure(options, temp_files=False):
    location = "" if temp_files else "            proxy_max_temp_file_size 0;"
    return {name: cpu.summary(cpu.compare(options, "/" + name, haproxy=False, location=location)) for name, _ in SIZES}


def show(result):
    for name, title in SIZES:
        cpu.show(result[name], f"bodies of {title}")


def main():
    parser = subjects.arguments(__doc__, seconds=3, rounds=3, connections=16)
    parser.add_argument("--temp-files", action="store_true")
    options = parser.parse_args()
    result = measure(options, options.temp_files)
    show(result)
    subjects.finish(options, result)


if __name__ == "__main__":
    main()
