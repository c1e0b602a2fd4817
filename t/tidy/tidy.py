#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Checks the tree against the limits of the house: sizes, layers, names, banned calls, compiler traps, headers that compile alone.

ratchet.json holds what is not yet in order: violations by rule and file, and shares of long lines by folder, in thousandths. They may
only fall: `tidy.py --update` lowers them and refuses to raise any.
"""

import argparse
import collections
import json
import os
import subprocess
import sys

import headers
import rules_cpp
import rules_layers
import rules_text
import source

RULES = {**rules_text.RULES, **rules_cpp.RULES, **rules_layers.RULES}
LONG_LINE = 100
BINARY = (".png", ".gz", ".der", ".p12", ".bin", ".ico")
NOT_OURS = ("/corpus/",)


def tracked(root):
    """Paths of the files that git knows or would add; without git, all that is not built."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard"], capture_output=True, text=True)
    if listed.returncode == 0:
        paths = listed.stdout.split("\n")
    else:
        paths = [os.path.relpath(os.path.join(folder, name), root) for folder, _, names in os.walk(root) for name in names]
        paths = [p for p in paths if not p.startswith(("build", ".git/")) and "__pycache__" not in p]
    paths = {p for p in paths if p and not p.endswith(BINARY) and not any(n in p for n in NOT_OURS)}
    return sorted(p for p in paths if os.path.isfile(os.path.join(root, p)))


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace", newline="") as f:
        return source.SourceFile(path, f.read())


def check_file(file):
    """(rule, path, line, message) for one file."""
    return [(name, file.path, line, message) for name, rule in RULES.items() for line, message in rule(file)]


def check_tree(files):
    found = [v for file in files for v in check_file(file)]
    return found + [("include-circle", f.path, line, message) for f, line, message in rules_layers.include_circles(files)]


def long_line_shares(files):
    """folder -> lines over 100 columns in a thousand lines of code."""
    long, total = collections.Counter(), collections.Counter()
    for file in files:
        if file.is_cpp:
            folder = "/".join(file.path.split("/")[:2]) if file.path.startswith("src/") else file.path.split("/")[0]
            total[folder] += len(file.lines)
            long[folder] += sum(len(line) > LONG_LINE for line in file.lines)
    return {folder: 1000 * long[folder] // total[folder] for folder in sorted(total)}


def load_ratchet(path):
    if not os.path.exists(path):
        return {"violations": {}, "long_lines_permille": {}}
    with open(path) as f:
        return json.load(f)


def judge(violations, shares, ratchet):
    """(violations to report, what could be lowered)"""
    counts = collections.Counter((rule, path) for rule, path, _, _ in violations)
    allowed = {(rule, path): n for rule, paths in ratchet["violations"].items() for path, n in paths.items()}
    bad = [v for v in violations if counts[v[0], v[1]] > allowed.get((v[0], v[1]), 0)]
    lower = [f"{rule} {path}: {n} -> {counts[rule, path]}" for (rule, path), n in allowed.items() if counts[rule, path] < n]
    for folder, share in shares.items():
        limit = ratchet["long_lines_permille"].get(folder)
        if limit is not None and share > limit:
            bad.append(("long-lines", folder, 0, f"{share} of 1000 lines are over {LONG_LINE} columns, at most {limit}"))
        elif limit is not None and share < limit:
            lower.append(f"long lines in {folder}: {limit} -> {share}")
    return bad, lower


def lowered(violations, shares, ratchet):
    """The ratchet after the fall; what it does not name yet begins at what is there. It never rises."""
    counts = collections.Counter((rule, path) for rule, path, _, _ in violations)
    kept = {}
    for rule, paths in ratchet["violations"].items():
        left = {path: min(n, counts[rule, path]) for path, n in paths.items() if counts[rule, path]}
        if left:
            kept[rule] = left
    limits = {folder: min(share, ratchet["long_lines_permille"].get(folder, share)) for folder, share in shares.items()}
    return {"violations": kept, "long_lines_permille": limits}


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(here)))
    parser.add_argument("--build", help="build folder: generated headers, and the memory of headers known to be good")
    parser.add_argument("--no-headers", action="store_true", help="do not compile the headers")
    parser.add_argument("--update", action="store_true", help="lower the ratchet to what is there")
    parser.add_argument("paths", nargs="*", help="report only on these files")
    options = parser.parse_args()
    root, build = os.path.abspath(options.root), options.build and os.path.abspath(options.build)
    ratchet_path = os.path.join(here, "ratchet.json")
    ratchet = load_ratchet(ratchet_path)

    files = [read(root, path) for path in tracked(root)]
    violations = check_tree(files)
    if not options.no_headers:
        cache = os.path.join(build, "tidy-headers.json") if build else None
        violations += [("header-alone", *v) for v in headers.Headers(root, files, build).violations(cache)]
    shares = long_line_shares(files)
    if options.update:
        ratchet = lowered(violations, shares, ratchet)
        with open(ratchet_path, "w") as f:
            json.dump(ratchet, f, indent=1, sort_keys=True)
            f.write("\n")
    bad, lower = judge(violations, shares, ratchet)
    if options.paths:
        bad = [v for v in bad if v[1] in options.paths]
    for rule, path, line, message in bad:
        print(f"{path}:{line}: {message} [{rule}]")
    for text in lower:
        print(f"note: the ratchet can be lowered (tidy.py --update): {text}")
    print(f"tidy: {len(files)} files, {len(bad)} violations")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
