#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Processor time per request with hooks in Lua: Debian's nginx with its Lua module and fairlead in turns in one run, as ratios.

`access` reads a header field and a shared dictionary before a proxied request, `content` prints, `header_filter` sets a field of a
`return`; `plain` is that `return` without Lua, so that what the hook costs can be told from the rest.

`floor`, where it is built, is a server that does nothing but the two data calls, without Lua or even HTTP (of `access`: cpu.py).
"""

import os

import cpu
import subjects

MODULES = "/usr/lib/nginx/modules"
CASES = ("plain", "header_filter", "content", "access")

CONF = subjects.HEAD + """\
    lua_shared_dict limits 1m;
    init_worker_by_lua_block {{ ngx.shared.limits:set("127.0.0.1", 5) }}
""" + subjects.ORIGIN_GROUP + """\
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        default_type text/plain;
        location = /ready {{ return 200 ready; }}
        location = /plain {{ return 200 "a text of some length for the body"; }}
        location = /header_filter {{
            header_filter_by_lua_block {{ ngx.header["X-Served-By"] = "a sidecar" }}
            return 200 "a text of some length for the body";
        }}
        location = /content {{
            content_by_lua_block {{ ngx.print("a text of some length for the body") }}
        }}
        location = /access {{
            access_by_lua_block {{
                local host = ngx.req.get_headers()["host"]
                local limit = ngx.shared.limits:get(ngx.var.remote_addr)
                if not host or not limit then return ngx.exit(403) end
            }}
            proxy_pass http://origin/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
{location}
        }}
    }}
}}
"""


class LuaNginx(subjects.Nginx):
    """Debian's Lua module is loaded at run time."""

    main = subjects.Nginx.main + "".join(f"\nload_module {MODULES}/{m}.so;" for m in ("ndk_http_module", "ngx_http_lua_module"))


def measure(options, cases=CASES):
    """case -> what cpu.summary() gives."""
    settings = {"conf": CONF, "keepalive": 2 * options.connections, "connections": 1024 + 4 * options.connections}
    with subjects.Origin() as origin:
        makers = {"nginx": lambda: LuaNginx(origin.port, **settings),
                  "fairlead": lambda: subjects.Fairlead(origin.port, os.path.abspath(options.binary), **settings)}
        rounds = cpu.in_turns(options, makers, {"access": {"path": "/access"}}) if "access" in cases else {}
        if options.floor:
            makers["floor"] = lambda: subjects.Prototype(None, options.floor)
        rounds |= cpu.in_turns(options, makers, {case: {"path": "/" + case} for case in cases if case != "access"})
    return {case: cpu.summary(each) for case, each in rounds.items()}


def show(results):
    cpu.show_cases(results, "hook")


if __name__ == "__main__":
    cpu.run_cases(__doc__, measure, CASES, "hook", floor=True)
