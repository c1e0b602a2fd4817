# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""`if`: every form of condition, and what its block does to the values of a location."""

import pytest

from lib.client import get, post

CONDITIONS = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        set $r "";
        if ($arg_v) { set $r "${r}true "; }
        if ($arg_v = yes) { set $r "${r}= "; }
        if ($arg_v != yes) { set $r "${r}!= "; }
        if ($arg_v ~ ^Y(.)) { set $r "${r}~$1 "; }
        if ($arg_v ~* "^Y(?<letter>.)") { set $r "${r}~*$letter "; }
        if ($arg_v !~ ^Y) { set $r "${r}!~ "; }
        if ( $arg_v !~* ^Y ) { set $r "${r}!~* "; }
        if (-f %%PREFIX%%/$arg_p) { set $r "${r}f "; }
        if (!-f %%PREFIX%%/$arg_p) { set $r "${r}!f "; }
        if (-d %%PREFIX%%/$arg_p) { set $r "${r}d "; }
        if (!-d %%PREFIX%%/$arg_p) { set $r "${r}!d "; }
        if (-e %%PREFIX%%/$arg_p) { set $r "${r}e "; }
        if (!-e %%PREFIX%%/$arg_p) { set $r "${r}!e "; }
        if (-x %%PREFIX%%/$arg_p) { set $r "${r}x "; }
        if (!-x %%PREFIX%%/$arg_p) { set $r "${r}!x "; }
        return 200 $r;
    }
}
"""


@pytest.mark.parametrize("value, want", [
    ("", "!= !~ !~*"), ("0", "!= !~ !~*"), ("00", "true != !~ !~*"),
    ("yes", "true = ~*e !~"), ("Yes", "true != ~e ~*e"), ("x", "true != !~ !~*"),
])
def test_variables_and_regular_expressions(server, value, want):
    s = server(CONDITIONS, files={"file": ""})
    assert get(s.port, f"/?v={value}&p=file").text == want + " f !d e !x "


@pytest.mark.parametrize("path, want", [
    ("file", "f !d e !x"), ("folder", "!f d e x"), ("missing", "!f !d !e !x"), ("file/below", "!f !d !e !x")])
def test_files(server, path, want):
    s = server(CONDITIONS, files={"file": "", "folder/x": ""})
    assert get(s.port, f"/?v=0&p={path}").text == "!= !~ !~* " + want + " "


VALUES = """
events {}
http {
    root %%PREFIX%%/outer;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / {
            default_type text/plain;
            error_page 404 =404 /missing;
            if ($arg_root) { root %%PREFIX%%/inner; }
            if ($arg_page) { error_page 404 =410 /other; }
            if ($request_method = POST) { return 405; }
        }
        location /missing { return 200 missing; }
        location /other { return 200 other; }
        location /order/ {
            set $list 1;
            if ($arg_a) { set $list "$list 2"; break; }
            set $list "$list 3";
            return 200 $list;
        }
        location /order { return 200 $list; }
    }
}
"""


@pytest.fixture
def s(server):
    return server(VALUES, files={"outer/f": "from outer", "inner/f": "from inner", "outer/order/f": "file"})


def test_a_block_that_holds_gives_the_values_and_takes_over_the_rest(s):
    assert get(s.port, "/f").text == "from outer"
    assert get(s.port, "/f?root=1").text == "from inner"
    assert get(s.port, "/none?root=1").text == "missing"
    reply = get(s.port, "/none?page=1")
    assert (reply.status, reply.text) == (410, "other")


def test_the_last_block_that_holds_gives_the_values(s):
    assert get(s.port, "/f?root=1&page=1").text == "from outer"


def test_return_inside(s):
    assert post(s.port, "/f", b"x").status == 405


def test_statements_run_in_source_order_and_break_ends_them_all(s):
    assert get(s.port, "/order/").text == "1 3"
    assert get(s.port, "/order/f?a=1").text == "file"
