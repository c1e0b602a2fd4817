# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ext_authz over TLS: the service is verified unless that is given up, is shown a certificate if there is one, and one that cannot be
believed gives no decision, and a line that says why."""

import pytest

from lib import check
from lib import upstreams as up
from lib.certs import Authority
from lib.client import get
from lib.ports import wait_until

CONF = """
events {}
http {
    upstream policy { server 127.0.0.1:%%AUTH%%; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        ext_authz %%SCHEME%%://policy;
        ext_authz_timeout 20s;
        ext_authz_ssl_trusted_certificate %%CERTS%%/ca.pem;
        location / { proxy_pass http://127.0.0.1:%%UP%%; }
        location /known { ext_authz_ssl_certificate %%CERTS%%/sidecar.test.pem; ext_authz_ssl_certificate_key %%CERTS%%/sidecar.test.key;
                          proxy_pass http://127.0.0.1:%%UP%%; }
        location /named { ext_authz_ssl_name other.test; proxy_pass http://127.0.0.1:%%UP%%; }
        location /system { ext_authz_ssl_trusted_certificate ""; proxy_pass http://127.0.0.1:%%UP%%; }
        location /blind { ext_authz_ssl_verify off; ext_authz_ssl_name other.test; proxy_pass http://127.0.0.1:%%UP%%; }
        location /open { ext_authz_ssl_name other.test; ext_authz_fail open; proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""


class World:
    def __init__(self, server, upstream, h2_upstream, folder, scheme, **tls):
        self.authority = Authority(folder)
        self.authority.leaf("sidecar.test", client=True)
        self.names = []
        context = self.authority.server_context(self.authority.leaf("policy"), alpn=["h2"] if scheme == "grpcs" else None, **tls)
        context.sni_callback = lambda sock, name, of: self.names.append(name)
        if scheme == "grpcs":
            self.service = h2_upstream(lambda stream: check.reply(stream, check.ok()), tls=context)
        else:
            self.service = upstream(up.serve(lambda request: up.reply(200)), tls=context)
        self.server = server(CONF, AUTH=self.service.port, UP=upstream().port, CERTS=self.authority.folder, SCHEME=scheme)
        self.port = self.server.port


@pytest.fixture(params=["https", "grpcs"])
def world(request, server, upstream, h2_upstream, tmp_path):
    return lambda **tls: World(server, upstream, h2_upstream, tmp_path / "certs", request.param, **tls)


def test_a_service_that_is_believed(world):
    w = world()
    assert [get(w.port, "/").status for _ in range(2)] == [200, 200]
    assert w.names == ["policy"], "its name is sent, the connection is kept"
    w.server.wait_for_log('authorization: allowed by ext_authz "service"')


def test_the_call_says_that_it_is_secure(world):
    w = world()
    assert get(w.port, "/").status == 200
    first = w.service.requests[0]
    if hasattr(first, "path"):
        assert first.header(":scheme") == "https"
    assert first.header(":authority" if hasattr(first, "path") else "Host")


@pytest.mark.parametrize("path, reason", [
    ("/named", 'upstream SSL certificate does not match "other.test"'),
    ("/system", r"upstream SSL certificate verify error: \((18|19|20|21):"),
])
def test_a_service_that_is_not_believed(world, path, reason):
    w = world()
    assert get(w.port, path).status == 403
    w.server.wait_for_log(rf"\[error\] .*{reason}.* while SSL handshaking to upstream")
    w.server.wait_for_log(r'no decision of the policy service "policy"')
    w.server.wait_for_log('authorization: failed by ext_authz "error"')
    assert not w.service.requests


def test_one_that_nobody_verifies(world):
    w = world()
    assert get(w.port, "/blind").status == 200


def test_a_failed_handshake_may_let_in(world):
    w = world()
    assert get(w.port, "/open").status == 200
    w.server.wait_for_log('authorization: failed_open by ext_authz "error"')


def test_both_show_certificates(world):
    w = world(client_ca=True)
    assert get(w.port, "/known").status == 200
    assert get(w.port, "/").status == 403, "without one of ours"
    w.server.wait_for_log("authorization: failed by ext_authz")
    wait_until(lambda: len(w.service.requests) == 1, 5, "one call alone")


def test_a_service_in_the_clear(server, upstream, tmp_path):
    authority = Authority(tmp_path / "certs")
    authority.leaf("sidecar.test", client=True)
    u = upstream([up.send(b"HTTP/1.1 400 No\r\n\r\n"), up.read_to_end()])
    s = server(CONF, AUTH=u.port, UP=upstream().port, CERTS=authority.folder, SCHEME="https")
    assert get(s.port, "/").status == 403
    s.wait_for_log(r"\[error\] .*wrong version number.* while SSL handshaking to upstream")


def test_a_trusted_file_that_is_not_there(idle_server, tmp_path):
    s = idle_server(CONF, AUTH=1, UP=1, CERTS=str(tmp_path), SCHEME="grpcs")
    told = s.run("-t")
    assert told.returncode == 1 and f'"{tmp_path}/ca.pem"' in told.stderr
