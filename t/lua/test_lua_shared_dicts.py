# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.shared: sizes as configured, the order of keys."""

import pytest

from lib.client import get

CONF = r"""
events {}
http {
    lua_shared_dict small 12k;
    lua_shared_dict large 300000;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { content_by_lua_block { local small, large = ngx.shared.small, ngx.shared.large SCRIPT } }
    }
}
"""


def run(server, script):
    return get(server(CONF.replace("SCRIPT", script)).port, "/").body.decode()


def test_the_capacity_is_what_the_configuration_says(server):
    assert run(server, 'ngx.say(small:capacity(), " ", large:capacity(), " ", small:set("a", 1))') == "12288 300000 truenilfalse\n"


def test_keys_begin_with_the_least_recently_used(server):
    assert run(server, """
        for _, key in ipairs { "one", "two", "three", "four" } do large:set(key, 1) end
        large:get("one") large:incr("three", 1)  large:ttl("four") large:expire("four", 0)
        for _, most in ipairs { 2, 0, 1000 } do ngx.say(table.concat(large:get_keys(most), " ")) end
        ngx.say(table.concat(large:get_keys(), " "))""") == "two four\n" + "two four one three\n" * 3


@pytest.mark.parametrize("use", ['get("a")', 'set("a", 2)', 'add("a", 2)', 'replace("a", 2)', 'incr("a", 1)', 'lpush("a", 1)', 'rpop("a")',
                                 'llen("a")', 'lpush("list", 1)', 'lpop("list")', 'llen("list")', 'add("list", 1)', 'incr("list", 1)'])
def test_whatever_looks_a_value_up_uses_it(server, use):
    key = "a" if '"a"' in use else "list"
    order = " ".join(sorted(["a", "b", "list", "c"], key=lambda each: each == key))
    assert run(server, f"""
        small:set("a", 1) small:set("b", 1) small:rpush("list", 1) small:rpush("list", 2) small:set("c", 1) small:{use}
        ngx.say(table.concat(small:get_keys(), " "))""") == order + "\n"
