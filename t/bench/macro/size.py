#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Size of the stripped binary, and the memory (PSS of master and worker) of a sidecar that has served some thousand requests.

The sidecar has an inbound and an outbound side, as one stands beside a service: names by header, retries, limits on time, a map.
"""

import os
import shutil
import subprocess
import tempfile
import time

import subjects

SIDECAR_CONF = """\
daemon off;
master_process on;
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {prefix}/logs/server.pid;
error_log {prefix}/logs/error.log warn;
{main}
events {{
    worker_connections {connections};
}}
http {{
    access_log {prefix}/logs/access.log;
    client_body_temp_path {prefix}/client_body;
    proxy_temp_path {prefix}/proxy;
{http}
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        ""      "";
    }}
    upstream service {{
        server 127.0.0.1:{origin};
        keepalive {keepalive};
    }}
    upstream neighbours {{
        server 127.0.0.1:{origin} max_fails=3 fail_timeout=10s;
        server localhost:{origin} backup;
        keepalive {keepalive};
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name inbound;
        location / {{
            proxy_pass http://service;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_read_timeout 30s;
        }}
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name *.mesh;
        location / {{
            proxy_pass http://neighbours;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream error timeout http_502;
            proxy_next_upstream_tries 2;
        }}
    }}
}}
"""


def stripped_bytes(binary):
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "stripped")
        shutil.copy(binary, copy)
        subprocess.run(["/usr/bin/strip", copy], check=True)
        return os.path.getsize(copy)


def sidecar(make, origin_port):
    with make(origin_port) as subject:
        subjects.wrk(subject.port, "/", 8, 1)
        time.sleep(1)
        worker, master = subject.worker_pid(), subject.master_pid()
        return {"worker_pss": subjects.pss_bytes(worker), "pss": sum(subjects.pss_bytes(p) for p in {worker, master})}


def measure(options):
    binaries = {"nginx": subjects.NGINX}
    if options.binary:
        binaries["fairlead"] = os.path.abspath(options.binary)
    makers = subjects.makers(options, haproxy=False, **({} if options.prototype else {"conf": SIDECAR_CONF}))
    result = {}
    with subjects.Origin() as origin:
        for name, make in makers.items():
            result[name] = sidecar(make, origin.port)
            if name in binaries:
                result[name]["stripped_bytes"] = stripped_bytes(binaries[name])
    return result


def show(result):
    print("size")
    rows = [[n, r.get("stripped_bytes", 0) / 1048576, r["worker_pss"] / 1048576, r["pss"] / 1048576] for n, r in result.items()]
    subjects.table(rows, ["subject", "stripped MiB", "worker PSS MiB", "PSS MiB"])


if __name__ == "__main__":
    subjects.run(__doc__, measure, show)
