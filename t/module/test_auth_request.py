# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""auth_request: a subrequest's status decides; what it says besides goes where the configuration sends it."""

import threading

import pytest

from lib import upstreams as up
from lib.client import Client, chunked, get, request

CONF = """
events {}
http {
    log_format line "$uri $status $remote_addr";
    access_log logs/access.log line;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        set_real_ip_from 127.0.0.1;
        auth_request /auth;
        location = /auth { internal; proxy_set_header X-Original-URI $request_uri; proxy_set_header X-Method $request_method;
                           proxy_set_header X-Client $remote_addr;
                           proxy_set_header X-Id $request_id; proxy_pass http://127.0.0.1:%%AUTH%%; }
        location / { auth_request_set $user $upstream_http_x_user; proxy_set_header X-User $user; proxy_pass http://127.0.0.1:%%UP%%; }
        location /query { auth_request /auth?token=1; proxy_pass http://127.0.0.1:%%UP%%; }
        location /open { auth_request off; proxy_pass http://127.0.0.1:%%UP%%; }
        location /rescue { auth_request_fail open; proxy_pass http://127.0.0.1:%%UP%%; }
        location /busy { auth_request_fail 503; proxy_pass http://127.0.0.1:%%UP%%; }
        location /timed { auth_request_timeout 300ms; proxy_pass http://127.0.0.1:%%UP%%; }
        location /timed/open { auth_request_timeout 300ms; auth_request_fail open; proxy_pass http://127.0.0.1:%%UP%%; }
        location /few { auth_request_pass_headers Authorization; proxy_pass http://127.0.0.1:%%UP%%; }
        location /copy { auth_request_copy_headers to_upstream X-User X-Role; auth_request_copy_headers to_client Set-Cookie;
                         proxy_pass http://127.0.0.1:%%UP%%; }
        location /id { proxy_set_header X-Role $request_id; proxy_pass http://127.0.0.1:%%UP%%; }
        location /again { auth_request_copy_headers to_client Set-Cookie; try_files /none /copy; }
        location /named { auth_request_copy_headers to_client WWW-Authenticate; proxy_pass http://127.0.0.1:%%UP%%; }
        location /kept { error_page 401 /kept/page; proxy_pass http://127.0.0.1:%%UP%%; }
        location = /kept/page { auth_request /script; proxy_pass http://127.0.0.1:%%UP%%; }
        location /read/one { set $z $http_x_user; auth_request_copy_headers to_upstream X-User X-Role;
                             proxy_set_header X-User $http_x_user; proxy_pass http://127.0.0.1:%%UP%%; }
        location /read/set { set $z "$http_x_role $cookie_a $remote_user";
                             auth_request_copy_headers to_upstream X-Role Cookie Authorization;
                             proxy_set_header X-Role "$http_x_role,$cookie_a,$remote_user"; proxy_pass http://127.0.0.1:%%UP%%; }
        location /denial { auth_request_pass_denial 64; proxy_pass http://127.0.0.1:%%UP%%; }
        location /body { auth_request_body 16; proxy_pass http://127.0.0.1:%%UP%%; }
        location /body/slow { auth_request_body 16; client_body_timeout 200ms; proxy_pass http://127.0.0.1:%%UP%%; }
        location /body/part { auth_request_body 16 partial; client_body_buffer_size 8; proxy_pass http://127.0.0.1:%%UP%%; }
        location /any { satisfy any; allow 192.0.2.0/24; deny all; proxy_pass http://127.0.0.1:%%UP%%; }
        location /all { allow 192.0.2.0/24; deny all; proxy_pass http://127.0.0.1:%%UP%%; }
        location /page { error_page 401 = @login; proxy_pass http://127.0.0.1:%%UP%%; }
        location /nowhere { auth_request /none; proxy_pass http://127.0.0.1:%%UP%%; }
        location /closing { auth_request /close; proxy_pass http://127.0.0.1:%%UP%%; }
        location /scripted { auth_request /script; return 200 "not reached"; }
        location /static { auth_request /script; proxy_set_header X-User $seen; proxy_pass http://127.0.0.1:%%UP%%; }
        location @login { return 302 /login?from=$request_uri; }
        location = /none { internal; return 404; }
        location = /close { internal; return 444; }
        location = /script { internal; set $seen "was here"; return 204; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        log_subrequest on;
        location / { auth_request /yes; root html; try_files /none =204; }
        location = /yes { return 200 "a body nobody reads"; }
    }
}
"""


class Service:
    """Answers by the original URI's query: ?status=, and remembers what it was asked."""

    def __init__(self, upstream):
        self.asked = []
        self.hold = threading.Event()
        self.up = upstream(up.serve(self.answer))

    def answer(self, request):
        self.asked.append(request)
        original = request.header("X-Original-URI")
        fields = [("X-User", "alice"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
        status = int(original.partition("status=")[2][:3] or 200)
        if "slow" in original:
            self.hold.wait(60)
        if status in (401, 403):
            fields += [("WWW-Authenticate", "Basic realm=x"), ("WWW-Authenticate", "Bearer"), ("Content-Type", "text/x"),
                       ("X-Why", "because")]
        body = b"x" * 100 if "long" in original else b"denied by service"
        return up.reply(status, b"" if status == 204 else body, headers=fields)


@pytest.fixture
def service(upstream):
    service = Service(upstream)
    yield service
    service.hold.set()


@pytest.fixture
def s(server, service, upstream):
    return server(CONF, AUTH=service.up.port, UP=upstream(up.serve(echo)).port)


def echo(request):
    users = ",".join(request.all("X-User")) + "|" + ",".join(request.all("X-Role")) + "|" + request.target
    return up.reply(200, users.encode() + b"|" + request.body)


@pytest.mark.parametrize("status, want", [(200, 200), (204, 200), (299, 200), (401, 401), (403, 403), (302, 500), (404, 500), (500, 500)])
def test_the_status_decides(s, status, want):
    assert get(s.port, f"/x?status={status}").status == want
    if want == 500:
        s.wait_for_log(f"auth request unexpected status: {status}")


def test_the_service_sees_the_request_without_its_body(s, service):
    reply = request(s.port, "POST", "/a%20b?q=1", b"the body", headers={"Authorization": "me", "Cookie": "c=d", "X-Real-IP": "192.0.2.1"})
    assert reply.status == 200
    assert reply.text == "alice||/a%20b?q=1|the body", "the upstream gets the variable, and the body that the service did not get"
    asked = service.asked[0]
    assert asked.first_line == "GET /auth HTTP/1.1"
    assert asked.header("X-Original-URI") == "/a%20b?q=1" and asked.header("X-Method") == "POST" and asked.header("X-Client") == "192.0.2.1"
    assert asked.header("Authorization") == "me" and asked.header("Cookie") == "c=d"
    assert asked.body == b"" and not asked.all("Content-Length") and not asked.all("Transfer-Encoding")


def test_a_chunked_body_is_not_the_services(s, service):
    with Client(s.port) as client:
        client.send(b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        assert client.reader.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        client.send(b"3\r\nabc\r\n0\r\n\r\n")
        assert client.read_reply().text == "alice||/x|abc"
    assert not service.asked[0].all("Transfer-Encoding") and not service.asked[0].all("Expect")


def test_head_and_keepalive(s, service):
    with Client(s.port) as client:
        for _ in range(3):
            assert client.request("HEAD", "/x").status == 200
            assert client.get("/x?status=401").status == 401
            assert client.get("/x?status=403").status == 403
            assert client.get("/x").status == 200
    assert {r.method for r in service.asked} == {"GET"}
    assert len(service.up.connections) == 1, "the connection to the service is used again"


def test_arguments_of_the_uri(s, service):
    assert get(s.port, "/query").status == 200
    assert service.asked[0].target == "/auth?token=1"


def test_off_in_a_location(s, service):
    assert get(s.port, "/open?status=403").status == 200
    assert not service.asked


def test_challenges_reach_the_client(s):
    reply = get(s.port, "/x?status=401")
    assert reply.all("WWW-Authenticate") == ["Basic realm=x", "Bearer"]
    assert "401 Authorization Required" in reply.text
    assert not get(s.port, "/x?status=403").all("WWW-Authenticate")


def test_failures(s):
    assert get(s.port, "/rescue?status=500").status == 200
    s.wait_for_log("let in because auth_request_fail")
    assert get(s.port, "/rescue?status=403").status == 403, "a denial is no failure"
    assert get(s.port, "/busy?status=500").status == 503
    assert get(s.port, "/nowhere").status == 500
    s.wait_for_log("auth request unexpected status: 404")
    assert get(s.port, "/closing").status == 500


def test_the_timeout(s, service):
    assert get(s.port, "/timed?slow").status == 500
    s.wait_for_log("auth request timed out")
    assert get(s.port, "/timed/open?slow").status == 200


def test_an_unreachable_service(server, upstream):
    gone = upstream(up.serve(echo))
    gone.refuse()
    s = server(CONF, AUTH=gone.port, UP=upstream(up.serve(echo)).port)
    assert get(s.port, "/x").status == 500
    s.wait_for_log(r'connect\(\) failed .* while connecting to upstream, .* request: "GET /x HTTP/1.1", subrequest: "/auth", '
                   'upstream: "http://127')
    s.wait_for_log("auth request unexpected status: 502")
    assert get(s.port, "/rescue").status == 200


def test_only_the_named_fields_go_to_the_service(s, service):
    assert get(s.port, "/few", headers={"Authorization": "me", "Cookie": "c", "X-User": "x"}).status == 200
    names = {name.lower() for name, _ in service.asked[0].headers}
    assert "authorization" in names and not names & {"cookie", "x-user"}


def test_copied_fields(s):
    reply = get(s.port, "/copy", headers=[("X-User", "mallory"), ("X-Role", "admin"), ("X-User", "again")])
    assert reply.text == "alice||/copy|", "the client's own fields of these names never pass"
    assert reply.all("Set-Cookie") == ["a=1", "b=2"]
    assert get(s.port, "/copy?status=403").all("Set-Cookie") == ["a=1", "b=2"]
    assert not get(s.port, "/x").all("Set-Cookie")


def test_the_service_sees_the_id_of_the_request(s, service):
    ids = [get(s.port, "/id").text.split("|")[1] for _ in range(2)]
    assert [asked.header("X-Id") for asked in service.asked] == ids
    assert len(ids[0]) == 32 and ids[0] != ids[1]


def test_an_answer_after_an_internal_redirect_replaces_the_one_before(s, service):
    assert get(s.port, "/again").all("Set-Cookie") == ["a=1", "b=2"]
    assert len(service.asked) == 2
    assert get(s.port, "/named?status=401").all("WWW-Authenticate") == ["Basic realm=x", "Bearer"]
    reply = get(s.port, "/kept?status=401")
    assert (reply.status, reply.all("WWW-Authenticate")) == (401, ["Basic realm=x", "Bearer"]), "the denial's page was let in"


def test_variables_read_before_show_the_replaced_fields(s):
    mallory = {"X-User": "mallory", "X-Role": "admin", "Cookie": "a=1", "Authorization": "Basic bWU6eA=="}
    assert get(s.port, "/read/one", headers=mallory).text == "alice||/read/one|"
    seen = get(s.port, "/read/set", headers=mallory).text
    assert seen == "mallory|,,|/read/set|", "what the service did not give is empty; X-User is not named here and stays the client's"


def test_a_denial_passed_on(s):
    reply = get(s.port, "/denial?status=403")
    assert (reply.status, reply.text) == (403, "denied by service")
    assert reply.header("X-Why") == "because" and reply.header("Content-Type") == "text/x" and len(reply.all("Server")) == 1
    assert get(s.port, "/denial?status=302").status == 302
    reply = get(s.port, "/denial?status=403&long")
    assert reply.status == 403 and "403 Forbidden" in reply.text, "too long: a page of the server's own"
    assert get(s.port, "/denial?status=500").status == 500


@pytest.mark.parametrize("chunks", [False, True])
def test_the_body_for_the_service(s, service, chunks):
    def put(target, body):
        if not chunks:
            return request(s.port, "PUT", target, body, headers={"X-Auth-Partial-Body": "spoofed"})
        return request(s.port, "PUT", target, chunked(body), headers={"Transfer-Encoding": "chunked"})
    assert put("/body", b"x" * 16).text == "||/body|" + "x" * 16
    assert service.asked[-1].method == "PUT" and service.asked[-1].body == b"x" * 16
    assert not service.asked[-1].all("X-Auth-Partial-Body")
    assert put("/body", b"x" * 17).status == 413
    with Client(s.port) as client:
        client.send("PUT /body/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab")
        assert client.read_reply("PUT").status == 408, "what does not come is not what is malformed"
    body = bytes(range(65, 91)) * 2
    assert put("/body/part", body).text == "||/body/part|" + body.decode(), "the upstream gets all of it"
    assert service.asked[-1].body == body[:16] and service.asked[-1].header("X-Auth-Partial-Body") == "true"
    assert get(s.port, "/body").status == 200
    assert service.asked[-1].method == "GET" and service.asked[-1].body == b""


def test_satisfy(s):
    real = {"X-Real-IP": "192.0.2.1"}
    assert get(s.port, "/any?status=403", headers=real).status == 200
    assert get(s.port, "/any?status=200").status == 200
    assert get(s.port, "/any?status=401").status == 401
    assert get(s.port, "/all?status=200").status == 403
    assert get(s.port, "/all?status=403", headers=real).status == 403
    assert get(s.port, "/all?status=200", headers=real).status == 200


def test_an_error_page_instead_of_the_denial(s):
    reply = get(s.port, "/page?status=401")
    assert reply.status == 302 and reply.header("Location").endswith("/login?from=/page?status=401")


def test_assigned_variables_are_shared(s):
    assert get(s.port, "/static").text == "was here||/static|"


def test_return_answers_before_the_access_phase(s):
    assert get(s.port, "/scripted").text == "not reached"


def test_subrequests_in_the_log(s):
    assert get(s.port, "/x").status == 200
    assert get(s.ports[1], "/logged").status == 204
    log = open(s.prefix + "/logs/access.log").read().splitlines()
    assert log == ["/x 200 127.0.0.1", "/yes 200 127.0.0.1", "/logged 204 127.0.0.1"]


def test_a_client_that_leaves_ends_the_subrequest(s, service):
    with Client(s.port) as client:
        client.send(b"GET /x?slow HTTP/1.1\r\nHost: a\r\n\r\n")
        service.up.wait_requests(1)
        client.reset()
    s.wait_for_log("client prematurely closed connection")
    service.hold.set()
    assert get(s.port, "/x").status == 200


@pytest.mark.parametrize("head, path, want", [
    ("200 X\r\nContent-Length: 9", "/timed", 200), ("200 X\r\nTransfer-Encoding: chunked", "/timed", 200),
    ("403 X\r\nContent-Length: 9", "/timed", 403), ("200 X\r\nContent-Length: 9", "/denial", 200)])
def test_nobody_waits_for_a_body_that_is_not_read(server, upstream, head, path, want):
    later = threading.Event()
    auth = upstream([up.request(), up.send(f"HTTP/1.1 {head}\r\n\r\n".encode()), up.wait_for(later)])
    s = server(CONF, AUTH=auth.port, UP=upstream(up.serve(echo)).port)
    try:
        assert get(s.port, path).status == want, "the body has not come"
    finally:
        later.set()


def test_a_denial_that_is_passed_on_is_waited_for(server, upstream):
    later = threading.Event()
    auth = upstream([up.request(), up.send(b"HTTP/1.1 403 X\r\nContent-Length: 3\r\n\r\n"), up.wait_for(later), up.send(b"why")])
    s = server(CONF, AUTH=auth.port, UP=upstream(up.serve(echo)).port)
    with Client(s.port) as client:
        client.send(b"GET /denial HTTP/1.1\r\nHost: a\r\n\r\n")
        auth.wait_requests(1)
        later.set()
        reply = client.read_reply()
        assert (reply.status, reply.text) == (403, "why")


def test_a_body_right_behind_its_head_leaves_the_connection_to_the_next_request(server, upstream):
    two_packets = [up.request(), up.send(b"HTTP/1.1 200 X\r\nContent-Length: 3\r\n\r\n"), up.send(b"yes")]
    auth = upstream(two_packets * 20)
    s = server(CONF, AUTH=auth.port, UP=upstream(up.serve(echo)).port)
    for _ in range(20):
        assert get(s.port, "/x").status == 200
    assert len(auth.connections) < 20
