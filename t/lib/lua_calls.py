# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The functions of the Lua API, one row each: a call that works and what it gives, one that does not and what that gives, and where it may
be called. Tests run them here (lua/test_lua_api.py) and through the original (differential/test_lua_calls.py).

Results are written as SERIALIZE says: values with ", " between them, "raises: TEXT" for an error, without its place.
"""

from typing import NamedTuple

# where: anywhere | worker (not in init) | request | output | wait (may yield) | exit | balancer
WHERES = ("anywhere", "worker", "request", "output", "wait", "exit", "balancer")


class Call(NamedTuple):
    name: str
    where: str
    good: str
    gives: str
    bad: str = ""
    fails: str = ""

    @property
    def calling(self):
        """One that calls the function: `good` may only look at it."""
        return self.bad if self.good.startswith("type(") and self.bad else self.good


# The beginning of a server, and its upstream: each hook has a location, where it calls this() of the configuration; /said?HOOK%20I
# shows what that kept in the dictionary `said`.
SERVER = r"""upstream u { server 0.0.0.1; balancer_by_lua_block {
        this() require("ngx.balancer").set_current_peer("127.0.0.1", %%PORT_0%%) } }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /set { set_by_lua_block $x { this() return "" } return 200; }
        location /rewrite { rewrite_by_lua_block { this() } content_by_lua_block { } }
        location /access { access_by_lua_block { this() } content_by_lua_block { } }
        location /content { content_by_lua_block { this() } }
        location /header_filter { header_filter_by_lua_block { this() } content_by_lua_block { ngx.print("x") } }
        location /body_filter { body_filter_by_lua_block { this() } content_by_lua_block { ngx.print("x") } }
        location /log { log_by_lua_block { this() } content_by_lua_block { } }
        location /balancer { proxy_pass http://u/other; }
        location /other { content_by_lua_block { } }
        location /said { content_by_lua_block { ngx.print(ngx.shared.said:get(ngx.unescape_uri(ngx.var.args)) or "never") } }
"""

SERIALIZE = r"""
    function told(f)
        local function show(v)
            if type(v) == "table" and getmetatable(v) == nil then
                local keys = {}
                for k in pairs(v) do keys[#keys + 1] = k end
                table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
                for i, k in ipairs(keys) do keys[i] = tostring(k) .. "=" .. tostring(v[k]) end
                return "{" .. table.concat(keys, " ") .. "}"
            end
            if type(v) == "table" or type(v) == "userdata" or type(v) == "cdata" then return v == ngx.null and "null" or "object" end
            if type(v) == "function" or type(v) == "thread" then return type(v) end
            return tostring(v)
        end
        local function all(ok, ...)
            local n = select("#", ...)
            if not ok then return "raises: " .. tostring((...)):gsub("^[%w_/.]+:%d+: ", "") end
            local shown = {}
            for i = 1, n do shown[i] = show((select(i, ...))) end
            return table.concat(shown, ", ")
        end
        return all(pcall(f))
    end
"""

UNKNOWN_FLAG = 'raises: unknown flag "Q" (flags "Q")'


def _output():
    yield Call("say", "output", "ngx.say(1)", "1", "ngx.say({a = 1})", "raises: bad argument #1 to '?' (non-array table found)")
    yield Call("print", "output", "ngx.print(1)", "1", "ngx.print(print)", "raises: bad argument #1 to '?' (string, number, boolean, "
              "nil, ngx.null, or array table expected, but got function)")
    yield Call("flush", "output", "ngx.flush()", "nil, nothing to flush",
               "(function() ngx.eof() return ngx.flush() end)()", "nil, seen eof")
    yield Call("eof", "output", "ngx.eof()", "1", "(function() ngx.eof() return ngx.eof() end)()", "nil, seen eof")
    yield Call("send_headers", "output", "ngx.send_headers()", "1")
    yield Call("exit", "exit", "type(ngx.exit)", "function", "ngx.exit()", "raises: bad argument #1 to '?' (number expected, got no value)")
    yield Call("exec", "output", "type(ngx.exec)", "function", "ngx.exec('')", "raises: The uri argument is empty")
    yield Call("redirect", "output", "type(ngx.redirect)", "function", "ngx.redirect('/', 200)",
              "raises: only ngx.HTTP_MOVED_TEMPORARILY, ngx.HTTP_MOVED_PERMANENTLY, ngx.HTTP_PERMANENT_REDIRECT, ngx.HTTP_SEE_OTHER, and "
              "ngx.HTTP_TEMPORARY_REDIRECT are allowed")
    yield Call("log", "anywhere", "ngx.log(ngx.INFO, 1)", "", "ngx.log(99, 1)", "raises: bad argument #1 to '?' (bad log level: 99)")
    yield Call("get_phase", "anywhere", "type(ngx.get_phase())", "string")
    yield Call("sleep", "wait", "ngx.sleep(0)", "", "ngx.sleep(-1)", 'raises: invalid sleep duration "-1000"')


def _request():
    yield Call("req.get_method", "request", "ngx.req.get_method()", "GET")
    yield Call("req.set_method", "request", "ngx.req.set_method(ngx.HTTP_PUT)", "", "ngx.req.set_method(3)",
              "raises: unsupported HTTP method: 3")
    yield Call("req.get_headers", "request", "ngx.req.get_headers()['x-a']", "b", "select(2, ngx.req.get_headers(1))", "truncated")
    yield Call("req.set_header", "request", "ngx.req.set_header('a', 'b')", "", "ngx.req.set_header(nil, 1)",
              "raises: bad 'name' argument: string expected, got nil")
    yield Call("req.clear_header", "request", "ngx.req.clear_header('a')", "")
    yield Call("req.set_uri", "request", "ngx.req.set_uri('/x')", "", "ngx.req.set_uri('')", "raises: attempt to use zero-length uri")
    yield Call("req.raw_header", "request", "ngx.req.raw_header():match('^GET ')", "GET ")
    yield Call("req.http_version", "request", "ngx.req.http_version()", "1.1")
    yield Call("req.start_time", "request", "type(ngx.req.start_time())", "number")
    yield Call("req.is_internal", "request", "ngx.req.is_internal()", "false")
    yield Call("req.get_uri_args", "request", "ngx.req.get_uri_args().x", "y", "select(2, ngx.req.get_uri_args(1))", "truncated")
    yield Call("req.set_uri_args", "request", "ngx.req.set_uri_args('a=b')", "", "ngx.req.set_uri_args(true)",
              "raises: bad argument #1 to '?' (string, number, or table expected, but got boolean)")
    yield Call("req.get_post_args", "request", "type(ngx.req.get_post_args)", "function", "ngx.req.get_post_args()",
              "raises: no request body found; maybe you should turn on lua_need_request_body?")
    yield Call("req.read_body", "output", "ngx.req.read_body()", "")
    yield Call("req.discard_body", "request", "ngx.req.discard_body()", "")
    yield Call("req.get_body_data", "request", "ngx.req.get_body_data()", "nil")
    yield Call("req.get_body_file", "request", "ngx.req.get_body_file()", "nil")
    unread = "raises: request body not read yet"
    yield Call("req.set_body_data", "request", "type(ngx.req.set_body_data)", "function", "ngx.req.set_body_data('x')", unread)
    yield Call("req.set_body_file", "request", "type(ngx.req.set_body_file)", "function", "ngx.req.set_body_file('/none')", unread)
    yield Call("req.init_body", "request", "type(ngx.req.init_body)", "function", "ngx.req.init_body()", unread)
    unmade = "raises: request_body not initialized"
    yield Call("req.append_body", "request", "type(ngx.req.append_body)", "function", "ngx.req.append_body('x')", unmade)
    yield Call("req.finish_body", "request", "type(ngx.req.finish_body)", "function", "ngx.req.finish_body()", unmade)
    yield Call("resp.get_headers", "request", "type(ngx.resp.get_headers())", "table")
    yield Call("ngx.resp.add_header", "request", "require('ngx.resp').add_header('X-A', 'b')", "")
    yield Call("ngx.resp.set_status", "request", "require('ngx.resp').set_status(201, 'Made')", "")
    yield Call("ngx.req.add_header", "request", "require('ngx.req').add_header('X-A', 'b')", "")


def _texts():
    yield Call("escape_uri", "anywhere", "ngx.escape_uri('a b')", "a%20b", "ngx.escape_uri('a', 7)",
              'raises: "type" 7 out of range')
    yield Call("unescape_uri", "anywhere", "ngx.unescape_uri('a%20b%')", "a b%")
    yield Call("encode_args", "anywhere", "ngx.encode_args{a = 1}", "a=1", "ngx.encode_args{a = {b = {}}}",
              "raises: attempt to use table as query arg value")
    yield Call("decode_args", "anywhere", "ngx.decode_args('a=1&b')", "{a=1 b=true}", "select(2, ngx.decode_args('a=1&b', 1))", "truncated")
    yield Call("encode_base64", "anywhere", "ngx.encode_base64('a')", "YQ==")
    yield Call("decode_base64", "anywhere", "ngx.decode_base64('YQ==')", "a", "ngx.decode_base64('*')", "nil")
    yield Call("decode_base64mime", "anywhere", "ngx.decode_base64mime('Y Q=\\n=')", "a")
    yield Call("md5", "anywhere", "ngx.md5('')", "d41d8cd98f00b204e9800998ecf8427e")
    yield Call("md5_bin", "anywhere", "#ngx.md5_bin('a')", "16")
    yield Call("sha1_bin", "anywhere", "#ngx.sha1_bin('a')", "20")
    yield Call("hmac_sha1", "anywhere", "ngx.encode_base64(ngx.hmac_sha1('key', 'text'))", "Np4pWetJRQM4shJ0j3fY3tdIR7s=")
    yield Call("crc32_short", "anywhere", "ngx.crc32_short('a')", "3904355907")
    yield Call("crc32_long", "anywhere", "ngx.crc32_long('a')", "3904355907")
    yield Call("quote_sql_str", "anywhere", "ngx.quote_sql_str(\"a'b\")", "'a\\'b'")
    yield Call("now", "anywhere", "type(ngx.now())", "number")
    yield Call("time", "anywhere", "type(ngx.time())", "number")
    yield Call("update_time", "anywhere", "ngx.update_time()", "")
    yield Call("today", "anywhere", "#ngx.today()", "10")
    yield Call("localtime", "anywhere", "#ngx.localtime()", "19")
    yield Call("utctime", "anywhere", "#ngx.utctime()", "19")
    yield Call("http_time", "anywhere", "ngx.http_time(1)", "Thu, 01 Jan 1970 00:00:01 GMT")
    yield Call("cookie_time", "anywhere", "ngx.cookie_time(1)", "Thu, 01-Jan-70 00:00:01 GMT")
    yield Call("parse_http_time", "anywhere", "ngx.parse_http_time('Thu, 01 Jan 1970 00:00:01 GMT')", "1",
               "ngx.parse_http_time('x')", "nil")
    yield Call("re.match", "anywhere", "ngx.re.match('abc', '(b)', 'jo')", "{0=b 1=b}", "ngx.re.match('a', 'a', 'Q')", UNKNOWN_FLAG)
    yield Call("re.find", "anywhere", "ngx.re.find('abc', 'b')", "2, 2", "ngx.re.find('abc', 'x')", "nil")
    yield Call("re.gmatch", "anywhere", "ngx.re.gmatch('abc', 'b')()[0]", "b", "ngx.re.gmatch('a', 'a', 'Q')", UNKNOWN_FLAG)
    yield Call("re.sub", "anywhere", "ngx.re.sub('abab', 'b', 'x')", "axab, 1", "ngx.re.sub('a', 'a', 'b', 'Q')", UNKNOWN_FLAG)
    yield Call("re.gsub", "anywhere", "ngx.re.gsub('abab', 'b', 'x')", "axax, 2", "ngx.re.gsub('a', 'a', 'b', 'Q')", UNKNOWN_FLAG)
    yield Call("ngx.re.opt", "anywhere", "type(require('ngx.re').opt)", "function", "require('ngx.re').opt('x', 1)",
              "raises: unrecognized option name")
    yield Call("ngx.re.split", "anywhere", "require('ngx.re').split('a,b', ',')", "{1=a 2=b}")
    yield Call("ngx.base64.encode_base64url", "anywhere", "require('ngx.base64').encode_base64url('\\255')", "_w")
    yield Call("ngx.base64.decode_base64mime", "anywhere", "require('ngx.base64').decode_base64mime('Y Q=\\n=')", "a")
    yield Call("ngx.base64.decode_base64url", "anywhere", "require('ngx.base64').decode_base64url('YQ')", "a",
              "require('ngx.base64').decode_base64url('*')", "nil, invalid input")


def _dictionaries():
    yield Call("dict.set", "anywhere", "d:set('k', 'v')", "true, nil, false", "d:set('k', {})", "nil, bad value type")
    yield Call("dict.safe_set", "anywhere", "d:safe_set('k', 'v')", "true, nil, false",
               "d:safe_set('k', ('x'):rep(3e6))", "false, no memory, false")
    yield Call("dict.get", "anywhere", "(function() d:set('k', 1, 0, 7) return d:get('k') end)()", "1, 7", "d:get('')", "nil, empty key")
    yield Call("dict.get_stale", "anywhere", "(function() d:set('k', 1) return d:get_stale('k') end)()", "1, nil, false",
              "d:get_stale(nil)", "nil, nil key")
    yield Call("dict.add", "anywhere", "d:add('new', 1)", "true, nil, false", "(function() d:set('k', 1) return d:add('k', 1) end)()",
              "false, exists, false")
    yield Call("dict.safe_add", "anywhere", "d:safe_add('new2', 1)", "true, nil, false",
               "(function() d:set('k', 1) return d:safe_add('k', 1) end)()",
              "false, exists, false")
    yield Call("dict.replace", "anywhere", "(function() d:set('k', 1) return d:replace('k', 2) end)()", "true, nil, false",
              "d:replace('none', 1)", "false, not found, false")
    yield Call("dict.delete", "anywhere", "d:delete('k')", "true, nil, false")
    yield Call("dict.incr", "anywhere", "(function() d:set('k', 1) return d:incr('k', 2) end)()", "3", "d:incr('none', 1)",
              "nil, not found")
    yield Call("dict.lpush", "anywhere", "(function() d:delete('l') return d:lpush('l', 1) end)()", "1",
              "(function() d:set('k', 1) return d:lpush('k', 1) end)()", "nil, value not a list")
    yield Call("dict.rpush", "anywhere", "(function() d:delete('l') return d:rpush('l', 1) end)()", "1", "d:rpush('l', true)",
              "nil, bad value type")
    yield Call("dict.lpop", "anywhere", "(function() d:delete('l') d:rpush('l', 7) return d:lpop('l') end)()", "7", "d:lpop('none')", "nil")
    yield Call("dict.rpop", "anywhere", "(function() d:delete('l') d:rpush('l', 7) return d:rpop('l') end)()", "7",
              "(function() d:set('k', 1) return d:rpop('k') end)()", "nil, value not a list")
    yield Call("dict.llen", "anywhere", "d:llen('none')", "0", "(function() d:set('k', 1) return d:llen('k') end)()",
              "nil, value not a list")
    yield Call("dict.ttl", "anywhere", "(function() d:set('k', 1) return d:ttl('k') end)()", "0", "d:ttl('none')", "nil, not found")
    yield Call("dict.expire", "anywhere", "(function() d:set('k', 1) return d:expire('k', 5) end)()", "true", "d:expire('none', 1)",
              "nil, not found")
    yield Call("dict.flush_all", "anywhere", "d:flush_all()", "")
    yield Call("dict.flush_expired", "anywhere", "type(d:flush_expired())", "number")
    yield Call("dict.get_keys", "anywhere", "type(d:get_keys())", "table")
    yield Call("dict.capacity", "anywhere", "d:capacity()", "2097152")
    yield Call("dict.free_space", "anywhere", "type(d:free_space())", "number")


def _threads():
    yield Call("timer.at", "worker", "ngx.timer.at(0, function() end)", "1", "ngx.timer.at(0, print)",
              "raises: bad argument #2 to '?' (Lua function expected)")
    yield Call("timer.every", "worker", "ngx.timer.every(1000, function() end)", "1", "ngx.timer.every(0, function() end)",
              "raises: delay cannot be zero")
    yield Call("timer.running_count", "worker", "type(ngx.timer.running_count())", "number")
    yield Call("timer.pending_count", "worker", "type(ngx.timer.pending_count())", "number")
    yield Call("thread.spawn", "wait", "ngx.thread.spawn(function() end)", "thread", "ngx.thread.spawn(print)",
              "raises: bad argument #1 to '?' (Lua function expected)")
    yield Call("thread.wait", "wait", "ngx.thread.wait(ngx.thread.spawn(function() return 7 end))", "true, 7",
              "ngx.thread.wait(coroutine.create(function() end))", "raises: attempt to wait on a coroutine that is not a user thread")
    yield Call("thread.kill", "wait", "ngx.thread.kill(ngx.thread.spawn(function() ngx.sleep(9) end))", "1",
              "ngx.thread.kill(coroutine.create(function() end))", "nil, not user thread")
    semaphore = "require('ngx.semaphore').new(1)"
    yield Call("ngx.semaphore.new", "anywhere", semaphore, "object", "require('ngx.semaphore').new(-1)", "raises: no negative number")
    yield Call("semaphore.post", "anywhere", semaphore + ":post(2)", "true", semaphore + ":post(0)", "raises: positive number required")
    yield Call("semaphore.count", "anywhere", semaphore + ":count()", "1")
    yield Call("semaphore.wait", "anywhere", "type(" + semaphore + ".wait)", "function", semaphore + ":wait(-1)",
              "raises: no negative number")


def _sockets():
    yield Call("socket.tcp", "wait", "ngx.socket.tcp()", "object")
    yield Call("socket.udp", "wait", "ngx.socket.udp()", "object")
    yield Call("socket.connect", "wait", "type(ngx.socket.connect)", "function", "ngx.socket.connect('127.0.0.1', 1)",
              "nil, connection refused")
    tcp = "ngx.socket.tcp()"
    yield Call("tcp.connect", "wait", f"type({tcp}.connect)", "function", f"{tcp}:connect('127.0.0.1', 1)", "nil, connection refused")
    for call, more in (("send", "'x'"), ("receive", ""), ("receiveany", "1"), ("setkeepalive", ""), ("getreusedtimes", ""), ("close", "")):
        yield Call(f"tcp.{call}", "wait", f"type({tcp}.{call})", "function", f"{tcp}:{call}({more})", "nil, closed")
    yield Call("tcp.receiveuntil", "wait", f"type({tcp}:receiveuntil('x'))", "function", f"{tcp}:receiveuntil('')",
              "nil, pattern is empty")
    yield Call("tcp.settimeout", "wait", f"{tcp}:settimeout(1)", "", f"{tcp}:settimeout(-1)", "raises: bad timeout value")
    yield Call("tcp.settimeouts", "wait", f"{tcp}:settimeouts(1, 1, 1)", "", f"{tcp}:settimeouts(1, -1, 1)", "raises: bad timeout value")
    never = "raises: socket is never created nor connected"
    yield Call("tcp.setoption", "wait", f"type({tcp}.setoption)", "function", f"{tcp}:setoption('keepalive', 1)", never)
    yield Call("tcp.getoption", "wait", f"type({tcp}.getoption)", "function", f"{tcp}:getoption('keepalive')", never)
    yield Call("tcp.bind", "wait", f"{tcp}:bind('127.0.0.1')", "true", f"{tcp}:bind('localhost')", "nil, bad address")
    yield Call("tcp.setclientcert", "wait", f"{tcp}:setclientcert()", "true")
    yield Call("tcp.settrustedstore", "wait", f"type({tcp}.settrustedstore)", "function", f"{tcp}:settrustedstore('x')",
              "nil, bad store arg: cdata expected, got string")
    yield Call("tcp.sslhandshake", "wait", f"type({tcp}.sslhandshake)", "function", f"{tcp}:sslhandshake()", "nil, closed")
    for call in ("getsslpointer", "getsslctx", "getsslsession"):
        yield Call(f"tcp.{call}", "wait", f"type({tcp}.{call})", "function", f"{tcp}:{call}()", "nil, not ssl connection")
    yield Call("tcp.getfd", "wait", f"type({tcp}.getfd)", "function", f"{tcp}:getfd()", "nil, closed")
    udp = "ngx.socket.udp()"
    yield Call("udp.setpeername", "wait", f"{udp}:setpeername('127.0.0.1', 9)", "1", f"{udp}:setpeername('127.0.0.1', 70000)",
              "nil, bad port number: 70000")
    yield Call("udp.bind", "wait", f"{udp}:bind('127.0.0.1')", "true", f"{udp}:bind('localhost')", "nil, bad address")
    yield Call("udp.send", "wait", f"type({udp}.send)", "function", f"{udp}:send('x')", "nil, closed")
    yield Call("udp.receive", "wait", f"type({udp}.receive)", "function", f"{udp}:receive()", "nil, closed")
    yield Call("udp.settimeout", "wait", f"{udp}:settimeout(1)", "")
    yield Call("udp.close", "wait", f"type({udp}.close)", "function", f"{udp}:close()", "nil, closed")


def _worker():
    yield Call("worker.pid", "anywhere", "type(ngx.worker.pid())", "number")
    yield Call("worker.count", "anywhere", "ngx.worker.count()", "1")
    yield Call("worker.exiting", "anywhere", "ngx.worker.exiting()", "false")
    yield Call("worker.id", "anywhere", "ngx.get_phase() == 'init' or ngx.worker.id() == 0", "true")
    yield Call("config.nginx_configure", "anywhere", "type(ngx.config.nginx_configure())", "string")
    yield Call("run_worker_thread", "wait", "type(ngx.run_worker_thread)", "function", "ngx.run_worker_thread('none', 'm', 'f')",
              "false, thread pool none not found")
    yield Call("config.prefix", "anywhere", "type(ngx.config.prefix())", "string")
    disabled = "nil, no upstream found"
    for call, more in (("set_current_peer", "'127.0.0.1', 80"), ("set_more_tries", "1"), ("get_last_failure", ""),
                       ("set_timeouts", "1, 1, 1"), ("enable_keepalive", ""), ("recreate_request", ""),
                       ("bind_to_local_addr", "'127.0.0.1'"), ("set_upstream_tls", "true")):
        expression = f"require('ngx.balancer').{call}({more})"
        is_question = call == "get_last_failure"
        yield Call(f"ngx.balancer.{call}", "balancer", expression, "nil" if is_question else "true", expression,
                   ("nil, " if is_question else "") + disabled)


CALLS = [*_output(), *_request(), *_texts(), *_dictionaries(), *_threads(), *_sockets(), *_worker()]
