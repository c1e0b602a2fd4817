#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Golden tests of the command line and the configuration language: what the binary says to CASE.conf must be CASE.want, word for word.

The binary is run with -t, or with the words of a first line `# golden: -T`. CASE.want holds `exit N`, then stderr, then, if there is
any, stdout below a line `-- stdout`. The path of the configuration is written CONF, the prefix PREFIX; %%PORT_0%% in a case is a free
port and is written back as the place. A folder CASE.d is copied into the prefix first. UPDATE=1 rewrites the wants; names of cases as
arguments run only those.
"""

import difflib
import glob
import os
import re
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from lib.fairlead import Server  # noqa: E402


class Golden(Server):
    def globals(self):
        return ""

    def command(self, *more):
        return [self.binary, "-p", self.prefix + "/", "-c", self.conf_path, "-e", os.path.join(self.prefix, "logs/error.log"), *more]


def answer(case):
    """What CASE.want should hold."""
    with open(case + ".conf") as f:
        text = f.read()
    server = Golden(text)
    try:
        if os.path.isdir(case + ".d"):
            shutil.copytree(case + ".d", server.prefix, dirs_exist_ok=True)
        words = re.match(r"# golden: (.*)\n", text)
        done = server.run(*(words.group(1).split() if words else ["-t"]))
        got = f"exit {done.returncode}\n{done.stderr}" + (f"-- stdout\n{done.stdout}" if done.stdout else "")
        got = got.replace(server.conf_path, "CONF").replace(server.prefix, "PREFIX")
        for number, port in enumerate(server.ports):
            got = got.replace(str(port), f"%%PORT_{number}%%")
        if sanitizer := glob.glob(server.prefix + "/logs/sanitizer.*"):
            got += "".join(open(path).read() for path in sanitizer)
        return got
    finally:
        server.discard()


def main():
    names = sys.argv[1:]
    cases = sorted(path[:-5] for path in glob.glob(os.path.join(HERE, "*.conf")) if not names or os.path.basename(path)[:-5] in names)
    if names and len(cases) != len(names):
        print("no such case")
        return 1
    failures = 0
    for case in cases:
        got = answer(case)
        want = open(case + ".want").read() if os.path.exists(case + ".want") else ""
        if got == want:
            continue
        failures += 1
        name = os.path.basename(case)
        sys.stdout.writelines(difflib.unified_diff(want.splitlines(True), got.splitlines(True), name + ".want", "now"))
        if os.environ.get("UPDATE") == "1":
            with open(case + ".want", "w") as f:
                f.write(got)
    print(f"golden: {len(cases)} cases, {failures} " + ("rewritten" if os.environ.get("UPDATE") == "1" else "differ"))
    return 1 if failures and os.environ.get("UPDATE") != "1" else 0


if __name__ == "__main__":
    sys.exit(main())
