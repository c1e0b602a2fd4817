# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""TLS 1.3 early data with openssl s_client: taken only where it is allowed, and visible to whoever must not act on a replay."""

import subprocess

import pytest

from lib.certs import Authority
from lib.ports import TIME_SCALE

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate %%CERTS%%/a.test.pem;
        ssl_certificate_key %%CERTS%%/a.test.key;
        ssl_early_data %%EARLY%%;
        location / { return 200 "early=$ssl_early_data reused=$ssl_session_reused length=$content_length\\n"; }
    }
}
"""


def s_client(server, ca, *more, send=None):
    arguments = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-servername", "a.test", "-CAfile", ca.path, "-tls1_3",
                 "-ign_eof", *more]
    return subprocess.run(arguments, input=send, capture_output=True, timeout=20 * TIME_SCALE).stdout.decode(errors="replace")


def twice(server, ca, tmp_path, request):
    """A first visit for the session, and a second that sends the request as early data."""
    session, early = str(tmp_path / "session"), tmp_path / "early"
    plain = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    first = s_client(server, ca, "-sess_out", session, send=plain)
    assert "early= reused=." in first
    early.write_bytes(request)
    return s_client(server, ca, "-sess_in", session, "-early_data", str(early), send=b"")


@pytest.fixture
def authority(tmp_path):
    ca = Authority(tmp_path / "certs")
    ca.leaf("a.test")
    return ca


def test_a_request_in_early_data(server, authority, tmp_path):
    s = server(CONF, CERTS=authority.folder, EARLY="on")
    answer = twice(s, authority, tmp_path, b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
    assert "Early data was accepted" in answer
    assert "early=1 reused=r" in answer


def test_early_data_is_off_by_default(server, authority, tmp_path):
    s = server(CONF, CERTS=authority.folder, EARLY="off")
    session, early = str(tmp_path / "session"), tmp_path / "early"
    plain = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    assert "early= reused=." in s_client(s, authority, "-sess_out", session, send=plain)
    early.write_bytes(plain)
    answer = s_client(s, authority, "-sess_in", session, "-early_data", str(early), send=plain)
    assert "Early data was accepted" not in answer and "early= reused=r" in answer


def test_a_request_that_goes_on_behind_the_early_data(server, authority, tmp_path):
    s = server(CONF, CERTS=authority.folder, EARLY="on")
    session, early = str(tmp_path / "session"), tmp_path / "early"
    plain = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    s_client(s, authority, "-sess_out", session, send=plain)
    early.write_bytes(b"POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-")
    answer = s_client(s, authority, "-sess_in", session, "-early_data", str(early), send=b"Length: 5\r\n\r\n12345")
    assert "Early data was accepted" in answer and "reused=r length=5" in answer
