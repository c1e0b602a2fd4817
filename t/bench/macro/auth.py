#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What authorization adds to a request: p50 of one keepalive connection and processor time, with a policy service of the same machine
(Debian's nginx, by HTTP and by gRPC) and with tokens that are known and that are not, in turns with a location that asks nobody."""

import base64
import hashlib
import hmac
import json
import os

import subjects


CONF = subjects.HEAD + """\
    CACHE
    upstream policy_http {{ server 127.0.0.1:HTTP; keepalive 64; keepalive_requests 1000000000; }}
    upstream policy_grpc {{ server 127.0.0.1:GRPC; }}
    server {{
        listen 127.0.0.1:{port};
        location = /ready {{ return 200 ready; }}
        location /off {{ try_files /none =204; }}
        location /http {{ ext_authz http://policy_http; ext_authz_timeout 5s; try_files /none =204; }}
        location /grpc {{ ext_authz grpc://policy_grpc; ext_authz_timeout 5s; try_files /none =204; }}
        location /jwt {{ auth_jwt x token=$arg_t; auth_jwt_key_file {prefix}/keys.json; try_files /none =204; }}
    }}
}}
"""

# The reply to Check is a file: a frame with a CheckResponse whose status is there and 0.
POLICY_CONF = subjects.HEAD + """\
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 ""; }} }}
    server {{
        listen 127.0.0.1:{origin} http2;
        http2_max_requests 1000000000;
        root {prefix}/files;
        location / {{
            default_type application/grpc;
            add_trailer grpc-status 0;
            rewrite ^ /check break;
            error_page 405 =200 /check;
        }}
    }}
}}
"""
REPLY = b"\0\0\0\0\2\n\0"
SECRET = b"a secret of some length, known to both"


def b64(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


KEYS = {"keys": [{"kty": "oct", "k": b64(SECRET)}]}


def token():
    head, payload = (b64(json.dumps(part).encode()) for part in ({"alg": "HS256"}, {"sub": "bench", "exp": 4102444800}))
    return f"{head}.{payload}.{b64(hmac.new(SECRET, f'{head}.{payload}'.encode(), hashlib.sha256).digest())}"


class Policy(subjects.Nginx):
    """By HTTP on its port, by gRPC on `grpc_port`."""

    def __init__(self):
        self.grpc_port = subjects.free_port()
        super().__init__(self.grpc_port, conf=POLICY_CONF)
        self.core = subjects.LOAD_CORE
        os.makedirs(self.prefix + "/files")
        with open(self.prefix + "/files/check", "wb") as f:
            f.write(REPLY)


def subject(options, policy, cache):
    conf = CONF.replace("HTTP", str(policy.port)).replace("GRPC", str(policy.grpc_port)).replace("CACHE", cache)
    made = subjects.Fairlead(0, os.path.abspath(options.binary), conf=conf)
    made.write("keys.json", json.dumps(KEYS))
    return made


def measure(options):
    paths = {"off": "/off", "http": "/http", "grpc": "/grpc", "jwt": f"/jwt?t={token()}", "jwt_uncached": f"/jwt?t={token()}"}
    with Policy() as policy, subject(options, policy, "") as known, subject(options, policy, "auth_jwt_cache 0;") as unknown:
        def asked(way):
            subject_asked = unknown if way == "jwt_uncached" else known
            return subjects.measured_load(subject_asked, path=paths[way], connections=1, seconds=options.seconds)
        rounds = subjects.in_turns(options.rounds, {way: way for way in paths}, asked)
    result = {}
    for way, mine in rounds.items():
        result[way] = {k: subjects.median_of(mine, k) for k in ("p50_us", "p99_us", "total_us")}
        for k in ("p50_us", "total_us"):
            result[way]["added_" + k] = subjects.statistics.median(a[k] - b[k] for a, b in zip(mine, rounds["off"]))
    return result


def show(result):
    print("authorization, one connection, microseconds")
    rows = [[w, r["p50_us"], r["p99_us"], r["added_p50_us"], r["total_us"], r["added_total_us"]] for w, r in result.items()]
    subjects.table(rows, ["check", "p50", "p99", "added p50", "processor", "added processor"])


def main():
    options = subjects.arguments(__doc__, seconds=3, rounds=3).parse_args()
    if not options.binary:
        raise SystemExit("--binary is needed")
    result = measure(options)
    show(result)
    subjects.finish(options, result)


if __name__ == "__main__":
    main()
