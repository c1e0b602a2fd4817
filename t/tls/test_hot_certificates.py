# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""`ssl_watch on`: files that change are used for new handshakes, bad ones are not; servers, peers, trust bundles."""

import os
import re
import shutil
import ssl
import threading
import time

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client, get
from lib.ports import wait_until

CONF = """
worker_processes 2;
events {}
http {
    ssl_watch on;
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate %%CERTS%%/tls.crt;
        ssl_certificate_key %%CERTS%%/tls.key;
        ssl_verify_client optional;
        ssl_client_certificate %%CERTS%%/trusted.pem;
        location / { return 200 "$ssl_client_verify $ssl_server_v_remain"; }
        location = /metrics { metrics; }
    }
}
"""


def names_shown(server, ca):
    context = ca.client_context(verify=True)
    context.check_hostname = False
    client = Client(server.port, tls=context, server_name="a.test")
    names = [name for _, name in client.socket.getpeercert()["subjectAltName"]]
    client.close()
    return names


def place(ca, stem, folder=None):
    for end, to in ((".pem", "tls.crt"), (".key", "tls.key")):
        target = os.path.join(folder or ca.folder, to)
        shutil.copy(f"{ca.folder}/{stem}{end}", target + ".new")
        os.rename(target + ".new", target)


@pytest.fixture
def authority(tmp_path):
    ca = Authority(tmp_path / "certs")
    ca.leaf("a.test", "one.test", file="one")
    ca.leaf("a.test", "two.test", file="two")
    ca.leaf("a.test", "old.test", file="old", days=-1)
    shutil.copy(ca.path, f"{ca.folder}/trusted.pem")
    return ca


def until_shown(server, ca, name):
    """Until eight handshakes in a row, which go to either worker, show it."""
    wait_until(lambda: all(name in names_shown(server, ca) for _ in range(8)), 10, f"{name} in every handshake")


def test_renamed_files_are_used(server, authority):
    place(authority, "one")
    s = server(CONF, CERTS=authority.folder)
    kept = Client(s.port, tls=authority.client_context(), server_name="a.test")
    assert "one.test" in names_shown(s, authority)
    place(authority, "two")
    until_shown(s, authority, "two.test")
    s.wait_for_log("tls.crt\" has changed and is used from now on")
    kept.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")  # older connections live on
    assert kept.read_reply().status == 200


def test_files_written_in_place_are_used(server, authority):
    place(authority, "one")
    s = server(CONF, CERTS=authority.folder)
    for end, to in ((".pem", "tls.crt"), (".key", "tls.key")):
        shutil.copyfile(f"{authority.folder}/two{end}", f"{authority.folder}/{to}")
    until_shown(s, authority, "two.test")


def test_a_swapped_link_as_kubernetes_does_it(server, authority, tmp_path):
    mount = tmp_path / "mount"
    for stem in ("one", "two"):
        os.makedirs(mount / f"..{stem}")
        place(authority, stem, str(mount / f"..{stem}"))
        shutil.copy(authority.path, mount / f"..{stem}" / "trusted.pem")
    os.symlink("..one", mount / "..data")
    for name in ("tls.crt", "tls.key", "trusted.pem"):
        os.symlink(f"..data/{name}", mount / name)
    s = server(CONF, CERTS=str(mount))
    assert "one.test" in names_shown(s, authority)
    os.symlink("..two", mount / "..data_tmp")
    os.rename(mount / "..data_tmp", mount / "..data")
    shutil.rmtree(mount / "..one")
    until_shown(s, authority, "two.test")
    os.makedirs(mount / "..three")  # and once more, out of a folder that did not exist at the start
    place(authority, "one", str(mount / "..three"))
    shutil.copy(authority.path, mount / "..three" / "trusted.pem")
    os.symlink("..three", mount / "..data_tmp")
    os.rename(mount / "..data_tmp", mount / "..data")
    until_shown(s, authority, "one.test")


@pytest.mark.parametrize("bad, reason", [("garbage", "cannot load certificate"), ("old", "the certificate has expired")])
def test_bad_files_are_refused_and_the_old_one_stays(server, authority, bad, reason):
    place(authority, "one")
    with open(f"{authority.folder}/garbage.pem", "w") as f:
        f.write("no certificate\n")
    shutil.copy(f"{authority.folder}/one.key", f"{authority.folder}/garbage.key")
    s = server(CONF, CERTS=authority.folder)
    place(authority, bad)
    s.wait_for_log(f"has changed but is not used, the old one stays: .*{reason}")
    assert "one.test" in names_shown(s, authority)
    place(authority, "two")
    until_shown(s, authority, "two.test")


def test_a_key_that_does_not_match_is_refused_until_its_certificate_comes(server, authority):
    place(authority, "one")
    s = server(CONF, CERTS=authority.folder)
    shutil.copyfile(f"{authority.folder}/two.key", f"{authority.folder}/tls.key")
    s.wait_for_log("has changed but is not used, the old one stays: SSL_CTX_use_PrivateKey")
    assert "one.test" in names_shown(s, authority)
    shutil.copyfile(f"{authority.folder}/two.pem", f"{authority.folder}/tls.crt")
    until_shown(s, authority, "two.test")


def test_a_folder_in_which_something_else_is_written_to_without_an_end(server, authority):
    place(authority, "one")
    s = server(CONF, CERTS=authority.folder)

    def wait_used(count):
        wait_until(lambda: len(re.findall('tls.crt" has changed and is used', s.log())) == count, 10, "its use in both workers")
    place(authority, "two")
    wait_used(2)  # from here on both watch
    ended = threading.Event()

    def write():
        while not ended.wait(0.01):
            open(f"{authority.folder}/other.txt", "w").close()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        place(authority, "one")
        wait_used(4)
    finally:
        ended.set()
        writer.join()


def test_the_log_names_the_file_that_changed(server, authority, tmp_path):
    place(authority, "one")
    s = server(CONF, CERTS=authority.folder)
    bundle = f"{authority.folder}/trusted.pem"
    shutil.copyfile(Authority(tmp_path / "other", "Other CA").path, bundle)
    s.wait_for_log(f'"{bundle}" has changed and is used from now on')
    with open(bundle, "w") as f:
        f.write("no certificate\n")
    s.wait_for_log(f'"{bundle}" has changed but is not used, the old one stays: ')
    assert 'tls.crt" has changed' not in s.log()


def test_when_a_certificate_ends_is_a_variable_and_a_metric(server, authority):
    place(authority, "one")
    s = server(CONF, CERTS=authority.folder)

    def ask(path):
        client = Client(s.port, tls=authority.client_context(), server_name="a.test")
        client.send(f"GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        return client.read_reply().body.decode()
    assert ask("/") in ("NONE 29", "NONE 30")
    line = next(line for line in ask("/metrics").splitlines() if line.startswith("fairlead_tls_certificate_end_seconds{"))
    assert 'subject="CN=a.test"' in line and abs(float(line.split()[-1]) - (time.time() + 30 * 86400)) < 86400


def verify_result(server, ca, certificate):
    client = Client(server.port, tls=ca.client_context(certificate), server_name="a.test")
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    reply = client.read_reply()
    client.close()
    return reply.status


def test_trust_bundles_change_and_may_overlap(server, authority, tmp_path):
    place(authority, "one")
    other = Authority(tmp_path / "other", "Other CA")
    old, new = authority.leaf("old client", client=True), other.leaf("new client", client=True)
    s = server(CONF, CERTS=authority.folder)
    bundle = f"{authority.folder}/trusted.pem"
    assert (verify_result(s, authority, old), verify_result(s, authority, new)) == (200, 400)

    def until(old_status, new_status):
        wait_until(lambda: all((verify_result(s, authority, old), verify_result(s, authority, new)) == (old_status, new_status)
                               for _ in range(6)), 10, "the trust bundle")
    with open(bundle, "ab") as f:
        f.write(open(other.path, "rb").read())
    until(200, 200)
    shutil.copyfile(other.path, bundle)
    until(400, 200)


PROXY = """
events {}
http {
    ssl_watch on;
    upstream app { server 127.0.0.1:%%UP%%; keepalive 4; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / {
            proxy_http_version 1.1;
            proxy_pass https://app;
            proxy_ssl_name a.test;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate %%CERTS%%/trusted.pem;
            proxy_ssl_certificate %%CERTS%%/tls.crt;
            proxy_ssl_certificate_key %%CERTS%%/tls.key;
        }
    }
}
"""


def tell_client(seen):
    take = up.request()
    while True:
        take(seen)
        names = [name for _, name in seen.socket.getpeercert()["subjectAltName"]]
        seen.socket.sendall(up.reply(200, " ".join(names).encode()))


def test_client_certificates_and_trust_towards_peers(server, upstream, authority, tmp_path):
    for stem in ("one", "two"):
        authority.leaf("a.test", f"{stem}.test", file=stem, client=True)
    place(authority, "one")
    context = authority.server_context(authority.leaf("a.test", file="peer"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.path)
    u = upstream([tell_client], tls=context)
    s = server(PROXY, CERTS=authority.folder, UP=u.port)
    assert b"one.test" in get(s.port, "/").body
    place(authority, "two")
    wait_until(lambda: b"two.test" in get(s.port, "/").body, 10, "the new client certificate")
    shutil.copyfile(Authority(tmp_path / "other", "Other CA").path, f"{authority.folder}/trusted.pem")
    wait_until(lambda: get(s.port, "/").status == 502, 10, "the new trust bundle")
