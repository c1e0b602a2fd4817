# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""map, split_clients: looked up for requests. The tables of values are in t/unit/modules."""

from lib.client import get

CONF = r"""
events {}
http {
    map $http_host $site    { hostnames; default none; *.example.com wild; www.example.com www; ~^(?<sub>\w+)\.test$ "of $sub"; }
    map $arg_k $by_regex    { default $uri; ~^(\d+)-(\d+)$ $2-$1; }
    map $arg_k $of_nothing  { default d; ~^$ empty; ~.* any; }
    map $arg_k $looked_up   { volatile; default $seen; }
    split_clients $arg_k $side { 50% left; * right; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /site  { return 200 "$site"; }
        location /regex { return 200 "$by_regex"; }
        location /no    { return 200 "$of_nothing"; }
        location /side  { return 200 "$side"; }
        location /set   { set $seen now; return 200 "$looked_up"; }
        set $seen before;
    }
}
"""


def body(server, path, host="localhost"):
    return get(server.port, path, headers=[("Host", host)]).body.decode()


def test_map_of_hosts(server):
    s = server(CONF)
    for host, want in [("www.example.com", "www"), ("WWW.EXAMPLE.COM", "www"), ("a.b.example.com", "wild"), ("example.com", "none"),
                       ("x1.test", "of x1"), ("other", "none")]:
        assert body(s, "/site", host) == want, host


def test_map_with_captures_and_variables(server):
    s = server(CONF)
    assert body(s, "/regex?k=12-34") == "34-12"
    assert body(s, "/regex?k=x") == "/regex"
    assert [body(s, path) for path in ("/no?k=x", "/no?k=", "/no")] == ["any", "d", "d"]  # no expression is tried against no text
    assert body(s, "/set") == "now"


def test_split_clients_is_nginx_to_the_bit(server):
    s = server(CONF)
    assert body(s, "/side?k=") == "left"
    assert body(s, "/side?k=a") == "right"
    assert body(s, "/side?k=u17") == "left"
    assert body(s, "/side?k=127.0.0.1") == "right"
