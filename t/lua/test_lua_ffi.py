# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What libraries look up in the program by name through FFI, as lua-resty-string and lua-resty-openssl do."""

from lib.client import get

CONF = r"""
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { content_by_lua_block {
            local ffi = require "ffi"
            ffi.cdef [[
                unsigned char *ngx_hex_dump(unsigned char *dst, const unsigned char *src, size_t len);
                intptr_t ngx_atoi(const unsigned char *line, size_t n);
                unsigned char *SHA256(const unsigned char *d, size_t n, unsigned char *md);
            ]]
            local hex = ffi.new("unsigned char[6]")
            local finish = ffi.C.ngx_hex_dump(hex, "\0\159z", 3)
            ngx.say(ffi.string(hex, 6), " ", tonumber(finish - hex))
            for _, text in ipairs{"0", "123", "", "12x", "9223372036854775807", "9223372036854775808"} do
                ngx.print(tostring(ffi.C.ngx_atoi(text, #text)), " ")
            end
            ngx.say()
            ffi.cdef [[
                uintptr_t ngx_escape_uri(unsigned char *dst, const unsigned char *src, size_t size, uintptr_t type);
                intptr_t ngx_parse_time(ngx_str_t *line, uintptr_t is_sec);
            ]]
            local text = "/a b%c?\0\255&;\127"
            for kind = 0, 6 do
                local more = tonumber(ffi.C.ngx_escape_uri(nil, text, #text, kind))
                local to = ffi.new("unsigned char[?]", #text + 2 * more)
                local finish = ffi.cast("unsigned char *", ffi.C.ngx_escape_uri(to, text, #text, kind))
                ngx.say(more, " ", ffi.string(to, finish - to))
            end
            local time = ffi.new "ngx_str_t[1]"
            for _, said in ipairs{"1h", "30", "500ms", "1M", "1y2d", "", "x", "1m1h", "99999999999999999999"} do
                time[0].data, time[0].len = said, #said
                ngx.print(tostring(ffi.C.ngx_parse_time(time, 1)), " ", tostring(ffi.C.ngx_parse_time(time, 0)), " ")
            end
            ngx.say()
            ffi.cdef "uint32_t ngx_murmur_hash2(const unsigned char *data, size_t len);"
            ngx.say(ffi.C.ngx_murmur_hash2("", 0), " ", ffi.C.ngx_murmur_hash2("fairlead", 8))
            local digest = ffi.new("unsigned char[32]")
            ffi.C.SHA256("", 0, digest)
            ngx.say(digest[0], " ", pcall(function() return ffi.C.lua_newstate_of_nobody end))
        } }
    }
}
"""


def test_functions_of_the_program(server):
    lines = get(server(CONF).port, "/").body.decode(errors="surrogateescape").split("\n")
    assert lines[0] == "009f7a 6"
    assert lines[1] == "0LL 123LL -1LL -1LL 9223372036854775807LL -1LL "
    assert lines[2:9] == ["6 /a%20b%25c%3F%00%FF&;%7F", "8 /a%20b%25c%3F%00%FF%26%3B%7F", "9 %2Fa%20b%25c%3F%00%FF%26%3B%7F",
                          "5 /a%20b%25c?%00%FF&;%7F", "4 /a%20b%c?%00%FF&;%7F"] + ["3 /a%20b%25c?%00\udcff&;\x7f"] * 2
    assert lines[9] == ("3600LL 3600000LL 30LL 30000LL -1LL 500LL 2592000LL -1LL 31708800LL -1LL -1LL -1LL -1LL -1LL -1LL -1LL -1LL -1LL ")
    assert lines[10] == "0 19157411"
    assert lines[11].startswith("227 false")
