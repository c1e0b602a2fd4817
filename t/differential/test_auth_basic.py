# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""auth_basic through Debian's nginx and through fairlead: status, challenge and page must agree for every scheme of the user file."""

import base64
import itertools
import os

import pytest

from lib.client import get
from lib.nginx import BINARY

if not os.path.exists(BINARY):
    pytest.skip("no nginx to compare with", allow_module_level=True)

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        auth_basic "a $arg_r realm";
        auth_basic_user_file %%USERS%%;
        location /in { try_files /none =204; }
        location /off { auth_basic off; try_files /none =204; }
        location /maybe { auth_basic $arg_r; try_files /none =204; }
        location /gone { auth_basic_user_file %%USERS%%.none; try_files /none =204; }
        location /any { satisfy any; deny all; try_files /none =204; }
        location /all { deny all; try_files /none =204; }
    }
}
"""
USERS = """# comment:{PLAIN}x
apr:$apr1$abcdefgh$wffxXOXPRaGUTc6.1rJJW0
plain:{PLAIN}sec ret
sha:{SHA}k4jPuZgIyyuhMqZOekyNpm6xgUs=
ssha:{SSHA}B4QnIoH55DW+KOpvW+LZOytNOa5zYWx0
bcrypt:$2b$05$abcdefghijklmnopqrstuuEJC9iW6N95/q83ewSJrne6lpLyWNS46
sha512:$6$rounds=1000$salt$3Jmsy1qozGRwlY1sZn4hUtvFVn9bZwtWGMqMefsnFg/3BZmAkBEjVQm.wAyuyutFBqzRVjwgIZt6ZsM6UoVUj0
des:aboVOYJaplOYs
md5:$1$salt$bNDiZ2VVijsedlBrsgxiD/
twice:{PLAIN}sec
twice:{PLAIN}sec ret
noted:{PLAIN}sec ret:note
empty:
bad:{SHA}!
short:{SSHA}c2hvcnQ=
line
last:{PLAIN}sec ret"""
PATHS = ["/in?r=x", "/off", "/maybe?r=off", "/maybe?r=y", "/gone", "/any", "/all"]
NAMES = [line.split(":")[0] for line in USERS.split("\n")] + ["nobody", ""]


def visible(reply):
    body = reply.body.replace(b"nginx/1.22.1", b"SERVER").replace(b"fairlead/0.1.0", b"SERVER")
    return reply.status, reply.header("WWW-Authenticate"), body


def test_auth_basic(server, nginx, tmp_path):
    users = tmp_path / "users"
    users.write_text(USERS)
    for folder in [tmp_path, *tmp_path.parents][:3]:
        os.chmod(folder, 0o755)
    ours, theirs = server(CONF, USERS=users), nginx(CONF, USERS=users)
    fields = ["Basic", "Basic ", "Basic !", "Basic YWJj", "basic   bGFzdDpzZWMgcmV0", "Bearer bGFzdDpzZWMgcmV0"]
    fields += ["Basic bGFzdDpzZWMgcmV0" + behind for behind in ("=", "==x", "= x", "=====", "!=", "x", "xx", " x")]
    fields += ["Basic " + base64.b64encode(f"{n}:{p}".encode()).decode() for n, p in itertools.product(NAMES, ["sec ret", "x", ""])]
    for path, field in [*((p, f) for p in PATHS for f in fields[:6]), *(("/in", f) for f in fields)]:
        seen = [visible(get(s.port, path, headers=[("Authorization", field)])) for s in (ours, theirs)]
        assert seen[0] == seen[1], (path, field)
