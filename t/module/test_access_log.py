# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Access logs: formats, escaping, conditions, files, buffers, syslog."""

import gzip
import os
import re
import signal
import socket
import struct
import time

import pytest

from lib.client import Client, get, post
from lib.ports import TIME_SCALE, in_time, wait_until


def conf(http="", server="", location=""):
    return f"""
events {{}}
http {{
    log_format uri $uri;
    {http}
    server {{
        listen 127.0.0.1:%%PORT_0%%;
        {server}
        location / {{ {location} return 200 "hello"; }}
        location /quiet {{ access_log off; return 200 "q"; }}
        location /own {{ access_log logs/own.log uri; return 200 "o"; }}
    }}
}}
"""


def lines(server, name="logs/access.log", count=1):
    """The lines of a log once there are that many."""
    path = os.path.join(server.prefix, name)
    return wait_until(lambda: os.path.exists(path) and server.read(name).count("\n") >= count and server.read(name).splitlines(),
                      5, f"{count} lines in {name}")


def test_combined_into_the_default_file_without_any_directive(server):
    s = server(conf())
    get(s.port, "/x?y", headers={"User-Agent": 'a"b', "Referer": "r"})
    assert re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /x\?y HTTP/1\.1" 200 5 "r" "a\\x22b"', lines(s)[0])


def test_the_file_is_the_settings_own_and_levels_replace_each_other(server):
    s = server(conf("access_log logs/a.log uri; access_log logs/b.log uri;"))
    for path in ("/1", "/quiet", "/own", "/2"):
        get(s.port, path)
    assert lines(s, "logs/a.log", 2) == ["/1", "/2"] == lines(s, "logs/b.log", 2)
    assert lines(s, "logs/own.log") == ["/own"]
    assert not os.path.exists(s.prefix + "/logs/access.log")


def test_a_word_of_a_format_is_followed_by_the_next_and_a_name_ends_with_it(server):
    s = server(conf("log_format two '$status' _received  '-$arg_a' x; access_log logs/a.log two;"
                    "map $uri $status_received { default joined; }"))
    get(s.port, "/?a=1")
    assert lines(s, "logs/a.log") == ["200_received-1x"]


@pytest.mark.parametrize("escape, want", [
    ("", r'\x22\x5Ct\xFFx - '), ("escape=default", r'\x22\x5Ct\xFFx - '), ("escape=json", '\\"\\\\t\udcffx  '), ("escape=none", '"\\t\udcffx  '),
])
def test_escaping(server, escape, want):
    s = server(conf(f"log_format f {escape} '$http_x $http_none' ' $http_empty'; access_log logs/f.log f;"))
    with Client(s.port) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nEmpty:\r\nX: \"\\t\xffx\r\n\r\n").read_reply()
    wait_until(lambda: s.read("logs/f.log"))
    with open(s.prefix + "/logs/f.log", errors="surrogateescape") as f:
        assert f.read().rstrip("\n") == want


def test_what_the_log_knows_of_a_response(server):
    s = server(conf("log_format f '$status $body_bytes_sent $bytes_sent $request_length $request_completion $sent_http_content_type';"
                    "access_log logs/f.log f;", location="default_type a/b;"))
    reply = get(s.port, "/")
    status, body, total, length, completion, kind = lines(s, "logs/f.log")[0].split()
    assert (status, body, completion, kind) == ("200", "5", "OK", "a/b") and reply.text == "hello"
    assert int(total) > 100 and int(length) > 20
    get(s.port, "/own/../../")
    assert lines(s, "logs/f.log", 2)[1].startswith("400 ")


def test_a_condition_decides(server):
    s = server(conf("access_log logs/c.log uri if=$arg_log;"))
    for path in ("/0?log=0", "/1?log=1", "/2?log=", "/3", "/4?log=00"):
        get(s.port, path)
    assert lines(s, "logs/c.log", 2) == ["/1", "/4"]


def buffering(server):
    s = server(conf("access_log logs/b.log uri buffer=64 flush=2s;"))
    get(s.port, "/first")
    assert s.read("logs/b.log") == ""
    return s


def test_a_buffer_is_written_when_full_after_its_time_and_at_the_end(server):
    s = in_time(2, lambda: buffering(server))
    wait_until(lambda: s.read("logs/b.log") == "/first\n", 10)
    for i in range(8):
        get(s.port, f"/{i}{'x' * 20}")
    assert s.read("logs/b.log").count("\n") >= 3
    path, last = s.prefix + "/logs/b.log", get(s.port, "/last")
    assert last.status == 200
    s.process.terminate()
    s.wait()
    with open(path) as f:
        assert f.read().splitlines()[-1] == "/last"


def test_a_file_has_the_buffer_that_any_of_its_lines_asks_for(server):
    s = server(conf("access_log logs/b.log uri; access_log logs/b.log uri buffer=4k flush=2s;"))
    get(s.port, "/both")
    assert s.read("logs/b.log") == ""
    wait_until(lambda: s.read("logs/b.log") == "/both\n" * 2, 10)


def test_gzip(server):
    s = server(conf("access_log logs/z.gz uri gzip=9 flush=100ms;"))
    for path in ("/one", "/two"):
        get(s.port, path)
    time.sleep(0.2)
    get(s.port, "/three")

    def unpacked():
        with open(s.prefix + "/logs/z.gz", "rb") as f:
            data = f.read()
        return data and gzip.decompress(data) == b"/one\n/two\n/three\n"
    wait_until(unpacked)


@pytest.mark.parametrize("cache", ["", "open_log_file_cache max=2 inactive=1s valid=1s;"])
def test_variables_in_the_path(server, cache):
    s = server(conf(cache + "access_log logs/$arg_to.log uri;"))
    for to in "abcab":
        get(s.port, f"/{to}?to={to}")
    assert lines(s, "logs/a.log", 2) == ["/a", "/a"]
    assert lines(s, "logs/b.log", 2) == ["/b", "/b"]
    assert lines(s, "logs/c.log", 1) == ["/c"]


def test_a_path_with_variables_needs_the_root_to_exist(server):
    s = server(conf("access_log logs/$arg_to.log uri;", "root %%PREFIX%%/absent;"))
    get(s.port, "/?to=a")
    assert not os.path.exists(s.prefix + "/logs/a.log")


def test_syslog(server):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.settimeout(5 * TIME_SCALE)
        s = server(conf(f"access_log syslog:server=127.0.0.1:{sink.getsockname()[1]},tag=edge,severity=warn,facility=local0 uri;"))
        get(s.port, "/sys")
        assert re.fullmatch(rb"<132>\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ edge: /sys", sink.recv(2000))
        s.reload(conf(f"access_log syslog:server=127.0.0.1:{sink.getsockname()[1]},nohostname uri;"))
        get(s.port, "/sys")
        assert re.fullmatch(rb"<190>\w{3} [ \d]\d \d\d:\d\d:\d\d nginx: /sys", sink.recv(2000))


def test_a_long_line_is_whole_up_to_the_bound(server):
    s = server(conf("log_format f $http_x; access_log logs/f.log f;"))
    get(s.port, "/", headers={"X": "y" * 7000})
    assert lines(s, "logs/f.log") == ["y" * 7000]


def test_requests_without_a_location_are_logged_by_the_server(server):
    s = server(conf("log_format f '$request $status'; access_log logs/f.log f;"))
    with Client(s.port) as c:
        c.send("NONSENSE\r\n\r\n").read_until_close()
    assert lines(s, "logs/f.log") == ["NONSENSE 400"]


@pytest.mark.parametrize("head, want", [
    (b"GET /a?b HTTP/1.1\r\nHost: other\r\nBad name: 1\r\n\r\n", "GET /a?b HTTP/1.1|400|GET|/a|b|/a?b|other|32"),
    (b"GET /a?b HTTP/1.1\r\nHost: other\r\nX: " + b"x" * 1100 + b"\r\n\r\n", "GET /a?b HTTP/1.1|400|GET|/a|b|/a?b|other|32"),
    (b"GET /a?b HTTP/1.1\r\n\r\n", "GET /a?b HTTP/1.1|400|GET|/a|b|/a?b|first|21"),
    (b"\r\nPOST /a HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", "POST /a HTTP/1.1|400|POST|/a|-|/a|x|48"),
    (b"TRACE /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "TRACE /a HTTP/1.1|405|TRACE|/a|-|/a|x|49"),
    (b"get /a HTTP/1.1\r\n\r\n", "get /a HTTP/1.1|400|-|-|-|-|first|0"),
])
def test_a_refused_head_is_logged_as_far_as_it_is_known(server, head, want):
    s = server(conf("log_format f '$request|$status|$request_method|$uri|$args|$request_uri|$host|$request_length';"
                    "access_log logs/f.log f;"
                    "large_client_header_buffers 2 1k; client_header_buffer_size 1k;", "server_name first;"))
    with Client(s.port) as c:
        c.send(head).read_until_close()
    assert lines(s, "logs/f.log") == [want]


@pytest.mark.parametrize("end, error", [("close", "client prematurely closed connection"), ("reset", r"recv\(\) failed \(104: .*\)")])
@pytest.mark.parametrize("sent, want, place", [
    (b"GET /a HTTP/1.1\r\nHost: other\r\nX", "GET /a HTTP/1.1|400|other|0", 'headers, .* request: "GET /a HTTP/1.1", host: "other"'),
    (b"GET /a HT", "GET /a HT|400|first|0", 'line, .* request: "GET /a HT"'), (b"\r\n", "|400|first|0", "line, client: ")])
def test_a_client_that_leaves_in_its_head_is_logged(server, end, error, sent, want, place):
    s = server(conf("log_format f '$request|$status|$host|$body_bytes_sent'; access_log logs/f.log f;", "server_name first;"))
    with socket.create_connection(("127.0.0.1", s.port)) as client:
        client.sendall(sent)
        if end == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert lines(s, "logs/f.log") == [want]
    s.wait_for_log(rf"\[info\] .* {error} while reading client request {place}")


def test_a_client_that_leaves_is_logged(server):
    s = server(conf("log_format f '$status $request_completion'; access_log logs/f.log f;"))
    post(s.port, "/", b"x" * 10)
    assert lines(s, "logs/f.log") == ["200 OK"]


@pytest.mark.parametrize("directive, message", [
    ("access_log logs/a.log nothing;", 'unknown log format "nothing"'),
    ("access_log logs/a.log combined flush=1s;", 'no buffer is defined for access_log "logs/a.log"'),
    ("access_log logs/a.log combined buffer=x;", 'invalid buffer size "x"'),
    ("access_log logs/a.log combined gzip=10;", 'invalid compression level "10"'),
    ("access_log logs/a.log combined tea=1;", 'invalid parameter "tea=1"'),
    ("access_log logs/$uri.log combined buffer=1k;", "buffered logs cannot have variables in name"),
    ("access_log logs/a.log combined buffer=1k; access_log logs/a.log combined buffer=2k;",
     'access_log "logs/a.log" already defined with conflicting parameters'),
    ("access_log syslog:server=127.0.0.1 combined buffer=1k;", "logs to syslog cannot be buffered"),
    ("access_log off now;", 'invalid parameter "now"'),
    ("log_format combined x;", 'duplicate "log_format" name "combined"'),
    ("log_format f escape=xml x;", 'unknown log format escaping "xml"'),
    ("log_format f $no_such_thing;", 'unknown "no_such_thing" variable'),
    ("open_log_file_cache inactive=1s;", '"open_log_file_cache" must have "max" parameter'),
])
def test_errors(idle_server, directive, message):
    ended = idle_server(conf("", "", "").replace("access_log logs/own.log uri;", "").replace("http {", "http { " + directive)).run("-t")
    assert ended.returncode == 1 and message in ended.stderr


def test_a_renamed_log_is_left_at_the_signal(server):
    s = server(conf("access_log logs/r.log uri;"))
    get(s.port, "/before")
    os.rename(s.prefix + "/logs/r.log", s.prefix + "/logs/r.log.1")
    s.signal(signal.SIGUSR1)
    wait_until(lambda: os.path.exists(s.prefix + "/logs/r.log"))

    def moved():
        get(s.port, "/after")
        return "/after" in s.read("logs/r.log")
    wait_until(moved)
    assert "/before" in s.read("logs/r.log.1") and "/before" not in s.read("logs/r.log")
