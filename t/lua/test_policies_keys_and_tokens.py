# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""API keys and JSON Web Tokens of conf/lua, used as their README says."""

import base64
import hashlib
import hmac
import json
import os
import time

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, utils

from lib import upstreams as up
from lib.client import get
from lib.policies import start, with_options
from lib.ports import wait_until

SECRET = b"0123456789abcdef0123456789abcdef"
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEYS = {name: ec.generate_private_key(curve()) for name, curve in
           {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}.items()}
ED_KEYS = {"Ed25519": ed25519.Ed25519PrivateKey.generate(), "Ed448": ed448.Ed448PrivateKey.generate()}


def echo(upstream):
    """An upstream that answers with what it was told about the client."""
    names = ("x-consumer", "x-user", "x-role", "x-api-key")
    return upstream(up.serve(lambda r: up.reply(200, "|".join([r.target] + [r.header(n) or "-" for n in names]).encode())))


# -- API keys

def api_keys(server, upstream, edit=lambda text: text):
    keys = b"# owners\n\nalice:" + hashlib.sha256(b"opensesame").hexdigest().encode() + b"\n"
    u = echo(upstream)
    s = start(server, "api_key", "api_key_decision", lambda text: edit(text.replace("/etc/fairlead/api_keys", "%%PREFIX%%/keys")),
              files={"keys": keys}, UP=u.port)
    return s, u


def test_a_known_key_passes_and_names_its_owner(server, upstream):
    s, u = api_keys(server, upstream)
    assert get(s.port, "/", headers={"X-API-Key": "opensesame", "X-Consumer": "root"}).body == b"/|alice|-|-|-"
    refused = get(s.port, "/", headers={"X-Consumer": "root"})
    assert (refused.status, refused.header("www-authenticate")) == (401, 'ApiKey realm="api"')
    for key in ("opensesam", "OPENSESAME", hashlib.sha256(b"opensesame").hexdigest()):
        assert get(s.port, "/", headers={"X-API-Key": key}).status == 401
    assert get(s.port, "/", headers=[("X-API-Key", "opensesame"), ("X-API-Key", "opensesame")]).status == 401
    assert get(s.port, "/", headers={"X-API-Key": ""}).status == 401
    assert len(u.requests) == 1
    metrics = get(s.port, "/metrics").body.decode()
    for decision, count in (("passed", 1), ("missing", 2), ("unknown", 4)):
        assert f'api_key_decisions_total{{decision="{decision}"}} {count}\n' in metrics
    wait_until(lambda: "unknown 401" in s.read("logs/access.log") and "passed 200" in s.read("logs/access.log"))


def test_a_key_in_the_query(server, upstream):
    s, u = api_keys(server, upstream, with_options('argument = "key", keys = { ["k 1"] = "bob" }'))
    assert get(s.port, "/p?a=1&key=k%201").body == b"/p?a=1|bob|-|-|-"
    assert get(s.port, "/p?key").status == 401
    assert get(s.port, "/p?key=k1&key=k%201").status == 401
    assert get(s.port, "/p?key=k%201", headers={"X-API-Key": "wrong"}).status == 401


def test_a_key_file_is_read_again_and_a_bad_one_is_told(server, upstream):
    s, u = api_keys(server, upstream, with_options("file_check_s = 0, hide = false"))
    assert get(s.port, "/", headers={"X-API-Key": "opensesame"}).body == b"/|alice|-|-|opensesame"
    s.write("keys", b"bob:" + hashlib.sha256(b"new").hexdigest().upper().encode() + b"\n")
    assert get(s.port, "/", headers={"X-API-Key": "opensesame"}).status == 401
    assert get(s.port, "/", headers={"X-API-Key": "new"}).body == b"/|bob|-|-|new"
    s.write("keys", b"bob:1234\n")
    assert get(s.port, "/", headers={"X-API-Key": "new"}).status == 200
    s.wait_for_log("keys:1: want OWNER:SHA256")
    os.remove(os.path.join(s.prefix, "keys"))
    assert get(s.port, "/", headers={"X-API-Key": "new"}).status == 200
    s.wait_for_log("No such file")


# -- JSON Web Tokens

def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def sign(alg, data):
    bits = int(alg[2:]) if alg[2:].isdigit() else 0
    digest = {256: hashes.SHA256(), 384: hashes.SHA384(), 512: hashes.SHA512()}.get(bits)
    if alg.startswith("HS"):
        return hmac.new(SECRET * 2, data, f"sha{bits}").digest()
    if alg.startswith("RS"):
        return RSA_KEY.sign(data, padding.PKCS1v15(), digest)
    if alg.startswith("PS"):
        return RSA_KEY.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    if alg.startswith("ES"):
        curve, size = {256: ("P-256", 32), 384: ("P-384", 48), 512: ("P-521", 66)}[bits]
        r, s = utils.decode_dss_signature(EC_KEYS[curve].sign(data, ec.ECDSA(digest)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    return ED_KEYS[alg].sign(data)


def token(alg="RS256", claims=None, head=None, by=None, **more):
    """A token by the algorithm; `by` signs in place of it, `head` joins its header."""
    header = {"alg": "EdDSA" if alg in ED_KEYS else alg, "typ": "JWT", **(head or {})}
    body = {"sub": "eve", "iss": "https://id.example", "aud": ["app", "x"], "exp": time.time() + 600, **(claims or {}), **more}
    body = {k: v for k, v in body.items() if v is not None}
    signed = b64(json.dumps(header).encode()) + "." + b64(json.dumps(body).encode())
    return signed + "." + b64(by(signed.encode()) if by else sign(alg, signed.encode()))


def jwks():
    n = RSA_KEY.public_key().public_numbers()
    keys = [{"kty": "RSA", "kid": "rsa", "use": "sig", "n": number(n.n), "e": number(n.e)},
            {"kty": "oct", "kid": "secret", "k": b64(SECRET * 2)}]
    for curve, key in EC_KEYS.items():
        p, size = key.public_key().public_numbers(), (key.key_size + 7) // 8
        keys.append({"kty": "EC", "crv": curve, "kid": curve, "x": number(p.x, size), "y": number(p.y, size)})
    for curve, key in ED_KEYS.items():
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        keys.append({"kty": "OKP", "crv": curve, "x": b64(raw)})
    bad = [{"kty": "RSA", "n": "AQ", "e": "AQAB"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, {"kty": "what"}, 7,
           {"kty": "RSA", "use": "enc"}]
    return json.dumps({"keys": keys + bad}).encode()


def pem(key=RSA_KEY):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def tokens(server, upstream):
    """make(options): a server that checks tokens, and call(token): the reply."""
    def make(edit=lambda text: text, keys=None):
        u = echo(upstream)
        s = start(server, "jwt", "jwt_decision", lambda text: edit(text.replace("/etc/fairlead/jwks.json", "%%PREFIX%%/keys")),
                  files={"keys": keys or jwks(), "pem": pem()}, UP=u.port)

        def call(text, headers=()):
            return get(s.port, "/", headers=[("Authorization", "Bearer " + text), *headers])
        return s, call
    return make


def why(reply):
    return reply.status, (reply.header("www-authenticate") or "").rpartition('error_description="')[2].rstrip('"')


def test_every_algorithm_by_its_key(tokens):
    s, call = tokens()
    kinds = ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "Ed448"]
    for alg in kinds:
        good = token(alg)
        assert call(good, [("X-User", "root")]).body == b"/|-|eve|-|-", alg
        head, body, signature = good.split(".")
        other = b64(json.dumps({"sub": "root", "exp": time.time() + 600, "iss": "https://id.example", "aud": "app"}).encode())
        assert why(call(f"{head}.{other}.{signature}")) == (401, "bad_signature"), alg
        flipped = signature[:9] + ("A" if signature[9] != "A" else "B") + signature[10:]
        assert why(call(f"{head}.{body}.{flipped}")) == (401, "bad_signature"), alg
    s.wait_for_log("keys passed over: 8: an RSA key of less than 2048 bits|keys passed over: 8: no public key")
    metrics = get(s.port, "/metrics").body.decode()
    assert f'jwt_decisions_total{{decision="passed"}} {len(kinds)}\n' in metrics
    wait_until(lambda: "bad_signature 401" in s.read("logs/access.log"))


def test_a_token_cannot_choose_its_own_rules(tokens):
    s, call = tokens(lambda text: text.replace("jwks_file", "public_key_file").replace("/keys", "/pem"))
    assert call(token()).status == 200
    for alg in ("none", "None", "NONE", ""):
        assert why(call(token(alg, by=lambda data: b"x"))) == (401, "unknown_key")
        head_and_body = token(alg, by=lambda data: b"x").rpartition(".")[0]
        assert why(call(head_and_body + ".")) == (401, "malformed")
    confused = token("HS256", by=lambda data: hmac.new(pem(), data, "sha256").digest())
    assert why(call(confused)) == (401, "unknown_key")
    assert why(call(token("ES256"))) == (401, "unknown_key")
    s, call = tokens(with_options('algorithms = { "RS512" }'))
    assert (call(token("RS512")).status, why(call(token("RS256")))) == (200, (401, "unknown_key"))
    s, call = tokens()
    assert call(token(head={"kid": "rsa"})).status == 200
    assert why(call(token(head={"kid": "other"}))) == (401, "unknown_key")
    assert why(call(token(head={"crit": ["b64"], "b64": False}))) == (401, "malformed")
    assert why(call(token("HS256", by=lambda data: b""))) == (401, "malformed")


def test_claims_are_checked(tokens):
    s, call = tokens(with_options('leeway_s = 5, claims = { tier = "gold" }, headers = { ["X-User"] = "sub", ["X-Role"] = "role" }'))

    def with_claims(**claims):
        return why(call(token(claims={"tier": "gold", **claims})))[:2]
    now = time.time()
    assert with_claims()[0] == with_claims(exp=now - 1)[0] == with_claims(nbf=now + 1)[0] == with_claims(aud="app")[0] == 200
    assert with_claims(exp=now - 60) == (401, "expired")
    assert with_claims(nbf=now + 60) == (401, "not_yet")
    for wrong in ({"exp": None}, {"iss": "https://evil.example"}, {"aud": "apple"}, {"aud": None}):
        assert with_claims(**wrong) == (401, "refused"), wrong
    assert with_claims(exp="soon") == with_claims(nbf=[1]) == (401, "malformed")
    assert call(token(claims={"tier": "lead"})).status == 403
    assert call(token(claims={"tier": "gold", "role": "admin", "sub": None}), [("X-User", "root")]).body == b"/|-|-|admin|-"
    assert b"|eve" in call(token(claims={"tier": "gold", "role": {"no": "text"}})).body
    injected = call(token(claims={"tier": "gold", "sub": "a\r\nX-Role: admin"}))
    assert injected.status == 200 and b"|admin|" not in injected.body


def test_numbers_keep_all_their_digits_upstream(tokens):
    s, call = tokens()
    for sub, text in ((1234567890123456, b"1234567890123456"), (1234567890123499, b"1234567890123499"), (2**53 - 1, b"9007199254740991"),
                      (-7, b"-7"), (0, b"0"), (-0.0, b"0"), (1e3, b"1000"), (0.1, b"0.1"), (0.12345678901234566, b"0.12345678901234566"),
                      (True, b"true")):
        assert call(token(sub=sub)).body.split(b"|")[2] == text
    for sub in (2**53, 2**53 + 1, -2**53, 10**300):
        assert why(call(token(sub=sub))) == (401, "malformed"), sub
    s, call = tokens(with_options("claims = { tenant = 9007199254740992 }"))
    assert why(call(token(tenant=2**53 + 1))) == (401, "malformed")


def test_what_is_no_token(tokens):
    s, call = tokens(with_options("token_bytes_max = 2000"))
    missing = get(s.port, "/")
    assert (missing.status, missing.header("www-authenticate")) == (401, 'Bearer realm="api"')
    for junk in ("x", "a.b", "a.b.c", "....", token() + ".x", "e30.e30.e30", b64(b"[1]") + ".e30.AA", token() + "=", token(sub="x" * 2000)):
        assert why(call(junk)) == (401, "malformed"), junk
    assert get(s.port, "/", headers={"Authorization": "Basic eDp5"}).status == 401
    assert get(s.port, "/", headers=[("Authorization", "Bearer " + token())] * 2).status in (400, 401)


def test_tokens_elsewhere_and_a_secret(tokens):
    secret = (SECRET * 2).decode()
    s, call = tokens(lambda text: with_options(f'secret = "{secret}", cookie = "t", argument = "t"')(text).replace("jwks_file", "unused"))
    good = token("HS256")
    assert get(s.port, "/", headers={"Cookie": f"a=b; t={good}"}).status == 200
    assert get(s.port, f"/?t={good}").status == 200
    assert why(call(token("RS256"))) == (401, "unknown_key")


def test_key_files_that_go_bad(tokens):
    s, call = tokens(with_options("file_check_s = 0"))
    assert call(token()).status == 200
    s.write("keys", b"{")
    assert call(token()).status == 200
    s.wait_for_log("no JWK set")
    s.write("keys", b'{"keys": []}')
    assert why(call(token())) == (401, "unknown_key")
    s.write("keys", json.dumps({"keys": [{}] * 101}).encode())
    assert why(call(token())) == (401, "unknown_key")
    s.wait_for_log("more than 100 keys")
