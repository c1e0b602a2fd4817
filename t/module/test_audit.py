# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Every decision about who may come in is one line and one count, the same for each check."""

import pytest

from lib import upstreams as up
from lib.client import get

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location = /metrics { metrics; }
        location /basic { auth_basic x; auth_basic_user_file users; try_files /none =204; }
        location /no-file { auth_basic x; auth_basic_user_file missing; try_files /none =204; }
        location /asked { auth_request /auth; try_files /none =204; }
        location /open { auth_request /auth; auth_request_fail open; try_files /none =204; }
        location /near { allow 127.0.0.1; deny all; try_files /none =204; }
        location /far { deny all; try_files /none =204; }
        location /none { satisfy any; deny all; auth_basic x; auth_basic_user_file users; auth_delay 1ms; try_files /none =204; }
        location /lua { satisfy any; deny all; try_files /none =204;
                        access_by_lua_block { ngx.exit(tonumber(ngx.var.arg_exit) or ngx.OK) } }
        location /any { satisfy any; deny all; auth_basic x; auth_basic_user_file users; try_files /none =204; }
        location /link { secure_link $arg_sum,$arg_until; secure_link_md5 "$arg_until word"; return 200 "$secure_link$secure_link"; }
        location /word/ { secure_link_secret word; return 200 "$secure_link"; }
        location /from { valid_referers none own.test; return 200 "$invalid_referer$invalid_referer"; }
        location = /auth { internal; proxy_set_header X-Uri $request_uri; proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""
ALICE = {"Authorization": "Basic YWxpY2U6c2VjcmV0"}
WRONG = {"Authorization": "Basic YWxpY2U6d3Jvbmc="}
MALLORY = {"Authorization": "Basic bWFsbG9yeTp4"}


@pytest.fixture
def s(server, upstream):
    u = upstream(up.serve(lambda request: up.reply(int(request.header("X-Uri")[-3:]))))
    return server(CONF, UP=u.port, files={"users": "alice:{PLAIN}secret\n"})


@pytest.mark.parametrize("target, fields, status, level, check, rule, decision, identity", [
    ("/basic", ALICE, 204, "info", "auth_basic", "user", "allowed", "alice"),
    ("/basic", {}, 401, "info", "auth_basic", "no user", "challenged", "-"),
    ("/basic", WRONG, 401, "error", "auth_basic", "password", "denied", "alice"),
    ("/basic", MALLORY, 401, "error", "auth_basic", "no user", "denied", "mallory"),
    ("/no-file", ALICE, 403, "error", "auth_basic", "user file", "failed", "alice"),
    ("/asked?200", {}, 204, "info", "auth_request", "service", "allowed", "-"),
    ("/asked?403", {}, 403, "error", "auth_request", "service", "denied", "-"),
    ("/asked?503", {}, 500, "error", "auth_request", "status", "failed", "-"),
    ("/open?503", {}, 204, "warn", "auth_request", "status", "failed_open", "-"),
    ("/near", {}, 204, "info", "access", "address", "allowed", "-"),
    ("/link?sum=9QnPquT2CV_6SjQBcLSG7g&until=9999999999", {}, 200, "info", "secure_link", "sum", "allowed", "-"),
    ("/link?sum=9QnPquT2CV_6SjQBcLSG7g&until=9999999998", {}, 200, "error", "secure_link", "sum", "denied", "-"),
    ("/link?sum=PARrO6S84OgIrnSx8X1M3A&until=1", {}, 200, "error", "secure_link", "expired", "denied", "-"),
    ("/word/00/link", {}, 200, "error", "secure_link", "sum", "denied", "-"),
    ("/from", {"Referer": "http://own.test/"}, 200, "info", "referer", "referer", "allowed", "-"),
    ("/from", {"Referer": "http://evil.test/"}, 200, "error", "referer", "referer", "denied", "-"),
    ("/from", {}, 200, "info", "referer", "none", "allowed", "-"),
    ("/far", {}, 403, "error", "access", "address", "denied", "-"),
])
def test_one_line_and_one_count(s, target, fields, status, level, check, rule, decision, identity):
    assert get(s.port, target, headers=fields).status == status
    s.wait_for_log(rf'\[{level}\] .* authorization: {decision} by {check} "{rule}", identity "{identity}", client: 127.0.0.1, ')
    assert s.log().count(" authorization: ") == 1
    line = f'fairlead_http_authorization_decisions_total{{check="{check}",rule="{rule}",decision="{decision}"}} 1\n'
    text = get(s.port, "/metrics").text
    assert line in text and text.count("fairlead_http_authorization_decisions_total{") == 1


def test_where_any_suffices_each_check_tells_its_own(s):
    assert get(s.port, "/any", headers=ALICE).status == 204
    s.wait_for_log(r'\[info\] .* authorization: denied by access "address"')
    s.wait_for_log(r'\[info\] .* authorization: allowed by auth_basic "user", identity "alice"')
    assert "[error]" not in s.log() and s.log().count(" authorization: ") == 2


@pytest.mark.parametrize("target, fields, status, level", [
    ("/none", MALLORY, 401, "error"), ("/none", {}, 401, "error"), ("/lua", {}, 204, "info"), ("/lua?exit=403", {}, 403, "error"),
    ("/lua?exit=503", {}, 503, "error"), ("/lua?exit=302", {}, 302, "info"),
])
def test_where_any_suffices_a_denial_is_an_error_only_if_it_holds(s, target, fields, status, level):
    assert get(s.port, target, headers=fields).status == status
    s.wait_for_log(rf'\[{level}\] .* authorization: denied by access "address", identity "-", client: ')
    assert s.log().count("denied by access") == 1
    if fields:
        s.wait_for_log(r'\[error\] .* authorization: denied by auth_basic "no user", identity "mallory"')
    text = get(s.port, "/metrics").text
    assert 'fairlead_http_authorization_decisions_total{check="access",rule="address",decision="denied"} 1\n' in text


def test_an_identity_cannot_make_a_line_of_its_own(s):
    forged = {"Authorization": "Basic YQpmb3JnZWQ6eA=="}  # a, line feed, forged
    get(s.port, "/basic", headers=forged)
    s.wait_for_log("authorization: denied by auth_basic")
    assert not [line for line in s.log().splitlines() if line.startswith("forged")]
