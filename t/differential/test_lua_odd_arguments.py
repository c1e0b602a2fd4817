# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The Lua API called with what is odd, or where there is nothing for it to work on, through Debian's nginx with its Lua module and through
fairlead: results and refusals must agree."""

from lib.client import get
from lib.lua_calls import SERIALIZE, SERVER

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
        for i, call in ipairs(calls) do functions[i] = assert(loadstring(call, "=call")) end
        function say(i) ngx.shared.said:set(ngx.get_phase() .. " " .. i, told(functions[i])) end
        function say_all() for i = 1, #calls do say(i) end end
        function this()
            ngx.ctx.i = ngx.ctx.i or tonumber(ngx.var.arg_i)
            say(ngx.ctx.i)
        end
    }
    init_worker_by_lua_block { say_all() ngx.timer.at(0, say_all) }
    SERVER
        set $v "";
    }
}
"""
ANY_BYTE = "(function() local t = {} for i = 0, 255 do t[i] = string.char(i) end return table.concat(t, '', 0) end)()"
TO_ITSELF = "local s = ngx.socket.tcp() s:connect('127.0.0.1', ngx.var.server_port, {pool = '%s'}) "
IN_CONTENT = (
    *[f"return ngx.escape_uri({ANY_BYTE}, {kind})" for kind in range(7)],
    *[f"return select(2, pcall(ngx.escape_uri, 'a b', {kind})):match('.type. .*')" for kind in (-1, 7)],
    *[f"ngx.var.v = {value} return ngx.var.v" for value in
      ("true", "false", "12LL", "ngx.null", "1.5", "nil", "setmetatable({}, {__tostring = function() return 'shown' end})")],
    *[f"return ngx.parse_http_time('{date}')" for date in
      ("Thu, 18-Nov-10 11:27:35 GMT", "Thu, 01-Jan-70 00:00:01 GMT", "Thu, 18 Nov 2010 11:27:35 +0000", "Mon, 18-Nov-69 11:27:35 GMT",
       "Thu, 18-Nov-2040 11:27:35 GMT")],
    "return ngx.re.sub('abc', 'b', nil)", "return ngx.re.gsub('abcb', 'b', true)", "return ngx.re.gsub('abcb', 'b', 1.5)",
    "return ngx.re.sub('abcb', 'zz', '$')", "return ngx.re.gsub('abcb', 'zz', '${1')", "return ngx.re.sub('abcb', 'b', '$x')",
    "return select(3, ngx.re.sub('abcb', '(', '$')):sub(1, 21)", "return ngx.re.gsub('abcb', 'b', '[$5$$${0}]')",
    "d:set('k', 1, 5) return d:expire('k', -1), d:ttl('k')",
    TO_ITSELF % "a" + "return s:setkeepalive(-1)", TO_ITSELF % "b" + "return s:setkeepalive(1, 0)",
    TO_ITSELF % "b" + "return s:setkeepalive(1, -1)",
    TO_ITSELF % "c" + "s:setkeepalive(1, 5) " + TO_ITSELF % "c" + "return s:setkeepalive(1, 0)",
    "return ngx.timer.every(0, print)", "return ngx.timer.every(-1, print)",
    "return require('ngx.errlog').set_filter_level()", "return require('ngx.errlog').raw_log(99, 'x')",
    "return require('ngx.errlog').raw_log('x', 'x')",
    "return ngx.encode_base64('a', 1)", "return ngx.encode_base64('a', nil)", "return ngx.encode_base64('a', false)",
    "return ngx.encode_base64('a', true)",
    "return ngx.thread.wait(coroutine.running())", "return ngx.thread.kill(coroutine.running())",
    *[f"return pcall(ngx.location.capture{arguments})" for arguments in
      ("", ", nil", ", '/said', {}, 1", ", '/said', 5", ", '/said', {ctx = 5}", ", '/said', {method = 'POST'}", ", '/said', {method = '2'}",
       ", '/said', {body = {}}", ", '/said', {body = true}", ", '/said', {vars = {v = true}}", ", '/said', {vars = {[5] = 'a'}}",
       ", '/said', {share_all_vars = 1}", ", '/said', {copy_all_vars = 'x'}", ", '/said', {args = true}")],
    *[f"return pcall(ngx.location.capture_multi{arguments})" for arguments in
      ("", ", nil", ", {}", ", {{}}", ", {{'/said', {}, 1}}", ", {{'/said', 5}}", ", {5}")],
    *[f"return pcall({call})" for call in
      ("ngx.flush, true, 1", "ngx.req.set_uri, '/d', nil", "ngx.req.set_uri, '/d', false, nil", "ngx.socket.tcp, 1", "ngx.socket.tcp, nil",
       "ngx.socket.udp, 1", "ngx.decode_args, 'a', nil", "coroutine.create, print", "coroutine.create, 5", "coroutine.create")],
    *[f"local u = ngx.socket.udp() return u:setpeername('127.0.0.1', {port})" for port in (99999, -1)],
    *[f"return d:{call}" for call in ("lpush('l')", "lpush()", "rpush('l', 1, 2)", "lpop()", "rpop('l', 1)", "llen()", "llen(nil)")],
    "return ngx.re.match('a', '[^]a', 'J'), ngx.re.find('b', '[]', 'J')",
    "return ngx.socket.tcp():setclientcert('x', 'y')", "return ngx.socket.tcp():setclientcert(false)",
)
SSL = "return require('ngx.ssl')."
SESSION = "return require('ngx.ssl.session')."
EVERYWHERE = (
    *[SSL + call for call in ("clear_certs()", "server_name()", "server_port()", "raw_server_addr()", "raw_client_addr()",
                              "get_tls1_version()", "set_der_cert('x')", "set_der_priv_key('x')")],
    *[SESSION + call for call in ("get_session_id()", "get_serialized_session()", "set_serialized_session('x')")],
    "return require('ngx.process').enable_privileged_agent()", "return require('ngx.balancer').get_last_failure()",
    "return ngx.on_abort(function() end)",
)
AT_START = ("init_worker", "timer")
HOOKS = (*AT_START, "set", "rewrite", "access", "content", "header_filter", "body_filter", "log", "balancer")


def said(server, hook, number):
    if hook not in AT_START:
        get(server.port, f"/{hook}?x=y&i={number}")
    return get(server.port, f"/said?{hook}%20{number}").body.decode("latin-1")


def test_they_agree(server, nginx):
    calls = [*IN_CONTENT, *EVERYWHERE]
    text = CONF.replace("SERVER", SERVER).replace("SERIALIZE", SERIALIZE)
    text = text.replace("CALLS", ", ".join("[=[" + call + "]=]" for call in calls))
    load = "".join(f"load_module /usr/lib/nginx/modules/{m}.so; " for m in ("ndk_http_module", "ngx_http_lua_module"))
    here, there = server(text, allow_log=("runtime error",)), nginx(load + text, allow_log=("",))
    differences = []
    for number, call in enumerate(calls, 1):
        for hook in HOOKS if call in EVERYWHERE else ("content",):
            mine, theirs = said(here, hook, number), said(there, hook, number)
            if mine != theirs:
                differences.append(f"{hook}: {call}: {mine!r} is not {theirs!r}")
    assert not differences, "\n".join(differences)
