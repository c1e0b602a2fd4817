# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""config_watch: files that change are read again, as an editor, a package or Kubernetes changes them."""

import os
import re
import signal
import time

import pytest

from lib.client import get
from lib.ports import wait_until

CONF = """
master_process %%MASTER%%;
config_watch on;
events {}
http {
    include %%PREFIX%%/sites/*.conf;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { return 200 "%%TEXT%%"; }
        include %%PREFIX%%/more.inc;
    }
}
"""
FIXED = dict(MASTER="on", TEXT="one")
LOOKS = 20  # seconds for two looks in turn, one each second where the machine has time, and a load


@pytest.fixture(params=["on", "off"])
def watched(request, server):
    return server(CONF, files={"more.inc": "", "sites/a.conf": ""}, **{**FIXED, "MASTER": request.param})


def text_becomes(s, text, path="/"):
    wait_until(lambda: get(s.port, path).text == text, LOOKS, f"the answer {text}")


def reloads(s):
    return s.log().count("the configuration has changed, reconfiguring")


def test_a_file_written_anew(watched):
    s = watched
    s.names["TEXT"] = "two"
    s.set_conf(CONF)
    text_becomes(s, "two")
    assert reloads(s) == 1


def test_an_included_file_and_one_that_a_pattern_newly_matches(watched):
    s = watched
    s.write("more.inc", "location /more { return 200 more; }")
    text_becomes(s, "more", "/more")
    s.write("sites/b.conf", f"server {{ listen 127.0.0.1:{s.port}; server_name b; location /more {{ return 200 b; }} }}")
    wait_until(lambda: get(s.port, "/more", host="b").text == "b", LOOKS, "the new server")
    os.unlink(s.prefix + "/sites/b.conf")
    wait_until(lambda: reloads(s) == 3, LOOKS, "another reload")  # first: a worker of before may answer "more", too
    wait_until(lambda: get(s.port, "/more", host="b").text == "more", LOOKS, "its end")
    assert reloads(s) == 3


def test_a_broken_file_is_refused_once_and_a_mended_one_taken(watched):
    s = watched
    s.allow_log.append(re.compile("unknown directive|no such include|No such file"))
    s.write("more.inc", "include %s/missing.inc;" % s.prefix)
    s.wait_for_log(r"\[emerg\] .*missing\.inc\" failed \(2: No such file or directory\) in \S+more\.inc:1", LOOKS)
    assert get(s.port, "/").text == "one"
    seen = s.log().count("[emerg]")
    s.write("missing.inc", "oops;")  # a file that only the refused configuration named
    s.wait_for_log(r'unknown directive "oops" in \S+missing\.inc:1', LOOKS)
    assert get(s.port, "/").text == "one" and s.log().count("[emerg]") == seen + 1
    s.write("missing.inc", "location /mended { return 200 mended; }")
    text_becomes(s, "mended", "/mended")


def swap(folder, number, files):
    """What a kubelet does to a ConfigMap's volume: a new folder, and a link renamed over ..data."""
    fresh = os.path.join(folder, f"..{number}")
    os.mkdir(fresh)
    for name, text in files.items():
        with open(os.path.join(fresh, name), "w") as f:
            f.write(text)
    os.symlink(f"..{number}", os.path.join(folder, "..data_tmp"))
    os.rename(os.path.join(folder, "..data_tmp"), os.path.join(folder, "..data"))


@pytest.mark.parametrize("master", ["on", "off"])
def test_a_config_map_is_swapped(idle_server, master):
    s = idle_server(CONF, **{**FIXED, "MASTER": master}, allow_log=["unexpected end of file"])
    os.unlink(s.conf_path)
    folder = s.prefix + "/volume"
    os.mkdir(folder)
    text = s.conf.replace(f"include {s.prefix}/more.inc;", "")
    swap(folder, 1, {"test.conf": text})
    os.symlink("..data/test.conf", folder + "/test.conf")
    s.conf_path = folder + "/test.conf"
    s.start()
    text_becomes(s, "one")
    swap(folder, 2, {"test.conf": text.replace('"one"', '"two"')})
    text_becomes(s, "two")
    swap(folder, 3, {"test.conf": text.replace("}\n}", "}\n")})
    s.wait_for_log(r'\[emerg\] .*unexpected end of file, expecting "}"', LOOKS)
    assert get(s.port, "/").text == "two"
    swap(folder, 4, {"test.conf": text.replace('"one"', '"four"')})
    text_becomes(s, "four")
    assert reloads(s) == 3


def test_a_watch_that_begins_and_ends_with_a_reload(server):
    s = server(CONF.replace("config_watch on;", ""), files={"more.inc": ""}, **FIXED)
    s.reload(CONF)
    s.names["TEXT"] = "two"
    s.set_conf(CONF)
    text_becomes(s, "two")
    s.names["TEXT"] = "three"
    s.set_conf(CONF.replace("config_watch on;", "config_watch off;"))
    text_becomes(s, "three")
    s.names["TEXT"] = "four"
    s.set_conf(CONF)
    time.sleep(3)  # three looks, if there were any
    assert get(s.port, "/").text == "three" and reloads(s) == 2


def test_a_process_that_leaves_takes_no_changes(server):
    s = server("shutdown_delay 4s;" + CONF, files={"more.inc": "", "sites/a.conf": ""}, **{**FIXED, "MASTER": "off"})
    s.signal(signal.SIGQUIT)
    s.wait_for_log("leaving in 4000 ms")
    s.write("more.inc", "location /more { return 200 more; }")
    assert s.wait(LOOKS) == 0
    assert reloads(s) == 0
