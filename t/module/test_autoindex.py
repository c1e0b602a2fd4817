# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""autoindex and random_index: what lies in a folder, and what may not be seen of it."""

import json
import os
import xml.etree.ElementTree as ElementTree

import pytest

from lib.client import Client, get, request

CONF = """
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%/html;
        location / { autoindex on; }
        location /json/ { alias %%PREFIX%%/html/d/; autoindex on; autoindex_format json; }
        location /jsonp/ { alias %%PREFIX%%/html/d/; autoindex on; autoindex_format jsonp; }
        location /xml/ { alias %%PREFIX%%/html/d/; autoindex on; autoindex_format xml; }
        location /round/ { alias %%PREFIX%%/html/d/; autoindex on; autoindex_exact_size off; autoindex_localtime on; charset utf-8; }
        location /few/ { alias %%PREFIX%%/html/d/; autoindex on; autoindex_max_entries 3; random_index off; }
        location /off/ { alias %%PREFIX%%/html/d/; }
        location /any/ { alias %%PREFIX%%/html/r/; random_index on; }
        location /any/first/ { alias %%PREFIX%%/html/r/; random_index on; random_index_max_entries 1; }
        location /any/none/ { alias %%PREFIX%%/html/d/sub/; random_index on; autoindex on; }
    }
}
"""
WHEN = 784111777
FILES = {"html/d/b.txt": "b" * 12345, "html/d/a<&>\".txt": "", "html/d/.hidden": "x", "html/d/sub/inner/x": "x", "html/d/" + "ü" * 60: "",
         "html/d/with space": "x", "html/i/index.html": "the index", "html/r/1": "one", "html/r/2": "two", "html/r/folder/x": "x",
         "html/r/.3": "three"}


@pytest.fixture
def s(server):
    made = server(CONF, files=FILES)
    os.symlink("/nowhere", os.path.join(made.prefix, "html/d/broken"))
    for folder, _, names in os.walk(os.path.join(made.prefix, "html")):
        for name in [*names, "."]:
            os.utime(os.path.join(folder, name), (WHEN, WHEN), follow_symlinks=False)
    return made


def test_html(s):
    reply = get(s.port, "/d/")
    text = reply.body.decode("latin-1")  # a long name is cut within a character
    assert reply.header("Content-Type") == "text/html" and "\r\n<h1>Index of /d/</h1><hr><pre><a href=\"../\">../</a>\r\n" in text
    lines = text.split("\r\n")
    assert lines[4] == '<a href="sub/">sub/</a>' + " " * 47 + "06-Nov-1994 08:49                   -"
    assert '<a href="a%3C%26%3E%22.txt">a&lt;&amp;&gt;&quot;.txt</a>' in text
    assert '<a href="b.txt">b.txt</a>' + " " * 46 + "06-Nov-1994 08:49               12345" in lines
    assert ".hidden" not in text and '<a href="broken">broken</a>' in text
    assert lines[-3:] == ["</pre><hr></body>", "</html>", ""]


def test_html_rounded_and_in_characters(s):
    text = get(s.port, "/round/").body.decode()
    assert "06-Nov-1994" in text and "     12K\r\n" in text and "       -\r\n" in text and "ü" * 47 + "..&gt;</a>" in text


def test_a_name_in_the_title_is_escaped(s):
    os.mkdir(os.path.join(s.prefix, "html/d/<script>"))
    text = get(s.port, "/d/%3Cscript%3E/").text
    assert "Index of /d/&lt;script&gt;/" in text and "<script>" not in text


def test_json_and_xml(s):
    reply = get(s.port, "/json/")
    listed = json.loads(reply.body)
    assert reply.header("Content-Type") == "application/json"
    assert listed[0] == {"name": "sub", "type": "directory", "mtime": "Sun, 06 Nov 1994 08:49:37 GMT"}
    assert {"name": "b.txt", "type": "file", "mtime": "Sun, 06 Nov 1994 08:49:37 GMT", "size": 12345} in listed
    assert [e["type"] for e in listed if e["name"] == "broken"] == ["other"]
    reply = get(s.port, "/xml/")
    tree = ElementTree.fromstring(reply.body)
    assert reply.header("Content-Type") == "text/xml; charset=utf-8"
    assert [e.text for e in tree if e.tag == "directory"] == ["sub"] and {e.text for e in tree} == {e["name"] for e in listed}


def test_jsonp(s):
    reply = get(s.port, "/jsonp/?callback=show.it")
    assert reply.text.startswith("/* callback */\r\nshow.it([\r\n") and reply.text.endswith("]);")
    assert reply.header("Content-Type") == "application/javascript"
    assert json.loads(get(s.port, "/jsonp/").body) == json.loads(get(s.port, "/json/").body)
    for bad in ("a(b", "%3Cscript%3E", "a" * 129, "a%2eb", "a%0d%0ab"):
        assert get(s.port, "/jsonp/?callback=" + bad).status == 400, bad


def test_what_is_no_list(s):
    assert get(s.port, "/i/").text == "the index"
    assert get(s.port, "/off/").status == 403
    assert get(s.port, "/none/").status == 404 and get(s.port, "/d/b.txt/").status == 404
    assert get(s.port, "/d").status == 301
    assert request(s.port, "PUT", "/d/", b"x").status == 405
    reply = request(s.port, "HEAD", "/d/")
    assert (reply.status, reply.body) == (200, b"")


def test_too_many_entries(s):
    assert get(s.port, "/few/").status == 500
    s.wait_for_log("more than 3 entries, see autoindex_max_entries")


def test_random_index(s):
    with Client(s.port) as client:
        seen = {client.get("/any/").text for _ in range(60)}
    assert seen == {"one", "two"}
    assert "Index of /any/none/" in get(s.port, "/any/none/").text
    with Client(s.port) as client:
        assert len({client.get("/any/first/").text for _ in range(20)}) == 1, "only the first entry is read"
    s.wait_for_log('"/any/first/" has more than 1 entries, see random_index_max_entries')
    assert request(s.port, "POST", "/any/").status == 405


@pytest.mark.parametrize("line, error", [("autoindex_format text", 'invalid value "text"'), ("autoindex maybe", 'invalid value "maybe"')])
def test_bad_lines(idle_server, line, error):
    done = idle_server(f"events {{}} http {{ server {{ listen 127.0.0.1:%%PORT_0%%; {line}; }} }}").run("-t")
    assert done.returncode == 1 and error in done.stderr, done.stderr
