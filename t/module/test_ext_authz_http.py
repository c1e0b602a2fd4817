# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ext_authz by HTTP: what the service is asked, what its answer means, what becomes of a service that fails or is silent."""

import threading
import time

import pytest

from lib import upstreams as up
from lib.client import Client, get, request, request_bytes
from lib.ports import wait_until

CONF = """
events {}
http {
    upstream policy { server 127.0.0.1:%%AUTH%%; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        ext_authz http://policy/check;
        ext_authz_timeout 20s;
        location / { proxy_pass http://127.0.0.1:%%UP%%/; }
        location /off { ext_authz off; proxy_pass http://127.0.0.1:%%UP%%; }
        location /fields { ext_authz_pass_headers Cookie X-Told Connection X-Set X-Envoy-Auth-Partial-Body;
                           ext_authz_set_header X-Set "$request_method of $host"; ext_authz_set_header X-None "";
                           proxy_pass http://127.0.0.1:%%UP%%; }
        location /copy { ext_authz_copy_headers to_upstream X-User X-Role Host; ext_authz_copy_headers to_upstream_append X-More;
                         ext_authz_copy_headers to_client Set-Cookie; proxy_pass http://127.0.0.1:%%UP%%; }
        location /again { ext_authz_copy_headers to_upstream_append X-More; ext_authz_copy_headers to_client Set-Cookie;
                          try_files /none /copy; }
        location /read { set $z "$http_x_user $http_x_gone"; ext_authz_copy_headers to_upstream X-User;
                         proxy_set_header X-Seen "$http_x_user,$http_x_gone"; proxy_pass http://127.0.0.1:%%UP%%; }
        location /plain { ext_authz http://127.0.0.1:%%AUTH%%; proxy_pass http://127.0.0.1:%%UP%%; }
        location /timed { ext_authz_timeout 300ms; proxy_pass http://127.0.0.1:%%UP%%; }
        location /timed/open { ext_authz_timeout 300ms; ext_authz_fail open; proxy_pass http://127.0.0.1:%%UP%%; }
        location /open { ext_authz_fail open; proxy_pass http://127.0.0.1:%%UP%%; }
        location /busy { ext_authz_fail 503; proxy_pass http://127.0.0.1:%%UP%%; }
        location /dead { ext_authz http://127.0.0.1:1; proxy_pass http://127.0.0.1:%%UP%%; }
        location /body { ext_authz_body 16; proxy_pass http://127.0.0.1:%%UP%%; }
        location /body/part { ext_authz_body 16 partial; client_body_buffer_size 8; proxy_pass http://127.0.0.1:%%UP%%; }
        location /short { ext_authz_response_max_size 64; proxy_pass http://127.0.0.1:%%UP%%; }
        location /any { satisfy any; allow 192.0.2.0/24; deny all; proxy_pass http://127.0.0.1:%%UP%%; }
        location /page { error_page 403 = @page; proxy_pass http://127.0.0.1:%%UP%%; }
        location @page { ext_authz off; return 200 "a page"; }
        location /rewritten { rewrite ^ /secret?x=1 last; }
        location /secret { proxy_pass http://127.0.0.1:%%UP%%; }
        location = /metrics { ext_authz off; metrics; }
    }
}
"""


class Service:
    """Answers by the path's query: ?status=."""

    def __init__(self, upstream):
        self.asked = []
        self.hold = threading.Event()
        self.fields = [("X-User", "alice"), ("X-Role", "a"), ("X-Role", "b"), ("X-More", "m"), ("Set-Cookie", "a=1"),
                       ("Set-Cookie", "b=2"), ("Host", "evil.example"), ("WWW-Authenticate", "Bearer"), ("X-Accel-Redirect", "/off")]
        self.body = b"because"
        self.garbage = b""  # in place of an answer
        self.up = upstream(up.serve(self.answer))

    def answer(self, request):
        self.asked.append(request)
        if self.garbage:
            return self.garbage
        if "slow" in request.target:
            self.hold.wait(60)
        status = int(request.target.partition("status=")[2][:3] or 200)
        body = b"" if status in (204, 304) or request.method == "HEAD" else self.body
        length = len(self.body) if request.method == "HEAD" else None
        return up.reply(status, body, headers=self.fields + [("Content-Type", "text/x")], length=length)


class World:
    def __init__(self, server, upstream):
        self.service = Service(upstream)
        self.seen = []
        self.up = upstream(up.serve(self.answer))
        self.server = server(CONF, AUTH=self.service.up.port, UP=self.up.port)
        self.port = self.server.port

    def answer(self, request):
        self.seen.append(request)
        return up.reply(200, b"" if request.method == "HEAD" else b"from the upstream")


@pytest.fixture
def w(server, upstream):
    world = World(server, upstream)
    yield world
    world.service.hold.set()


def test_what_the_service_is_asked(w):
    fields = {"Authorization": "Bearer x", "Cookie": "a=1", "X-Told": "1", "Content-Type": "a/b"}
    reply = request(w.port, "PUT", "/a%20b/../c?q=%2e#x", headers=fields, host="shop.example", body=b"a body")
    assert (reply.status, reply.text) == (200, "from the upstream")
    asked = w.service.asked[0]
    assert (asked.method, asked.target) == ("PUT", "/check/c?q=%2e"), "the path as locations know it"
    names = sorted(name.lower() for name, _ in asked.headers)
    assert names == ["authorization", "content-length", "host"], "nothing else unless it is asked for"
    assert asked.header("Host") == "shop.example"
    assert asked.header("Content-Length") == "0"
    assert w.seen[0].body == b"a body"
    w.server.wait_for_log(r'\[info\] .* authorization: allowed by ext_authz "service", identity "-"')


@pytest.mark.parametrize("sent, told, passed", [
    ("/public/../admin/x", "/check/admin/x", "/admin/x"),
    ("/public/%2e%2e/admin", "/check/admin", "/admin"),
    ("//admin", "/check/admin", "/admin"),
    ("/a%2fb%20c?x=%2e%2e", "/check/a/b%20c?x=%2e%2e", "/a/b%20c?x=%2e%2e"),
])
def test_the_service_judges_the_path_that_the_upstream_gets(w, sent, told, passed):
    assert get(w.port, sent).status == 200
    assert w.service.asked[0].target == told
    assert w.seen[0].target == passed


def test_fields_for_the_service(w):
    get(w.port, "/fields", headers={"Cookie": "a=1", "X-Told": "1", "X-Set": "forged", "X-Envoy-Auth-Partial-Body": "false"})
    asked = w.service.asked[0]
    assert (asked.header("Cookie"), asked.header("X-Told"), asked.header("X-Set")) == ("a=1", "1", "GET of localhost")
    assert asked.header("X-Envoy-Auth-Partial-Body") is None and asked.header("X-None") is None


def test_methods_and_addresses(w):
    assert request(w.port, "HEAD", "/x").status == 200
    denied = request(w.port, "HEAD", "/x?status=403")
    assert (denied.status, denied.header("Content-Length"), denied.header("Content-Type")) == (403, str(len(w.service.body)), "text/x")
    assert get(w.port, "/plain?status=200").status == 200
    assert [(a.method, a.target) for a in w.service.asked] == [
        ("HEAD", "/check/x"), ("HEAD", "/check/x?status=403"), ("GET", "/plain?status=200")]


def test_consent_changes_what_the_upstream_and_the_client_get(w):
    fields = {"X-User": "mallory", "X-More": "mine", "Cookie": "secret", "X-Keep": "1"}
    w.service.fields.append(("x-envoy-auth-headers-to-remove", "Cookie, Host , Content-Length"))
    reply = get(w.port, "/copy", headers=fields)
    seen = w.seen[0]
    assert seen.all("X-User") == ["alice"]
    assert seen.all("X-Role") == ["a", "b"]
    assert seen.all("X-More") == ["mine", "m"]
    assert (seen.header("Cookie"), seen.header("X-Keep")) == (None, "1")
    assert seen.header("Host") == f"127.0.0.1:{w.up.port}", "Host is not the service's to set"
    assert reply.all("Set-Cookie") == ["a=1", "b=2"]
    assert reply.header("WWW-Authenticate") is None


def test_a_field_the_service_does_not_give_is_not_the_clients(w):
    w.service.fields = []
    get(w.port, "/copy", headers={"X-User": "mallory", "X-Role": "admin", "X-More": "mine"})
    assert (w.seen[0].header("X-User"), w.seen[0].header("X-Role"), w.seen[0].header("X-More")) == (None, None, "mine")


def test_an_answer_after_an_internal_redirect_replaces_the_one_before(w):
    reply = get(w.port, "/again", headers={"X-More": "mine"})
    assert [a.target for a in w.service.asked] == ["/check/again", "/check/copy"]
    assert w.seen[0].all("X-More") == ["mine", "m"]
    assert reply.all("Set-Cookie") == ["a=1", "b=2"]


def test_variables_read_before_show_what_the_service_made_of_the_fields(w):
    w.service.fields.append(("x-envoy-auth-headers-to-remove", "X-Gone"))
    get(w.port, "/read", headers={"X-User": "mallory", "X-Gone": "mallory"})
    assert w.seen[0].header("X-Seen") == "alice,"


@pytest.mark.parametrize("given, got", [(403, 403), (401, 401), (302, 302), (429, 429), (201, 403), (204, 403), (304, 304)])
def test_a_denial_is_passed_on(w, given, got):
    reply = get(w.port, f"/x?status={given}")
    assert reply.status == got
    assert not w.seen
    if given not in (204, 304):
        assert (reply.text, reply.header("Content-Type")) == ("because", "text/x")
    assert reply.all("Set-Cookie") == ["a=1", "b=2"]
    assert reply.header("WWW-Authenticate") == "Bearer"
    w.server.wait_for_log(r'\[error\] .* authorization: denied by ext_authz "service"')


def test_an_empty_denial_has_our_page_and_error_page(w):
    w.service.body = b""
    assert "403 Forbidden" in get(w.port, "/x?status=403").text
    assert (get(w.port, "/page?status=403").status, get(w.port, "/page?status=403").text) == (200, "a page")


def test_a_long_denial_goes_on_without_its_body(w):
    w.service.body = b"x" * 100
    reply = get(w.port, "/short?status=403")
    assert reply.status == 403 and "x" * 65 not in reply.text
    w.server.wait_for_log("goes on without its body: more than 64 bytes")


@pytest.mark.parametrize("path, status", [("/x", 403), ("/open", 200), ("/busy", 503)])
def test_a_failing_service(w, path, status):
    assert get(w.port, path + "?status=500").status == status
    w.server.wait_for_log(r'no decision of the policy service "policy": the service gave status 500')
    decision, level = ("failed_open", "warn") if path == "/open" else ("failed", "error")
    w.server.wait_for_log(rf'\[{level}\] .* authorization: {decision} by ext_authz "error"')


def test_garbage_is_no_consent(w):
    """An answer without a head passes for HTTP/0.9 with status 200 elsewhere; a policy service must say what it means."""
    w.service.garbage = b"\x16\x03\x01 what is this\r\nConnection: close\r\n\r\n"
    assert get(w.port, "/x").status == 403
    assert get(w.port, "/open").status == 200
    w.server.wait_for_log(r'authorization: failed by ext_authz "error"')
    assert [seen.target for seen in w.seen] == ["/open"]


def test_a_dead_service_is_a_denial(w):
    assert get(w.port, "/dead").status == 403
    w.server.wait_for_log('no decision of the policy service "127.0.0.1:1": the service gave status 502')


def test_a_silent_service_is_a_denial_at_the_timeout(w):
    started = time.monotonic()
    assert get(w.port, "/timed?slow").status == 403
    assert time.monotonic() - started >= 0.29
    w.server.wait_for_log(r'authorization: failed by ext_authz "timeout"')
    assert get(w.port, "/timed/open?slow").status == 200
    w.server.wait_for_log(r'authorization: failed_open by ext_authz "timeout"')
    assert get(w.port, "/off?slow").status == 200


def test_a_client_that_leaves_ends_the_question(w):
    client = Client(w.port)
    client.send(request_bytes("GET", "/x?slow"))
    wait_until(lambda: w.service.asked, 5, "the question")
    client.close()
    w.server.wait_for_log("client prematurely closed connection")
    w.service.hold.set()
    assert get(w.port, "/y").status == 200
    assert [request.target for request in w.seen] == ["/y"]


def test_the_body(w):
    assert request(w.port, "POST", "/body", body=b"0123456789abcdef").status == 200
    asked = w.service.asked[-1]
    assert (asked.method, asked.body, asked.header("X-Envoy-Auth-Partial-Body")) == ("POST", b"0123456789abcdef", "false")
    assert w.seen[-1].body == b"0123456789abcdef"
    assert request(w.port, "POST", "/body", body=b"0123456789abcdefg").status == 413
    assert request(w.port, "POST", "/body/part", body=b"0123456789abcdefg" * 1000).status == 200
    asked = w.service.asked[-1]
    assert (asked.body, asked.header("X-Envoy-Auth-Partial-Body")) == (b"0123456789abcdef", "true")
    assert w.seen[-1].body == b"0123456789abcdefg" * 1000


def test_satisfy_any(w):
    assert get(w.port, "/any").status == 200
    reply = get(w.port, "/any?status=401")
    assert (reply.status, reply.header("WWW-Authenticate"), reply.header("Set-Cookie")) == (401, "Bearer", None)


def test_what_is_asked_for_is_where_the_request_goes(w):
    assert get(w.port, "/rewritten").status == 200
    assert [a.target for a in w.service.asked] == ["/check/secret?x=1"]
    assert w.seen[0].target == "/secret?x=1"


def test_connections_to_the_service_are_kept_and_decisions_counted(w):
    for status in ("200", "200", "403", "500"):
        get(w.port, "/x?status=" + status)
    assert len(w.service.up.connections) == 1
    text = get(w.port, "/metrics").text
    for rule, decision, count in (("service", "allowed", 2), ("service", "denied", 1), ("error", "failed", 1)):
        assert f'fairlead_http_authorization_decisions_total{{check="ext_authz",rule="{rule}",decision="{decision}"}} {count}\n' in text


def test_nobody_waits_for_the_body_of_a_consent(server, upstream):
    later = threading.Event()
    auth = upstream([up.request(), up.send(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n"), up.wait_for(later)])
    s = server(CONF, AUTH=auth.port, UP=upstream(up.serve(lambda r: up.reply(200, b"let in"))).port)
    try:
        assert get(s.port, "/timed").text == "let in", "the body has not come"
    finally:
        later.set()
