# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Fixtures of the behaviour tests: factories whose products end with the test, servers with their clean-run assertions."""

import pytest

from lib.daemon import DaemonServer
from lib.dns import NameServer
from lib.fairlead import Server
from lib.h2upstream import H2Upstream
from lib.nginx import Nginx
from lib.upstreams import Upstream


def _factory(kind, started):
    made = []

    def make(*arguments, **options):
        product = kind(*arguments, **options)
        made.append(product)
        return product.start() if started else product
    return make, made


def _stop_all(made):
    """Stops every product even if one complains; then the complaints."""
    problems = []
    for product in reversed(made):
        try:
            product.stop()
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, "\n".join(problems)


@pytest.fixture
def upstream():
    """upstream(*scripts, **options): a listening lib.upstreams.Upstream."""
    make, made = _factory(Upstream, started=False)
    yield make
    _stop_all(made)


@pytest.fixture
def h2_upstream():
    """h2_upstream(on_request, **options): a listening lib.h2upstream.H2Upstream."""
    make, made = _factory(H2Upstream, started=False)
    yield make
    _stop_all(made)


@pytest.fixture
def names():
    """A listening lib.dns.NameServer that knows no name yet."""
    made = NameServer()
    yield made
    made.stop()


@pytest.fixture
def server(upstream, h2_upstream):
    """server(conf, **names): the server under test, started. It ends before the upstreams do."""
    make, made = _factory(Server, started=True)
    yield make
    _stop_all(made)


@pytest.fixture
def daemon(upstream):
    """Like `server`, for configurations with `daemon on;` at the beginning of a line."""
    make, made = _factory(DaemonServer, started=True)
    yield make
    _stop_all(made)


@pytest.fixture
def idle_server(upstream):
    """Like `server`, but not started: for -t, bad configurations and start-up tests."""
    make, made = _factory(Server, started=False)
    yield make
    _stop_all(made)


@pytest.fixture
def nginx(upstream):
    """nginx(conf, **names): Debian's nginx, started, for comparison."""
    make, made = _factory(Nginx, started=True)
    yield make
    _stop_all(made)
