#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The training run of the profile-guided build: what a sidecar does all day, done to a binary that counts (FAIRLEAD_PROFILE=generate).

One process on loopback ports plays the proxy and the two backends behind it, so nothing but the binary and Python is needed. The load is
a fixed number of requests; the counts are written when the process ends in an orderly way.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

CONF = """\
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log error;
events {{
    worker_connections 512;
}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    log_format timed '$remote_addr "$request" $status $body_bytes_sent $request_time $upstream_addr $upstream_response_time';
    access_log {folder}/access.log timed;
    keepalive_requests 1000000;
    upstream app {{
        server 127.0.0.1:{backends[0]} weight=3;
        server 127.0.0.1:{backends[1]};
        keepalive 32;
        keepalive_requests 1000000;
    }}
    server {{
        listen 127.0.0.1:{front};
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_next_upstream error timeout http_500 http_502 http_503;
            proxy_next_upstream_tries 3;
        }}
        location /plain/ {{
            access_log off;
            proxy_pass http://app/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
        location /health {{
            return 200 "OK";
        }}
        location /metrics {{
            stub_status on;
            allow 127.0.0.1;
            deny all;
        }}
    }}
    server {{
        listen 127.0.0.1:{backends[0]};
        listen 127.0.0.1:{backends[1]};
        access_log off;
        root {folder}/files;
        location = / {{
            default_type text/plain;
            return 200 {small};
        }}
    }}
}}
"""

BROWSER = (b"Host: localhost\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0)\r\n"
           b"Accept: text/html,application/json;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n"
           b"Accept-Encoding: gzip, deflate, br\r\nCookie: session=0123456789abcdef\r\n\r\n")
CLIENT = b"Host: 127.0.0.1\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\n\r\n"
BARE = b"Host: localhost\r\n\r\n"


def get(path, fields):
    return b"GET " + path + b" HTTP/1.1\r\n" + fields


def post(path, body):
    return b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body


# Request, and how often it is sent on each connection.
LOAD = [
    (get(b"/plain/", BARE), 150), (get(b"/plain/", CLIENT), 150), (get(b"/", CLIENT), 150), (get(b"/", BROWSER), 150),
    (get(b"/health", BARE), 20), (get(b"/metrics", BARE), 4), (get(b"/missing?a=1", BROWSER), 10),
    (get(b"/64k", CLIENT), 20), (get(b"/1m", CLIENT), 4), (post(b"/", b"x" * 2000), 10), (post(b"/", b"x" * 200_000), 2),
]
CONNECTIONS = 8


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def receive(s):
    """One response, which announces its length."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += s.recv(65536) or sys.exit("the server closed a connection")
    head, _, body = got.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    left = int(lengths[0].split(b":")[1]) - len(body)
    while left > 0:
        left -= len(s.recv(min(left, 1 << 20)) or sys.exit("the server cut a response"))


def connect(port, process, seconds=20.0):
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        try:
            return socket.create_connection(("127.0.0.1", port), 20)
        except OSError:
            time.sleep(0.02)
    sys.exit(f"nothing listens on port {port}")


def load(port, process):
    clients = [connect(port, process) for _ in range(CONNECTIONS)]
    for request, count in LOAD:
        for _ in range(count):
            for s in clients:
                s.sendall(request)
            for s in clients:
                receive(s)
    for s in clients:
        s.close()


def train(binary, folder):
    front, *backends = free_ports(3)
    for name in ("/files", "/logs"):
        os.mkdir(folder + name)
    for name, size in (("64k", 64 << 10), ("1m", 1 << 20)):
        with open(f"{folder}/files/{name}", "w") as f:
            f.write("x" * size)
    with open(folder + "/train.conf", "w") as f:
        f.write(CONF.format(folder=folder, front=front, backends=backends, small="x" * 256))
    process = subprocess.Popen([binary, "-p", folder + "/", "-c", folder + "/train.conf"])
    try:
        load(front, process)
        process.send_signal(signal.SIGQUIT)
        return process.wait(60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fairlead-train-") as folder:
        return train(os.path.abspath(options.binary), folder)


if __name__ == "__main__":
    sys.exit(main())
