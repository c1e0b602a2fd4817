#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Load for minutes, once over plain proxying and once over scripts in Lua: memory and descriptors of the workers must stay bounded.

Beside the load, clients break off in the middle of requests, and the configuration is reloaded now and then. What a worker holds is
compared between the second quarter of its time (all caches are warm) and the last one. Not part of the test suite: it takes its time.
"""

import os
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "macro"))

import subjects

PLAIN_PATHS = ["/", "/64k", "/missing", "/moved"]
LUA_PATHS = ["/access", "/print", "/filter", "/socket", "/threads", "/timer", "/match", "/dict", "/limit", "/sleep", "/error", "/body",
             "/global", "/backlog", "/worker_thread", "/capture"]
GROWTH = 1.10           # of the memory of the second quarter
GROWTH_BYTES = 2 << 20  # and so many bytes that are forgiven

CONF = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {prefix}/logs/server.pid;
error_log {prefix}/logs/error.log error;
{main}
events {{ worker_connections 4096; }}
http {{
    access_log {prefix}/logs/access.log;
    keepalive_requests 1000;
    proxy_temp_path {prefix}/proxy;
    client_body_temp_path {prefix}/client_body;
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 32; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
{lua_http}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ proxy_pass http://origin; }}
        location = /moved {{ return 301 /; }}
{lua_server}
    }}
}}
"""

LUA_HTTP = """\
    lua_package_path "{folder}/?.lua;;";
    lua_shared_dict limits 1m;
    lua_shared_dict rate_limit 1m;
    lua_shared_dict decisions 100k;
    lua_max_pending_timers 4096;
    lua_max_running_timers 4096;
"""

LUA_SERVER = """\
        location = /access {
            access_by_lua_block {
                local agent = ngx.req.get_headers()["user-agent"]
                ngx.shared.limits:set(agent or "none", ngx.now())
                ngx.ctx.seen = ngx.shared.limits:get(agent or "none")
            }
            log_by_lua_block { local seen = ngx.ctx.seen }
            proxy_pass http://origin/;
        }
        location = /print { content_by_lua_block { for i = 1, 20 do ngx.say("line ", i, " ", math.random()) end } }
        location = /filter {
            header_filter_by_lua_block { ngx.header.content_length = nil ngx.header["X-Random"] = math.random() }
            body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1]:upper() .. math.random() }
            proxy_pass http://origin/;
        }
        location = /socket {
            content_by_lua_block {
                local s = ngx.socket.tcp()
                s:settimeout(2000)
                local ok, err = s:connect("127.0.0.1", ORIGIN)
                if not ok then return ngx.exit(500) end
                s:send("GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
                local length
                repeat
                    local line = s:receive() or ""
                    length = length or tonumber(line:match("^[Cc]ontent%-[Ll]ength: (%d+)"))
                until line == ""
                ngx.print((s:receive(length or 0)))
                if math.random() < 0.9 then s:setkeepalive(1000, 16) end
            }
        }
        location = /threads {
            content_by_lua_block {
                local semaphore = require("ngx.semaphore").new()
                local threads = {}
                for i = 1, 5 do threads[i] = ngx.thread.spawn(function() ngx.sleep(0.001 * i) semaphore:post() return i end) end
                semaphore:wait(1)
                ngx.thread.kill(threads[5])
                ngx.say((ngx.thread.wait(threads[1], threads[2])))
                ngx.say(coroutine.wrap(function() ngx.sleep(0) coroutine.yield(math.random()) end)())
            }
        }
        location = /timer {
            content_by_lua_block { ngx.timer.at(0.01, function(_, x) ngx.sleep(0.001) end, { math.random() }) ngx.say("ok") }
        }
        location = /match {
            content_by_lua_block {
                ngx.say(ngx.re.gsub(ngx.var.request_uri, "[a-z]+" .. math.random(200), "x", "jo"))
                ngx.say(ngx.re.match("x" .. math.random(), "([0-9])([0-9]+)")[0])
            }
        }
        location = /dict {
            content_by_lua_block {
                local d = ngx.shared.limits
                d:set("k" .. math.random(100000), ("x"):rep(math.random(500)), math.random())
                d:incr("n", 1, 0) d:rpush("l", 1) d:lpop("l")
                ngx.say(d:get("k" .. math.random(100000)))
            }
        }
        location = /limit {
            access_by_lua_block { require("rate_limit").check("soak", { rate = 1e6, burst = 1e6, key = tostring(math.random(100000)) }) }
            proxy_pass http://origin/;
        }
        location = /sleep { lua_check_client_abort on; content_by_lua_block { ngx.sleep(math.random() / 50) ngx.say("slept") } }
        location = /backlog {
            content_by_lua_block {
                local s = ngx.socket.tcp()
                local ok, err = s:connect("127.0.0.1", ORIGIN, { pool = "few" .. math.random(3), pool_size = 4, backlog = 100 })
                if not ok then return ngx.exit(503) end
                if math.random() < 0.5 then s:setkeepalive(1000) end
                ngx.say(s.name, err)
            }
        }
        location = /worker_thread {
            content_by_lua_block { ngx.say(ngx.run_worker_thread("default", "string", "rep", "x" .. math.random(), 100)) }
        }
        location = /capture { content_by_lua_block { ngx.print(ngx.location.capture("/print", { share_all_vars = true }).body) } }
        location = /error {
            content_by_lua_block {
                local t = setmetatable({}, { __index = error })
                ngx.say(pcall(function() return t.x end))
            }
        }
        location = /body {
            content_by_lua_block { ngx.req.read_body() ngx.req.set_body_data(("x"):rep(1000)) ngx.say(#ngx.req.get_body_data()) }
        }
        location = /global { content_by_lua_block { local f = loadstring("return " .. math.random()) ngx.say(f()) } }
"""


class Soaked(subjects.Running):
    name = "fairlead"

    def __init__(self, origin_port, binary, in_lua):
        super().__init__(subjects.SUBJECT_CORE)
        self.binary = os.path.abspath(binary)
        folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../conf/lua")
        values = {"prefix": self.prefix, "port": self.port, "origin": origin_port, "main": subjects.Fairlead.main,
                  "lua_http": LUA_HTTP.format(folder=folder) if in_lua else "",
                  "lua_server": LUA_SERVER.replace("ORIGIN", str(origin_port)) if in_lua else ""}
        self.conf = self.write("soak.conf", CONF.format(**values))

    def command(self):
        return [self.binary, "-p", self.prefix + "/", "-c", self.conf]

    def reload(self):
        """Gives once another worker serves alone."""
        old = self.worker_pid()
        subprocess.run([*self.command(), "-s", "reload"], check=True, timeout=60)
        end = time.monotonic() + 60
        while os.path.exists(f"/proc/{old}") and time.monotonic() < end:
            time.sleep(0.1)
        if os.path.exists(f"/proc/{old}"):
            raise SystemExit(f"worker {old} is still there a minute after the reload")

    def sample(self):
        pid = self.worker_pid()
        return {"bytes": own_bytes(pid), "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}


def own_bytes(pid):
    """Memory that the process made, and its share of zones. Not its files: what of their pages counts for it changes by megabytes with
    other processes of the same libraries."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as table:
        return 1024 * sum(int(line.split()[1]) for line in table if line.startswith(("Pss_Anon:", "Pss_Shmem:")))


def break_off(port, paths, stop):
    """Clients that send a request, or half of one, and reset."""
    while not stop.is_set():
        request = f"GET {random.choice(paths)} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as s:
                s.sendall(request[:random.randrange(1, len(request) + 1)])
                stop.wait(random.random() / 50)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        stop.wait(0.01)


def load(subject, paths, seconds):
    turns = "local paths, i = {%s}, 0\nfunction request() i = i + 1 return wrk.format('GET', paths[i %% #paths + 1]) end\n"
    script = subject.write("paths.lua", turns % ", ".join(f"'{p}'" for p in paths))
    command = [subjects.WRK, "-t1", "-c32", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", script,
               f"http://127.0.0.1:{subject.port}/"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=subjects.pin(subjects.LOAD_CORE))


def open_connections(port):
    """Connections of clients that the server has not closed: established, or closed by the client alone."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return sum(int(row[1].rpartition(":")[2], 16) == port and row[3] in ("01", "08") for row in rows)


def left_hanging(subject):
    """How many requests go on half a minute after the last client has left."""
    end = time.monotonic() + 30
    while open_connections(subject.port) and time.monotonic() < end:
        time.sleep(0.1)
    return open_connections(subject.port)


def watch(subject, seconds, samples):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(min(1.0, seconds / 40))
        samples.append(subject.sample())


def soak(binary, seconds, in_lua):
    """What went wrong, as lines, after `seconds` of load: four reloads first, then one worker for the rest."""
    paths = LUA_PATHS if in_lua else PLAIN_PATHS
    problems, samples, stop = [], [], threading.Event()
    with subjects.Origin() as origin, Soaked(origin.port, binary, in_lua) as subject:
        master = subject.process.pid
        breaker = threading.Thread(target=break_off, args=(subject.port, paths, stop))
        breaker.start()
        try:
            wrk = load(subject, paths, seconds)
            for _ in range(4):
                time.sleep(seconds / 40)
                subject.reload()
            worker = subject.worker_pid()
            watch(subject, seconds * 0.85, samples)
            said = wrk.communicate(timeout=120 + seconds)[0]  # behind builds it hardly runs
            if subject.worker_pid() != worker or subject.process.poll() is not None:
                problems.append(f"worker {worker} of master {master} did not last")
        finally:
            stop.set()
            breaker.join()
        if hanging := left_hanging(subject):
            problems.append(f"{hanging} connections are still there")
        log = open(subject.prefix + "/logs/error.log", errors="replace").read()
    if slow := re.search(r"Socket errors:.* timeout ([1-9]\d*)", said):
        problems.append(f"{slow.group(1)} requests had no answer after ten seconds")
    problems += [line for line in log.split("\n") if re.search(r"\[(alert|emerg|crit)\]|runtime error|failed to run", line)][:5]
    tenths = [samples[(len(samples) - 1) * i // 10]["bytes"] / (1 << 20) for i in range(11)]
    print("lua:" if in_lua else "plain:", "MiB from tenth to tenth:", " ".join(f"{each:.1f}" for each in tenths))
    quarter = len(samples) // 4
    for what in ("bytes", "descriptors"):
        before, after = (max(s[what] for s in part) for part in (samples[quarter:2 * quarter], samples[3 * quarter:]))
        print(f"{'lua' if in_lua else 'plain'}: {what}: {before} in the second quarter, {after} in the last")
        if after > before * GROWTH + (GROWTH_BYTES if what == "bytes" else 50):
            problems.append(f"{what} grew from {before} to {after}")
    print("".join(line + "\n" for line in said.split("\n") if "requests in" in line or "errors" in line or "Non-2xx" in line), end="")
    return problems


def main():
    parser = subjects.argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--seconds", type=float, default=300, help="of each of the two")
    parser.add_argument("--only", choices=("plain", "lua"))
    options = parser.parse_args()
    problems = []
    for in_lua in (False, True):
        if options.only in (None, "lua" if in_lua else "plain"):
            problems += soak(options.binary, options.seconds, in_lua)
    print("\n".join(problems) or "bounded")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
