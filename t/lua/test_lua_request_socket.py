# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.req.socket: a script that reads the body by itself, or has the whole connection; ngx.on_abort."""

import re
import threading

import pytest

from lib import upstreams as up
from lib.client import Client, get, post
from lib.h2client import H2Client
from lib.ports import wait_until

CONF = r"""
events {}
http {
    lua_socket_log_errors off;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        location / { content_by_lua_block { SCRIPT } }
        location /abort { lua_check_client_abort on; content_by_lua_block { SCRIPT } }
        location /up { proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""
POST = "POST / HTTP/1.1\r\nHost: a\r\n"


def start(server, script, **names):
    return server(CONF.replace("SCRIPT", script), **{"UP": 1, **names})


def test_the_body_in_pieces(server):
    s = start(server, """
        local s = assert(ngx.req.socket()) s:settimeout(30000)
        ngx.say(s:receive(3)) ngx.say(s:receive()) local f = s:receiveuntil("--") ngx.say(f()) ngx.say(#s:receiveany(1))
        ngx.say(s:receive(9)) ngx.say(s:receive(1)) ngx.say(ngx.req.socket())
        ngx.req.read_body() ngx.say(ngx.req.get_body_data())""", allow_log=["aborted: runtime error: .*no body"])
    client = Client(s.port).send(POST + "Content-Length: 22\r\n\r\nab")
    client.send_pieces(b"cdef\r\nuntil--rest of", 3)
    assert client.read_reply("POST").body == b"abc\ndef\nuntil\n1\nnilclosedest of\nnilclosed\nnilrequest body already exists\nnil\n"
    # The connection goes on: the body was read to its end.
    assert client.send(POST + "Content-Length: 0\r\n\r\n").read_reply("POST").status == 500


def test_a_body_that_is_read_in_pieces_leaves_the_answer_to_the_server(server):
    s = start(server, """
        local s = assert(ngx.req.socket())
        if not ngx.var.arg_read then ngx.say(ngx.req.socket(true)) return ngx.say(s:receive(4)) end
        assert(s:receive(4) == "body") assert(ngx.req.socket(true)):send("HTTP/1.1 200 mine\\r\\nContent-Length: 3\\r\\n\\r\\nraw")""")
    assert post(s.port, "/", b"body").body == b"nilpending request body reading in some other thread\nbody\n"
    assert post(s.port, "/?read=1", b"body").body == b"raw"


def test_a_chunked_body_is_decoded(server):
    s = start(server, 'local s = assert(ngx.req.socket()) ngx.say(s:receive("*a")) ngx.say(s:receive("*a"))')
    client = Client(s.port).send(POST + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
    assert client.read_reply("POST").body == b"abcdefg\nnilclosed\n"


def test_through_http2(server):
    s = start(server, 'local s = assert(ngx.req.socket()) ngx.say(s:receive("*a")) ngx.say(ngx.req.socket(true))')
    client = H2Client(s.port)
    stream = client.start("/", "POST", end=False)
    client.send(stream, b"x" * 100000, end=True)
    assert client.wait(stream).body == b"x" * 100000 + b"\nnilhttp v2 not supported yet\n"


def test_a_late_body_times_out_and_can_be_read_on(server):
    s = start(server, """
        local s = ngx.req.socket() s:settimeout(50) ngx.say(s:receive(4)) ngx.flush(true) s:settimeout(30000) ngx.say(s:receive(2))""")
    client = Client(s.port).send(POST + "Content-Length: 4\r\n\r\nab")
    assert b"niltimeoutab\n" in client.reader.until(b"timeoutab\n")
    client.send("cd")
    assert b"cd\n" in client.reader.until(b"cd\n")


def test_what_gives_no_socket(server):
    s = start(server, """
        if ngx.is_subrequest then return ngx.say((select(2, pcall(ngx.req.socket)))) end
        ngx.say(ngx.req.socket()) ngx.print(ngx.location.capture("/sub").body)""")
    assert get(s.port, "/").body == b"nilno body\nattempt to read the request body in a subrequest\n"
    s = start(server, 'ngx.req.read_body() ngx.say(ngx.req.socket())')
    assert Client(s.port).send(POST + "Content-Length: 1\r\n\r\na").read_reply("POST").body == b"nilrequest body already exists\n"


FILTER = r"""
events {}
http {
    access_by_lua_no_postpone on;
    init_by_lua_block {
        function upper(socket)
            ngx.req.init_body(128)
            repeat
                local piece, problem, rest = socket:receive(1000)
                ngx.req.append_body((piece or rest or ""):upper())
            until problem
            ngx.req.finish_body()
        end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        client_max_body_size 1m;
        location /access { access_by_lua_block { upper(ngx.req.socket()) } proxy_pass http://127.0.0.1:%%UP%%; }
        location /rewrite { rewrite_by_lua_block { upper(ngx.req.socket()) } proxy_pass http://127.0.0.1:%%UP%%; }
        location /streamed {
            proxy_request_buffering off;
            access_by_lua_block { upper(ngx.req.socket()) }
            proxy_pass http://127.0.0.1:%%UP%%;
        }
        location /piece {
            access_by_lua_block { local s = ngx.req.socket() local d = s:receive(2) ngx.req.set_body_data(d .. d) }
            proxy_pass http://127.0.0.1:%%UP%%;
        }
        location /file {
            access_by_lua_block { ngx.req.socket() ngx.req.set_body_file("%%PREFIX%%/body") }
            proxy_pass http://127.0.0.1:%%UP%%;
        }
        location /twice {
            access_by_lua_block { ngx.req.socket():receive("*a") ngx.req.read_body() ngx.req.set_body_data("one") }
            content_by_lua_block { ngx.req.read_body() ngx.print(ngx.req.get_body_data(), ngx.var.content_length) }
        }
        location /part { rewrite_by_lua_block { ngx.req.socket():receive(2) } proxy_pass http://127.0.0.1:%%UP%%; }
        location /part_streamed {
            proxy_request_buffering off;
            access_by_lua_block { ngx.req.socket():receive(2) }
            proxy_pass http://127.0.0.1:%%UP%%;
        }
        location /part_begun {
            access_by_lua_block { ngx.req.socket():receive(2) ngx.req.init_body() ngx.req.append_body("abc") }
            proxy_pass http://127.0.0.1:%%UP%%;
        }
        location /part_and_exec { content_by_lua_block { ngx.req.socket():receive(2) ngx.exec("/part_page") } }
        location /part_and_mirrored {
            access_by_lua_block { ngx.req.socket():receive(2) }
            mirror /piece;
            content_by_lua_block { ngx.say("never") }
        }
        location /part_refused { error_page 403 = /part_page; access_by_lua_block { ngx.req.socket():receive(2) ngx.exit(403) } }
        location /part_overruled {
            satisfy any;
            allow all;
            access_by_lua_block { ngx.req.socket():receive(2) ngx.exit(403) }
            proxy_pass http://127.0.0.1:%%UP%%;
        }
        location /part_page { proxy_pass http://127.0.0.1:%%UP%%; }
        location /dropped { access_by_lua_block { ngx.req.discard_body() ngx.req.set_body_data("x") } content_by_lua_block { } }
    }
}
"""


@pytest.mark.parametrize("path, size, seen", [
    ("/access", 5, b"Q" * 5), ("/rewrite", 5000, b"Q" * 5000), ("/streamed", 100000, b"Q" * 100000), ("/piece", 60000, b"qqqq"),
    ("/piece", 2, b"qqqq"), ("/file", 50000, b"of the file")])
def test_a_body_that_was_taken_is_replaced(server, upstream, path, size, seen):
    """The documented filter of the input, by the body's length, in chunks and through HTTP/2; the connection goes on."""
    u = upstream(up.serve(lambda r: up.reply(content=b"ok")))
    s = server(FILTER, UP=u.port, files={"body": "of the file"})
    body = b"q" * size
    client = Client(s.port)
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n".encode()
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + body + b"\r\n0\r\n\r\n"
    for framed in (b"Content-Length: %d\r\n\r\n" % size + body, chunked):
        assert client.send(head + framed).read_reply("POST").body == b"ok"
        assert u.last.body == seen and u.last.all("content-length") == [str(len(seen))] and not u.last.all("transfer-encoding")
    over = H2Client(s.port)
    stream = over.start(path, "POST", end=False)
    over.send(stream, body, end=True)
    assert over.wait(stream).body == b"ok"
    assert u.last.body == seen and len(u.requests) == 3


@pytest.mark.parametrize("place", ["part", "part_streamed", "part_begun", "part_and_exec", "part_and_mirrored", "part_overruled"])
def test_what_a_socket_left_of_a_body_is_not_given_on(server, upstream, place):
    """Nobody gets the rest for the whole, whether it came at once or not, and no request begins in it."""
    u = upstream(up.serve(lambda r: up.reply(content=b"ok")))
    s = server(FILTER, UP=u.port, allow_log=["taken by ngx.req.socket"])
    head = f"POST /{place} HTTP/1.1\r\nHost: a\r\n".encode()
    rest = b"345678" + b"GET /part_page HTTP/1.1\r\nHost: a\r\n\r\n" * 2
    length = len(rest) + 2
    in_chunks = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n12" % length + rest + b"\r\n0\r\n\r\n"
    for bytes_of_it in (b"Content-Length: %d\r\n\r\n12" % length + rest, in_chunks):
        for at_once in (len(bytes_of_it), bytes_of_it.index(b"345") + 3):
            with Client(s.port) as client:
                client.send(head + bytes_of_it[:at_once]).send(bytes_of_it[at_once:])
                assert client.read_reply("POST").status == 500
                assert client.read_until_close() == b""
    assert u.requests == []
    assert "client request body was taken by ngx.req.socket and not replaced" in s.log()


def test_an_answer_in_place_of_a_request_whose_body_was_taken_has_none(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(content=b"page")))
    s = server(FILTER, UP=u.port)
    with Client(s.port) as client:
        client.send("POST /part_refused HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1234567890GET /none HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_reply("POST").body == b"page" and u.last.body == b"" and u.last.all("transfer-encoding") == []
        assert client.read_reply().status == 404


def test_what_replaces_a_body_is_read_as_if_it_had_come(server):
    s = server(FILTER, UP=1, allow_log=["request body not read yet"])
    assert post(s.port, "/twice", b"hello").body == b"one3"
    assert post(s.port, "/dropped", b"hello").status == 500


def test_a_raw_socket_answers_by_itself(server):
    s = start(server, """
        local s = assert(ngx.req.socket(true))
        ngx.log(ngx.NOTICE, "say: ", select(2, ngx.say("x")), ", again: ", select(2, ngx.req.socket(true)))
        s:send("HTTP/1.1 200 mine\\r\\nContent-Length: 2\\r\\n\\r\\nhi") ngx.log(ngx.NOTICE, "line: ", s:receive())""")
    client = Client(s.port).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.read_reply().body == b"hi"
    client.send("more\r\n")
    assert client.read_until_close() == b""
    s.wait_for_log("say: raw request socket acquired, again: duplicate call")
    s.wait_for_log("line: more")


def test_an_upgrade_speaks_both_ways(server):
    s = start(server, """
        ngx.status = 101 ngx.header.Upgrade = "echo" ngx.header.Connection = "Upgrade"
        ngx.send_headers() ngx.flush(true)
        local s = assert(ngx.req.socket(true)) s:settimeout(30000)
        local t = ngx.thread.spawn(function() for i = 1, 3 do s:send("tick" .. i .. "\\n") ngx.sleep(0.01) end end)
        while true do
            local line, err = s:receive()
            if not line then return ngx.log(ngx.NOTICE, "ended: ", err) end
            s:send("echo " .. line .. "\\n")
        end""")
    client = Client(s.port).send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nfirst\n")
    head = client.reader.until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101") and b"Upgrade: echo" in head
    client.send("second\n")
    got = b""
    while got.count(b"\n") < 5:
        got += client.reader.until(b"\n")
    assert sorted(got.split(b"\n")[:-1]) == [b"echo first", b"echo second", b"tick1", b"tick2", b"tick3"]
    client.half_close()
    s.wait_for_log("ended: closed")


def test_where_a_client_is_watched_its_end_has_a_name_of_its_own(server):
    s = server(CONF.replace("SCRIPT", """
        ngx.on_abort(function() ngx.exit(499) end)
        local s = assert(ngx.req.socket(true)) s:settimeout(30000)
        if ngx.var.arg_sleep then s:send("x") ngx.sleep(30) end
        ngx.log(ngx.NOTICE, "ended: ", select(2, s:receive(10)))""").replace("http {", """http {
        log_format status "status $status"; access_log logs/access.log status;"""), UP=1)
    with Client(s.port).send("GET /abort HTTP/1.1\r\nHost: a\r\n\r\nhello") as client:
        client.half_close()
        s.wait_for_log("ended: client aborted|client prematurely closed")
    with Client(s.port).send("GET /abort?sleep=1 HTTP/1.1\r\nHost: a\r\n\r\n") as client:
        assert client.reader.exactly(1) == b"x"
    wait_until(lambda: "status 499" in s.read("logs/access.log"))


@pytest.mark.parametrize("form", ["*a", "*l", "10"])
def test_a_client_that_ended_its_part_still_gets_its_answer(server, form):
    s = start(server, """
        local s = assert(ngx.req.socket(true)) s:settimeout(30000)
        local all, why, part = s:receive("FORM")
        ngx.log(ngx.NOTICE, "again: ", select(2, s:receive(1)))
        assert(s:send("got " .. (all or part .. " " .. why))) assert(s:send("!"))""".replace("FORM", form))
    client = Client(s.port).send("GET / HTTP/1.1\r\nHost: a\r\n\r\nhello")
    client.half_close()
    assert client.read_until_close() == (b"got hello!" if form == "*a" else b"got hello closed!")
    s.wait_for_log("again: closed")


def test_an_abort_calls_the_function(server, upstream):
    left = threading.Event()
    u = upstream([up.request(), up.wait_for(left), up.send(up.reply(content=b"late"))])
    s = start(server, """
        ngx.say(ngx.on_abort(function() ngx.log(ngx.NOTICE, "gone") end)) ngx.flush(true)
        ngx.log(ngx.NOTICE, "again: ", select(2, ngx.on_abort(function() end)))
        ngx.log(ngx.NOTICE, "went on: ", ngx.location.capture("/up").body)""", UP=u.port)
    client = Client(s.port).send("GET /abort HTTP/1.1\r\nHost: a\r\n\r\n")
    u.wait_requests(1)
    client.reset()
    s.wait_for_log("gone, client")
    assert len(re.findall(r"\[info\] .* client prematurely closed connection, client: ", s.log())) == 1
    left.set()
    s.wait_for_log("again: duplicate call")
    s.wait_for_log("went on: late")


def test_the_function_may_end_the_request(server, upstream):
    u = upstream([up.request(), up.read_to_end()])
    s = start(server, """
        ngx.on_abort(function() ngx.log(ngx.NOTICE, "gone") ngx.exit(499) end)
        ngx.location.capture("/up") ngx.log(ngx.NOTICE, "went on")""", UP=u.port)
    client = Client(s.port).send("GET /abort HTTP/1.1\r\nHost: a\r\n\r\n")
    u.wait_requests(1)
    client.reset()
    s.wait_for_log("gone, client")
    u.connections[0].socket  # the subrequest was cancelled with the request: its connection ends
    s.wait_for_log('"GET /abort HTTP/1.1" 499|gone')
    assert "went on" not in s.log()


def test_requests_behind_an_aborted_one_are_not_run(server):
    s = start(server, """
        local gone
        ngx.on_abort(function() gone = true end)
        for i = 1, 3000 do if gone then break end ngx.sleep(0.01) end
        ngx.log(ngx.NOTICE, "ran ", ngx.var.args) ngx.say(ngx.var.args)""")
    client = Client(s.port).send("GET /abort?1 HTTP/1.1\r\nHost: a\r\n\r\nGET /abort?2 HTTP/1.1\r\nHost: a\r\n\r\n")
    client.half_close()
    assert client.read_reply().body == b"1\n" and client.reader.rest() == b""
    assert "ran 1" in s.log() and "ran 2" not in s.log()


def test_no_abort_calls_nothing(server):
    s = start(server, 'ngx.say(ngx.on_abort(function() ngx.log(ngx.NOTICE, "gone") end))')
    assert get(s.port, "/").body == b"nillua_check_client_abort is off\n"
    assert get(s.port, "/abort").body == b"1\n"
    assert "gone" not in s.log() and "prematurely" not in s.log()


PASSED_ON = r"""
events {}
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        proxy_request_buffering off;
        location /reads { error_page 502 = @reads; proxy_pass http://127.0.0.1:%%UP%%; }
        location /needs { error_page 502 = @needs; proxy_pass http://127.0.0.1:%%UP%%; }
        location /takes { error_page 502 = @takes; proxy_pass http://127.0.0.1:%%UP%%; }
        location /kept { error_page 502 = @reads; proxy_replay_buffer_size 1k; proxy_pass http://127.0.0.1:%%UP%%; }
        location @reads { content_by_lua_block { ngx.req.read_body() ngx.print(ngx.req.get_body_data()) } }
        location @needs { lua_need_request_body on; content_by_lua_block { ngx.print(ngx.req.get_body_data()) } }
        location @takes { content_by_lua_block { ngx.print(select(2, ngx.req.socket())) } }
    }
}
"""


@pytest.mark.parametrize("path, status, body", [("/reads", 502, None), ("/needs", 502, None), ("/kept", 200, b"0123456789"),
                                                ("/takes", 200, b"request body already exists")])
def test_a_body_that_went_to_an_upstream_is_read_whole_or_not_at_all(server, upstream, path, status, body):
    u = upstream([up.head(), up.read(5), up.close()])
    s = server(PASSED_ON, UP=u.port)
    with Client(s.port) as client:
        client.send(f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
        u.wait_requests(1)
        client.send(b"01234")
        s.wait_for_log("prematurely closed")
        client.send(b"56789")
        reply = client.read_reply("POST")
    assert reply.status == status and (body is None or reply.body == body)
