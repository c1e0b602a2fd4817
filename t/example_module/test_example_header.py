# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The example module of modules/README.md, built into a binary of its own, does what the README says."""

from lib.client import get

CONF = """
events {}
http {
    example_header "from $host";
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 "$example_header_source"; }
        location /named { example_header_name X-Other; return 200; }
        location /bad { return 404; }
        location /worse { example_header_on_errors on; return 404; }
        location /off { example_header ""; return 200 "$example_header_source"; }
    }
}
"""


def test_the_field_and_the_variable(server):
    s = server(CONF)
    reply = get(s.port, "/", host="example.org")
    assert reply.header("X-Example") == "from example.org" and reply.body == b"from $host"
    named = get(s.port, "/named")
    assert named.header("X-Other") == "from localhost" and named.header("X-Example") is None


def test_error_responses_only_where_they_are_wanted(server):
    s = server(CONF)
    assert get(s.port, "/bad").header("X-Example") is None
    assert get(s.port, "/worse").header("X-Example") == "from localhost"


def test_an_empty_value_adds_nothing(server):
    assert get(server(CONF).port, "/off").header("X-Example") is None


def test_a_name_that_is_no_token_is_refused(idle_server):
    done = idle_server("events {}\nhttp {\n    example_header_name \"a b\";\n}\n").run("-t")
    assert done.returncode == 1 and 'invalid value "a b" in ' in done.stderr and "test.conf:3" in done.stderr
