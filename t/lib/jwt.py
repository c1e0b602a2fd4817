# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Keys as JSON Web Keys, and tokens signed with them, right or wrong in whatever way a test wants."""

import base64
import hashlib
import hmac
import json
import os

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives import padding as symmetric_padding
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

_HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
_CURVES = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}


def b64(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Secret:
    """An oct key."""

    def __init__(self, secret=b"a secret of some length, known to both", kid=None, **more):
        self.secret, self.kid = secret, kid
        self.jwk = {"kty": "oct", "k": b64(secret), **({"kid": kid} if kid else {}), **more}

    def sign(self, alg, content):
        return hmac.new(self.secret, content, getattr(hashlib, "sha" + alg[2:])).digest()


class Rsa:
    def __init__(self, kid=None, bits=2048, **more):
        self.key, self.kid = rsa.generate_private_key(65537, bits), kid
        public = self.key.public_key().public_numbers()
        self.jwk = {"kty": "RSA", "n": _number(public.n), "e": _number(public.e), **({"kid": kid} if kid else {}), **more}

    def sign(self, alg, content):
        digest = _HASHES[alg[2:]]()
        pad = padding.PSS(padding.MGF1(digest), digest.digest_size) if alg[:2] == "PS" else padding.PKCS1v15()
        return self.key.sign(content, pad, digest)

    def with_private(self):
        """The JWK with the private parts."""
        numbers = self.key.private_numbers()
        parts = {"d": numbers.d, "p": numbers.p, "q": numbers.q, "dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
        self.jwk = {**self.jwk, **{name: _number(value) for name, value in parts.items()}}
        return self

    def public_pem(self):
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


class Ec:
    def __init__(self, curve="P-256", kid=None, **more):
        self.key, self.kid = ec.generate_private_key(_CURVES[curve]()), kid
        self.size = (self.key.curve.key_size + 7) // 8
        public = self.key.public_key().public_numbers()
        self.jwk = {"kty": "EC", "crv": curve, "x": _number(public.x, self.size), "y": _number(public.y, self.size),
                    **({"kid": kid} if kid else {}), **more}

    def sign(self, alg, content):
        r, s = decode_dss_signature(self.key.sign(content, ec.ECDSA(_HASHES[alg[2:]]())))
        return r.to_bytes(self.size, "big") + s.to_bytes(self.size, "big")


class Ed:
    def __init__(self, curve="Ed25519", kid=None, **more):
        kind = ed25519.Ed25519PrivateKey if curve == "Ed25519" else ed448.Ed448PrivateKey
        self.key, self.kid = kind.generate(), kid
        public = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.jwk = {"kty": "OKP", "crv": curve, "x": b64(public), **({"kid": kid} if kid else {}), **more}

    def sign(self, alg, content):
        return self.key.sign(content)


def key_set(*keys):
    return json.dumps({"keys": [key.jwk for key in keys]})


def token(key, alg, payload, header=(), signature=None):
    """Compact form. `payload`: a dict, or the bytes that stand for it; `header`: parameters besides alg, typ and the key's kid."""
    parameters = {"alg": alg, "typ": "JWT", **({"kid": key.kid} if key and key.kid else {}), **dict(header)}
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signed = b64(json.dumps(parameters).encode()) + "." + b64(content)
    return signed + "." + b64(key.sign(alg, signed.encode()) if signature is None else signature)


# -- encrypted tokens (RFC 7516) --

def _seal_gcm(key, plain, aad):
    iv = os.urandom(12)
    sealed = AESGCM(key).encrypt(iv, plain, aad)
    return iv, sealed[:-16], sealed[-16:]


def _seal_cbc(enc, key, plain, aad):
    iv, half = os.urandom(16), len(key) // 2
    padder = symmetric_padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key[half:]), modes.CBC(iv)).encryptor()
    content = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    mac = hmac.new(key[:half], aad + iv + content + (len(aad) * 8).to_bytes(8, "big"), getattr(hashlib, "sha" + enc[-3:])).digest()
    return iv, content, mac[:half]


def encrypted(key, alg, enc, content, header=()):
    """Compact form. `key`: a Secret, or an Rsa."""
    sizes = {"A128GCM": 16, "A192GCM": 24, "A256GCM": 32, "A128CBC-HS256": 32, "A192CBC-HS384": 48, "A256CBC-HS512": 64}
    content = content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else json.dumps(content).encode()
    parameters = {"alg": alg, "enc": enc, **({"kid": key.kid} if key.kid else {})}
    secret, wrapped = os.urandom(sizes[enc]), b""
    if alg == "dir":
        secret = key.secret
    elif alg.endswith("GCMKW"):
        iv, wrapped, tag = _seal_gcm(key.secret, secret, None)
        parameters |= {"iv": b64(iv), "tag": b64(tag)}
    elif alg.endswith("KW"):
        wrapped = aes_key_wrap(key.secret, secret)
    else:
        digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}.get(alg[-3:], hashes.SHA1())
        wrapped = key.key.public_key().encrypt(secret, padding.OAEP(padding.MGF1(digest), digest, None))
    aad = b64(json.dumps({**parameters, **dict(header)}).encode())
    seal = _seal_gcm(secret, content, aad.encode()) if "GCM" in enc else _seal_cbc(enc, secret, content, aad.encode())
    return ".".join([aad, b64(wrapped), *(b64(part) for part in seal)])
