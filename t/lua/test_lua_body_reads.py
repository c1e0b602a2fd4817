# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.req.read_body: several at once, killed ones, bodies that do not come; what is made of a body, and said of its length; what is seen of
it while and when it has been forwarded."""

import hashlib
import os
import threading

import pytest

from lib import upstreams as up
from lib.client import Client, chunked, post, request, request_bytes
from lib.ports import wait_until

CONF = r"""
events {}
http {
    access_by_lua_no_postpone on;
    log_format status "$uri $status";
    access_log logs/access.log status;
    init_by_lua_block {
        function read(name)
            return ngx.thread.spawn(function() ngx.req.read_body() return name .. "=" .. tostring(ngx.req.get_body_data()) end)
        end
        function result(thread) return select(2, ngx.thread.wait(thread)) end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        client_body_timeout %%TIMEOUT%%;
        location /twice { content_by_lua_block { local t, u = read("t"), read("u") ngx.say(result(u), " ", result(t)) } }
        location /killed { content_by_lua_block {
            local t = read("t") ngx.sleep(0) ngx.thread.kill(t) ngx.req.read_body() ngx.say(ngx.req.get_body_data()) } }
        location /killed_then/ {
            rewrite_by_lua_block { local t = read("t") ngx.sleep(0) ngx.thread.kill(t) ngx.log(ngx.NOTICE, "killed") }
            location /killed_then/up { proxy_pass http://127.0.0.1:%%UP%%; }
            location /killed_then/up_at_once { proxy_request_buffering off; proxy_pass http://127.0.0.1:%%UP%%; }
            location /killed_then/exec { content_by_lua_block { ngx.exec("/up") } }
        }
        location /left_by_exec { content_by_lua_block { read("t") ngx.exec("/up") } }
        location /left_by_exit { error_page 503 /up; access_by_lua_block { read("t") ngx.exit(503) } }
        location /overruled { satisfy any; allow all; access_by_lua_block { read("t") ngx.exit(403) } proxy_pass http://127.0.0.1:%%UP%%; }
        location /up { proxy_pass http://127.0.0.1:%%UP%%; }
        location /beside { content_by_lua_block {
            local t = read("t")
            local socket, why = ngx.req.socket()
            local raw, why_raw = ngx.req.socket(true)
            ngx.req.discard_body()
            ngx.say(tostring(socket), " ", why, " ", tostring(raw), " ", why_raw, " ", result(t)) } }
        location /read { content_by_lua_block { ngx.req.read_body() ngx.say(ngx.req.get_body_data()) } }
        location /needed { lua_need_request_body on; content_by_lua_block { ngx.say(ngx.req.get_body_data()) } }
        location /begun { content_by_lua_block { ngx.say("begun") ngx.flush(true) ngx.req.read_body() ngx.say("whole") } }
        location /limited { client_max_body_size 100; content_by_lua_block { ngx.req.read_body() } }
        location /unlimited { client_max_body_size 0; content_by_lua_block { ngx.req.read_body() } }
        location /file { content_by_lua_block {
            ngx.req.read_body() ngx.req.set_body_file("%%PREFIX%%/body")
            local name = ngx.var.request_body_file
            ngx.req.set_body_data("x") ngx.say(name, " ", tostring(ngx.var.request_body_file)) } }
        location /dropped {
            rewrite_by_lua_block { ngx.req.discard_body() ngx.req.read_body()
                                   if ngx.var.arg_new then ngx.req.set_body_data(ngx.var.arg_new) end }
            proxy_pass http://127.0.0.1:%%UP%%;
        }
        location /length {
            rewrite_by_lua_block {
                local function set(...) local ok, why = pcall(ngx.req.set_header, "Content-Length", ...) return ok and "set" or why end
                local given = ngx.var.arg_list and {ngx.var.arg_to} or ngx.var.arg_to
                if ngx.var.arg_raise then ngx.req.set_header("Content-Length", given) end
                ngx.header.X_Set = set(given) }
            proxy_pass http://127.0.0.1:%%UP%%;
        }
    }
}
"""


@pytest.fixture
def start(server, upstream):
    u = upstream(up.serve(lambda r: up.reply(content=f"{r.header('content-length')} {r.body.decode()}".encode())))

    def make(timeout="60s", **how):
        return server(CONF, UP=u.port, TIMEOUT=timeout, **how)
    return make


def in_two(s, path, between=None):
    with Client(s.port) as client:
        client.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n012")
        if between:
            between()
        else:
            assert client.is_quiet()
        return client.send("3456789").read_reply()


def test_two_threads_read_one_body(start):
    s = start()
    assert in_two(s, "/twice").text == "u=0123456789 t=0123456789\n"
    assert post(s.port, "/twice", "all").text == "u=all t=all\n"


def test_a_killed_reader_leaves_the_body_whole(start):
    s = start()
    assert in_two(s, "/killed").text == "0123456789\n"
    for path in ("/killed_then/up", "/killed_then/up_at_once", "/killed_then/exec", "/left_by_exec", "/overruled"):
        assert in_two(s, path).text == "10 0123456789", path


def test_an_answer_does_not_wait_for_a_body_and_no_part_of_it_goes_on(start):
    s = start()
    with Client(s.port) as client:
        client.send("POST /left_by_exit HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n012")
        reply = client.read_reply()
    assert (reply.status, reply.text) == (503, "0 ")


def test_while_it_is_read_nobody_else_has_it(start):
    s = start()
    assert in_two(s, "/beside").text == \
        "nil request body already exists nil pending request body reading in some other thread t=0123456789\n"


@pytest.mark.parametrize("path", ("/read", "/needed", "/killed_then/up"))
def test_a_body_that_does_not_come_is_a_408(start, path):
    s = start("300ms")
    with Client(s.port) as client:
        client.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n012")
        assert client.read_until_close() == b""
    s.wait_for_log("client timed out.*while reading client request body")
    wait_until(lambda: s.read("logs/access.log") == f"{path} 408\n")


def test_a_body_that_breaks_off_is_a_400(start):
    s = start()
    with Client(s.port) as client:
        client.send("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n012")
        client.half_close()
        assert client.read_reply().status == 400


@pytest.mark.parametrize("framing", ["Content-Length: 10\r\n\r\n012", "Transfer-Encoding: chunked\r\n\r\nzz\r\n"])
def test_a_body_that_breaks_off_cuts_the_answer_that_has_begun(start, framing):
    s = start(allow_log=("invalid chunked",))
    with Client(s.port) as client:
        client.send("POST /begun HTTP/1.1\r\nHost: a\r\n" + framing).reader.until(b"begun\n\r\n")
        client.half_close()
        assert client.read_until_close() == b""


def test_a_body_that_breaks_off_is_a_400_while_the_answer_is_held_back(start):
    s = start()
    with Client(s.port) as client:
        client.send("POST /begun HTTP/1.0\r\nHost: a\r\nContent-Length: 10\r\n\r\n012").half_close()
        reply = client.read_reply()
    assert reply.status == 400 and b"begun" not in reply.body


def test_the_log_says_what_a_chunked_body_exceeds(start):
    s = start(allow_log=("too large", "invalid chunked"))
    framing = {"Transfer-Encoding": "chunked"}
    assert post(s.port, "/limited", chunked(b"x" * 300), framing).status == 413
    s.wait_for_log("client intended to send too large chunked body: more than 100 bytes")
    assert post(s.port, "/unlimited", b"1;" + b"x" * 20000 + b"\r\nx\r\n0\r\n\r\n", framing).status == 413
    s.wait_for_log(r"\[error\].*client sent invalid chunked body")
    assert "more than 0" not in s.log()


def test_a_file_that_became_the_body_has_its_name(start):
    s = start(files={"body": "from a file"})
    name, after = post(s.port, "/file", "b").text.split()
    assert name.endswith("/body") and after == "nil"


def test_a_body_that_was_dropped_may_have_another_in_its_place(start):
    s = start()
    assert post(s.port, "/dropped?new=new", "old").text == "3 new"
    assert post(s.port, "/dropped", "old").text == "0 "


@pytest.mark.parametrize("length", ("abc", "-1", "5x", "9223372036854775808", "1.5"))
def test_a_length_that_is_none_changes_nothing(start, length):
    s = start(allow_log=("failed to set header",))
    for more in ("", "&list=1"):
        reply = post(s.port, f"/length?to={length}{more}", "body")
        assert (reply.text, reply.header("x-set")) == ("4 body", "failed to set header Content-Length (error: -1)")
    assert post(s.port, f"/length?to={length}&raise=1", "body").status == 500
    assert request(s.port, "GET", f"/length?to={length}").text == "None "


SENT_EARLY = r"""
events {}
http {
    access_by_lua_no_postpone on;
    client_max_body_size 30m;
    client_body_buffer_size %%MEMORY%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        access_by_lua_block { if ngx.var.arg_by == "lua" then ngx.req.read_body() end }
        header_filter_by_lua_block {
            local data, form, name = ngx.req.get_body_data(), ngx.req.get_post_args(), ngx.req.get_body_file()
            ngx.header.x_data, ngx.header.x_form = data and ngx.md5(data), form and ngx.md5(next(form))
            ngx.header.x_file = name and ngx.md5(io.open(name):read("*a")) }
        body_filter_by_lua_block { ngx.ctx.data, ngx.ctx.name = ngx.req.get_body_data(), ngx.req.get_body_file() }
        log_by_lua_block { ngx.log(ngx.NOTICE, "body: ", ngx.req.get_body_data() and ngx.md5(ngx.req.get_body_data()), ".") }
        location / { proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""


@pytest.mark.parametrize("memory", ("30m", "1m"))
@pytest.mark.parametrize("by", ("lua", "proxy"))
def test_filters_read_a_body_that_is_still_being_sent(server, upstream, memory, by):
    relayed = threading.Event()
    u = upstream([up.head(), up.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"), up.wait_for(relayed), up.body(), up.send(b"def")])
    s = server(SENT_EARLY, UP=u.port, MEMORY=memory)
    content = b"".join(b"%08d" % i for i in range(2_500_000))  # more than the sockets on the way take
    digest = hashlib.md5(content).hexdigest()
    with Client(s.port) as client:
        client.send(request_bytes("POST", f"/?by={by}", content))
        client.reader.until(b"\r\n\r\nabc")
        relayed.set()
        client.reader.exactly(3)
        head = client.received.decode()
    assert u.last.body == content
    in_memory = memory == "30m"
    assert [f"x-{name}: {digest}" in head.lower() for name in ("data", "form", "file")] == [in_memory, in_memory, not in_memory]
    s.wait_for_log(f"body: {digest if in_memory else 'nil'}\\.")


FORWARDED = r"""
events {}
http {
    access_by_lua_no_postpone on;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        header_filter_by_lua_block { ngx.header.x_body = tostring(ngx.req.get_body_data()) }
        location /proxied { proxy_pass http://127.0.0.1:%%UP%%; }
        location /read { access_by_lua_block { ngx.req.read_body() } proxy_pass http://127.0.0.1:%%UP%%; }
        location /needed { lua_need_request_body on; access_by_lua_block { } proxy_pass http://127.0.0.1:%%UP%%; }
        location /set { access_by_lua_block { ngx.req.read_body() ngx.req.set_body_data("other") } proxy_pass http://127.0.0.1:%%UP%%; }
        location /failed { error_page 502 = @after; proxy_pass http://127.0.0.1:%%UP%%; }
        location @after { content_by_lua_block { ngx.print("after ", ngx.req.get_body_data()) } }
    }
}
"""


@pytest.mark.parametrize("path, seen, text", [("/proxied", "given", "up"), ("/read", "given", "up"), ("/needed", "given", "up"),
                                              ("/set", "other", "up"), ("/failed", "given", "after given")])
def test_a_body_is_there_when_it_was_forwarded(server, upstream, path, seen, text):
    u = upstream([up.request(), up.send(up.reply(content="up")) if path != "/failed" else up.close()])
    reply = post(server(FORWARDED, UP=u.port).port, path, "given")
    assert (reply.text, reply.header("X-Body"), u.last.body.decode()) == (text, seen, seen)


FILES = r"""
events {}
http {
    client_body_temp_path %%PREFIX%%/bodies 1;
    client_body_buffer_size 1k;
    init_by_lua_block {
        function show(moved)
            local name = ngx.req.get_body_file()
            if moved then assert(os.rename(name, moved)) end
            ngx.say(name, " ", name == ngx.var.request_body_file, " ", #io.open(moved or name):read("*a"))
        end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        rewrite_by_lua_block { ngx.req.read_body() }
        location /there { content_by_lua_block { show() } }
        location /moved { content_by_lua_block { show("%%PREFIX%%/moved") } }
        location /on/ {
            client_body_in_file_only on;
            location /on/there { content_by_lua_block { show() } }
            location /on/moved { content_by_lua_block { show("%%PREFIX%%/moved") } }
        }
        location /cleaned { content_by_lua_block { ngx.req.set_body_file("%%PREFIX%%/file", true) show() } }
    }
}
"""


@pytest.mark.parametrize("path, is_left", [("/there", False), ("/moved", False), ("/on/there", True), ("/on/moved", False),
                                           ("/cleaned", False)])
def test_a_body_in_a_file_has_a_name_to_move_it_by(server, path, is_left):
    s = server(FILES, files={"file": "x" * 300_000})
    reply = post(s.port, path, "x" * 300_000)
    name, *seen = reply.text.split()
    assert seen == ["true", "300000"] and name.startswith(s.prefix)
    wait_until(lambda: os.path.exists(name) == is_left)
    assert os.path.exists(s.prefix + "/moved") == ("moved" in path)


GIVEN = r"""
events {}
http {
    access_by_lua_no_postpone on;
    client_body_buffer_size 4k;
    init_by_lua_block {
        function seen()
            local data, name, var = ngx.req.get_body_data(), ngx.req.get_body_file(), ngx.var.request_body
            local ok, form, why = pcall(ngx.req.get_post_args)
            return table.concat({tostring(data), name and "file" or "-", tostring(var),
                                 tostring(not ok and "raised" or form and form.a or why)}, " ")
        end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /seen { content_by_lua_block { ngx.print(seen()) } }
        location /set { content_by_lua_block { ngx.req.set_body_data("set") ngx.print(ngx.req.get_body_data()) } }
        location /own { content_by_lua_block {
            ngx.print(ngx.location.capture("/seen", {method = ngx.HTTP_POST, body = "a=own"}).body, ", ",
                      ngx.location.capture("/set", {method = ngx.HTTP_POST, body = "a=own"}).body) } }
        location /parents { content_by_lua_block {
            ngx.req.read_body() ngx.print(ngx.location.capture("/seen", {method = ngx.HTTP_PUT}).body) } }
        location /none { content_by_lua_block {
            ngx.req.read_body() ngx.print(ngx.location.capture("/seen").body, ", ", ngx.location.capture("/set").body) } }
        location /copied { mirror /copy; content_by_lua_block { ngx.exit(204) } }
        location /copy { internal; content_by_lua_block { ngx.log(ngx.NOTICE, "copy: ", seen(), ".") } }
        location /asks { auth_request /asked; auth_request_body 1k; content_by_lua_block { ngx.exit(204) } }
        location /asked { internal; content_by_lua_block { ngx.log(ngx.NOTICE, "asked: ", seen(), ".") } }
    }
}
"""


def test_a_body_that_a_part_is_given_was_read(server):
    s = server(GIVEN)
    assert request(s.port, "GET", "/own").text == "a=own - a=own own, set"
    assert post(s.port, "/parents", "a=parents").text == "a=parents - a=parents parents"
    assert post(s.port, "/parents", "a" * 5000).text == "nil file nil request body in temp file not supported"
    assert request(s.port, "GET", "/none").text == "nil - nil nil, set"


@pytest.mark.parametrize("path, what", [("/copied", "copy"), ("/asks", "asked")])
def test_a_body_that_a_copy_is_given_was_read(server, path, what):
    s = server(GIVEN)
    post(s.port, path, "a=1")
    s.wait_for_log(f"{what}: a=1 - a=1 1\\.")


BUILT = r"""
events {}
http {
    access_by_lua_no_postpone on;
    client_body_buffer_size 1k;
    client_body_temp_path %%PREFIX%%/bodies 1;
    init_by_lua_block {
        function build(size, pieces)
            ngx.req.read_body()
            ngx.req.init_body(unpack(size))
            for _, piece in ipairs(pieces) do ngx.req.append_body(piece) end
            ngx.req.finish_body()
            local data, name = ngx.req.get_body_data(), ngx.req.get_body_file()
            return tostring(data) .. " " .. (name and io.open(name):read("*a") or "nofile") .. " " .. ngx.var.http_content_length, name
        end
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /built { content_by_lua_block { ngx.print((build({SIZE}, {PIECES}))) } }
        location /name { content_by_lua_block { ngx.print(select(2, build({1}, {"abc"}))) } }
        location /only { client_body_in_file_only on; content_by_lua_block { ngx.print(select(2, build({100}, {"abc"}))) } }
        location /passed { access_by_lua_block { build({2}, {"a", "bcd", "e", "f"}) } proxy_pass http://127.0.0.1:%%UP%%; }
        location /captured { content_by_lua_block {
            build({2}, {"a", "bcd", "e", "f"}) ngx.print(ngx.location.capture("/up", {method = ngx.HTTP_PUT}).body) } }
        location /up { proxy_pass http://127.0.0.1:%%UP%%; }
        location /between { content_by_lua_block {
            local function show() ngx.print(tostring(ngx.req.get_body_data()), " ", tostring(ngx.req.get_body_file()), "|") end
            ngx.req.read_body() show() ngx.req.init_body() show()
            if ngx.var.args then ngx.req.set_body_data("set") return show() end
            ngx.req.append_body("new") show() ngx.req.finish_body() show() } }
        location /big { content_by_lua_block {
            ngx.req.read_body() ngx.req.init_body(1024)
            local function memory() return tonumber(io.open("/proc/self/statm"):read("*a"):match("%d+ (%d+)")) * 4 end
            local piece, before = ("x"):rep(1024 * 1024), memory()
            for i = 1, 64 do ngx.req.append_body(piece) end
            ngx.req.finish_body()
            ngx.print(ngx.var.http_content_length, " ", memory() - before) } }
        location /unwritable { client_body_temp_path %%PREFIX%%/gone; content_by_lua_block {
            ngx.req.read_body() ngx.req.init_body(2)
            local function try(name, ...) return select(2, pcall(ngx.req[name], ...)) end
            ngx.print(try("append_body", "abc"), ", ", try("append_body", "d"), ", ", try("finish_body")) } }
    }
}
"""


def start_built(server, size="", pieces="", up_port=1, **how):
    return server(BUILT.replace("SIZE", size).replace("PIECES", pieces), UP=up_port, **how)


def built(server, size, pieces):
    return request(start_built(server, size, pieces).port, "GET", "/built").text


def test_a_body_of_pieces_is_in_memory_up_to_the_size_given(server):
    assert built(server, "8", '"1234", "", "5678"') == "12345678 nofile 8"
    assert built(server, "8", '"1234", "56789", "0"') == "nil 1234567890 10"
    assert built(server, "0", '"1"') == "nil 1 1"
    assert built(server, "0", "") == "nil nofile 0"


def test_the_usual_size_is_that_of_the_buffer(server):
    assert built(server, "", '("x"):rep(1000), ("y"):rep(24)') == "x" * 1000 + "y" * 24 + " nofile 1024"
    assert built(server, "", '("x"):rep(1000), ("y"):rep(25)') == "nil " + "x" * 1000 + "y" * 25 + " 1025"


@pytest.mark.parametrize("path, is_left", [("/name", False), ("/only", True)])
def test_the_file_of_a_body_of_pieces(server, path, is_left):
    s = start_built(server)
    name = request(s.port, "GET", path).text
    assert name.startswith(s.prefix + "/bodies/")
    wait_until(lambda: os.path.exists(name) == is_left)


@pytest.mark.parametrize("path", ("/passed", "/captured"))
def test_a_body_of_pieces_in_a_file_is_sent_on(server, upstream, path):
    u = upstream(up.serve(lambda r: up.reply(content=r.body)))
    assert post(start_built(server, up_port=u.port).port, path, "old").text == "abcdef"


def test_a_body_of_many_pieces_takes_no_memory(server):
    length, kilobytes = request(start_built(server).port, "GET", "/big").text.split()
    assert length == str(64 << 20) and int(kilobytes) < 16 << 10


def test_a_body_that_lost_a_piece_is_none(server):
    s = start_built(server, allow_log=("temporary file",))
    os.rmdir(s.prefix + "/gone")
    no_more = ", request_body not initialized" * 2
    assert request(s.port, "GET", "/unwritable").text == "fail to write file" + no_more


def test_between_its_begin_and_its_end_there_is_no_body(server):
    assert post(start_built(server).port, "/between", "old").text == "old nil|nil nil|nil nil|new nil|"
    assert post(start_built(server).port, "/between?set", "old").text == "old nil|nil nil|set nil|"
