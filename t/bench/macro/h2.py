#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Processor time per small request that came over HTTP/2: nginx and fairlead in turns in one run, as ratios. h2load, prior knowledge.

`local` is answered by the subject itself, `proxied` by an origin over kept HTTP/1.1 connections. nginx 1.22 knows `listen ... http2` only,
so both are told so.
"""

import re
import subprocess

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
        listen 127.0.0.1:{port} http2;
        http2_max_concurrent_streams 256;
        location /local {{ return 200 "{body}"; }}
        location /proxied {{ proxy_pass http://origin/; proxy_http_version 1.1; proxy_set_header Connection ""; }}
        {location}
    }}
}}
""".replace("{body}", "x" * 256)


def h2load(port, path, options):
    count = int(options.requests)
    command = ["h2load", "-t1", f"-c{options.connections}", f"-m{options.streams}", f"-n{count}", f"http://127.0.0.1:{port}/{path}"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=300, preexec_fn=subjects.pin(subjects.LOAD_CORE)).stdout
    done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", out)
    status = re.search(r"status codes: (\d+) 2xx", out)
    if not done or int(done.group(1)) != count or int(status.group(1)) != count:
        raise SystemExit(f"h2load met errors:\n{out}")
    return {"requests": count, "per_second": float(re.search(r"([\d.]+) req/s", out).group(1))}


def measured(subject, path, options):
    before = subject.cpu()
    result = h2load(subject.port, path, options)
    result["total_us"], result["user_us"], result["system_us"] = (value / result["requests"] for value in subject.cpu().since(before))
    return result


def compare(options, path):
    with subjects.Origin() as origin:
        makers = subjects.makers(options, haproxy=False, conf=CONF, keepalive=options.connections * options.streams, connections=4096)
        with subjects.all_running({name: lambda make=make: make(origin.port) for name, make in makers.items()}) as running:
            for subject in running.values():
                h2load(subject.port, path, options)
            return subjects.in_turns(options.rounds, running, lambda subject: measured(subject, path, options))


def main():
    parser = subjects.arguments(__doc__, connections=4)
    parser.add_argument("--streams", type=int, default=16, help="at once on each connection")
    parser.add_argument("--requests", type=int, default=100_000, help="of each run")
    options = parser.parse_args()
    load = f"{options.connections} connections with {options.streams} streams, {options.rounds} rounds of {options.requests} requests"
    result = {path: subjects.show_processor_time(f"{path}: {load}", compare(options, path)) for path in ("local", "proxied")}
    subjects.finish(options, result)


if __name__ == "__main__":
    main()
