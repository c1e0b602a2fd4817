# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""body_filter_by_lua against the original, over bodies from everywhere: what the client gets must agree. Where both cut the response, when
they do may differ, and how many chunks there are; only whole filters are compared, whose result does not depend on it."""

import pytest

from lib.client import Client
from lib.wire import Closed

CONF = r"""
error_log logs/error.log notice;
events {}
http {
    access_log off;
    default_type text/plain;
    gzip_min_length 1;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        absolute_redirect off;
        LOCATIONS
        location = /from/length { return 200 "0123456789"; }
        location = /from/chunked { content_by_lua_block { for i = 1, 5 do ngx.print("piece ", i, ";") ngx.flush(true) end } }
        location = /from/big { content_by_lua_block { for i = 1, 64 do ngx.print(("x"):rep(8192)) end } }
        location = /from/empty { content_by_lua_block { ngx.exit(200) } }
        location = /from/missing { return 404; }
        location = /sub { body_filter_by_lua_block { if ngx.arg[1] ~= "" then ngx.arg[1] = "<" .. ngx.arg[1] .. ">" end } return 200 sub; }
        location = /page { return 200 "page\n"; }
    }
}
"""

FILTERS = {
    "nothing": "ngx.arg[1] = nil",
    "upper": "ngx.arg[1] = ngx.arg[1]:upper()",
    "more": "if ngx.arg[2] then ngx.arg[1] = {ngx.arg[1], {'<', 1, 'end>'}} end",
    "other": "ngx.arg[1] = ngx.arg[2] and 'other' or nil",
    "gathered": "ngx.ctx.b = (ngx.ctx.b or '') .. ngx.arg[1] ngx.arg[1] = ngx.arg[2] and '[' .. ngx.ctx.b .. ']' or ''",
    "first": "if ngx.ctx.b then ngx.arg[1] = nil elseif ngx.arg[1] ~= '' then ngx.ctx.b = true ngx.arg[1] = 'first' end",
    "failed": "error('no')",
    "refused": "ngx.arg[1] = true",
    "exit": "ngx.exit(403)",
}

SOURCES = {
    **{name: f"rewrite ^ /from/{name} break; proxy_pass http://127.0.0.1:%%PORT_0%%;" for name in
       ("length", "chunked", "big", "empty", "missing")},
    "text": "return 200 text;",
    "no_text": "return 200;",
    "error": "return 404;",
    "moved": "return 302 /x;",
    "script": "content_by_lua_block { ngx.print('one') ngx.print('two') }",
    "script_exit": "content_by_lua_block { ngx.exit(404) }",
    "with_sub": "content_by_lua_block { ngx.print('a', ngx.location.capture('/sub').body) }",
    "substituted": "sub_filter tex XXX; sub_filter_types *; return 200 text;",
    "zipped": "gzip on; gzip_types *; return 200 text;",
    "paged": "error_page 404 = /page; return 404;",
}


def told(server, path, method):
    request = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    try:
        reply = Client(server.port).send(request).read_reply(method)
    except Closed:
        return "cut"
    fields = sorted((name.lower(), value) for name, value in reply.headers if name.lower() not in ("server", "date"))
    body = reply.body
    if b"<hr>" in body.lower():  # a page names the server, and has its length
        body = body[:body.lower().index(b"<hr>")]
        fields = [field for field in fields if field[0] != "content-length"]
    return reply.status, fields, body


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_filtered_bodies_agree(server, nginx, method):
    places = "".join(f"location = /{f}/{s} {{ header_filter_by_lua_block {{ ngx.header.content_length = nil }}\n"
                     f"body_filter_by_lua_block {{ {FILTERS[f]} }}\n{SOURCES[s]} }}\n" for f in FILTERS for s in SOURCES)
    text = CONF.replace("LOCATIONS", places)
    load = "".join(f"load_module /usr/lib/nginx/modules/{m}.so; " for m in ("ndk_http_module", "ngx_http_lua_module"))
    theirs = nginx(load + text, allow_log=("",))
    ours = server(text, allow_log=("failed to run",))
    differences = []
    for path in (f"/{f}/{s}" for f in FILTERS for s in SOURCES):
        mine, original = told(ours, path, method), told(theirs, path, method)
        if mine != original:
            differences.append(f"{path}: {str(mine)[:300]} is not {str(original)[:300]}")
    assert not differences, "\n".join(differences)
