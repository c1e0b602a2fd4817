# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A script that answers for an error_page: the status of the error stands, or with "=" its own."""

from lib.client import get

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /kept { error_page 410 @said; return 410; }
        location /own { error_page 410 = @said; return 410; }
        location /uri { error_page 410 = /page; return 410; }
        location /given { error_page 410 =418 @said; return 410; }
        location /chosen { error_page 410 = @chosen; return 410; }
        location /left { error_page 410 = @said; content_by_lua_block { ngx.exit(410) } }
        location /refused { error_page 410 = @seen; access_by_lua_block { ngx.exit(410) } }
        location /overruled { satisfy any; allow all; access_by_lua_block { ngx.exit(403) } content_by_lua_block { ngx.say("said") } }
        location @seen { content_by_lua_block { assert(ngx.status == 410) ngx.say("said") } }
        location @said { content_by_lua_block { ngx.say("said") } }
        location @chosen { content_by_lua_block { ngx.status = 202 ngx.say("said") } }
        location = /page { internal; content_by_lua_block { ngx.print("said\\n") } }
    }
}
"""


def test_the_status_is_the_scripts_own_where_the_error_page_says_so(server):
    s = server(CONF)
    for path, status in {"/kept": 410, "/own": 200, "/uri": 200, "/given": 418, "/chosen": 202, "/left": 410,
                         "/refused": 410, "/overruled": 200}.items():
        reply = get(s.port, path)
        assert (reply.status, reply.text) == (status, "said\n"), path
