# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.location.capture of a location that answers with a status alone: the script gets that, no page. Other subrequests have theirs."""

import pytest

from lib import upstreams as up
from lib.client import get

CONF = r"""
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        error_page 403 404 413 500 502 503 /page;
        location = /page { return 200 page; }
        location = /parent { content_by_lua_block {
            local r = ngx.location.capture(ngx.var.arg_u, {method = ngx.HTTP_POST, body = "body"})
            ngx.say(r.status, " ", r.truncated, " ", #r.body == 0 and "-" or r.body, " ", tostring(r.header.Location))
            ngx.print(tostring(r.header["Content-Length"]), " ", tostring(r.header.X_Seen), " ", r.header["Content-Type"])
        } }
        location / {
            header_filter_by_lua_block { ngx.header.x_seen = "seen" }
            body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1]:upper() .. (ngx.arg[2] and "!" or "") }
            location /return/ { return 403; }
            location /named { error_page 403 = @named; return 403; }
            location /exit { content_by_lua_block { ngx.exit(503) } }
            location /typed { content_by_lua_block { ngx.header["Content-Type"] = "application/json" ngx.exit(404) } }
            location /led_typed { rewrite_by_lua_block { ngx.header["Content-Type"] = "text/x" ngx.redirect("/there") } }
            location /error { content_by_lua_block { error("on purpose") } }
            location /missing { root %%PREFIX%%; }
            location /refused { proxy_pass http://127.0.0.1:1; }
            location /intercepted { proxy_intercept_errors on; proxy_pass http://127.0.0.1:%%UP%%; }
            location /exec { content_by_lua_block { ngx.exec("/return/") } }
            location /relative { return 302 /there; }
            location /redirect { content_by_lua_block { ngx.redirect("/there", 301) } }
            location /absolute { return 302 http://there/; }

            location /text { return 404 text; }
            location /said { content_by_lua_block { ngx.status = 503 ngx.print("text") } }
            location /reply { proxy_pass http://127.0.0.1:%%UP%%; }
            location /tried { try_files /none /return/; }
        }
        location @named { return 200 named; }
        location /authorized { auth_request /authorizes; content_by_lua_block { ngx.print("in") } }
        location = /authorizes { error_page 403 =200 /page; return 403; }
        location /unauthorized { auth_request /leads; auth_request_set $seen $sent_http_location; error_page 500 = /shows; }
        location = /leads { return 302 /there; }
        location = /shows { return 200 $seen; }
        location /added { add_after_body /return/; default_type text/html; return 200 "text and "; }
    }
}
"""

ALONE = {"/return/": 403, "/named": 403, "/exit": 503, "/error": 500, "/missing": 404, "/refused": 502, "/intercepted": 503, "/exec": 403,
         "/tried": 403, "/relative": 302, "/redirect": 301, "/absolute": 302}
LEADS = {"/relative": "/there", "/redirect": "/there", "/absolute": "http://there/"}
ANSWERED = {"/text": 404, "/said": 503, "/reply": 503}


@pytest.fixture
def s(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(503, b"text")))
    return server(CONF, UP=u.port, allow_log=("aborted: runtime error: .*on purpose",))


@pytest.mark.parametrize("path", ALONE)
def test_a_status_alone_is_not_made_a_page(s, path):
    text = get(s.port, f"/parent?u={path}").text
    assert text == f"{ALONE[path]} true - {LEADS.get(path, 'nil')}\nnil seen text/plain"


@pytest.mark.parametrize("path", ANSWERED)
def test_a_response_is_there_whatever_its_status(s, path):
    assert get(s.port, f"/parent?u={path}").text.startswith(f"{ANSWERED[path]} false TEXT! nil\n")


def test_other_subrequests_have_their_pages(s):
    assert get(s.port, "/authorized").text == "in"
    assert get(s.port, "/unauthorized").text == "/there"
    assert get(s.port, "/added").text == "text and page"


@pytest.mark.parametrize("path, said", (("/typed", "404 application/json"), ("/led_typed", "302 text/x")))
def test_the_type_that_a_script_set_is_kept(s, path, said):
    text = get(s.port, f"/parent?u={path}").text
    assert text.split(" ")[0] + " " + text.split(" ")[-1] == said
