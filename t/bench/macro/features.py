#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Processor time per request of what a server answers by itself: nginx and fairlead in turns in one run, as ratios.

`gif` is the plainest answer of the content phase, `limit_req` and `auth_request` the same behind a limit that lets all in and a subrequest
that says yes; `auth_jwt` is behind a token that is known already, which nginx has not: to be read beside `gif` and `auth_request`. The
locations are 200 prefixes and 50 regular expressions: `regex` is the last of these, `prefix` a long one that they do not stop.
"""

import json
import os

import auth
import cpu
import subjects

PREFIXES, PATTERNS = 200, 50
FOUR_KIB = "It is an ancient Mariner, and he stoppeth one of three. " * 74

CONF = subjects.HEAD + """\
    sendfile on;
    limit_req_zone $binary_remote_addr zone=clients:1m rate=1000000r/s;
    gzip_types text/plain;
    map $http_user_agent $is_bench {{ default other; ~^curl/ curl; ~bench tool; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        default_type text/plain;
        root {prefix}/files;
        location = /ready {{ return 200 ready; }}
        location = /return {{ return 200 "a text of some length for the body"; }}
        location = /variables {{ return 200 "$host $request_method $uri $args $arg_b $remote_addr $http_accept $is_bench $server_port"; }}
        location = /static {{ try_files /4k =404; }}
        location = /gzip {{ gzip on; try_files /4k =404; }}
        location = /gif {{ empty_gif; }}
        location = /limit_req {{ limit_req zone=clients burst=1000 nodelay; empty_gif; }}
        location = /auth_request {{ auth_request /policy; empty_gif; }}
        location = /policy {{ internal; return 204; }}
OURS
PREFIXES
        location = / {{ return 404; }}
PATTERNS
    }}
}}
"""

OURS = "        location = /auth_jwt {{ auth_jwt x token=$arg_t; auth_jwt_key_file {prefix}/keys.json; empty_gif; }}"


def conf(ours):
    prefixes = "".join(f"        location /api/v{i % 7}/service{i}/ {{{{ empty_gif; }}}}\n" for i in range(PREFIXES))
    patterns = "".join(f"        location ~ ^/app{i}/[a-z]+[.](php|cgi)$ {{{{ empty_gif; }}}}\n" for i in range(PATTERNS))
    return CONF.replace("OURS\n", ours + "\n").replace("PREFIXES\n", prefixes).replace("PATTERNS\n", patterns)


LOADS = {
    "return": {"path": "/return"},
    "variables": {"path": "/variables?a=1&b=2", "fields": ("User-Agent: a bench", "Accept: */*")},
    "static": {"path": "/static"},
    "gzip": {"path": "/gzip", "fields": ("Accept-Encoding: gzip",)},
    "gif": {"path": "/gif"},
    "limit_req": {"path": "/limit_req"},
    "auth_request": {"path": "/auth_request"},
    "regex": {"path": f"/app{PATTERNS - 1}/index.php"},
    "prefix": {"path": "/api/v4/service137/users/42/orders"},
}
OURS_ALONE = {"auth_jwt": {"path": f"/auth_jwt?t={auth.token()}"}}
CASES = (*LOADS, *OURS_ALONE)


def made(subject):
    """Gives a subject its files."""
    os.makedirs(subject.prefix + "/files")
    subject.write("files/4k", FOUR_KIB[:4096])
    subject.write("keys.json", json.dumps(auth.KEYS))
    return subject


def makers(options):
    # The patterns are compiled on both sides: nginx does not unless told to.
    found = {"nginx": lambda: made(CompilingNginx(0, conf=conf("")))}
    if options.binary:
        found["fairlead"] = lambda: made(subjects.Fairlead(0, os.path.abspath(options.binary), conf=conf(OURS)))
    return found


class CompilingNginx(subjects.Nginx):
    main = subjects.Nginx.main + "\npcre_jit on;"


def measure(options, cases=CASES):
    """case -> what cpu.summary() gives."""
    found = makers(options)
    rounds = cpu.in_turns(options, found, {case: load for case, load in LOADS.items() if case in cases})
    if "fairlead" in found:
        alone = {case: load for case, load in OURS_ALONE.items() if case in cases}
        rounds |= cpu.in_turns(options, {"fairlead": found["fairlead"]}, alone)
    return {case: cpu.summary(each) for case, each in rounds.items()}


def show(results):
    cpu.show_cases(results, "answer")


if __name__ == "__main__":
    cpu.run_cases(__doc__, measure, CASES, "answer")
