# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Every function of the Lua API in every hook, through Debian's nginx with its Lua module and through fairlead: results, failures and
refusals must agree but for the rows of DIFFERENT."""

from lib.client import get
from lib.lua_calls import CALLS, SERIALIZE, SERVER

CONF = r"""
error_log logs/error.log notice;
events {}
http {
    lua_shared_dict d 2m;
    lua_shared_dict said 2m;
    lua_socket_log_errors off;
    default_type text/plain;
    init_by_lua_block {
        SERIALIZE
        d = ngx.shared.d
        calls = { CALLS }
        functions = {}
        for i, call in ipairs(calls) do functions[i] = assert(loadstring("return " .. call, "=call")) end
        function say(i)
            d:flush_all()
            ngx.shared.said:set(ngx.get_phase() .. " " .. i, told(functions[i]))
        end
        function say_all() for i = 1, #calls do say(i) end end
        function this()
            ngx.ctx.i = ngx.ctx.i or tonumber(ngx.var.arg_i)
            say(ngx.ctx.i)
        end
    }
    init_worker_by_lua_block { say_all() ngx.timer.at(0, say_all) }
    SERVER
    }
}
"""
AT_START = ("init_worker", "timer")  # in init the original of 0.10.23 crashes in ngx.flush
HOOKS = (*AT_START, "set", "rewrite", "access", "content", "header_filter", "body_filter", "log", "balancer")
# Function -> why it differs; "FUNCTION: HOOK": only there.
DIFFERENT = {
    "exit": "the original's is a foreign function with messages of its own",
    "exec": "the original looks at the arguments before the place",
    "redirect": "the original looks at the arguments before the place",
    "escape_uri": "the original's error names another place",
    "ngx.resp.set_status": "Debian's has none",
    "ngx.base64.decode_base64mime": "Debian's has none",
    "ngx.balancer.enable_keepalive": "Debian's has none",
    "ngx.balancer.recreate_request": "Debian's has none",
    "ngx.balancer.set_timeouts": "the original gives false where it must not be called",
    "ngx.balancer.bind_to_local_addr": "Debian's has none",
    "ngx.balancer.set_upstream_tls": "Debian's has none",
    "decode_base64mime": "Debian's has none",
    "tcp.getfd": "Debian's has none",
    "tcp.getsslctx": "Debian's has none",
    "tcp.getsslpointer": "Debian's has none",
    "tcp.getsslsession": "Debian's has none",
    "tcp.settrustedstore": "Debian's has none",
    "tcp.sslhandshake": "Debian's raises for a socket without a connection",
    "udp.bind": "Debian's has none",
    "eof: body_filter": "refused here; the original finds the response at its end",
    "eof: log": "refused here; the original finds the response at its end",
    "req.start_time: init_worker": "the original has a request of its own there",
    "req.start_time: timer": "the original has a request of its own there",
    "req.get_post_args: balancer": "the original reads the body of a proxied request into what scripts see",
    "req.set_body_data: balancer": "the original reads the body of a proxied request into what scripts see",
    "req.set_body_file: balancer": "the original reads the body of a proxied request into what scripts see",
    "req.init_body: balancer": "the original reads the body of a proxied request into what scripts see",
}


def results(server):
    numbers = {}
    for call in CALLS:
        for expression in (call.good, call.bad):
            if expression:
                numbers.setdefault(expression, len(numbers) + 1)
    found = {}
    for hook in HOOKS:
        for expression, number in numbers.items():
            if hook not in AT_START:
                get(server.port, f"/{hook}?x=y&i={number}", headers={"X-A": "b"})
            found[hook, expression] = get(server.port, f"/said?{hook}%20{number}").body.decode("latin-1")
    return found


def test_calls_agree(server, nginx):
    expressions = dict.fromkeys(e for call in CALLS for e in (call.good, call.bad) if e)
    text = CONF.replace("SERVER", SERVER).replace("SERIALIZE", SERIALIZE)
    text = text.replace("CALLS", ", ".join("[=[" + e + "]=]" for e in expressions))
    load = "".join(f"load_module /usr/lib/nginx/modules/{m}.so; " for m in ("ndk_http_module", "ngx_http_lua_module"))
    theirs = results(nginx(load + text, allow_log=("",)))
    mine = results(server(text, allow_log=("runtime error",)))
    differences = []
    for call in CALLS:
        for hook in HOOKS:
            if call.name in DIFFERENT or f"{call.name}: {hook}" in DIFFERENT:
                continue
            for expression in {call.calling, *([call.good, call.bad or call.good] if hook == "content" else [])}:
                if mine[hook, expression] != theirs[hook, expression]:
                    differences.append(f"{call.name}: {hook}: {expression}: {mine[hook, expression]!r} is not {theirs[hook, expression]!r}")
    assert not differences, "\n".join(differences)
