# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What another try sends is what the first one did; and a pause before it that would take too long is none."""

import pytest

from lib import upstreams as up
from lib.client import get, post

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


def test_an_error_page_that_asks_another_upstream_names_it(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(500 if r.header("x-asked").startswith("127") else 200)))
    s = server(AGAIN, UP=u.port)
    assert get(s.port, "/host").status == 200
    assert [r.header("x-asked") for r in u.requests] == [f"127.0.0.1:{u.port}", f"localhost:{u.port}"]
