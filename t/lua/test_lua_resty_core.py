# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What libraries and gateways take from resty.core and its parts: functions, types for FFI, what is in package.loaded."""

from lib.client import get

CONF = r"""
events {}
http {
    init_by_lua_block {
        base = require "resty.core.base"
        seen = { init = tostring(base.get_request()), loaded = package.loaded["resty.core"] ~= nil }
    }
    init_worker_by_lua_block { seen.worker = type(base.get_request()) }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location = /other { content_by_lua_block { ngx.print(tostring(base.get_request())) } }
        location / { content_by_lua_block { SCRIPT } }
    }
}
"""


def ask(server, script):
    return get(server(CONF.replace("SCRIPT", script)).port, "/")


def run(server, script):
    return ask(server, script).body.decode()


def test_requests_are_told_apart(server):
    assert run(server, """
        local own = base.get_request()
        ngx.say(seen.init, " ", seen.worker, " ", type(own), " ", own == base.get_request())
        ngx.sleep(0) ngx.say(own == base.get_request(), " ", tostring(own) == ngx.location.capture("/other").body)
        local timer
        ngx.timer.at(0, function()
            local first = base.get_request() ngx.sleep(0) timer = first ~= own and first == base.get_request()
        end)
        while timer == nil do ngx.sleep(0.01) end
        ngx.say(timer)""") == "nil cdata cdata true\ntrue false\ntrue\n"


def test_what_is_loaded_from_the_start(server):
    assert run(server, """
        for _, name in ipairs { "base", "base64", "coroutine", "ctx", "exit", "hash", "misc", "ndk", "param", "phase", "regex", "request",
            "response", "shdict", "socket", "time", "uri", "utils", "var", "worker" } do
            local module = package.loaded["resty.core." .. name]
            if type(module) ~= "table" or module ~= require("resty.core." .. name) then ngx.say(name) end
        end
        ngx.say(seen.loaded, " ", package.loaded["resty.core"] == require "resty.core", " ", type(require "resty.core.socket.tcp"))
        ngx.say(require "ndk" == ndk, " ", require "ndk.set_var" == ndk.set_var)
        local _, err = pcall(function() return ndk.set_var.set_md5 end) ngx.say((err:gsub("^.-: ", "")))""") == \
        'true true table\ntrue true\nndk.set_var: directive "set_md5" not found or does not use ndk_set_var_value\n'


def test_patterns_are_checked_without_a_match(server):
    lines = run(server, """
        local regex = require "resty.core.regex"
        ngx.say(regex.is_regex_cache_empty(), " ", (regex.re_match_compile("root.exe", "jo")), " ", regex.is_regex_cache_empty())
        local made, err = regex.re_match_compile("(a|b", "j") ngx.say(made, " ", err)
        ngx.say(pcall(regex.re_match_compile, "a", "y"))""").splitlines()
    assert lines[0] == "true true false" and lines[1].startswith("nil pcre_compile() failed: missing ") and lines[1].endswith('in "(a|b"')
    assert lines[2].endswith('unknown flag "y" (flags "y")') and lines[2].startswith("false")


def test_characters_are_replaced(server):
    assert run(server, """
        local replace = require("resty.core.utils").str_replace_char
        for _, each in ipairs { { "x-y-z", "-", "_" }, { "a.b", ".", "%" }, { "50%", "%", "." }, { "abc", "b", "" }, { "a", "z", "y" } } do
            ngx.print(replace(unpack(each)), " ")
        end""") == "x_y_z a%b 50. ac a "


def test_the_table_of_a_request(server):
    assert run(server, """
        local get_ctx_table, own = require("resty.core.ctx").get_ctx_table, { a = 1 }
        ngx.say(get_ctx_table(own) == own, " ", ngx.ctx == own, " ", get_ctx_table() == own, " ", get_ctx_table({}) == own)""") == \
        "true true true true\n"


def test_fields_of_ngx_may_be_computed(server):
    assert run(server, """
        local misc, value = require "resty.core.misc", "a"
        misc.register_ngx_magic_key_getter("magic", function() return value end)
        ngx.print(ngx.magic, " ")
        misc.register_ngx_magic_key_setter("magic", function(given) value = given .. "!" end)
        ngx.magic = "b" ngx.say(ngx.magic, " ", (pcall(function() ngx.headers_sent = 1 end)))""") == "a b! false\n"


def test_time_that_never_goes_back(server):
    assert run(server, """
        local time = require "resty.core.time"
        local before = time.monotonic_msec() ngx.sleep(0.02) local after = time.monotonic_msec()
        ngx.say(after - before >= 20, " ", after % 1, " ", time.monotonic_time() * 1000 - after < 1)""") == "true 0 true\n"


def test_fields_of_requests_and_responses(server):
    r = ask(server, """
        local set_req, set_resp = require("resty.core.request").set_req_header, require("resty.core.response").set_resp_header
        set_req("X-A", "0", true) set_req("X-A", "1", true) set_req("X-A", "2", false)
        set_resp(nil, "X-B", "0") set_resp(nil, "X-B", "1") set_resp(nil, "X-B", "2", true)
        set_resp(nil, "X-C", "1") set_resp(nil, "X-C", nil)
        ngx.say(table.concat(ngx.req.get_headers().x_a, " "))""")
    assert r.body == b"1 2\n" and [v for n, v in r.headers if n == "X-B"] == ["1", "2"] and not [n for n, _ in r.headers if n == "X-C"]


def test_types_for_ffi(server):
    assert run(server, """
        local ffi = require "ffi"
        local text = ffi.new("ngx_str_t[1]") text[0].data = "abc" text[0].len = 2
        ngx.say(ffi.string(text[0].data, text[0].len), " ", ffi.sizeof "ngx_http_lua_ffi_str_t", " ", ffi.sizeof "ngx_int_t")
        ffi.cdef "int of_nobody(ngx_http_request_t *r, ngx_str_t *to);" ngx.say((pcall(function() return ffi.C.of_nobody end)))
        ffi.cdef "typedef intptr_t ngx_int_t; typedef struct ngx_http_request_s ngx_http_request_t;" """) == "ab 16 8\nfalse\n"
