# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""browser: which User-Agent is modern; empty_gif."""

import pytest

from lib.client import get, request

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        modern_browser msie 5.5;
        modern_browser gecko 1.0.0.10;
        modern_browser safari 2;
        modern_browser konqueror 3.1;
        location / { return 200 "$modern_browser|$ancient_browser|$msie"; }
        location /unlisted { modern_browser msie 7; modern_browser unlisted; ancient_browser netscape4 Lynx; modern_browser_value new;
                             ancient_browser_value old; return 200 "$modern_browser|$ancient_browser"; }
        location /opera { modern_browser opera 9; return 200 "$modern_browser|$ancient_browser"; }
        location /gif { empty_gif; }
    }
}
"""


@pytest.fixture
def s(server):
    return server(CONF)


@pytest.mark.parametrize("agent, said", [
    (None, "|1|"), ("curl", "|1|"), ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", "1||1"),
    ("Mozilla/4.0 (compatible; MSIE 5.01; Windows)", "|1|1"),
    ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.0; en) Opera 8.0", "|1|"),
    ("Mozilla/5.0 (X11; U; Linux i686; en-US; rv:1.0.0) Gecko/20020610", "|1|"),
    ("Mozilla/5.0 (X11; U; Linux i686; en-US; rv:1.0.0.11) Gecko", "1||"), ("Mozilla/5.0 (X11; rv:1.5) Gecko", "1||"),
    ("Mozilla/5.0 (Mac) Safari/125.7", "1||"),
    ("Mozilla/5.0 (compatible; Konqueror/3.0; Linux)", "|1|"), ("Mozilla/5.0 (compatible; Konqueror/3.4; Linux)", "1||"),
    ("MSIE 7.0", "|1|1"), ("MSIE 7", "|1|"), ("Opera/9 MSIE 7.0", "|1|"),
])
def test_versions(s, agent, said):
    assert get(s.port, "/", {"User-Agent": agent} if agent else {}).text == said


def test_unlisted(s):
    for agent, said in ((None, "new|"), ("curl", "new|"), ("Lynx/2", "|old"), ("Mozilla/4.72 [en] (X11)", "|old"),
                        ("Mozilla/5.0 (X11; rv:1.0)", "new|")):
        assert get(s.port, "/unlisted", {"User-Agent": agent} if agent else {}).text == said, agent
    for agent, said in (("Opera/9.01 (X11)", "1|"), ("Opera/8.0 (Windows)", "|1"), ("Mozilla/4.0 (compatible; MSIE 6.0)", "|1"),
                        ("Mozilla/5.0 (X11; FreeBSD i386; U) Opera 9.5", "1|")):
        assert get(s.port, "/opera", {"User-Agent": agent}).text == said, agent


def test_empty_gif(s):
    reply = get(s.port, "/gif")
    assert (reply.status, reply.header("Content-Type"), len(reply.body), reply.body[:6]) == (200, "image/gif", 43, b"GIF89a")
    assert get(s.port, "/gif", {"If-Modified-Since": reply.header("Last-Modified")}).status == 304
    assert request(s.port, "HEAD", "/gif").header("Content-Length") == "43" and request(s.port, "POST", "/gif").status == 405


@pytest.mark.parametrize("line, error", [("modern_browser lynx 1", 'unknown browser name "lynx"'),
                                         ("modern_browser msie 1x", 'invalid browser version "1x"'),
                                         ("modern_browser msie", 'invalid value "msie"')])
def test_bad_lines(idle_server, line, error):
    done = idle_server(f"events {{}} http {{ server {{ listen 127.0.0.1:%%PORT_0%%; {line}; }} }}").run("-t")
    assert done.returncode == 1 and error in done.stderr, done.stderr
