# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The rule of rooms: which room may include which, whose libraries they may use, and that no include goes in a circle."""

import re

ROOMS = {
    "core": {"core"},
    "event": {"core", "event"},
    "http": {"core", "event", "http"},
    "stream": {"core", "event", "stream"},
    "modules": {"core", "event", "http", "stream"},
}
# A library header (its beginning) and the rooms that may include it; everything else in angle brackets is libc or the standard library.
LIBRARIES = {
    "nghttp2/": {"http", "modules"},
    "ares": {"event", "modules"},
    "zlib.h": {"event", "modules"},
    "openssl/ssl.h": {"event", "modules", "main"},
    "openssl/": {"core", "event", "modules", "main"},
    "pcre2": {"core", "modules"},
    "lua.hpp": {"modules"},
    "fmt/": {"core"},
    "lua": {"modules"},
    "nlohmann/": {"modules"},
    "sys/epoll.h": {"event"},
}
GENERATED = {"module_list.h": {"main"}, "build_config.h": {"core", "main"}}


def layers(file):
    if not file.is_product:
        return
    own = "/".join(file.path.split("/")[:2]) + "/" if file.room == "modules" and file.path.count("/") > 1 else None
    for number, quoted in file.includes:
        name = quoted[1:-1]
        if quoted[0] == "<":
            library = next((l for l in LIBRARIES if name.startswith(l)), None)
            if library and file.room not in LIBRARIES[library]:
                yield number, f"<{name}> is not for room {file.room}"
            continue
        if name in GENERATED:
            if file.room not in GENERATED[name]:
                yield number, f"{name} is not for room {file.room}"
            continue
        if "/" not in name:
            if own is None and file.room != "main":  # the composition root lies in src itself
                yield number, f'"{name}": write the path from src, as in "core/base/error.h"'
            continue
        room = name.split("/")[0]
        if room == "modules":
            if own is None or not name.startswith(own):
                yield number, f"{name}: nobody includes a module; its parts are included from its own folder only"
        elif file.room != "main" and room not in ROOMS.get(file.room, ()):
            yield number, f"room {file.room} may not include room {room}"


def umbrella(file):
    """A header that declares nothing only passes other headers on."""
    if not file.is_product or not file.path.endswith(".h"):
        return
    rest = re.sub(r"^[ \t]*#.*$", "", file.code, flags=re.M)
    rest = re.sub(r"\bnamespace\b[\w:\s]*\{|\}", "", rest)
    if not rest.strip():
        yield 1, "a header that only includes others: include what is used"


def include_circles(files):
    """The headers of the product that include each other in a circle: (file, line, message)."""
    headers = {f.path.removeprefix("src/"): f for f in files if f.is_product}
    state = {}

    def visit(name, trail):
        state[name] = "open"
        for number, quoted in headers[name].includes:
            target = quoted[1:-1]
            if quoted[0] == '"' and "/" not in target:
                target = name.rsplit("/", 1)[0] + "/" + target
            if target not in headers:
                continue
            if state.get(target) == "open":
                yield headers[name], number, "circle of includes: " + " -> ".join(trail[trail.index(target):] + [target])
            elif target not in state:
                yield from visit(target, trail + [target])
        state[name] = "done"

    for name in sorted(headers):
        if name not in state:
            yield from visit(name, [name])


RULES = {"layers": layers, "umbrella": umbrella}
