# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""rbac { }: deny before allow, the presence of an allow policy denies the rest, shadow mode; each decision in the log and in a counter.
What needs a certificate is in t/tls/test_client_identity.py."""

import pytest

from lib.client import get, request

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location = /metrics { metrics; }
        location / {
            add_header X-Rbac "$rbac_policy $rbac_decision" always;
            rbac {
                allow readers { methods GET HEAD; paths /orders /orders/* ~ ^/v[0-9]/; }
                allow writers { methods POST; paths /orders/*; headers X-Token secret; headers ! X-Forbidden; }
                allow by-host { hosts admin.example.org *.ops.example.org; }
                allow near { networks 192.0.2.0/24; }
                deny secrets { paths /orders/secret*; }
                deny far-writers { methods POST; headers X-Region ~ ^mars; }
                log watched { paths /orders/watched; }
            }
            set_real_ip_from 127.0.0.1;
            try_files /none =204;
        }
        location /shadow { rbac { shadow on; deny all { } } add_header X-Rbac "$rbac_policy $rbac_decision"; try_files /none =204; }
        location /default { rbac { default deny; } try_files /none =204; }
        location /open { rbac { default allow; allow nobody { methods NONE; } } try_files /none =204; }
        location /any { satisfy any; allow all; rbac { deny all { } } try_files /none =204; }
        location /lines { rbac { deny hidden { paths ~ ^/lines/.*hidden$; } } try_files /none =204; }
        location /only { rbac { allow one { paths ~ ^/only/one$; } } try_files /none =204; }
        location /host/exact  { rbac { deny h { hosts A.example.org; } } try_files /none =204; }
        location /host/prefix { rbac { deny h { hosts A.exam*; } } try_files /none =204; }
        location /host/suffix { rbac { deny h { hosts *.EXAMPLE.org; } } try_files /none =204; }
        location /host/regex  { rbac { deny h { hosts ~ ^A\\.EXAMPLE; } } try_files /none =204; }
        location /free { rbac { } try_files /none =204; }
        location /rewritten { rewrite ^ /default/x last; }
    }
}
"""


@pytest.fixture
def s(server):
    return server(CONF)


@pytest.mark.parametrize("method, target, fields, host, want", [
    ("GET", "/orders", {}, "a", "readers allowed"),
    ("GET", "/orders/7?x=/admin", {}, "a", "readers allowed"),
    ("GET", "/v1/x", {}, "a", "readers allowed"),
    ("GET", "/x/../orders/7", {}, "a", "readers allowed"),
    ("GET", "/orders/../admin", {}, "a", "default denied"),
    ("GET", "/orders/%2e%2e/admin", {}, "a", "default denied"),
    ("GET", "/Orders", {}, "a", "default denied"),
    ("GET", "/vx/", {}, "a", "default denied"),
    ("PUT", "/orders/7", {}, "a", "default denied"),
    ("POST", "/orders/7", {"X-Token": "secret"}, "a", "writers allowed"),
    ("POST", "/orders/7", {"X-Token": "Secret"}, "a", "default denied"),
    ("POST", "/orders/7", {"X-Token": "secret", "X-Forbidden": ""}, "a", "default denied"),
    ("POST", "/orders/7", {"X-Token": "secret", "X-Region": "mars-1"}, "a", "far-writers denied"),
    ("GET", "/orders/secret", {}, "a", "secrets denied"),
    ("GET", "/orders/%73ecrets/1", {}, "admin.example.org", "secrets denied"),
    ("DELETE", "/thing", {}, "ADMIN.example.org", "by-host allowed"),
    ("DELETE", "/thing", {}, "x.ops.example.org:80", "by-host allowed"),
    ("DELETE", "/thing", {}, "ops.example.org", "default denied"),
    ("DELETE", "/thing", {"X-Real-IP": "192.0.2.9"}, "a", "near allowed"),
])
def test_decisions(s, method, target, fields, host, want):
    reply = request(s.port, method, target, headers=fields, host=host)
    assert reply.header("X-Rbac") == want
    assert reply.status == (204 if want.endswith("allowed") else 403)
    policy, decision = want.split()
    level = "info" if decision == "allowed" else "error"
    s.wait_for_log(rf'\[{level}\] .* authorization: {decision} by rbac "{policy}", identity "-", client: ')
    assert len([line for line in s.log().splitlines() if " authorization: " in line]) == 1, "one line a decision"


def test_shadow_mode_tells_and_lets_pass(s):
    reply = get(s.port, "/shadow")
    assert (reply.status, reply.header("X-Rbac")) == (204, "all shadow_denied")
    s.wait_for_log(r'\[warn\] .* authorization: shadow_denied by rbac "all", identity "-"')


def test_defaults_and_inner_blocks(s):
    assert get(s.port, "/default").status == 403
    assert get(s.port, "/open").status == 204
    assert get(s.port, "/free").status == 204
    assert get(s.port, "/rewritten").status == 403, "what counts is where the request goes"


@pytest.mark.parametrize("kind", ["exact", "prefix", "suffix", "regex"])
def test_hosts_are_the_same_in_letters_of_any_case(s, kind):
    assert get(s.port, f"/host/{kind}", host="a.example.org").status == 403
    assert get(s.port, f"/host/{kind}", host="b.example.net").status == 204


def test_a_mapped_address_is_the_address_that_it_maps(server):
    s = server(CONF.replace("location /free", "location /mapped { rbac { deny local { hosts 127.*; } } try_files /none =204; }"
                            " location /free"))
    for host in ("127.0.0.1", "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]:80", "[0:0:0:0:0:ffff:7f00:0001]"):
        assert get(s.port, "/mapped", host=host).status == 403
    assert get(s.port, "/mapped", host="[::1]").status == 204


def test_a_newline_in_the_path_does_not_get_around_a_regex(s):
    assert get(s.port, "/lines/hidden").status == 403 and get(s.port, "/lines/seen").status == 204
    assert get(s.port, "/lines/%0ahidden").status == 403
    assert get(s.port, "/only/one").status == 204
    assert get(s.port, "/only/one%0a").status == 403


def test_satisfy_any_does_not_get_around_it(s):
    assert get(s.port, "/any").status == 403


def test_log_policies_and_counters(s):
    assert get(s.port, "/orders/watched").status == 204
    s.wait_for_log(r'\[notice\] .* authorization: logged by rbac "watched"')
    get(s.port, "/orders/secret")
    get(s.port, "/orders/secret")
    get(s.port, "/shadow")
    text = get(s.port, "/metrics").text
    for policy, decision, count in (("watched", "logged", 1), ("readers", "allowed", 1), ("secrets", "denied", 2),
                                    ("all", "shadow_denied", 1)):
        assert f'fairlead_http_authorization_decisions_total{{check="rbac",rule="{policy}",decision="{decision}"}} {count}\n' in text
