# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""auth_jwt: each algorithm with its keys, which key is taken, and tokens that somebody made up."""

import json

import pytest

from lib import jwt
from lib.client import get

CONF = """
events {}
http {
    auth_jwt_cache %%CACHED%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        auth_jwt closed token=$http_token;
        auth_jwt_key_file keys.json;
        large_client_header_buffers 4 128k;
        location / { try_files /none =204; }
    }
}
"""
KEYS = {"HS": jwt.Secret(kid="hs"), "RS": jwt.Rsa(kid="rsa"), "ES256": jwt.Ec("P-256", "p256"), "ES384": jwt.Ec("P-384", "p384"),
        "ES512": jwt.Ec("P-521", "p521"), "Ed25519": jwt.Ed("Ed25519", "ed25519"), "Ed448": jwt.Ed("Ed448", "ed448")}
ALGORITHMS = [("HS", "HS256"), ("HS", "HS384"), ("HS", "HS512"), ("RS", "RS256"), ("RS", "RS384"), ("RS", "RS512"), ("RS", "PS256"),
              ("RS", "PS384"), ("RS", "PS512"), ("ES256", "ES256"), ("ES384", "ES384"), ("ES512", "ES512"), ("Ed25519", "EdDSA"),
              ("Ed448", "EdDSA")]
PAYLOAD = {"sub": "alice"}


def serve(server, *keys, cached=1000):
    return server(CONF, CACHED=cached, files={"keys.json": jwt.key_set(*keys)})


def status(s, token):
    return get(s.port, "/", headers={"Token": token}).status


def test_every_algorithm(server):
    s = serve(server, *KEYS.values(), cached=0)
    for name, alg in ALGORITHMS:
        key = KEYS[name]
        token = jwt.token(key, alg, PAYLOAD)
        assert status(s, token) == 204, alg
        head, _, tail = token.rpartition(".")
        flipped = ("A" if tail[0] != "A" else "B") + tail[1:]
        assert status(s, head + "." + flipped) == 401, f"{alg}: another signature"
        other = jwt.b64(json.dumps({"sub": "mallory"}).encode())
        first, _, signature = token.split(".")
        assert status(s, f"{first}.{other}.{signature}") == 401, f"{alg}: another payload"
        assert status(s, jwt.token(key, alg, PAYLOAD, signature=b"")) == 401, f"{alg}: no signature"
        assert status(s, jwt.token(key, alg, PAYLOAD, signature=key.sign(alg, b"x") + b"\0")) == 401


def test_the_same_without_names_of_keys(server):
    keys = [jwt.Secret(), jwt.Rsa(), jwt.Rsa(), jwt.Ec("P-256"), jwt.Ed("Ed25519")]
    s = serve(server, *keys)
    for key, alg in zip(keys, ("HS256", "RS256", "PS512", "ES256", "EdDSA")):
        assert status(s, jwt.token(key, alg, PAYLOAD)) == 204
        assert status(s, jwt.token(key, alg, PAYLOAD, header={"kid": "unknown"})) == 204, "a key without a name may be any"


def test_the_name_picks_the_key(server):
    right, wrong = jwt.Secret(b"right", kid="right"), jwt.Secret(b"wrong", kid="wrong")
    s = serve(server, right, wrong)
    assert status(s, jwt.token(right, "HS256", PAYLOAD)) == 204
    assert status(s, jwt.token(right, "HS256", PAYLOAD, header={"kid": "wrong"})) == 401
    assert status(s, jwt.token(right, "HS256", PAYLOAD, header={"kid": "other"})) == 401
    s.wait_for_log('authorization: denied by auth_jwt "no key"')


def test_none_is_no_algorithm(server):
    s = serve(server, KEYS["HS"], KEYS["RS"])
    for alg in ("none", "None", "NONE", "", "HS1", "hs256", "ES256K", None, 5):
        header = {"alg": alg}
        assert status(s, jwt.token(None, "HS256", PAYLOAD, header=header, signature=b"")) == 401, alg
        assert status(s, jwt.token(KEYS["HS"], "HS256", PAYLOAD, header=header)) == 401, alg
    s.wait_for_log('authorization: denied by auth_jwt "malformed"')


def test_a_public_key_is_never_a_secret(server):
    rsa = KEYS["RS"]
    s = serve(server, rsa, KEYS["ES256"])
    texts = [rsa.public_pem(), rsa.public_pem().strip(), json.dumps(rsa.jwk).encode(), rsa.jwk["n"].encode(), b""]
    for text in texts:
        assert status(s, jwt.token(jwt.Secret(text, kid="rsa"), "HS256", PAYLOAD)) == 401
        assert status(s, jwt.token(jwt.Secret(text), "HS256", PAYLOAD)) == 401
    assert status(s, jwt.token(rsa, "RS256", PAYLOAD, header={"alg": "ES256"})) == 401
    assert status(s, jwt.token(rsa, "RS256", PAYLOAD, header={"alg": "PS256"})) == 401


def test_a_key_serves_only_what_it_is_for(server):
    one = jwt.Rsa(kid="one", alg="RS256")
    s = serve(server, one, jwt.Secret(b"encrypts", kid="two", use="enc"), jwt.Secret(b"signs only", kid="three", key_ops=["sign"]),
              jwt.Secret(b"may verify", kid="four", key_ops=["verify"], use="sig"))
    assert status(s, jwt.token(one, "RS256", PAYLOAD)) == 204
    assert status(s, jwt.token(one, "RS512", PAYLOAD)) == 401
    assert status(s, jwt.token(jwt.Secret(b"encrypts", kid="two"), "HS256", PAYLOAD)) == 401
    assert status(s, jwt.token(jwt.Secret(b"signs only", kid="three"), "HS256", PAYLOAD)) == 401
    assert status(s, jwt.token(jwt.Secret(b"may verify", kid="four"), "HS256", PAYLOAD)) == 204
    s.wait_for_log(r'\[warn\] .* 1 of the keys of ".*keys.json" are left out')


def test_keys_that_cannot_be_used_are_left_out(server):
    good, short, curve = jwt.Secret(), jwt.Rsa(bits=1024, kid="short"), jwt.Ec("P-256", kid="curve")
    curve.jwk["y"] = curve.jwk["x"]
    strange = jwt.Secret()
    strange.jwk = {"kty": "XYZ"}
    s = serve(server, good, short, curve, strange)
    assert status(s, jwt.token(good, "HS256", PAYLOAD)) == 204
    assert status(s, jwt.token(short, "RS256", PAYLOAD)) == 401
    assert status(s, jwt.token(curve, "ES256", PAYLOAD)) == 401
    s.wait_for_log("3 of the keys of")


@pytest.mark.parametrize("token", [
    "x", ".", "..", "...", "a.b.c", "a.b.c.d", "eyJhbGciOiJIUzI1NiJ9..", "eyJhbGciOiJIUzI1NiJ9.e30", "e30.e30.e30", "\u00e9.e30.e30",
    "=.=.=", "eyJhbGciOiJIUzI1NiJ9=.e30.AA", "W10.e30.AA", "a" * 70000, "." * 1000,
])
def test_what_is_no_token(server, token):
    s = serve(server, KEYS["HS"])
    assert status(s, token) == 401
    assert status(s, jwt.token(KEYS["HS"], "HS256", PAYLOAD)) == 204


def test_what_a_signed_token_must_not_have(server):
    s = serve(server, KEYS["HS"])
    for payload in (b"", b"[]", b"null", b'"x"', b"{", b'{"a":1}x', b"\xff", b'{"a":"\xff"}', b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
                    b"[" * 20000):
        assert status(s, jwt.token(KEYS["HS"], "HS256", payload)) == 401, payload[:20]
    assert status(s, jwt.token(KEYS["HS"], "HS256", PAYLOAD, header={"crit": ["b64"], "b64": False})) == 401
    assert status(s, jwt.token(KEYS["HS"], "HS256", b'{"a":' + b"[" * 20 + b"]" * 20 + b"}")) == 204


def test_verified_tokens_are_kept_up_to_a_number(server):
    s = serve(server, KEYS["HS"], cached=2)
    tokens = [jwt.token(KEYS["HS"], "HS256", {"sub": str(i)}) for i in range(5)]
    for token in tokens + tokens[::-1] + tokens:
        assert status(s, token) == 204
        assert status(s, token[:-4] + "AAAA") == 401, "what is not verified is not known"
