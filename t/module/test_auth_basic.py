# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""auth_basic: who is let in by name and password, what the client and the log are told, and what a broken file of users means."""

import base64
import os

import pytest

from lib.client import get

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        auth_basic "the $arg_realm realm";
        auth_basic_user_file %%USERS%%;
        location /in { try_files /none /said; }
        location /said { internal; auth_basic off; return 200 "hello $remote_user"; }
        location /shown { auth_basic fixed; error_page 401 /why; try_files /none /said; }
        location /why { auth_basic fixed; try_files /none =204; }
        location /off { auth_basic off; try_files /none =204; }
        location /maybe { auth_basic $arg_realm; try_files /none =204; }
        location /gone { auth_basic_user_file %%USERS%%.none; try_files /none =204; }
        location /folder { auth_basic_user_file /; try_files /none =204; }
        location /named { auth_basic_user_file %%USERS%%$arg_more; try_files /none =204; }
        location /any { satisfy any; allow 127.0.0.1; deny all; try_files /none =204; }
        location /either { satisfy any; deny all; try_files /none =204; }
        location /post { limit_except GET { auth_basic_user_file %%USERS%%.none; } auth_basic off; try_files /none =204; }
    }
}
"""
# All of "sec ret".
HASHES = {
    "apr": "$apr1$abcdefgh$wffxXOXPRaGUTc6.1rJJW0",
    "plain": "{PLAIN}sec ret",
    "sha": "{SHA}k4jPuZgIyyuhMqZOekyNpm6xgUs=",
    "ssha": "{SSHA}B4QnIoH55DW+KOpvW+LZOytNOa5zYWx0",
    "bcrypt": "$2b$05$abcdefghijklmnopqrstuuEJC9iW6N95/q83ewSJrne6lpLyWNS46",
    "sha512": "$6$rounds=1000$salt$3Jmsy1qozGRwlY1sZn4hUtvFVn9bZwtWGMqMefsnFg/3BZmAkBEjVQm.wAyuyutFBqzRVjwgIZt6ZsM6UoVUj0",
    "des": "aboVOYJaplOYs",
    "md5": "$1$salt$bNDiZ2VVijsedlBrsgxiD/",
}


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "users"
    lines = ["# a comment:{PLAIN}x", "long:{PLAIN}sec ret:" + "x" * 9000] + [f"{name}:{stored}" for name, stored in HASHES.items()]
    lines += ["twice:{PLAIN}one", "twice:{PLAIN}two", "noted:{PLAIN}sec ret:a note", "last:{PLAIN}sec ret"]
    path.write_text("\n".join(lines))
    os.chmod(tmp_path, 0o755)
    return path


def login(user, password="sec ret", scheme="Basic"):
    return [("Authorization", f"{scheme} " + base64.b64encode(f"{user}:{password}".encode()).decode())]


def test_every_scheme_lets_in_by_the_right_password_alone(server, users):
    s = server(CONF, USERS=users)
    for user in [*HASHES, "noted", "last"]:
        reply = get(s.port, "/in", headers=login(user))
        assert (reply.status, reply.body) == (200, f"hello {user}".encode()), user
        assert get(s.port, "/in", headers=login(user, "sec reT")).status == 401, user
    assert get(s.port, "/in", headers=login("last", scheme="bASIC")).status == 200
    assert get(s.port, "/in", headers=login("twice", "two")).status == 401
    assert get(s.port, "/in", headers=login("# a comment", "x")).status == 401
    assert get(s.port, "/in", headers=login("long")).status == 401
    s.wait_for_log('user "apr": password mismatch')
    s.wait_for_log('user "long" was not found in ".*users"')


def test_who_gives_no_name_is_asked_again_before_the_file_is_looked_for(server, users):
    s = server(CONF, USERS=users)
    for target in ("/in", "/gone", "/folder"):
        assert get(s.port, target, headers=login("")).status == 401
    assert "[crit]" not in s.log()


def test_a_page_behind_the_same_check_is_challenged_once(server, users):
    reply = get(server(CONF, USERS=users).port, "/shown")
    assert (reply.status, reply.header("WWW-Authenticate")) == (401, 'Basic realm="fixed"')


def test_a_challenge_names_the_realm(server, users):
    s = server(CONF, USERS=users)
    for fields in ([], [("Authorization", "Bearer x")], [("Authorization", "Basic !")], [("Authorization", "Basic YWJj")], login("nobody")):
        reply = get(s.port, "/in?realm=inner", headers=fields)
        assert (reply.status, reply.header("WWW-Authenticate")) == (401, 'Basic realm="the inner realm"'), fields
    s.wait_for_log("no user/password was provided for basic authentication")


def test_off_and_satisfy(server, users):
    s = server(CONF, USERS=users)
    assert get(s.port, "/off").status == 204
    assert get(s.port, "/maybe?realm=off").status == 204
    assert get(s.port, "/maybe?realm=on").status == 401
    assert get(s.port, "/any").status == 204
    assert get(s.port, "/either").status == 401
    assert get(s.port, "/either", headers=login("last")).status == 204
    assert get(s.port, "/post").status == 204


def test_a_file_that_cannot_be_read(server, users):
    s = server(CONF, allow_log=["crit"], USERS=users)
    assert get(s.port, "/gone", headers=login("last")).status == 403
    s.wait_for_log(r'open\(\) ".*users.none" failed \(2: No such file')
    assert get(s.port, "/folder", headers=login("last")).status == 500
    s.wait_for_log(r'read\(\) "/" failed \(21: Is a directory')
    assert get(s.port, "/named", headers=login("last")).status == 204
    assert get(s.port, "/named?more=x", headers=login("last")).status == 403


def test_a_change_of_the_file_holds_at_once(server, users):
    s = server(CONF, USERS=users)
    assert get(s.port, "/in", headers=login("new", "one")).status == 401
    users.write_text("new:{PLAIN}one\r\n")
    assert get(s.port, "/in", headers=login("new", "one")).status == 200
    users.write_text("")
    assert get(s.port, "/in", headers=login("new", "one")).status == 401
