# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The Lua API against the original: each script runs as content in Debian's nginx with its Lua module and here; what it prints
must agree."""

import re
from itertools import zip_longest

from lib.client import Client

CONF = r"""
error_log logs/error.log notice;
events {}
http {
    lua_shared_dict d 1m;
    access_log off;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        client_body_buffer_size 4k;
        default_type text/plain;
        set $settable "";
        LOCATIONS
        location /other { content_by_lua_block { ngx.say("other ", ngx.var.args) } }
    }
}
"""

# name -> (script, request line and fields behind "Host", body)
SCRIPTS = {
    "escape": """
        for _, s in ipairs{"a b+c/d?e=f&g%", "\\0\\1\\127\\200é~!*'()-_.", ""} do
          ngx.say(ngx.escape_uri(s), " ", ngx.unescape_uri(s))
        end
        ngx.say(ngx.unescape_uri("%41%zz%4"), ngx.unescape_uri("a%20b+c"))""",
    "args_codec": """
        ngx.say(ngx.encode_args({a = 1})) ngx.say(ngx.encode_args({b = "x y&"})) ngx.say(ngx.encode_args({c = true}))
        ngx.say(ngx.encode_args({c = false})) ngx.say(ngx.encode_args({d = {1, "b", true}})) ngx.say(ngx.encode_args({}))
        ngx.say(pcall(ngx.encode_args, {a = {b = {}}}))
        local t = ngx.decode_args("a=1&b&c=&=x&a=2&d=%20+%zz&e=f=g")
        for _, k in ipairs{"a", "b", "c", "d", "e"} do
          local v = t[k] ngx.say(k, " ", type(v) == "table" and table.concat(v, ",") or tostring(v))
        end
        local t, err = ngx.decode_args("a=1&b=2&c=3", 2) ngx.say(tostring(t.c), " ", tostring(err))""",
    "base64": """
        ngx.say(ngx.encode_base64("hello")) ngx.say(ngx.encode_base64("hell", true)) ngx.say(ngx.decode_base64("aGVsbG8="))
        ngx.say(tostring(ngx.decode_base64("a*b"))) ngx.say(ngx.encode_base64(""))""",
    "digests": """
        ngx.say(ngx.md5("hello")) ngx.say(ngx.encode_base64(ngx.md5_bin("hello"))) ngx.say(ngx.encode_base64(ngx.sha1_bin("hello")))
        ngx.say(ngx.encode_base64(ngx.hmac_sha1("key", "text"))) ngx.say(ngx.crc32_short("hello"), " ", ngx.crc32_long("hello"))
        ngx.say(ngx.quote_sql_str("a'b\\"c\\\\d\\n\\r\\0\\26"))""",
    "http_time": """
        ngx.say(ngx.http_time(1290079655)) ngx.say(ngx.cookie_time(1290079655)) ngx.say(ngx.cookie_time(3000000000))
        ngx.say(ngx.parse_http_time("Thu, 18 Nov 2010 11:27:35 GMT")) ngx.say(tostring(ngx.parse_http_time("no")))
        ngx.say(#ngx.today(), " ", #ngx.localtime(), " ", #ngx.utctime(), " ", math.type and "" or type(ngx.now()))
        ngx.say(math.abs(ngx.time() - os.time()) < 2, ngx.now() - ngx.time() < 1.1)""",
    "print": """
        ngx.print("a", 1, 1.5, -0.25, 1e20, 2^53, true, false, nil, ngx.null, {"x", {1, "y"}}, "\\n")
        ngx.say() ngx.say("") ngx.say(0/1, " ", 10/4, " ", 100000000000000)
        ngx.say(pcall(ngx.say, {a = 1})) ngx.say(pcall(ngx.print, {print})) ngx.say(pcall(ngx.say, print))""",
    "re_match": """
        local m, err = ngx.re.match("hello, 1234", "([0-9])[0-9]+") ngx.say(m[0], " ", m[1], " ", #m)
        ngx.say(tostring(ngx.re.match("hello", "x")))
        local m = ngx.re.match("hello", "(h)(x)?(e)?") ngx.say(m[0], tostring(m[1]), tostring(m[2]), tostring(m[3]), #m)
        local m = ngx.re.match("hello, 1234", "(?<a>[0-9])(?<b>[a-z])?", "") ngx.say(m.a, tostring(m.b))
        local ctx = {pos = 3} local m = ngx.re.match("1234, hello", "[0-9]+", "jo", ctx) ngx.say(m[0], " ", ctx.pos)
        local m = ngx.re.match("1234, hello", "[0-9]+", "", ctx) ngx.say(tostring(m), " ", tostring(ctx.pos))
        local m, err = ngx.re.match("x", "(") ngx.say(tostring(m))
        ngx.say((select(2, pcall(ngx.re.match, "x", "x", "Q"))):match("unknown flag.*"))
        ngx.say(ngx.re.match("HELLO", "hello", "i")[0]) ngx.say(ngx.re.match("a\\nb", "^b", "m")[0])
        ngx.say(tostring(ngx.re.match("a\\nb", "a.b"))) ngx.say(ngx.re.match("a\\nb", "a.b", "s")[0])
        ngx.say(ngx.re.match("ab", "a b", "x")[0]) ngx.say(tostring(ngx.re.match("xab", "ab", "a")))
        local res = {} local m = ngx.re.match("hello", "(l)", "", nil, res) ngx.say(m == res, m[1])
        ngx.say(ngx.re.match("hello", "ell|hello|he", "d")[0])""",
    "re_find": """
        ngx.say(ngx.re.find("hello, 1234", "([0-9]+)")) ngx.say(tostring(ngx.re.find("a", "b")))
        ngx.say(ngx.re.find("hello, 1234", "([0-9])([0-9]+)", "jo", nil, 2))
        local ctx = {pos = 4} ngx.say(ngx.re.find("hello, 1234", "l", "", ctx), " ", ctx.pos)
        local a, b, err = ngx.re.find("x", "(") ngx.say(tostring(a), tostring(b), type(err))
        ngx.say(ngx.re.find("abc", "", "", {pos = 4})) ngx.say(tostring(ngx.re.find("abc", "b", "", {pos = 9})))""",
    "re_odd": """
        ngx.say(ngx.re.match(nil, "nil")[0], ngx.re.match(true, "true")[0], ngx.re.match(1.5, "1.5")[0], ngx.re.gsub(12, "2", "x"))
        for _, s in ipairs{"aabb", "bb"} do
          local m = ngx.re.match(s, "(?<x>a)+(?<y>z)?|(?<x>b)", "D") ngx.say(table.concat(m.x, ","), " ", tostring(m.y)) end
        local it = ngx.re.gmatch("a", "a") ngx.say(it()[0], " ", select("#", it()), " ", select("#", it()))
        local split = require("ngx.re").split
        ngx.say(table.concat(split("abc", "(?=b)"), "|"), " ", table.concat(split("abcd", "x*"), "|"),
          " ", table.concat(split(1.5, "[.]"), "|"))
        ngx.say(table.concat(split("a,b,c", ",", nil, {pos = 3}), "|"), " ", table.concat(split("abc", "", nil, nil, 2), "|"))
        ngx.say(ngx.re.gsub("a,b", ",", "$x")) ngx.say(ngx.re.find("ab", "(b)", "", nil, 2^53))
        ngx.say(ngx.re.find("ab", "b", "", nil, nil))
        local t = {old = 1} ngx.req.get_uri_args(0, t) ngx.say(tostring(t.old), t.a)""",
    "odd_texts": """
        local function try(f, ...) ngx.say(((tostring(select(2, pcall(f, ...))):gsub("^.-:%d+: ", ""))) ) end
        for _, f in ipairs{ngx.escape_uri, ngx.unescape_uri, ngx.md5, ngx.crc32_short, ngx.encode_base64} do
          ngx.say(f(true), f(false), f(nil), f(1.5), f(ngx.null)) end
        ngx.say(ngx.escape_uri(" !\\"#$%&'()*+,-./:;<=>?@[\\\\]^_`{|}~\\127\\0\\200", 0))
        ngx.say(ngx.decode_base64("YQ=="), ngx.decode_base64("YQ="))
        for _, f in ipairs{ngx.http_time, ngx.cookie_time} do
          ngx.say(f(-1), f(0/0), f(1e15)) try(f, "12") try(f) end
        try(ngx.parse_http_time, 5) try(ngx.decode_base64, 5) try(ngx.quote_sql_str) try(ngx.quote_sql_str, nil) try(ngx.hmac_sha1, "a")
        ngx.say(require("ngx.base64").encode_base64url(nil)) ngx.say(require("ngx.base64").decode_base64url(5))
        ngx.say(ngx.encode_args{a = 1e15}) try(ngx.encode_args, {"x"}) try(ngx.encode_args) try(ngx.decode_args)""",
    "odd_calls": """
        local function try(f, ...) ngx.say(((tostring(select(2, pcall(f, ...))):gsub("^.-:%d+: ", ""))) ) end
        try(ngx.req.set_method, "GET") try(ngx.req.set_method, 1.5) try(ngx.req.set_header, nil, "x")
        try(require("ngx.req").add_header, "a")
        try(require("ngx.req").add_header, "a", {}) try(ngx.req.set_uri, "/\\1") try(ngx.req.set_uri) try(ngx.req.set_uri, "/x", 1)
        try(ngx.req.set_uri_args, nil) try(ngx.req.set_uri_args, print) ngx.req.set_uri_args("x\\r\\ny") ngx.say(ngx.var.args)
        try(ngx.timer.at, 0) try(ngx.flush, 1) try(ngx.exec, "/x", true) ngx.say(ngx.on_abort(nil)) try(ngx.location.capture)
        try(ngx.location.capture_multi, {1}) try(ngx.location.capture, "/x", 1) ngx.say(ngx.run_worker_thread("x"))
        try(ngx.log, ngx.ERR, "a", {}) try(print, print) try(function() ngx.ctx = 1 end) try(function() ngx.arg[1] = 1 end)
        try(function() ngx.var[1] = "x" end) try(function() ngx.var.http_x_test = "x" end) ngx.say(tostring(ngx.var[0]))
        local d = ngx.shared.d ngx.say(d:add("k", nil)) d:set("f", 1, 0, -5) ngx.say(d:get("f")) d:set("s", "x")
        ngx.say(d:incr("s", 1, 5))
        try(d.incr, d, "k", 1, "x") try(d.incr, d, "k", 1, 1, "x")
        local s = ngx.socket.tcp() ngx.say(s:connect("127.0.0.1")) ngx.say(s:connect("127.0.0.1", 65536))
        try(s.settimeout, s, 2^31) try(s.settimeout, s)
        try(s.receiveuntil, s, "x", 1) try(s.receiveuntil, s, "x", {inclusive = 1}) try(s.connect, s)""",
    "odd_fields": """
        ngx.req.set_header("X-Test", "") ngx.req.set_header("In J", "a\\r\\nb") ngx.req.set_header("X-B", true)
        require("ngx.req").add_header("Host", "other")
        local h = ngx.req.get_headers(0, true) h.Connection, h.Cookie, h["X-Two"] = nil
        local names = {} for k, v in pairs(h) do names[#names + 1] = k .. "=" .. tostring(v) end table.sort(names)
        ngx.header.x_got = table.concat(names, ";")
        ngx.header.x_empty = "a" ngx.header.x_empty = "" ngx.header["X Sp"] = 1 ngx.header["X-Bool"] = {true, "b"}
        ngx.header.expires = {"a", "b"}
        ngx.header.x_bad = tostring(pcall(function() ngx.header.content_length = "x" end)) ngx.status = 0 ngx.print("x")""",
    "conditional_tag": "ngx.header[\"ETag\"] = '\"x\"' ngx.say('never seen')",
    "conditional_date": "ngx.header['Last-Modified'] = ngx.http_time(1) ngx.say('never seen')",
    "exit_201": "ngx.exit(201)",
    "exit_206": "ngx.exit(206)",
    "exit_404_sent": "ngx.say('x') ngx.flush() ngx.exit(201)",
    "not_modified": "ngx.status = 304 ngx.header[\"ETag\"] = '\"x\"' ngx.say('x')",
    "until_sizes": """
        local f = ngx.req.socket():receiveuntil("--X")
        for i = 1, 11 do local piece, err = f(3) ngx.say(tostring(piece), " ", tostring(err)) end""",
    "discard": "ngx.req.discard_body() ngx.req.read_body() local t = ngx.req.get_post_args() "
               "ngx.say(tostring(ngx.req.get_body_data()), next(t) == nil)",
    "re_gmatch": """
        for m in ngx.re.gmatch("hello, world 12", "([a-z])([a-z]+)") do ngx.print(m[0], ":", m[1], " ") end ngx.say()
        local n = 0 for m in ngx.re.gmatch("abc", "x*") do n = n + 1 end ngx.say(n)
        local it, err = ngx.re.gmatch("x", "(") ngx.say(tostring(it), type(err))""",
    "re_sub": """
        ngx.say(ngx.re.sub("hello, 1234", "([0-9])[0-9]", "[$0][$1]")) ngx.say(ngx.re.sub("hello", "x", "y"))
        ngx.say(ngx.re.gsub("hello, world", "([a-z])[a-z]+", "[$0,$1,${1}2,$$]", "i"))
        ngx.say(ngx.re.gsub("hello, world", "[a-z]+", function(m) return "[" .. m[0]:upper() .. "]" end, "jo"))
        ngx.say(ngx.re.gsub("abc", "", "-")) ngx.say(ngx.re.gsub("abc", "x*", "-")) ngx.say(ngx.re.gsub("", "a", "b"))
        ngx.say(ngx.re.sub("abc", "b", function(m) return 5 end))""",
    "shared": """
        local d = ngx.shared.d d:flush_all() d:flush_expired()
        ngx.say(d:set("a", 1)) ngx.say(d:get("a")) ngx.say(d:set("s", "text", 0, 7)) ngx.say(d:get("s")) ngx.say(d:set("b", true))
        ngx.say(d:get("b"))
        ngx.say(tostring(d:get("none"))) ngx.say(d:add("a", 2)) ngx.say(d:add("new", 2)) ngx.say(d:replace("none", 1))
        ngx.say(d:replace("a", "x"))
        ngx.say(d:incr("n", 1)) ngx.say(d:incr("n", 1, 10)) ngx.say(d:incr("n", 2.5)) ngx.say(d:incr("s", 1)) ngx.say(d:delete("a"))
        ngx.say(tostring(d:get("a"))) ngx.say(d:get_stale("s")) ngx.say(d:get(nil)) ngx.say(d:get("")) ngx.say(d:set("t", {}))
        ngx.say(d:get(("x"):rep(65536)))
        ngx.say(d:lpush("l", 1)) ngx.say(d:rpush("l", "two")) ngx.say(d:llen("l")) ngx.say(d:lpop("l")) ngx.say(d:rpop("l"))
        ngx.say(tostring(d:rpop("l"))) ngx.say(d:llen("l"))
        ngx.say(d:lpush("s", 1)) ngx.say(d:lpop("s")) ngx.say(d:lpush("l2", 1)) ngx.say(d:get("l2")) ngx.say(d:lpush("l2", true))
        ngx.say(d:set("e", 1, 0.001)) ngx.sleep(0.01) ngx.say(tostring(d:get("e"))) ngx.say(d:get_stale("e")) ngx.say(d:ttl("s"))
        ngx.say(d:expire("s", 100)) ngx.say(d:ttl("s") > 99) ngx.say(d:expire("none", 1)) ngx.say(d:flush_expired())
        ngx.say(table.concat(d:get_keys(), ",")) ngx.say(table.concat(d:get_keys(2), ","))
        ngx.say(d:set("del", 1), d:set("del", nil), d:get("del")) ngx.say(d:capacity()) ngx.say(type(d:free_space()))
        ngx.say((select(2, pcall(d.get, "x", "y"))):gsub("^.-: ", ""))
        ngx.say((select(2, pcall(d.set, d, "k", "v", -1))):gsub("^.-: ", ""))
        ngx.say(tostring(ngx.shared.nope)) ngx.say(d:safe_set("sf", 1)) ngx.say(d:safe_add("sf", 1))""",
    "dict_full": """
        local d = ngx.shared.d d:flush_all() d:flush_expired()
        local big = ("x"):rep(100000) local forced = 0
        for i = 1, 30 do local ok, err, forcible = d:set("k" .. i, big) if forcible then forced = forced + 1 end end
        ngx.say(forced > 10, d:get("k30") == big, tostring(d:get("k1")))
        ngx.say(d:safe_set("more", big)) ngx.say(d:set("huge", ("x"):rep(2000000))) d:flush_all() d:flush_expired()""",
    "var": """
        ngx.say(ngx.var.uri, " ", ngx.var.request_method, " ",
        ngx.var.arg_a, " ", tostring(ngx.var.arg_none), " ", tostring(ngx.var.nothing))
        ngx.var.settable = "x" ngx.say(ngx.var.settable) ngx.var.settable = 12 ngx.say(ngx.var.settable)
        ngx.say((select(2, pcall(function() ngx.var.undeclared = 1 end))):gsub("^.-: ", ""))
        ngx.say((select(2, pcall(function() ngx.var.uri = "x" end))):gsub("^.-: ", ""))
        ngx.var.args = "b=2" ngx.say(ngx.var.arg_b, " ", ngx.var.args, " ", ngx.var.http_x_test, " ", ngx.var.remote_addr, " ",
        ngx.var.cookie_k)""",
    "request": """
        ngx.say(ngx.req.get_method(), ngx.req.http_version(), " ", tostring(ngx.req.is_internal()), " ", ngx.is_subrequest, " ",
        ngx.headers_sent)
        local h = ngx.req.get_headers()
        ngx.say(h.host ~= nil, " ", h["X-Test"], " ", h.x_test, " ", h["x-test"], " ",
          type(h["x-two"]) == "table" and table.concat(h["x-two"], ","))
        local h = ngx.req.get_headers(0, true) ngx.say(tostring(h["X-Test"]), " ", tostring(h["x-test"]))
        local h, err = ngx.req.get_headers(1) ngx.say(tostring(err))
        ngx.req.set_header("X-New", "n") ngx.say(ngx.req.get_headers().x_new, " ", ngx.var.http_x_new)
        ngx.req.set_header("X-Test", {"p", "q"}) ngx.say(table.concat(ngx.req.get_headers()["x-test"], ","))
        ngx.req.clear_header("x-TEST") ngx.say(tostring(ngx.req.get_headers().x_test))
        local a = ngx.req.get_uri_args() ngx.say(a.a, tostring(a.flag), tostring(a.none)) ngx.req.set_uri_args({z = "1 2"})
        ngx.say(ngx.var.args)
        ngx.req.set_uri_args("raw=1") ngx.say(ngx.req.get_uri_args().raw) ngx.req.set_uri("/changed") ngx.say(ngx.var.uri)
        ngx.say(pcall(ngx.req.set_uri, "")) ngx.req.set_method(ngx.HTTP_PUT) ngx.say(ngx.req.get_method(), ngx.var.request_method)
        ngx.say((ngx.req.raw_header():gsub("127.0.0.1:%d+", "H"))) ngx.say(type(ngx.req.start_time()))
        ngx.say((select(2, pcall(ngx.req.set_uri, "/x", true))):gsub("^.-: ", ""))""",
    "body": """
        ngx.say(tostring(ngx.req.get_body_data())) ngx.req.read_body() ngx.say(ngx.req.get_body_data())
        ngx.say(tostring(ngx.req.get_body_file()))
        local t = ngx.req.get_post_args() ngx.say(t.a, " ", t.b) ngx.req.set_body_data("new") ngx.say(ngx.req.get_body_data())
        ngx.say(ngx.req.get_headers().content_length, ngx.var.content_length) ngx.req.init_body() ngx.req.append_body("x")
        ngx.req.append_body("yz") ngx.req.finish_body() ngx.say(ngx.req.get_body_data())""",
    "body_file": """
        ngx.req.read_body() ngx.say(tostring(ngx.req.get_body_data())) ngx.say(#io.open(ngx.req.get_body_file()):read("*a"))
        ngx.say(ngx.req.get_post_args())""",
    "response": """
        ngx.status = 201 ngx.header.x_a = "1" ngx.header["X-B"] = {"p", "q"} ngx.header["X-C"] = "c" ngx.header["X-C"] = nil
        ngx.header.content_type = "text/x"
        ngx.header["X-Bad"] = "a\\r\\nb" ngx.header.x_num = 5 ngx.header["Set-Cookie"] = {"a=1", "b=2"}
        local h = ngx.resp.get_headers() ngx.header.x_seen = tostring(h["x-a"]) .. tostring(h.x_b and #h.x_b) .. tostring(h.x_c) ..
        ngx.header.content_type .. ngx.header["X-B"][2]
        ngx.say("body ", ngx.status, " ", ngx.headers_sent) ngx.header.late = 1 ngx.status = 500 ngx.say(ngx.status)""",
    "content_length": """ngx.header.content_length = 4 ngx.print("four")""",
    "exit_404": "ngx.exit(404)",
    "exit_503": "ngx.status = 404 ngx.exit(503)",
    "exit_say": "ngx.status = 410 ngx.say('gone') ngx.exit(200)",
    "exit_204": "ngx.exit(204)",
    "exit_0": "ngx.header.x = 1 ngx.exit(0)",
    "exit_301": "ngx.header.location = '/x' ngx.exit(301)",
    "exit_pcall": "pcall(function() ngx.exit(403) end) ngx.say('never')",
    "nothing": "local x = 1",
    "redirect": "ngx.redirect('/other?b=1')",
    "redirect_307": "ngx.redirect('http://example.com/', 307)",
    "redirect_bad": "ngx.say((select(2, pcall(ngx.redirect, '/x', 200))):gsub('^.-: ', ''))",
    "exec": "ngx.exec('/other', {c = 1})",
    "exec_args": "ngx.exec('/other?x=1', 'y=2')",
    "exec_late": "ngx.say('sent') ngx.flush() ngx.say((select(2, pcall(ngx.exec, '/other'))):gsub('^.-: ', ''))",
    "eof": "ngx.say('a') ngx.eof() ngx.say('b')",
    "eof_error": "ngx.say('a') local ok, err = ngx.eof() ngx.log(ngx.ERR, err) ngx.log(ngx.ERR, (ngx.say('b')))",
    "flush": "ngx.say('a') ngx.say(ngx.flush(true)) ngx.say(ngx.flush()) ngx.say(ngx.send_headers())",
    "error": "error('oops')",
    "error_table": "error({})",
    "error_late": "ngx.say('x') ngx.flush(true) error('oops')",
    "ctx": "ngx.ctx.a = 1 ngx.say(ngx.ctx.a, tostring(ngx.ctx.b)) ngx.ctx = {c = 3} ngx.say(ngx.ctx.c, tostring(ngx.ctx.a))",
    "phase": "ngx.say(ngx.get_phase(), ' ', ngx.config.subsystem, ' ', ngx.worker.count(), ' ', "
             "ngx.worker.id(), ' ', type(ngx.worker.pid()), ngx.worker.exiting())",
    "constants": "ngx.say(ngx.OK, ngx.ERROR, ngx.AGAIN, ngx.DONE, ngx.DECLINED, ngx.HTTP_OK, ngx.HTTP_TRACE, ngx.ERR, "
                 "ngx.DEBUG, ngx.HTTP_CLOSE, tostring(ngx.null), ngx.HTTP_INSUFFICIENT_STORAGE)",
    "sleep": "ngx.sleep(0) ngx.sleep(0.001) ngx.say(pcall(ngx.sleep, -1)) ngx.say(pcall(ngx.sleep))",
    "coroutine_values": """
        local co = coroutine.create(function(a, b) local c = coroutine.yield(a + b) ngx.sleep(0.001)
        local d, e = coroutine.yield(c * 2) return d, e, "end" end)
        ngx.say(coroutine.status(co)) ngx.say(coroutine.resume(co, 1, 2)) ngx.say(coroutine.status(co)) ngx.say(coroutine.resume(co, 10))
        ngx.say(coroutine.resume(co, "x", "y")) ngx.say(coroutine.status(co)) ngx.say(coroutine.resume(co))""",
    "coroutine_error": """
        local bad = coroutine.create(function() ngx.sleep(0) error("bad") end) ngx.say((select(2, coroutine.resume(bad))):match("bad"))
        ngx.say(pcall(function() ngx.sleep(0) error("after a wait", 0) end))""",
    "coroutine_wrap": """
        for v in coroutine.wrap(function() for i = 1, 3 do ngx.sleep(0) coroutine.yield(i) end end) do ngx.print(v, " ") end ngx.say()""",
    "coroutine_nested": """
        local outer = coroutine.create(function() local inner = coroutine.create(function() coroutine.yield("inner")
        ngx.sleep(0) return "done" end)
          coroutine.yield((select(2, coroutine.resume(inner)))) return (select(2, coroutine.resume(inner))) end)
        ngx.say(coroutine.resume(outer)) ngx.say(coroutine.resume(outer)) ngx.say(type(coroutine.running()))""",
    "threads": """
        local function work(name, n) for i = 1, n do ngx.sleep(0.002) end return name, n end
        local a, b = ngx.thread.spawn(work, "a", 1), ngx.thread.spawn(work, "b", 12)
        ngx.say(ngx.thread.wait(a, b)) ngx.say(ngx.thread.wait(b)) ngx.say(ngx.thread.wait(a)) ngx.say(coroutine.status(a))
        local c = ngx.thread.spawn(function() ngx.say("at once") return 1 end) ngx.say(coroutine.status(c)) ngx.say(ngx.thread.wait(c))
        local d = ngx.thread.spawn(function() error("in thread") end) local ok, err = ngx.thread.wait(d)
        ngx.say(ok, " ", (err:gsub("^.-: ", "")))
        local e = ngx.thread.spawn(function() ngx.sleep(10) end) ngx.say(coroutine.status(e)) ngx.say(ngx.thread.kill(e))
        ngx.say(ngx.thread.kill(e)) ngx.say(coroutine.status(e))
        local f = ngx.thread.spawn(function() ngx.sleep(0.001) ngx.say("last") end)""",
    "thread_results": """
        local done = ngx.thread.spawn(function() return "of the first" end)
        local other = ngx.thread.spawn(function() return ngx.thread.kill(done) end)
        ngx.say(ngx.thread.wait(other)) ngx.say(ngx.thread.wait(done))
        local ended = ngx.thread.spawn(function() end) ngx.say(ngx.thread.kill(ended)) ngx.say(ngx.thread.kill(ended))""",
    "thread_killed": """
        local waiting = ngx.thread.spawn(function() ngx.sleep(30) end)
        local joining = ngx.thread.spawn(function() ngx.thread.wait(ngx.thread.spawn(function() ngx.sleep(0.02) end)) ngx.say("woken") end)
        for _, thread in ipairs{waiting, joining} do
          ngx.say(ngx.thread.kill(thread)) ngx.say(coroutine.status(thread)) ngx.say(coroutine.resume(thread))
          ngx.say(ngx.thread.kill(thread)) ngx.say(ngx.thread.wait(thread))
        end
        ngx.sleep(0.06) ngx.say("end")""",
    "thread_exit": "ngx.thread.spawn(function() ngx.sleep(0.001) ngx.exit(403) end) ngx.sleep(5) ngx.say('never')",
    "resume_thread": "local t = ngx.thread.spawn(function() ngx.sleep(0.01) end) ngx.say(coroutine.resume(t)) "
                     "ngx.say(coroutine.resume(coroutine.running()))",
    "semaphore": """
        local s = require("ngx.semaphore").new(1) ngx.say(s:count()) ngx.say(s:wait(0)) ngx.say(s:wait(0)) ngx.say(s:wait(0.001))
        local t = ngx.thread.spawn(function() local ok = s:wait(1) ngx.say("got ", ok) end) ngx.say(s:count()) s:post(2)
        ngx.thread.wait(t) ngx.say(s:count())""",
    "timer": """
        local s = require("ngx.semaphore").new() local out = {}
        ngx.say(ngx.timer.at(0, function(premature, a, b) out[1] = tostring(premature) .. a .. b .. ngx.get_phase()
        ngx.sleep(0.001) out[2] = tostring((pcall(ngx.say, 1))) ngx.ctx.x = 1 out[3] = ngx.ctx.x s:post() end, "A", "B"))
        s:wait(2) ngx.say(table.concat(out, " ")) ngx.say(pcall(ngx.timer.at, -1, print)) ngx.say(ngx.timer.pending_count())
        local n = 0 ngx.say(ngx.timer.every(0.002, function() n = n + 1 if n == 3 then s:post() end end)) s:wait(2) ngx.say(n >= 3)""",
    "modules": """
        for _, m in ipairs{"ngx.re", "ngx.base64", "ngx.semaphore", "ngx.resp", "resty.core", "resty.core.base",
            "table.new", "table.clear", "table.nkeys", "ffi", "bit", "resty.lrucache", "cjson"} do
          ngx.say(m, " ", type((require(m)))) end
        ngx.say(table.concat(require("ngx.re").split("a,b,,c,,", ","), "|"))
        ngx.say(table.concat(require("ngx.re").split("abc", ""), "|"))
        ngx.say(table.concat(require("ngx.re").split("a1b2c", "([0-9])"), "|"))
        ngx.say(table.concat(require("ngx.re").split("a,b,c", ",", nil, nil, 2), "|"))
        local b = require("ngx.base64") ngx.say(b.encode_base64url("\\255\\254\\253a")) ngx.say(b.decode_base64url("__79YQ"))
        local c = require("resty.lrucache").new(2) c:set("a", 1) ngx.say(c:get("a")) ngx.say(require("cjson").encode({1, {a = true}}))""",
}
REQUEST = "GET /x?a=1&flag HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Test: t\r\nX-Two: 1\r\nX-Two: 2\r\nCookie: k=v\r\nConnection: close\r\n"
FIELDS = {"conditional_tag": 'If-None-Match: "x"\r\n', "conditional_date": "If-Modified-Since: Thu, 01 Jan 1970 00:00:01 GMT\r\n"}
BODIES = {"until_sizes": "abcdef--Xgh--X--Xrest--X", "discard": "a=1&b=two", "body": "a=1&b=two", "body_file": "x" * 10000}


def ask(server, name):
    body = BODIES.get(name)
    head = REQUEST.replace("/x", "/" + name, 1) + FIELDS.get(name, "")
    if body is not None:
        head = head.replace("GET", "POST", 1) + f"Content-Length: {len(body)}\r\n"
    return Client(server.port).send(head + "\r\n" + (body or "")).read_until_close()


def dechunked(data):
    """Both may cut a body into other chunks."""
    whole, rest = b"", data
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        count = int(size, 16)
        whole, rest = whole + rest[:count], rest[count + 2:]
    return whole


def told(server, name):
    head, _, body = ask(server, name).partition(b"\r\n\r\n")
    lines = [line for line in head.decode("latin-1").split("\r\n") if not line.startswith(("Server:", "Date:"))]
    if "Transfer-Encoding: chunked" in lines:
        body = dechunked(body)
    if b"<hr>" in body:  # a page names the server
        body = body.partition(b"<hr>")[0]
        lines = [line for line in lines if not line.startswith("Content-Length")]
    lines = [line.replace("content-length", "Content-Length") for line in lines]
    return sorted(lines), re.sub(rb"\w+\.conf:\d+", b"CONF", body).decode("latin-1").split("\n")


def test_scripts_print_the_same(server, nginx):
    places = "\n".join(f"location = /{name} {{ content_by_lua_block {{ {script}\n}} }}" for name, script in SCRIPTS.items())
    text = CONF.replace("LOCATIONS", places)
    load = "".join(f"load_module /usr/lib/nginx/modules/{m}.so; " for m in ("ndk_http_module", "ngx_http_lua_module"))
    theirs = nginx(load + text, allow_log=("",))
    ours = server(text, allow_log=("aborted: runtime error",))
    differences = []
    for name in SCRIPTS:
        mine, original = told(ours, name), told(theirs, name)
        if mine != original:
            lines = [f"{name}: {m!r} is not {o!r}" for part in (0, 1) for m, o in zip_longest(mine[part], original[part]) if m != o]
            differences += lines
    assert not differences, "\n".join(differences)
