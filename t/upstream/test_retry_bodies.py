# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What another try sends, or another upstream is sent, is what the first one was: never the rest of a body; and a pause before it that
would take too long is none."""

import shutil

import pytest

from lib import upstreams as up
from lib.client import Client, chunked, get, post
from lib.ports import wait_until

CONF = """
events {}
http {
    upstream pool { server 127.0.0.1:%%A%%; server 127.0.0.1:%%B%%; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        proxy_next_upstream error http_500 non_idempotent;
        location /set { proxy_pass http://pool; proxy_set_body "set by $arg_who, {padding}"; {more} }
        location /late { proxy_pass http://pool; proxy_next_upstream_timeout 30s; proxy_retry_backoff base=1h max=1h;
                         error_page 502 = /told; }
        location = /told { return 200 "$upstream_status $fail_reason"; }
    }
}
"""


@pytest.mark.parametrize("more", ["", "proxy_request_buffering off;", "proxy_http_version 1.0;", "proxy_pass_request_body off;"])
@pytest.mark.parametrize("padding", ["end", "x" * 3000])
@pytest.mark.parametrize("first", [[up.request(), up.close()], [up.request(), up.send(up.reply(500)), up.close()],
                                   [up.request(), up.reset()]])
def test_a_body_that_the_configuration_sets_is_sent_again(server, upstream, more, padding, first):
    bad, good = upstream(first), upstream(up.serve(lambda r: up.reply(200, r.body)))
    s = server(CONF.replace("{more}", more).replace("{padding}", padding), A=bad.port, B=good.port)
    want = f"set by me, {padding}"
    for ask in (lambda: get(s.port, "/set?who=me"), lambda: post(s.port, "/set?who=me", b"the client's own")):
        assert ask().text == want
    assert bad.requests[0].body.decode() == want
    assert all(r.body.decode() == want and r.header("content-length") == str(len(want)) for r in good.requests)


def test_a_pause_that_would_pass_the_time_is_not_waited_for(server, upstream):
    bad, good = upstream([up.request(), up.close()]), upstream(up.serve(lambda r: up.reply(200, "good")))
    s = server(CONF.replace("{more}", "").replace("{padding}", ""), A=bad.port, B=good.port)
    assert get(s.port, "/late").text == "502 timeout"  # or the client's own time is over first
    assert not good.requests


AGAIN = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        proxy_intercept_errors on;
        location /named { proxy_pass http://127.0.0.1:%%UP%%; error_page 500 = @other; }
        location /moved { proxy_pass http://127.0.0.1:%%UP%%; error_page 302 = @other; }
        location /unread { proxy_request_buffering off; proxy_pass http://127.0.0.1:%%UP%%; error_page 500 = @other; }
        location /in_a_file { client_body_buffer_size 1k; proxy_pass http://127.0.0.1:%%UP%%; error_page 500 = @other; }
        location /host { proxy_set_header X-Asked $proxy_host; proxy_pass http://127.0.0.1:%%UP%%; error_page 500 = @elsewhere; }
        location /led { proxy_pass http://127.0.0.1:%%UP%%; }
        location /page { proxy_pass http://127.0.0.1:%%UP%%; error_page 404 =200 /own; }
        location /own { return 200 "[$proxy_host$proxy_port]"; }
        location @elsewhere { proxy_set_header X-Asked $proxy_host; proxy_pass http://localhost:%%UP%%; }
        location @other { proxy_intercept_errors off; rewrite ^ /other break; proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""


@pytest.mark.parametrize("path, size", [("/named", 7), ("/moved", 7), ("/unread", 7), ("/named", 100000), ("/in_a_file", 5000)])
def test_an_error_page_that_asks_another_upstream_sends_it_the_body(server, upstream, path, size):
    status = 302 if path == "/moved" else 500
    u = upstream(up.serve(lambda r: up.reply(200, r.body) if r.target == "/other" else up.reply(status)))
    s = server(AGAIN, UP=u.port)
    body = (b"0123456789" * size)[:size]
    assert post(s.port, path, body).body == body
    assert [r.target for r in u.requests] == [path, "/other"] and all(r.body == body for r in u.requests)


def test_a_page_of_ours_in_place_of_a_reply_has_no_proxy_host(server, upstream):
    """As in nginx."""
    led = up.reply(200, b"", {"X-Accel-Redirect": "/own"})
    u = upstream(up.serve(lambda r: led if r.target == "/led" else up.reply(404)))
    s = server(AGAIN, UP=u.port)
    assert [get(s.port, path).text for path in ("/led", "/page")] == ["[]", "[]"]


def test_an_error_page_that_asks_another_upstream_names_it(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(500 if r.header("x-asked").startswith("127") else 200)))
    s = server(AGAIN, UP=u.port)
    assert get(s.port, "/host").status == 200
    assert [r.header("x-asked") for r in u.requests] == [f"127.0.0.1:{u.port}", f"localhost:{u.port}"]


# The body is passed on as it comes: what one upstream took, another one cannot have, unless it was kept.
PASSED = """
events {}
http {
    log_format reasons '$uri $status $upstream_status $fail_reason';
    access_log access.log reasons;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        proxy_request_buffering off;
        proxy_intercept_errors on;
        error_page 500 502 = @unbuffered;
        location /unbuffered { proxy_pass http://127.0.0.1:%%UP%%; }
        location /buffered { error_page 500 502 = @buffered; proxy_pass http://127.0.0.1:%%UP%%; }
        location /set { error_page 500 502 = @set; proxy_pass http://127.0.0.1:%%UP%%; }
        location /moved { proxy_pass http://127.0.0.1:%%UP%%; }
        location /mirrored { error_page 500 502 = @mirrored; proxy_pass http://127.0.0.1:%%UP%%; }
        location /kept { proxy_replay_buffer_size 1k; proxy_pass http://127.0.0.1:%%UP%%; location /kept/buffered {
            error_page 500 502 = @buffered; proxy_pass http://127.0.0.1:%%UP%%; } }
        location /none { error_page 500 502 = @none; proxy_pass http://127.0.0.1:%%UP%%; }
        location /own { error_page 500 502 = @own; proxy_pass http://127.0.0.1:%%UP%%; }
        location /twice { error_page 500 502 = @kept; proxy_replay_buffer_size 1k; recursive_error_pages on;
                          proxy_pass http://127.0.0.1:%%UP%%; }
        location = /other { proxy_pass http://127.0.0.1:%%OTHER%%; }
        location @unbuffered { proxy_pass http://127.0.0.1:%%OTHER%%; }
        location @buffered { proxy_request_buffering on; proxy_pass http://127.0.0.1:%%OTHER%%; }
        location @set { proxy_set_body "<$request_body>"; proxy_pass http://127.0.0.1:%%OTHER%%; }
        location @mirrored { mirror /other; proxy_pass http://127.0.0.1:%%OTHER%%; }
        location @none { proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_pass http://127.0.0.1:%%OTHER%%; }
        location @own { return 200 "own\n"; }
        location @kept { proxy_replay_buffer_size 1k; error_page 500 502 = @unbuffered; proxy_pass http://127.0.0.1:%%UP%%; }
        location /file {
            proxy_request_buffering on;
            client_body_buffer_size 1k;
            client_body_temp_path %%PREFIX%%/taken_away;
            error_page 500 = @unbuffered;
            proxy_pass http://127.0.0.1:%%UP%%;
        }
    }
}
"""
HALVES = b"0123456789", b"ABCDEFGHIJ"


def fails_between(*how):
    """Answers when the first half of the body is there."""
    return [up.head(), up.read(10), *how]


def send_halves(s, first, path, in_chunks):
    """The second half follows when the first upstream has the first."""
    one, two = [chunked(half) for half in HALVES] if in_chunks else HALVES
    with Client(s.port) as client:
        client.send(f"POST {path} HTTP/1.1\r\nHost: h\r\n")
        client.send("Transfer-Encoding: chunked\r\n\r\n" if in_chunks else "Content-Length: 20\r\n\r\n")
        wait_until(lambda: first.requests, 5, "the head")
        client.send(one[:-5] if in_chunks else one)
        wait_until(lambda: b"0123456789" in bytes(first.connections[0].raw), 5, "the first half")
        client.send(two)
        return client.read_reply("POST")


MOVED = up.reply(200, b"", {"X-Accel-Redirect": "/other"})


@pytest.mark.parametrize("in_chunks", [False, True])
@pytest.mark.parametrize("path, how", [
    ("/unbuffered", [up.close()]), ("/unbuffered", [up.send(up.reply(500)), up.close()]), ("/buffered", [up.close()]),
    ("/set", [up.close()]), ("/moved", [up.send(MOVED), up.close()]), ("/mirrored", [up.close()])])
def test_the_rest_of_a_body_is_not_sent_to_another_upstream(server, upstream, path, how, in_chunks):
    first, other = upstream(fails_between(*how) if not in_chunks else [up.head(), up.read(14), *how]), upstream()
    s = server(PASSED, UP=first.port, OTHER=other.port)
    assert send_halves(s, first, path, in_chunks).status == 502
    s.wait_for_log("client request body was sent on and not kept, it cannot be sent again while reading client request body")
    assert not other.requests
    assert get(s.port, "/other").text == "/other"


@pytest.mark.parametrize("in_chunks", [False, True])
@pytest.mark.parametrize("path", ["/kept", "/kept/buffered", "/twice"])
def test_a_body_that_was_kept_is_sent_to_another_upstream_whole(server, upstream, path, in_chunks):
    first, other = upstream(fails_between(up.close()) if not in_chunks else [up.head(), up.read(14), up.close()]), upstream()
    other.scripts = [up.serve(lambda r: up.reply(200, r.body))]
    s = server(PASSED, UP=first.port, OTHER=other.port)
    reply = send_halves(s, first, path, in_chunks)
    assert (reply.status, reply.body) == (200, b"".join(HALVES))
    assert [r.body for r in other.requests] == [b"".join(HALVES)]
    wait_until(lambda: " 200 " in s.read("access.log"), 5, "the access log")
    assert s.read("access.log").split("\n")[0].endswith(" -")  # what failed was made up for


@pytest.mark.parametrize("path, text", [("/none", "other"), ("/own", "own\n")])
def test_who_needs_no_body_answers_all_the_same(server, upstream, path, text):
    first, other = upstream(fails_between(up.close())), upstream(up.serve(lambda r: up.reply(200, "other")))
    s = server(PASSED, UP=first.port, OTHER=other.port)
    assert send_halves(s, first, path, False).text == text
    assert all(r.body == b"" for r in other.requests)


def test_a_body_that_could_not_be_kept_is_lost_to_others(server, upstream):
    first, other = upstream(), upstream()
    s = server(PASSED, UP=first.port, OTHER=other.port)
    shutil.rmtree(f"{s.prefix}/taken_away")
    assert post(s.port, "/file", b"x" * 100_000).status == 500
    assert not first.requests and not other.requests
