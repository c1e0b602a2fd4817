# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The reference of directives is what the binary says, every directive has its sentence, and every directive is tried by a test."""

import glob
import os
import re
import subprocess

import pytest

from lib.fairlead import default_binary

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Rows that are stamped from one table by their prefix: what is tried of one is tried of its twins.
BUNDLES = (("proxy_ssl_", "grpc_ssl_", "ext_authz_ssl_", "ssl_"), ("proxy_http2_", "grpc_http2_"), ("proxy_", "grpc_", "tunnel_"),
           ("proxy_ssl_", "ssl_"))
# The forms of a hook in Lua are rows of one macro.
LUA_FORMS = ("_by_lua_block", "_by_lua", "_by_lua_file")


def read(path):
    with open(path, errors="replace") as f:
        return f.read()


@pytest.fixture(scope="module")
def reference():
    return subprocess.run([default_binary(), "--list-directives"], capture_output=True, text=True, timeout=60, check=True).stdout


def names_of(reference):
    return set(re.findall(r"^### (\S+)$", reference, re.M))


def words_of_tests():
    """Everything that looks like a name in behaviour tests, unit tests, golden files and the lines that are compared with nginx's."""
    tests = [path for kind in ("py", "cc", "conf", "txt") for path in glob.glob(f"{ROOT}/t/**/*.{kind}", recursive=True)]
    tried = [path for path in tests if not re.match(rf"{re.escape(ROOT)}/t/(fuzz|bench|tidy|docs|lib)/", path)]
    return {word for path in tried for word in re.findall(r"\w+", read(path))}


def twins_of(name):
    for prefixes in BUNDLES:
        for prefix in prefixes:
            if name.startswith(prefix):
                yield from (other + name[len(prefix):] for other in prefixes if other != prefix)
    for form in LUA_FORMS:
        if name.endswith(form):
            yield from (name[:-len(form)] + other for other in LUA_FORMS)


def test_the_reference_is_what_the_binary_says(reference):
    assert read(f"{ROOT}/man/directives.md") == reference, "fairlead --list-directives > man/directives.md"


def test_every_directive_has_a_sentence(reference):
    without = []
    for name, entry in re.findall(r"^### (\S+)\n\n(.*?)(?=^##|\Z)", reference, re.M | re.S):
        if not [line for line in entry.splitlines() if line and not line.startswith(("- ", "Variables:"))]:
            without.append(name)
    assert not without


def test_every_directive_is_tried(reference):
    names, words = names_of(reference), words_of_tests()
    assert len(names) > 500
    untried = sorted(name for name in names if name not in words and not any(twin in names and twin in words for twin in twins_of(name)))
    assert not untried, "no test names them"
