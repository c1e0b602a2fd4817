# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ssl_object_cache_inheritable: whether a reload reads certificate files again that look as they did."""

import os
import socket

import pytest

from lib.certs import Authority
from lib.ports import TIME_SCALE

CONF = """
%%CACHE%%
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate %%CERTS%%/site.pem;
        ssl_certificate_key %%CERTS%%/site.key;
        location / { return 200 ok; }
    }
}
"""
BYTES = 4096


def put(folder, number, keep_mark):
    """Makes pair `number` the site's, in place and as long as the one before; with `keep_mark` the time does not tell."""
    for kind in ("pem", "key"):
        path = folder / f"site.{kind}"
        before = os.stat(path) if path.exists() else None
        text = (folder / f"{number}.{kind}").read_bytes()
        with open(path, "r+b" if before else "wb") as f:
            f.write(text + b"\n" * (BYTES - len(text)))
        if before and keep_mark:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def shown(authority, port):
    with socket.create_connection(("127.0.0.1", port), 5 * TIME_SCALE) as plain:
        with authority.client_context().wrap_socket(plain, server_hostname="site.test") as secure:
            return dict(secure.getpeercert()["subject"][0])["commonName"]


@pytest.fixture
def site(server, tmp_path):
    authority = Authority(tmp_path)
    for number in ("one", "two"):
        authority.leaf(number, "site.test", file=number)
    put(tmp_path, "one", False)

    def start(cache):
        return authority, server(CONF, CACHE=cache, CERTS=tmp_path, allow_log=[r"\[emerg\].*no proxy_ssl_trusted_certificate"])
    return start


@pytest.mark.parametrize("cache, keep_mark, want", [
    ("", True, "one"), ("ssl_object_cache_inheritable on;", True, "one"), ("ssl_object_cache_inheritable off;", True, "two"),
    ("", False, "two"), ("ssl_object_cache_inheritable off;", False, "two")])
def test_a_reload_reads_what_has_changed(site, tmp_path, cache, keep_mark, want):
    authority, s = site(cache)
    assert shown(authority, s.port) == "one"
    put(tmp_path, "two", keep_mark)
    s.reload()
    assert shown(authority, s.port) == want


def test_what_a_failed_load_has_read_harms_nobody(site, tmp_path):
    authority, s = site("")
    good = s.conf
    s.set_conf(good.replace("return 200 ok;", "return 200 ok; proxy_pass https://127.0.0.1:1; proxy_ssl_verify on;"))
    assert s.run("-s", "reload").returncode == 1
    put(tmp_path, "two", False)
    s.set_conf(good)
    s.reload()
    assert shown(authority, s.port) == "two"
