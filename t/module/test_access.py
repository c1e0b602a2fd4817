# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""allow, deny: the first rule that matches decides; inner rules replace outer ones."""

import re

from lib.client import get

# The rules are looked at behind the rewrite phase, in which `return` answers: named locations serve what was let in.
CONF = """
events {}
http {
    deny 10.0.0.0/8;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        error_page 403 = @denied;
        error_page 404 = @allowed;
        location @denied     { return 200 denied; }
        location @allowed    { return 200 allowed; }
        location /outer      { }
        location /all        { deny all; }
        location /me         { allow 127.0.0.1; deny all; }
        location /others     { allow 192.168.0.0/16; deny 127.0.0.0/8; allow all; }
        location /first      { deny 127.0.0.1; allow all; }
        location /nested     { deny all; location /nested/in { } location /nested/open { allow all; } }
        location /any        { satisfy any; deny all; }
    }
}
"""


def test_access(server):
    s = server(CONF)
    for path, want in [("/outer", "allowed"), ("/all", "denied"), ("/me", "allowed"), ("/others", "denied"), ("/first", "denied"),
                       ("/nested/in", "denied"), ("/nested/open", "allowed"), ("/any", "denied")]:
        assert get(s.port, path).body.decode() == want, path
    for path in ("/all", "/any"):
        s.wait_for_log('access forbidden by rule, client: 127.0.0.1, server: .*, request: "GET %s HTTP/1.1"' % path)
    assert not re.search('access forbidden by rule.*"GET /(me|outer)', s.log())
