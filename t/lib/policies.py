# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The policies of conf/lua in a server, by the lines that their README shows."""

import os
import re

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../conf/lua")
CONF = r"""
events {}
http {
    lua_package_path "%%LUA%%/?.lua;;";
    log_format decided "$VARIABLE $status";
    access_log logs/access.log decided;
    IN_HTTP
    server {
        listen 127.0.0.1:%%PORT_0%%;
        set $VARIABLE "";
        location /metrics { content_by_lua_block { require("POLICY").metrics() } }
        location @sorry { return 200 sorry; }
        location = /sorry { return 200 sorry; }
        location / {
            IN_LOCATION
            PASS
        }
    }
}
"""


def lines_of(policy):
    """What the README shows for a policy, at most three lines: (those for http, those for a location)."""
    with open(os.path.join(FOLDER, "README.md"), encoding="utf-8") as f:
        block = next(b for b in re.findall(r"```nginx\n(.*?)```", f.read(), re.S) if f'require("{policy}")' in b)
    lines = block.strip().split("\n")
    assert len(lines) <= 3
    return "\n".join(x for x in lines if "in http" in x), "\n".join(x for x in lines if "in http" not in x)


def start(server, policy, variable, edit=lambda text: text, more="", conf=CONF, **names):
    """A server with the policy before an upstream on %%UP%%. `edit` changes the lines of the location, `more` goes into http."""
    in_http, in_location = lines_of(policy)
    in_location = edit(in_location)
    text = conf.replace("IN_HTTP", in_http + "\n" + more).replace("IN_LOCATION", in_location)
    text = text.replace("PASS", "" if "proxy_pass" in in_location else "proxy_pass http://127.0.0.1:%%UP%%;")
    return server(text.replace("POLICY", policy).replace("VARIABLE", variable), LUA=FOLDER, **names)


def with_options(text):
    """An `edit` that puts options behind those that the README shows, which they overrule."""
    return lambda lines: re.sub(r" (\}\)? \})$", lambda m: f", {text} {m.group(1)}", lines, flags=re.M)
