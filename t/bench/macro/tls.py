#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Processor time of TLS: nginx and fairlead in turns in one run, as ratios.

`keepalive` and `h2` are small proxied requests on connections that last (HTTP/1.1 and HTTP/2 with 16 streams), by h2load; `full` and
`resumed` are handshakes with one small request each, by `openssl s_time` (TLS 1.3, and TLS 1.2 with a session kept).
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile

import subjects

CONF = """
daemon off; {main}
worker_processes 1; worker_rlimit_nofile {descriptors};
error_log {prefix}/error.log; pid {prefix}/pid;
events {{ worker_connections {connections}; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
{http}    upstream origin {{ server 127.0.0.1:{origin}; keepalive {keepalive}; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port} ssl http2;
        http2_max_concurrent_streams 256;
        ssl_certificate CERTS/server.pem; ssl_certificate_key CERTS/server.key;
        ssl_session_cache shared:a:1m; ssl_protocols TLSv1.2 TLSv1.3;
        location /local {{ return 200 small; }}
        location / {{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; }}
        {location}
    }}
}}
"""


def requests_of(port, options, streams):
    count = int(options.requests)
    words = [] if streams else ["--h1"]
    command = ["h2load", "-t1", f"-c{options.connections}", f"-m{streams or 1}", f"-n{count}", *words, f"https://127.0.0.1:{port}/"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=300, preexec_fn=subjects.pin(subjects.LOAD_CORE)).stdout
    done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", out)
    if not done or int(done.group(1)) != count:
        raise SystemExit(f"h2load met errors:\n{out}")
    return {"count": count, "per_second": float(re.search(r"([\d.]+) req/s", out).group(1))}


def handshakes_of(port, options, words):
    command = ["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-www", "/local", "-time", str(round(options.seconds)), *words]
    out = subprocess.run(command, capture_output=True, text=True, timeout=300, preexec_fn=subjects.pin(subjects.LOAD_CORE)).stdout
    done = re.findall(r"(\d+) connections in (\d+) real seconds", out)
    if not done or int(done[-1][0]) == 0:
        raise SystemExit(f"openssl s_time met errors:\n{out}")
    count, seconds = int(done[-1][0]), int(done[-1][1])
    return {"count": count, "per_second": count / max(1, seconds)}


@contextlib.contextmanager
def certificates():
    """A folder with a certificate of its own making and its key."""
    folder = tempfile.mkdtemp(prefix="fairlead-bench-certs-")
    os.chmod(folder, 0o755)
    try:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", folder + "/server.key", "-out", folder + "/server.pem"],
                       check=True, capture_output=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


KINDS = {
    "keepalive": lambda port, options: requests_of(port, options, 0),
    "h2": lambda port, options: requests_of(port, options, 16),
    "full": lambda port, options: handshakes_of(port, options, ["-new", "-tls1_3"]),
    "resumed": lambda port, options: handshakes_of(port, options, ["-reuse", "-tls1_2"]),
}


def measured(subject, kind, options):
    before = subject.cpu()
    result = KINDS[kind](subject.port, options)
    result["total_us"], result["user_us"], result["system_us"] = (value / result["count"] for value in subject.cpu().since(before))
    return result


def compare(options, kind, folder):
    with subjects.Origin() as origin:
        makers = subjects.makers(options, haproxy=False, conf=CONF.replace("CERTS", folder), keepalive=16 * options.connections,
                                 connections=4096)
        with subjects.all_running({name: lambda make=make: make(origin.port) for name, make in makers.items()}) as running:
            for subject in running.values():
                measured(subject, kind, options)
            return subjects.in_turns(options.rounds, running, lambda subject: measured(subject, kind, options))


def measure(options, requests=50_000, kinds=tuple(KINDS)):
    """kind -> name -> what measured() gave in each round."""
    options.requests = requests
    with certificates() as folder:
        return {kind: compare(options, kind, folder) for kind in kinds}


def show(result):
    """What is kept of each kind, with its ratios."""
    return {kind: subjects.show_processor_time(f"{kind}: {len(rounds['nginx'])} rounds", rounds) for kind, rounds in result.items()}


def main():
    parser = subjects.arguments(__doc__, connections=16, seconds=2, rounds=3)
    parser.add_argument("--requests", type=int, default=50_000, help="of each run on connections that last")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    subjects.finish(options, show(measure(options, options.requests, options.kinds)))


if __name__ == "__main__":
    main()
