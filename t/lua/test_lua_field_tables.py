# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The tables of fields that ngx.req.get_headers() and ngx.resp.get_headers() make: names, repeated fields, how many."""

from lib.client import get
from lib.h2client import H2Client

CONF = """
events {}
http {
    init_by_lua_block {
        function show(fields, cut)
            local lines = {}
            for name, value in pairs(fields) do
                lines[#lines + 1] = name .. "=" .. (type(value) == "table" and "{" .. table.concat(value, " ") .. "}" or value)
            end
            table.sort(lines)
            return table.concat(lines, " ") .. (cut and " " .. cut or "")
        end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        location /lower { content_by_lua_block { ngx.print(show(ngx.req.get_headers())) } }
        location /raw { content_by_lua_block { ngx.print(show(ngx.req.get_headers(0, true))) } }
        location /sent { content_by_lua_block {
            local before = ngx.resp.get_headers()["transfer-encoding"]
            ngx.send_headers() ngx.print(tostring(before), " ", tostring(ngx.resp.get_headers()["transfer-encoding"])) } }
        location /two { content_by_lua_block { ngx.print(show(ngx.req.get_headers(2))) } }
        location /found { content_by_lua_block { local h = ngx.req.get_headers() ngx.print(h.x_odd, h.Via, h["VIA"], h.user_agent) } }
        location /unsaid { content_by_lua_block { ngx.header.Server = nil ngx.header.Date = nil ngx.print("x") } }
        location /unsaid/file { root %%PREFIX%%/html; header_filter_by_lua_block { ngx.header["Server"] = nil ngx.header["Date"] = "" } }
        location /unsaid/proxied {
            proxy_pass http://127.0.0.1:%%PORT_0%%/lower;
            header_filter_by_lua_block { ngx.header.server = nil ngx.header.date = nil }
        }
        location /unsaid/own { content_by_lua_block {
            ngx.header.Server = nil ngx.header.Server = "own" ngx.header.Date = "d" ngx.print("x")
        } }
        location /unsaid/page {
            error_page 404 /lower;
            content_by_lua_block { ngx.header.Server = nil ngx.header.Date = nil ngx.exit(404) }
        }
        location /response { content_by_lua_block {
            ngx.header.Via = { "a", "b" }
            ngx.header["X-Odd"] = "c"
            ngx.print(show(ngx.resp.get_headers()), "|", show(ngx.resp.get_headers(0, true)))
        } }
    }
}
"""


def body(s, path, *fields):
    return get(s.port, path, fields, host="h").body.decode()


def test_names_are_lowered_however_they_were_sent(server):
    s = server(CONF)
    for names in (("Via", "X-Odd", "User-Agent"), ("VIA", "x-odd", "user-agent"), ("via", "X-ODD", "uSER-aGENT")):
        fields = [f"{name}: {value}" for name, value in zip(names, ("1", "2", "u"))]
        assert body(s, "/lower", *fields) == "connection=close host=h user-agent=u via=1 x-odd=2"


def test_repeated_fields_are_arrays_in_their_order(server):
    s = server(CONF)
    fields = ("Via: 1", "X-Odd: a", "VIA: 2", "x-odd: b", "via: 3", "Accept: x")
    assert body(s, "/lower", *fields) == "accept=x connection=close host=h via={1 2 3} x-odd={a b}"
    assert body(s, "/raw", *fields) == "Accept=x Connection=close Host=h VIA=2 Via=1 X-Odd=a via=3 x-odd=b"
    assert body(s, "/raw", "Via: 1", "Via: 2") == "Connection=close Host=h Via={1 2}"


def test_no_more_than_asked_for(server):
    s = server(CONF)
    assert body(s, "/two", "Via: 1", "X-Odd: 2") == "host=h via=1 truncated"
    assert body(s, "/two", "X-Odd: 1", "X-Odd: 2") == "host=h x-odd=1 truncated"


def test_they_are_found_by_any_spelling(server):
    assert body(server(CONF), "/found", "X-Odd: 1", "Via: 2", "User-Agent: u") == "122u"


def test_fields_of_the_response(server):
    s = server(CONF)
    for _ in range(2):
        lower, as_sent = body(s, "/response").split("|")
        assert "via={a b}" in lower and "x-odd=c" in lower and "Via={a b}" in as_sent and "X-Odd=c" in as_sent


def test_names_of_http2_are_lower_case_as_they_came(server):
    s = server(CONF)
    client = H2Client(s.port)
    assert client.get("/raw", headers=[("user-agent", "u"), ("x-odd", "1")]).text.endswith("user-agent=u x-odd=1")


def test_the_framing_is_known_once_the_head_is_settled(server):
    assert body(server(CONF), "/sent") == "nil chunked"


def test_server_and_date_can_be_taken_away(server):
    s = server(CONF, files={"html/unsaid/file": "alpha"})
    for path, wanted in (("/unsaid", (None, None)), ("/unsaid/file", (None, None)), ("/unsaid/proxied", (None, None)),
                         ("/unsaid/own", ("own", "d"))):
        reply = get(s.port, path)
        assert (reply.status, reply.header("Server"), reply.header("Date")) == (200, *wanted), path
    reply = get(s.port, "/unsaid/page")
    assert reply.header("Server") and reply.header("Date"), "those of another response"
