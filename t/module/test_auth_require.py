# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""auth_require: variables decide, those that other checks have set among them."""

import pytest

from lib import jwt
from lib.client import get

CONF = """
events {}
http {
    map $http_x_level $enough { default 0; high 1; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { auth_require $http_x_a $enough; try_files /none =204; }
        location /busy { auth_require $http_x_a error=503; auth_require $enough error=404; try_files /none =204; }
        location /jwt { auth_jwt x; auth_jwt_key_file keys.json; auth_require $jwt_claim_admin; try_files /none =204; }
        location /any { satisfy any; deny all; auth_require $enough; try_files /none =204; }
        location /limited { limit_except GET { auth_require $http_x_a; } try_files /none =204; }
    }
}
"""
KEY = jwt.Secret()


@pytest.fixture
def s(server):
    return server(CONF, files={"keys.json": jwt.key_set(KEY)})


@pytest.mark.parametrize("target, fields, status", [
    ("/", {}, 403), ("/", {"X-A": "1"}, 403), ("/", {"X-A": "0", "X-Level": "high"}, 403), ("/", {"X-A": "x", "X-Level": "high"}, 204),
    ("/busy", {}, 503), ("/busy", {"X-A": "1"}, 404), ("/busy", {"X-A": "1", "X-Level": "high"}, 204),
    ("/any", {}, 403), ("/any", {"X-Level": "high"}, 204), ("/limited", {}, 204),
])
def test_all_values_must_hold(s, target, fields, status):
    assert get(s.port, target, headers=fields).status == status
    if status == 403 and target == "/":
        s.wait_for_log(r'the request is refused: "\$\w+" does not hold')
        s.wait_for_log(r'\[error\] .* authorization: denied by auth_require "require"')


def test_what_a_token_says(s):
    for admin, status in ((True, 204), (False, 204), (0, 403), ("", 403)):
        fields = {"Authorization": "Bearer " + jwt.token(KEY, "HS256", {"admin": admin})}
        assert get(s.port, "/jwt", headers=fields).status == status
    assert get(s.port, "/jwt").status == 401
    s.wait_for_log('authorization: allowed by auth_require "require"')
