#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What a pair of sidecars adds: p50 and p99 of one keepalive connection over two hops with mutual TLS between them, of a pair of nginx and
of a pair of fairlead with the same text, and the origin asked directly, in turns. Certificates are those of conf/examples/mesh."""

import contextlib
import os
import shutil
import subprocess
import tempfile

import subjects

CERTS_SH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../conf/examples/mesh/certs.sh")

BEGIN = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {prefix}/logs/server.pid;
error_log {prefix}/logs/error.log error;
{main}
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
{http}
    upstream next {{
        server 127.0.0.1:{origin};
        keepalive {keepalive};
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }}
"""
WAY_OUT = BEGIN + """\
    proxy_ssl_certificate CERTS/a/tls.pem;
    proxy_ssl_certificate_key CERTS/a/tls.key;
    proxy_ssl_trusted_certificate CERTS/a/bundle.pem;
    proxy_ssl_verify on;
    proxy_ssl_name b;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass https://next; }}
    }}
}}
"""
WAY_IN = BEGIN + """\
    ssl_certificate CERTS/b/tls.pem;
    ssl_certificate_key CERTS/b/tls.key;
    ssl_client_certificate CERTS/b/bundle.pem;
    ssl_verify_client on;
    server {{
        listen 127.0.0.1:{port} ssl;
        location / {{ proxy_pass http://next; }}
    }}
}}
"""


@contextlib.contextmanager
def certificates():
    folder = tempfile.mkdtemp(prefix="fairlead-bench-mesh-")
    os.chmod(folder, 0o755)
    try:
        subprocess.run([CERTS_SH, "make", folder], check=True, capture_output=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(options):
    rounds = {}
    with subjects.Origin() as origin, certificates() as folder, contextlib.ExitStack() as running:
        ways = [text.replace("CERTS", folder) for text in (WAY_IN, WAY_OUT)]
        makers = [subjects.makers(options, haproxy=False, conf=text) for text in ways]
        ports = {"direct": origin.port}
        for name in makers[0]:
            way_in = running.enter_context(makers[0][name](origin.port))
            ports[name] = running.enter_context(makers[1][name](way_in.port)).port
        for port in ports.values():
            subjects.wrk(port, "/", options.connections, 1)
        for _ in range(options.rounds):
            for name, port in ports.items():
                rounds.setdefault(name, []).append(subjects.wrk(port, "/", options.connections, options.seconds))
    result = {}
    for name, mine in rounds.items():
        result[name] = {k: subjects.median_of(mine, k) for k in ("p50_us", "p99_us")}
        for k in ("p50_us", "p99_us"):
            result[name]["added_" + k] = subjects.statistics.median(a[k] - b[k] for a, b in zip(mine, rounds["direct"]))
    if "fairlead" in result:
        keys = ("added_p50_us", "added_p99_us")
        result["fairlead/nginx"] = {k: result["fairlead"][k] / max(result["nginx"][k], 1e-9) for k in keys}
    return result


def show(result):
    print("latency through a pair of sidecars, microseconds")
    rows = [[n, r["p50_us"], r["p99_us"], r["added_p50_us"], r["added_p99_us"]] for n, r in result.items() if "/" not in n]
    subjects.table(rows, ["pair", "p50", "p99", "added p50", "added p99"])
    if "fairlead/nginx" in result:
        ratio = result["fairlead/nginx"]
        print(f"fairlead/nginx: added p50 {ratio['added_p50_us']:.3f}, added p99 {ratio['added_p99_us']:.3f}")


def main():
    options = subjects.arguments(__doc__, seconds=3, rounds=5, connections=1).parse_args()
    result = measure(options)
    show(result)
    subjects.finish(options, result)


if __name__ == "__main__":
    main()
