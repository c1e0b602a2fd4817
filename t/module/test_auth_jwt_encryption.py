# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""auth_jwt_type encrypted and nested: tokens that only a key of ours opens, and signed ones inside them."""

import json
import os

import pytest

from lib import jwt
from lib.client import get

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        auth_jwt closed token=$http_token;
        auth_jwt_key_file keys.json;
        add_header X-Claims "$jwt_claim_sub|$jwt_header_alg|$jwt_payload" always;
        location /signed { try_files /none =204; }
        location /encrypted { auth_jwt_type encrypted; try_files /none =204; }
        location /nested { auth_jwt_type nested; try_files /none =204; }
    }
}
"""
PAYLOAD = {"sub": "alice"}
TEXT = json.dumps(PAYLOAD)
SECRETS = {size: jwt.Secret(os.urandom(size), kid=f"secret{size}") for size in (16, 24, 32, 48, 64)}
RSA = jwt.Rsa(kid="rsa").with_private()
SIGNER = jwt.Ec("P-256", kid="signer")


@pytest.fixture(scope="module")
def tokens():
    made = []
    for enc, size in (("A128GCM", 16), ("A192GCM", 24), ("A256GCM", 32), ("A128CBC-HS256", 32), ("A192CBC-HS384", 48),
                      ("A256CBC-HS512", 64)):
        made.append(("dir", enc, SECRETS[size]))
        made += [(alg, enc, RSA) for alg in ("RSA-OAEP", "RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512")]
        made += [(f"A{bits}{kind}", enc, SECRETS[bits // 8]) for bits in (128, 192, 256) for kind in ("KW", "GCMKW")]
    return made


@pytest.fixture
def s(server):
    return server(CONF, files={"keys.json": jwt.key_set(*SECRETS.values(), RSA, SIGNER)})


def ask(s, token, path="/encrypted"):
    return get(s.port, path, headers={"Token": token})


def test_every_way_to_encrypt(s, tokens):
    for alg, enc, key in tokens:
        reply = ask(s, jwt.encrypted(key, alg, enc, PAYLOAD))
        assert (reply.status, reply.header("X-Claims")) == (204, f"alice|{alg}|{TEXT}"), (alg, enc)


def test_what_was_changed_does_not_open(s, tokens):
    for alg, enc, key in tokens[::4]:
        parts = jwt.encrypted(key, alg, enc, PAYLOAD).split(".")
        for i in range(5):
            first = parts[i][:1]
            changed = parts[:i] + [("B" if first != "B" else "C") + parts[i][1:]] + parts[i + 1:]
            assert ask(s, ".".join(changed)).status == 401, (alg, enc, i)
        assert ask(s, ".".join(parts[:4] + [parts[4][:-4]])).status == 401, "a short tag"
        assert ask(s, ".".join(parts[:4] + [""])).status == 401
    s.wait_for_log('authorization: denied by auth_jwt "encryption"')


def test_a_type_is_taken_for_no_other(s):
    signed, encrypted = jwt.token(SIGNER, "ES256", PAYLOAD), jwt.encrypted(SECRETS[32], "dir", "A256GCM", PAYLOAD)
    nested = jwt.encrypted(SECRETS[32], "dir", "A256GCM", signed)
    good = {("/signed", signed), ("/encrypted", encrypted), ("/nested", nested)}
    for _ in range(2):  # the second time they are known
        for path in ("/signed", "/encrypted", "/nested"):
            for token in (signed, encrypted, nested):
                assert ask(s, token, path).status == (204 if (path, token) in good else 401)


def test_what_is_inside_is_judged(s):
    reply = ask(s, jwt.encrypted(RSA, "RSA-OAEP-256", "A128CBC-HS256", jwt.token(SIGNER, "ES256", PAYLOAD)), "/nested")
    assert (reply.status, reply.header("X-Claims")) == (204, f"alice|ES256|{TEXT}")
    stranger = jwt.Ec("P-256", kid="signer")
    assert ask(s, jwt.encrypted(RSA, "RSA-OAEP", "A128GCM", jwt.token(stranger, "ES256", PAYLOAD)), "/nested").status == 401
    none = jwt.token(None, "HS256", PAYLOAD, header={"alg": "none"}, signature=b"")
    assert ask(s, jwt.encrypted(RSA, "RSA-OAEP", "A128GCM", none), "/nested").status == 401
    assert ask(s, jwt.encrypted(RSA, "RSA-OAEP", "A128GCM", {"exp": 1})).status == 401
    assert ask(s, jwt.encrypted(RSA, "RSA-OAEP", "A128GCM", "no claims")).status == 401


@pytest.mark.parametrize("header", [{"alg": "RSA1_5"}, {"alg": "PBES2-HS256+A128KW"}, {"enc": "A128CTR"}, {"zip": "DEF"}, {"crit": ["x"]},
                                    {"alg": None}, {"kid": "secret16"}])
def test_headers_that_are_not_taken(s, header):
    assert ask(s, jwt.encrypted(RSA, "RSA-OAEP", "A128GCM", PAYLOAD, header=header)).status == 401


def test_keys_open_only_what_they_are_for(server):
    verifying = jwt.Secret(os.urandom(32), kid="a", use="sig")
    opening = jwt.Secret(os.urandom(32), kid="b", use="enc")
    unwrapping = jwt.Secret(os.urandom(16), kid="c", key_ops=["unwrapKey"])
    of_one = jwt.Secret(os.urandom(16), kid="d", alg="A128KW")
    public = jwt.Rsa(kid="e")
    s = server(CONF, files={"keys.json": jwt.key_set(verifying, opening, unwrapping, of_one, public)})
    assert ask(s, jwt.encrypted(verifying, "dir", "A256GCM", PAYLOAD)).status == 401
    assert ask(s, jwt.encrypted(opening, "dir", "A256GCM", PAYLOAD)).status == 204
    assert ask(s, jwt.encrypted(unwrapping, "A128KW", "A256GCM", PAYLOAD)).status == 204
    assert ask(s, jwt.encrypted(of_one, "A128KW", "A256GCM", PAYLOAD)).status == 204
    assert ask(s, jwt.encrypted(of_one, "dir", "A128GCM", PAYLOAD)).status == 401
    assert ask(s, jwt.encrypted(public, "RSA-OAEP", "A128GCM", PAYLOAD)).status == 401
    assert ask(s, jwt.token(opening, "HS256", PAYLOAD), "/signed").status == 401
    assert ask(s, jwt.token(verifying, "HS256", PAYLOAD), "/signed").status == 204
