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
            local digest = ffi.new("unsigned char[32]")
            ffi.C.SHA256("", 0, digest)
            ngx.say(digest[0], " ", pcall(function() return ffi.C.lua_newstate_of_nobody end))
        } }
    }
}
"""


def test_functions_of_the_program(server):
    lines = get(server(CONF).port, "/").body.decode().splitlines()
    assert lines[0] == "009f7a 6"
    assert lines[1].startswith("0LL 123LL -1LL -1LL 9223372036854775807LL -1LL 227 false")
