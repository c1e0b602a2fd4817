# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""How files are found, opened and read: open_file_cache, disable_symlinks, directio, aio threads, output_buffers, sendfile_max_chunk."""

import os
import pwd

import pytest

from lib.client import Client, get, request
from lib.ports import wait_until

CONF = """
events {}
thread_pool slow threads=2 max_queue=16;
http {
    types { text/plain txt; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        root %%PREFIX%%/html;
        location /cached/ { open_file_cache max=3 inactive=30s; open_file_cache_valid 30s; }
        location /short/ { open_file_cache max=10; open_file_cache_valid 1ms; }
        location /errors/ { open_file_cache max=10; open_file_cache_errors on; error_page 404 = @none; }
        location @none { return 200 "none"; }
        location /twice/ { open_file_cache max=10; open_file_cache_min_uses 2; }
        location /tried/ { open_file_cache max=10; open_file_cache_errors on; try_files $uri /other.txt =404; }
        location /links/ { disable_symlinks on; }
        location /owned/ { disable_symlinks if_not_owner; }
        location /asked/ {
            disable_symlinks on;
            set $r "";
            if (-f $document_root/$arg_p) { set $r "${r}f"; }
            if (-d $document_root/$arg_p) { set $r "${r}d"; }
            if (-e $document_root/$arg_p) { set $r "${r}e"; }
            if (-x $document_root/$arg_p) { set $r "${r}x"; }
            if (!-e $document_root/$arg_p) { set $r "${r}!e"; }
            if (-e $arg_none) { set $r "${r} nothing is there"; }
            return 200 "$r";
        }
        location /slash/ { disable_symlinks on from=$document_root/slash/link/; }
        location /from/ { disable_symlinks on from=$document_root/from; }
        location /from/alias/ { disable_symlinks on from=%%PREFIX%%/html/from/real; alias %%PREFIX%%/html/from/real/; }
        location /direct/ { directio 4k; directio_alignment 4k; sendfile on; alias %%PREFIX%%/html/; }
        location /threads/ { aio threads; output_buffers 1 5k; alias %%PREFIX%%/html/; }
        location /warm/ { aio threads=slow; sendfile on; tcp_nopush on; read_ahead 64k; alias %%PREFIX%%/html/; }
        location /by_name/ { aio threads=$arg_pool; alias %%PREFIX%%/html/; }
        location /small/ { output_buffers 2 100; alias %%PREFIX%%/html/; }
        location /chunks/ { sendfile on; sendfile_max_chunk 10k; alias %%PREFIX%%/html/; }
        location /whole/ { sendfile on; sendfile_max_chunk 0; alias %%PREFIX%%/html/; }
        location /direct_threads/ { directio 0; aio threads; alias %%PREFIX%%/html/; }
    }
}
"""
BIG = bytes(os.urandom(64)) * 20_000 + b"the end"
FILES = {"html/big.bin": BIG, "html/empty.txt": "", "html/other.txt": "other"}
for folder in ("cached", "short", "errors", "twice", "tried"):
    for name in ("a", "b", "c", "d"):
        FILES[f"html/{folder}/{name}.txt"] = name
FILES.update({"html/links/a.txt": "a", "html/links/sub/b.txt": "b", "html/links/index.html": "index", "html/owned/a.txt": "a",
              "html/slash/real/a.txt": "a", "html/from/a.txt": "a", "html/from/real/b.txt": "b"})


@pytest.fixture
def files(server):
    return server(CONF, files=FILES)


def replace(server, name, text):
    """As an editor does it: another file under the same name."""
    server.write(name + ".new", text)
    os.rename(os.path.join(server.prefix, name + ".new"), os.path.join(server.prefix, name))


def open_count(server, name):
    """How many descriptors the worker holds on the file of that name."""
    path = os.path.join(server.prefix, name)
    (worker,) = server.wait_workers()
    links = (f"/proc/{worker}/fd/{n}" for n in os.listdir(f"/proc/{worker}/fd"))
    return sum(1 for link in links if os.path.exists(link) and os.readlink(link) == path)


def test_a_cached_file_stays_open_and_is_what_it_was(files):
    assert open_count(files, "html/cached/a.txt") == 0
    assert get(files.port, "/cached/a.txt").text == "a"
    assert open_count(files, "html/cached/a.txt") == 1
    replace(files, "html/cached/a.txt", "changed")
    assert get(files.port, "/cached/a.txt").text == "a"


def test_the_cache_has_a_limit_and_drops_the_longest_unused(files):
    for name in ("a", "b", "c", "a", "d"):
        assert get(files.port, f"/cached/{name}.txt").text == name
    assert [open_count(files, f"html/cached/{name}.txt") for name in ("a", "b", "c", "d")] == [1, 0, 1, 1]


def test_an_old_answer_is_checked(files):
    assert get(files.port, "/short/a.txt").text == "a"
    replace(files, "html/short/a.txt", "changed")
    wait_until(lambda: get(files.port, "/short/a.txt").text == "changed", 5, "the changed file")
    os.unlink(os.path.join(files.prefix, "html/short/a.txt"))
    wait_until(lambda: get(files.port, "/short/a.txt").status == 404, 5, "that it is gone")


def test_errors_are_kept_only_if_asked_for(files):
    assert get(files.port, "/errors/new.txt").text == "none"
    assert get(files.port, "/cached/new.txt").status == 404
    for folder in ("errors", "cached"):
        files.write(f"html/{folder}/new.txt", "new")
    assert get(files.port, "/errors/new.txt").text == "none"
    assert get(files.port, "/cached/new.txt").text == "new"


def test_a_file_is_kept_open_from_the_wanted_number_of_uses_on(files):
    get(files.port, "/twice/a.txt")
    assert open_count(files, "html/twice/a.txt") == 0
    get(files.port, "/twice/a.txt")
    assert open_count(files, "html/twice/a.txt") == 1


def test_looking_and_opening_are_two_questions(files):
    assert get(files.port, "/tried/a.txt").text == "a"
    assert get(files.port, "/tried/a.txt").text == "a"
    assert get(files.port, "/tried/none.txt").text == "other"


def links_into(server, folder):
    base = os.path.join(server.prefix, "html", folder)
    os.symlink("a.txt", os.path.join(base, "link.txt"))
    os.symlink("sub", os.path.join(base, "folder"))
    return base


def test_links_are_refused(files):
    links_into(files, "links")
    assert get(files.port, "/links/a.txt").text == "a"
    assert get(files.port, "/links/sub/b.txt").text == "b"
    assert get(files.port, "/links/").text == "index"
    assert get(files.port, "/links/link.txt").status == 403
    assert get(files.port, "/links/folder/b.txt").status == 403
    assert get(files.port, "/links/none.txt").status == 404
    assert get(files.port, "/links/a.txt/x").status == 404
    files.wait_for_log(r'"[^"]*/links/link.txt" failed \(40: Too many levels of symbolic links\)')


@pytest.mark.parametrize("path, want", [
    ("a.txt", "fe"), ("link.txt", "!e"), ("sub", "dex"), ("folder", "!e"), ("folder/b.txt", "!e"), ("sub/b.txt", "fe"), ("none", "!e")])
def test_if_does_not_follow_links_either(files, path, want):
    links_into(files, "links")
    assert get(files.port, f"/asked/?p=links/{path}").text == want


def test_a_folder_behind_a_link_has_no_index_but_is_forbidden(files):
    # The file is looked for below the trusted part, the folder is not: it is the link that ends it.
    os.symlink("real", os.path.join(files.prefix, "html/slash/link"))
    assert get(files.port, "/slash/link/a.txt").text == "a"
    assert get(files.port, "/slash/link/").status == 403
    files.wait_for_log(r'"[^"]*/slash/link/index.html" is forbidden \(40: Too many levels of symbolic links\)')


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_links_of_somebody_else_are_refused(files):
    base = links_into(files, "owned")
    nobody = pwd.getpwnam("nobody").pw_uid
    os.symlink("a.txt", os.path.join(base, "foreign.txt"))
    os.chown(os.path.join(base, "foreign.txt"), nobody, -1, follow_symlinks=False)
    assert get(files.port, "/owned/a.txt").text == "a"
    assert get(files.port, "/owned/link.txt").text == "a"
    assert get(files.port, "/owned/foreign.txt").status == 403


def test_links_in_the_trusted_part_are_not_looked_at(files):
    html = os.path.join(files.prefix, "html")
    os.symlink("real", os.path.join(html, "from/folder"))
    assert get(files.port, "/from/a.txt").text == "a"
    assert get(files.port, "/from/folder/b.txt").status == 403
    os.rename(os.path.join(html, "from/real"), os.path.join(html, "moved"))
    os.symlink("../moved", os.path.join(html, "from/real"))
    assert get(files.port, "/from/alias/b.txt").text == "b"
    assert get(files.port, "/from/real/b.txt").status == 403


@pytest.mark.parametrize("place", ["direct", "threads", "warm", "by_name", "small", "chunks", "whole", "direct_threads"])
def test_bytes_are_the_same_however_they_are_read(files, place):
    port = files.port
    more = "?pool=slow" if place == "by_name" else ""
    for _ in range(2):
        reply = get(port, f"/{place}/big.bin{more}")
        assert (reply.status, reply.body == BIG) == (200, True)
    assert get(port, f"/{place}/empty.txt{more}").body == b""
    assert request(port, "HEAD", f"/{place}/big.bin{more}").header("content-length") == str(len(BIG))
    for first, last in ((0, 0), (1, 4097), (511, 70_000), (len(BIG) - 3, len(BIG) - 1), (4096, 8191)):
        reply = get(port, f"/{place}/big.bin{more}", {"Range": f"bytes={first}-{last}"})
        assert (reply.status, reply.body == BIG[first:last + 1]) == (206, True)


def test_a_slow_client_gets_all_of_a_file(files):
    for place in ("warm", "chunks", "threads"):
        c = Client(files.port)
        c.send(f"GET /{place}/big.bin HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert c.read_reply().body == BIG


def test_a_pool_that_is_not_there_is_told_of(files):
    assert get(files.port, "/by_name/other.txt?pool=nowhere").text == "other"
    files.wait_for_log('thread pool "nowhere" not found')


def test_only_so_much_of_a_file_goes_at_once(files):
    """Two clients of one worker: the second gets its answer while the first takes all it can get."""
    first = Client(files.port)
    first.send("GET /chunks/big.bin HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert get(files.port, "/chunks/other.txt").text == "other"
    assert first.read_reply().body == BIG
