# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Each header of the product compiles alone. A header whose text and whose included texts have not changed is not compiled again."""

import concurrent.futures
import hashlib
import json
import os
import subprocess

FLAGS = ["-std=c++20", "-fsyntax-only", "-x", "c++", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror",
         "-D_GNU_SOURCE", "-DFAIRLEAD_VERSION=\"0\"", "-DFAIRLEAD_DEBUG=1"]


def library_flags():
    """Where the headers of libraries are that have folders of their own."""
    told = subprocess.run(["pkg-config", "--cflags", "luajit"], capture_output=True, text=True)
    return told.stdout.split()


class Headers:
    def __init__(self, root, files, build, compiler="g++"):
        self.root, self.compiler = root, compiler
        self.files = {f.path: f for f in files if f.is_product}
        self.flags = FLAGS + [f"-I{root}/src", f"-I{root}"] + library_flags()
        if build:
            self.flags.append(f"-I{build}/generated")
        self.flags += subprocess.run(["pkg-config", "--cflags", "openssl", "libpcre2-8", "zlib", "libcares"],
                                     capture_output=True, text=True).stdout.split()
        self.version = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout.split("\n")[0]

    def _closure(self, path, seen):
        seen.add(path)
        for _, quoted in self.files[path].includes:
            name = quoted[1:-1]
            for candidate in ("src/" + name, name, os.path.dirname(path) + "/" + name):
                if quoted[0] == '"' and candidate in self.files and candidate not in seen:
                    self._closure(candidate, seen)
        return seen

    def key(self, path):
        digest = hashlib.sha256(repr((self.version, [f for f in self.flags if self.root not in f])).encode())
        for name in sorted(self._closure(path, set())):
            digest.update(name.encode() + b"\0" + self.files[name].text.encode() + b"\0")
        return digest.hexdigest()

    def complaint(self, path):
        """What the compiler says about the header alone, or None."""
        done = subprocess.run([self.compiler] + self.flags + ["-include", os.path.join(self.root, path), "/dev/null"],
                              capture_output=True, text=True, timeout=120)
        return None if done.returncode == 0 else next((l for l in done.stderr.split("\n") if "error:" in l), done.stderr[:300])

    def violations(self, cache_path):
        """Yields (path, line, message). `cache_path` holds the keys of the headers that are known to be good."""
        good = set()
        if cache_path and os.path.exists(cache_path):
            with open(cache_path) as f:
                good = set(json.load(f))
        keys = {p: self.key(p) for p in sorted(self.files) if p.endswith(".h")}
        todo = [p for p, key in keys.items() if key not in good]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for path, complaint in zip(todo, pool.map(self.complaint, todo)):
                if complaint:
                    yield path, 1, "does not compile alone: " + complaint.strip()
                else:
                    good.add(keys[path])
        if cache_path:
            os.makedirs(os.path.dirname(cache_path), exist_ok=True)
            with open(cache_path + ".new", "w") as f:
                json.dump(sorted(good & set(keys.values())), f)
            os.replace(cache_path + ".new", cache_path)
