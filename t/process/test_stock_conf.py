# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Debian's stock nginx.conf, moved to the test's folder, loads and serves. Its ssl_ lines are taken out."""

import os
import re

import pytest

from lib.client import get
from lib.fairlead import Server
from lib.ports import claim_port, release_port

STOCK = "/etc/nginx/nginx.conf"
pytestmark = pytest.mark.skipif(not os.path.exists(STOCK), reason="needs Debian's nginx.conf")


def read(path):
    with open(path) as f:
        return f.read()


@pytest.fixture
def stock():
    s = Server("")
    text = read(STOCK).replace("/var/log/nginx", f"{s.prefix}/logs").replace("/run/", f"{s.prefix}/")
    text = re.sub(r"^\s*ssl_\w+ .*\n", "\n", text, flags=re.M)
    text = text.replace("/etc/nginx/modules-enabled", f"{s.prefix}/modules-enabled")
    text = text.replace("/etc/nginx/sites-enabled", f"{s.prefix}/sites-enabled")
    port = claim_port()
    site = read("/etc/nginx/sites-available/default").replace("listen 80 ", f"listen {port} ")
    s.write("sites-enabled/default", site.replace("[::]:80 ", f"[::]:{port} ").replace("/var/www/html", f"{s.prefix}/html"))
    s.write("html/index.html", "<p>stock</p>\n" * 50)
    s.set_conf(text)
    s.ports.append(port)
    yield s
    s.stop()
    release_port(port)


def test_the_stock_configuration_loads(stock):
    told = stock.run("-t")
    assert told.returncode == 0, told.stderr
    assert "test is successful" in told.stderr


def test_the_stock_configuration_serves(stock):
    stock.start()
    got = get(stock.port)
    assert got.status == 200 and got.header("Content-Type") == "text/html" and got.text == "<p>stock</p>\n" * 50
    assert get(stock.port, headers={"Accept-Encoding": "gzip"}).header("Content-Encoding") == "gzip"
    assert get(stock.port, "/missing").status == 404
    stock.quit()
    assert '"GET / HTTP/1.1" 200' in stock.read("logs/access.log")
