# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""geo: by the client's address, by another variable, by what trusted proxies say."""

from lib.client import get

CONF = """
events {}
http {
    geo $where        { default far; 127.0.0.0/8 here; }
    geo $arg_ip $net  { default none; 10.0.0.0/8 ten; 10.1.0.0/16 inner; 2001:db8::/32 six; }
    geo $arg_ip $span { ranges; default none; 10.0.0.0-10.0.0.255 all; 10.0.0.10-10.0.0.20 part; }
    geo $told         { proxy 127.0.0.1; default far; 127.0.0.1 here; 10.0.0.0/8 ten; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 "$where $net $span $told"; }
    }
}
"""


def test_geo(server):
    s = server(CONF)
    assert get(s.port, "/?ip=10.1.2.3").body == b"here inner none here"
    assert get(s.port, "/?ip=10.0.0.15").body == b"here ten part here"
    assert get(s.port, "/?ip=10.0.0.21").body == b"here ten all here"
    assert get(s.port, "/?ip=2001:db8::1").body == b"here six none here"
    assert get(s.port, "/").body == b"here none none here"
    assert get(s.port, "/", headers=[("X-Forwarded-For", "1.1.1.1, 10.0.0.1")]).body == b"here none none ten"
    assert get(s.port, "/", headers=[("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-For", "1.1.1.1")]).body == b"here none none far"
