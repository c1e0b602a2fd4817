# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Certificates made on the spot: an authority, and leaves for names, as PEM files for configurations and contexts for clients."""

import datetime
import ipaddress
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def _subject_alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.UniformResourceIdentifier(name) if "://" in name else x509.DNSName(name)


class Authority:
    """A certificate authority in a folder: NAME.pem, NAME.key for each leaf, ca.pem for itself."""

    def __init__(self, folder, name="Test CA"):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self.name, self.key.public_key(), 30)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.path = self._write("ca.pem", self.certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject, public_key, days):
        now = datetime.datetime.utcnow()
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(public_key)
                .serial_number(x509.random_serial_number()).not_valid_before(now - 2 * DAY).not_valid_after(now + days * DAY))

    def _write(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(content)
        return path

    def leaf(self, *names, file=None, kind="ec", days=30, client=False):
        """(certificate path, key path); `names` are host names, addresses or URIs, the first also the common name; a negative `days`
        gives an expired one; `client` one that is good for clients only."""
        key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        builder = self._builder(subject, key.public_key(), days)
        builder = builder.add_extension(x509.SubjectAlternativeName([_subject_alternative(n) for n in names]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        stem = file or names[0].replace("*", "_").replace("/", "_")
        pem = serialization.PrivateFormat.PKCS8
        return (self._write(stem + ".pem", certificate.public_bytes(serialization.Encoding.PEM)),
                self._write(stem + ".key", key.private_bytes(serialization.Encoding.PEM, pem, serialization.NoEncryption())))

    def revoke(self, certificate):
        """The path of a list that revokes the certificate at that path."""
        with open(certificate, "rb") as f:
            number = x509.load_pem_x509_certificate(f.read()).serial_number
        now = datetime.datetime.utcnow()
        entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now - DAY).build()
        made = (x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(now - DAY).next_update(now + DAY)
                .add_revoked_certificate(entry).sign(self.key, hashes.SHA256()))
        return self._write("crl.pem", made.public_bytes(serialization.Encoding.PEM))

    def lock(self, key, password, file):
        """The path of the key at that path, encrypted."""
        with open(key, "rb") as f:
            loaded = serialization.load_pem_private_key(f.read(), None)
        how = serialization.BestAvailableEncryption(password)
        return self._write(file, loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how))

    def client_context(self, certificate=None, alpn=None, verify=True):
        """For lib.client: trusts this authority; `certificate` is a pair from `leaf`."""
        context = ssl.create_default_context(cafile=self.path) if verify else ssl._create_unverified_context()
        if certificate:
            context.load_cert_chain(*certificate)
        if alpn:
            context.set_alpn_protocols(alpn)
        return context

    def server_context(self, certificate, alpn=None, client_ca=False):
        """For lib.upstreams: serves `certificate`; with `client_ca` it demands a certificate of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        if alpn:
            context.set_alpn_protocols(alpn)
        if client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.path)
        return context
