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

import latency
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
    with subjects.Origin() as origin, certificates() as folder, contextlib.ExitStack() as running:
        ways = [text.replace("CERTS", folder) for text in (WAY_IN, WAY_OUT)]
        makers = [subjects.makers(options, haproxy=False, conf=text) for text in ways]
        ports = {"direct": origin.port}
        for name in makers[0]:
            way_in = running.enter_context(makers[0][name](origin.port))
            ports[name] = running.enter_context(makers[1][name](way_in.port)).port
        return latency.compare(options, ports)


def show(result):
    latency.show(result, "latency through a pair of sidecars, microseconds")


if __name__ == "__main__":
    subjects.run(__doc__, measure, show, seconds=3, rounds=5, connections=1)
