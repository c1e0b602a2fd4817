# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Fields that the upstream believes to be the service's (auth_request_copy_headers, ext_authz_copy_headers): what the client says in them
itself reaches no upstream, whoever lets the request in."""

import base64

import pytest

from lib import upstreams as up
from lib.client import get

CONF = """
events {}
http {
    underscores_in_headers on;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        auth_request_copy_headers to_upstream X-User Authorization Host;
        ext_authz_copy_headers to_upstream X-Role;
        location / { proxy_pass http://127.0.0.1:%%UP%%; }
        location = /deny { return 403; }
        location = /ask { internal; proxy_pass http://127.0.0.1:%%AUTH%%; }
        location = /dead { internal; proxy_pass http://127.0.0.1:1; }
        location /ok { auth_request /ask; proxy_pass http://127.0.0.1:%%UP%%; }
        location /kept { auth_request /ask; auth_request_cache $uri 1m; proxy_pass http://127.0.0.1:%%UP%%; }
        location /open { auth_request /dead; auth_request_fail open; proxy_pass http://127.0.0.1:%%UP%%; }
        location /any { satisfy any; allow 127.0.0.1; deny all; auth_request /deny; proxy_pass http://127.0.0.1:%%UP%%; }
        location /password { satisfy any; auth_basic r; auth_basic_user_file pw; auth_request /deny; proxy_pass http://127.0.0.1:%%UP%%; }
        location /policy { ext_authz http://127.0.0.1:%%AUTH%%; proxy_pass http://127.0.0.1:%%UP%%; }
        location /policy/open { ext_authz http://127.0.0.1:1; ext_authz_fail open; proxy_pass http://127.0.0.1:%%UP%%; }
        location /policy/any { satisfy any; allow 127.0.0.1; deny all; ext_authz http://127.0.0.1:1; proxy_pass http://127.0.0.1:%%UP%%; }
        location /both { auth_request /ask; ext_authz http://127.0.0.1:1; ext_authz_fail open; ext_authz_copy_headers to_upstream X-User;
                         proxy_pass http://127.0.0.1:%%UP%%; }
        location /tried { auth_request /dead; auth_request_fail open; try_files /none /any; }
        location /page { auth_request /deny; error_page 403 = @page; }
        location @page { satisfy any; allow 127.0.0.1; deny all; proxy_pass http://127.0.0.1:%%UP%%; }
        location /if { if ($arg_x = "") { proxy_pass http://127.0.0.1:%%UP%%; } }
        location /script { auth_request /dead; auth_request_fail open; proxy_pass http://127.0.0.1:%%UP%%;
                           access_by_lua_block { ngx.req.set_header("X-User", "script") } }
        location /named { set $a "$http_x_user"; auth_request /dead; auth_request_fail open; proxy_set_header X-User "<$http_x_user>";
                          proxy_pass http://127.0.0.1:%%UP%%; }
        location /capture/ok { auth_request /ask;
                               content_by_lua_block { ngx.print(ngx.location.capture("/ok").body) } }
        location /mirror/ok { auth_request /ask; mirror /mirrored; mirror_request_body off; empty_gif; }
        location = /mirrored { internal; proxy_pass http://127.0.0.1:%%UP%%/mirrored; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        location / { content_by_lua_block { ngx.print(ngx.location.capture("/inner").body) } }
        location /inner { auth_request_copy_headers to_upstream X-User; proxy_pass http://127.0.0.1:%%UP%%; }
        location /mirror { mirror /mirrored; mirror_request_body off; empty_gif; }
        location = /mirrored { internal; auth_request_copy_headers to_upstream X-User; proxy_pass http://127.0.0.1:%%UP%%/mirrored; }
    }
}
"""

FORGED = [("X-User", "admin"), ("x-role", "root"), ("X_User", "again"), ("Authorization", "Basic " + base64.b64encode(b"u:p").decode())]


class World:
    def __init__(self, server, upstream):
        self.seen, self.asked = [], []
        self.up = upstream(up.serve(self.answer))
        self.auth = upstream(up.serve(self.decide))
        self.server = server(CONF, files={"pw": "u:{PLAIN}p\n"}, UP=self.up.port, AUTH=self.auth.port)
        self.port, self.other = self.server.ports[:2]

    def answer(self, request):
        self.seen.append(request)
        names = ("X-User", "X-Role", "Authorization")
        def values(name):  # as an application sees them that gets them by way of CGI's variables
            return [value for field, value in request.headers if field.lower().replace("_", "-") == name.lower()]
        return up.reply(200, "|".join(",".join(values(name)) for name in names).encode())

    def decide(self, request):
        self.asked.append(request)
        return up.reply(200, b"", headers=[("X-User", "alice"), ("X-Role", "reader")])


@pytest.fixture
def w(server, upstream):
    return World(server, upstream)


# What the upstream gets: X-User|X-Role|Authorization.
@pytest.mark.parametrize("path, passed", [
    ("/ok", "alice||"),
    ("/policy", "|reader|"),
    ("/", "||"),  # no service here
    ("/open", "||"),
    ("/any", "||"),
    ("/password", "||"),
    ("/policy/open", "||"),
    ("/policy/any", "||"),
    ("/both", "alice|root|"),  # the word of one service outlives the other's silence; X-Role is nobody's here
    ("/tried", "||"),
    ("/page", "||"),
    ("/if", "||"),
    ("/script", "script||"),  # the configuration's own word is not the client's
    ("/named", "<>||"),
    ("/capture/ok", "alice||"),
])
def test_the_client_does_not_say_who_it_is(w, path, passed):
    reply = get(w.port, path, headers=FORGED)
    assert (reply.status, reply.text) == (200, passed)
    assert get(w.port, path, headers=FORGED[2:]).text.split("|")[0] == passed.split("|")[0], "in another spelling alone"
    assert get(w.port, path, headers=FORGED[3:]).text.split("|")[0] == passed.split("|")[0], "nor is a field made that nobody said"


def test_the_service_is_told_what_the_client_says(w):
    get(w.port, "/ok", headers=FORGED)
    assert [w.asked[0].all(name) for name in ("X-User", "X_User", "Authorization")] == [["admin"], ["again"], [FORGED[3][1]]]
    assert [w.seen[0].header("Host")] == [f"127.0.0.1:{w.up.port}"], "Host is none of its business"


def test_a_kept_decision_counts_like_a_new_one(w):
    assert [get(w.port, "/kept", headers=FORGED).text for _ in range(2)] == ["alice||"] * 2
    assert len(w.asked) == 1


def test_a_copy_has_the_fields_of_the_request_it_is_of(w):
    assert get(w.port, "/mirror/ok", headers=FORGED).status == 200
    w.up.wait_requests(1)
    assert (w.seen[0].target, w.seen[0].all("X-User"), w.seen[0].all("X-Role")) == ("/mirrored", ["alice"], [])


def test_nor_by_way_of_a_request_that_the_server_makes(w):
    assert get(w.other, "/", headers=FORGED[:1]).text == "||"
    assert get(w.other, "/mirror", headers=FORGED[:1]).status == 200
    w.up.wait_requests(2)
    assert (w.seen[1].target, w.seen[1].all("X-User")) == ("/mirrored", [])
