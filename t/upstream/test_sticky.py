# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Sessions that stay with their peer: by cookie, by route, learnt; and peers that leave."""

import hashlib
import time

import pytest

from lib import upstreams as up
from lib.client import Client, get
from lib.ports import wait_until

CONF = """
worker_processes {workers};
events {}
http {
    upstream pool {
        zone pool 128k;
        server 127.0.0.1:%%A%% {a};
        server 127.0.0.1:%%B%% {b};
        sticky {sticky};
    }
    map $arg_s $by_map { ~\\.(?<tail>.*)$ $tail; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { proxy_pass http://pool; proxy_next_upstream error timeout http_503; }
        location /up {
            proxy_pass http://pool; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
        }
        location /hidden { proxy_pass http://pool; proxy_hide_header Set-Cookie; }
    }
}
"""


def conf(sticky, workers=1, **parts):
    text = CONF.replace("{sticky}", sticky).replace("{workers}", str(workers))
    for name in ("a", "b"):
        text = text.replace("{" + name + "}", parts.get(name, ""))
    return text


def named(name, **more):
    return up.serve(lambda r: up.reply(200, name, **more))


def cookie_of(reply):
    return reply.all("set-cookie")


def md5_of(upstream):
    return hashlib.md5(f"127.0.0.1:{upstream.port}".encode()).hexdigest()


@pytest.mark.parametrize("name", ["srv_id", "__Host-srv.id"])
def test_a_cookie_binds_and_is_made_once(server, upstream, name):
    a, b = upstream(named("a")), upstream(named("b"))
    s = server(conf(f"cookie {name}"), A=a.port, B=b.port)
    first = get(s.port, "/")
    peer = a if first.text == "a" else b
    assert cookie_of(first) == [f"{name}={md5_of(peer)}"]
    for _ in range(5):
        again = get(s.port, "/", headers={"Cookie": f"x=1; {name}={md5_of(peer)}"})
        assert again.text == first.text and cookie_of(again) == []
    # What names no peer is bound to none, and told where it is now.
    strange = get(s.port, "/", headers={"Cookie": f"{name}=nobody"})
    assert cookie_of(strange) == [f"{name}={md5_of(a if strange.text == 'a' else b)}"]


@pytest.mark.parametrize("attributes, text", [
    ("domain=.example.com httponly secure path=/shop", "; domain=.example.com; httponly; secure; path=/shop"),
    ("domain=$host samesite=lax", "; domain=h.test; samesite=lax"),
    ("samesite=$arg_same", "; samesite=None"),
])
def test_attributes(server, upstream, attributes, text):
    a = upstream(named("a"))
    s = server(conf(f"cookie id {attributes}", a="route=one", b="down"), A=a.port, B=1)
    assert cookie_of(get(s.port, "/?same=None", headers={"Host": "h.test"})) == ["id=one" + text]


def test_a_samesite_that_is_none_is_strict(server, upstream):
    a = upstream(named("a"))
    s = server(conf("cookie id samesite=$arg_same", a="route=one", b="down"), A=a.port, B=1)
    assert cookie_of(get(s.port, "/?same=loose")) == ["id=one; samesite=strict"]
    assert cookie_of(get(s.port, "/")) == ["id=one"]


@pytest.mark.parametrize("expires, age", [("1h", 3600), ("max", 315360000)])
def test_a_cookie_that_expires_is_renewed(server, upstream, expires, age):
    a = upstream(named("a"))
    s = server(conf(f"cookie id expires={expires}", a="route=one", b="down"), A=a.port, B=1)
    for headers in ({}, {"Cookie": "id=one"}):
        (cookie,) = cookie_of(get(s.port, "/", headers=headers))
        assert cookie.startswith("id=one; expires=") and cookie.endswith(f" GMT; max-age={age}")
        assert ("expires=Thu, 31 Dec 2037 23:55:55 GMT" in cookie) == (expires == "max")


def test_a_session_moves_when_its_peer_fails(server, upstream):
    once = [up.request(), up.send(up.reply(200, "a", headers=[("Connection", "close")])), up.close()]
    a, b = upstream(once), upstream(named("b"))
    s = server(conf("cookie id", a="route=one", b="route=two"), A=a.port, B=b.port)
    assert get(s.port, "/", headers={"Cookie": "id=one"}).text == "a"
    a.refuse()
    moved = get(s.port, "/", headers={"Cookie": "id=one"})
    assert moved.text == "b" and cookie_of(moved) == ["id=two"]


def test_the_peers_own_cookies_stay(server, upstream):
    a = upstream(up.serve(lambda r: up.reply(200, "a", headers=[("Set-Cookie", "own=1"), ("Set-Cookie", "more=2")])))
    s = server(conf("cookie id", a="route=one", b="down"), A=a.port, B=1)
    assert sorted(cookie_of(get(s.port, "/"))) == ["id=one", "more=2", "own=1"]


def test_a_route_is_the_first_variable_that_says_something(server, upstream):
    a, b = upstream(named("a")), upstream(named("b"))
    s = server(conf("route $cookie_r $arg_r $by_map", a="route=one", b="route=two"), A=a.port, B=b.port)
    for _ in range(3):
        assert get(s.port, "/?r=two").text == "b"
        assert get(s.port, "/?r=two", headers={"Cookie": "r=one"}).text == "a"
        assert get(s.port, "/?s=session.one").text == "a"
    assert {get(s.port, "/?r=three").text for _ in range(6)} == {"a", "b"}


def test_a_peer_that_leaves_keeps_its_sessions(server, upstream):
    a, b = upstream(named("a")), upstream(named("b"))
    s = server(conf("route $arg_r", a="route=one drain", b="route=two"), A=a.port, B=b.port)
    assert {get(s.port, "/").text for _ in range(6)} == {"b"}
    assert {get(s.port, "/?r=one").text for _ in range(3)} == {"a"}


def test_a_session_of_a_peer_that_leaves_may_try_the_others(server, upstream):
    b = upstream(named("b"))
    refused = up.Refused()
    s = server(conf("route $arg_r", a="route=one drain", b="route=two"), A=refused.port, B=b.port)
    assert get(s.port, "/?r=one").text == "b"
    refused.stop()


LEARN = "learn create=$upstream_cookie_sid lookup=$cookie_sid zone=sessions:1m"


def session_peer(name):
    """Begins session NAME-1 where asked to, and tells its name."""
    def answer(request):
        headers = [("Set-Cookie", f"sid={name}-1; path=/")] if "login" in request.target else []
        return up.reply(200, name, headers=headers)
    return up.serve(answer)


@pytest.mark.parametrize("more", ["", " header", " timeout=5m"])
def test_sessions_are_learnt_by_all_workers_and_over_a_reload(server, upstream, more):
    a, b = upstream(session_peer("a")), upstream(session_peer("b"))
    s = server(conf(LEARN + more, workers=2), A=a.port, B=b.port)
    s.wait_workers(2)
    names = {get(s.port, "/login").text for _ in range(8)}
    assert names == {"a", "b"}
    wait_until(lambda: all(get(s.port, "/", headers={"Cookie": f"sid={name}-1"}).text == name for name in "ab"), 5, "the sessions")
    for _ in range(2):
        for name in "abba":
            for _ in range(4):
                assert get(s.port, "/", headers={"Cookie": f"sid={name}-1"}).text == name
        s.reload()


def test_sessions_are_learnt_from_fields_that_clients_do_not_get(server, upstream):
    a, b = upstream(session_peer("a")), upstream(session_peer("b"))
    s = server(conf(LEARN), A=a.port, B=b.port)
    name = get(s.port, "/hidden/login").text
    assert [get(s.port, "/", headers={"Cookie": f"sid={name}-1"}).text for _ in range(6)] == [name] * 6


def test_an_upgraded_session_is_learnt_when_the_tunnel_ends(server, upstream):
    switch = up.send(b"HTTP/1.1 101 X\r\nUpgrade: t\r\nConnection: Upgrade\r\nSet-Cookie: sid=s-1\r\n\r\nhello")
    a, b = (upstream([up.request(), switch, up.read(3), up.close()], named(name)) for name in "ab")
    s = server(conf(LEARN), A=a.port, B=b.port)
    with Client(s.port) as c:
        c.send("GET /up HTTP/1.1\r\nHost: h\r\nUpgrade: t\r\nConnection: Upgrade\r\n\r\n")
        assert c.read_reply().status == 101
        c.send("bye")
        assert c.read_until_close() == b"hello"
    name = "a" if a.requests else "b"
    other = b if a.requests else a
    other.scripts = [named("b" if name == "a" else "a")]
    wait_until(lambda: [get(s.port, "/", headers={"Cookie": "sid=s-1"}).text for _ in range(4)] == [name] * 4, 5, "the session")


def test_a_session_ends_when_it_is_not_used(server, upstream):
    a, b = upstream(session_peer("a")), upstream(session_peer("b"))
    s = server(conf(LEARN + " timeout=300ms"), A=a.port, B=b.port)
    name = get(s.port, "/login").text

    def moves():
        return any(get(s.port, "/", headers={"Cookie": f"sid={name}-1"}).text != name for _ in range(2))
    time.sleep(0.6)
    assert moves()


def test_the_oldest_sessions_make_room(server, upstream):
    """32k hold about two hundred sessions; twice as many do no harm."""
    a = upstream(up.serve(lambda r: up.reply(200, "a", headers=[("Set-Cookie", f"sid={r.target}")])))
    b = upstream(up.serve(lambda r: up.reply(200, "b", headers=[("Set-Cookie", f"sid={r.target}")])))
    s = server(conf(LEARN.replace("1m", "32k")), A=a.port, B=b.port)
    last = {}
    for i in range(400):
        last[f"/{i}"] = get(s.port, f"/{i}").text
    for i in range(380, 400):
        assert get(s.port, f"/{i}", headers={"Cookie": f"sid=/{i}"}).text == last[f"/{i}"]
