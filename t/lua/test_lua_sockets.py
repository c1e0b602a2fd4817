# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.socket.tcp against scripted peers: reading by patterns, pools, failures, and what becomes of a socket when its request ends."""

import socket
import threading

from lib import upstreams as up
from lib.client import Client, get

CONF = r"""
events {}
http {
    lua_socket_connect_timeout 30s;
    lua_socket_log_errors off;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { content_by_lua_block {
            local function connected()
                local s = ngx.socket.tcp()
                assert(s:connect("127.0.0.1", %%UP%%))
                return s
            end
            SCRIPT
        } }
    }
}
"""


def run(server, u, script, path="/"):
    s = server(CONF.replace("SCRIPT", script), UP=u.port)
    return s, get(s.port, path).body.decode()


def test_reads_by_patterns(server, upstream):
    u = upstream([up.read(7), up.send(b"one\r\ntwo\r3\nexactly--ab---abrest"), up.close()])
    _, text = run(server, u, """
        local s = connected()
        ngx.say(s:send({"hel", {"lo", 1}, "\\n"}))
        ngx.say(s:receive()) ngx.say(s:receive("*l")) ngx.say(s:receive(7))
        local f = s:receiveuntil("--ab") ngx.say("[", f(), "]") ngx.say("[", f(), "]")
        ngx.say(s:receive("*a")) ngx.say(s:receive()) ngx.say(s:close())""")
    assert text == "7\none\ntwo3\nexactly\n[]\n[-]\nrest\nnilclosed\n1\n"


def test_until_waits_for_no_byte_that_it_does_not_need(server, upstream):
    u = upstream([up.send(b"!abc"), up.read(1), up.send(b"def--"), up.read(1), up.send(b"-X-"), up.close()])
    _, text = run(server, u, """
        local s = connected() s:receive(1)
        local f = s:receiveuntil("---X")
        ngx.say(f(3)) s:send("x") s:settimeout(100) ngx.say(f()) s:send("x") s:settimeout(30000) ngx.say("[", f(), "]") ngx.say(f())""")
    assert text == "abc\nniltimeoutdef\n[]\nnilclosed-\n"
    u = upstream([up.send(b"aXXb"), up.close()])
    _, text = run(server, u, """
        local f = connected():receiveuntil("XX", { inclusive = true })
        for i = 1, 3 do ngx.say(f(1)) end ngx.say(f(1))""")
    assert text == "a\nXX\nnilnilnil\nb\n"


def test_partial_data_comes_with_the_error(server, upstream):
    u = upstream([up.send(b"part"), up.close()])
    _, text = run(server, u, "local s = connected() ngx.say(s:receive(10)) ngx.say(s:receive(1))")
    assert text == "nilclosedpart\nnilclosed\n"


def test_a_read_times_out_and_the_socket_stays_open(server, upstream):
    u = upstream([up.send(b"!ab"), up.read(1), up.send(b"cd\n")])
    _, text = run(server, u, """
        local s = connected() s:receive(1) s:settimeouts(1000, 1000, 50)
        ngx.say(s:receive(4)) s:settimeout(30000) s:send("x") ngx.say(s:receive())""")
    assert text == "niltimeoutab\ncd\n"


def test_pooled_connections_are_used_again(server, upstream):
    u = upstream([up.read(2), up.send(b"1\n"), up.read(2), up.send(b"2\n")])
    _, text = run(server, u, """
        local s = connected() s:send("a\\n") ngx.say(s:receive(), s:getreusedtimes()) ngx.say(s:setkeepalive(10000, 5))
        ngx.say(s:receive())
        s = connected() s:send("b\\n") ngx.say(s:receive(), s:getreusedtimes()) s:close()""")
    assert text == "10\n1\nnilclosed\n21\n"
    assert len(u.connections) == 1


def test_what_is_unread_forbids_the_pool(server, upstream):
    u = upstream([up.send(b"a\nb\n")])
    _, text = run(server, u, "local s = connected() s:receive() ngx.say(s:setkeepalive())")
    assert text == "nilunread data in buffer\n"


def test_what_came_unasked_or_ended_forbids_the_pool(server, upstream, tmp_path):
    said, ended = tmp_path / "said", tmp_path / "ended"
    u = upstream([up.read(1), up.send(b"surprise"), lambda seen: said.touch(), up.read(1)],
                 [up.read(1), up.half_close(), lambda seen: ended.touch(), up.close()])
    _, text = run(server, u, f"""
        local function wait_for(path) while not io.open(path) do ngx.sleep(0.01) end end
        local s = connected() s:send("x") wait_for("{said}") ngx.say(s:setkeepalive()) ngx.say(s:receive(1))
        s = connected() s:send("x") wait_for("{ended}") ngx.say(s:setkeepalive())""")
    assert text == "nilconnection in dubious state\nnilclosed\nnilclosed\n"


def test_a_socket_whose_peer_has_ended_is_closed_by_the_script(server, upstream):
    u = upstream([up.send(b"!ab"), up.close()], [up.send(b"!ab"), up.close()])
    _, text = run(server, u, """
        local s = connected() s:receive(1) ngx.say(s:receive(4)) ngx.say(s:receive(1)) ngx.say(s:getreusedtimes())
        ngx.say(s:setkeepalive()) ngx.say(s:close())
        s = connected() s:receive(1) ngx.say(s:receive("*a")) ngx.say(s:receive("*a")) ngx.say(s:receive()) ngx.say(s:close())
        ngx.say(s:close())""")
    assert text == "nilclosedab\nnilclosed\n0\nnilclosed\nnilclosed\nab\n\nnilclosed\n1\nnilclosed\n"


def test_failures_to_connect(server, upstream):
    u = upstream([up.close()])
    s, text = run(server, u, """
        local s = ngx.socket.tcp()
        ngx.say(s:connect("127.0.0.1", 1)) ngx.say(s:connect("unix:/nonexistent/socket")) ngx.say(pcall(s.connect, s, "127.0.0.1"))
        ngx.say(s:connect("127.0.0.1", 70000)) ngx.say(s:send("x")) ngx.say(s:setkeepalive())""")
    assert text.startswith("nilconnection refused\nnilno such file or directory\ntruenilmissing the port number\n")
    assert text.endswith("nilbad port number: 70000\nnilclosed\nnilclosed\n")


def test_one_thread_at_a_time_reads(server, upstream):
    u = upstream([up.read(1), up.send(b"late\n")])
    _, text = run(server, u, """
        local s = connected()
        local t = ngx.thread.spawn(function() ngx.say(s:receive()) end)
        ngx.say(s:receive()) ngx.say(s:close()) s:send("x") ngx.thread.wait(t)""")
    assert text == "nilsocket busy reading\nnilsocket busy reading\nlate\n"


def test_a_socket_ends_with_its_request(server, upstream):
    u = upstream([up.read(2), up.read_to_end()])
    s, text = run(server, u, """
        if kept then return ngx.say((select(2, pcall(kept.receive, kept))):match("bad request")) end
        kept = connected() kept:send("x\\n") ngx.say("first")""")
    assert text == "first\n"
    assert get(s.port, "/").body == b"bad request\n"


def test_a_client_that_leaves_ends_the_wait(server, upstream):
    u = upstream([up.read(2), up.read_to_end()])
    s = server(CONF.replace("location /", "lua_check_client_abort on; location /").replace(
        "SCRIPT", 'local s = connected() s:send("x\\n") ngx.say(s:receive())'), UP=u.port)
    client = Client(s.port).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    u.wait_connections(1)
    client.reset()
    s.wait_for_log("client prematurely closed connection")


def with_datagrams(server, upstream, answer, code):
    """What `code` prints; PEER in it is the port of a socket that `answer` serves."""
    u = upstream([up.close()])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(10)
        answering = threading.Thread(target=answer, args=(peer,))
        answering.start()
        _, text = run(server, u, code.replace("PEER", str(peer.getsockname()[1])))
        answering.join()
    return text


def test_datagrams(server, upstream):
    def answer(peer):
        data, sender = peer.recvfrom(100)
        peer.sendto(b"got " + data, sender)
    assert with_datagrams(server, upstream, answer, """
        local s = ngx.socket.udp()
        ngx.say(s:send("x")) ngx.say(s:setpeername("127.0.0.1", PEER)) ngx.say(s:send({"da", "ta"})) ngx.say(s:receive())
        s:settimeout(20) ngx.say(s:receive()) ngx.say(s:close()) ngx.say(s:receive())
        ngx.say(s:setpeername("unix:/nonexistent/socket"))"""
        ) == "nilclosed\n1\n1\ngot data\nniltimeout\n1\nnilclosed\nnilno such file or directory\n"


def test_a_datagram_is_cut_to_what_was_asked_for(server, upstream):
    def answer(peer):
        sender = peer.recvfrom(100)[1]
        for _ in range(5):
            peer.sendto(b"x" * 20000, sender)
    assert with_datagrams(server, upstream, answer, """
        local s = ngx.socket.udp() s:settimeout(30000)
        assert(s:setpeername("127.0.0.1", PEER)) assert(s:send("all"))
        ngx.say(#s:receive(), " ", #s:receive(65536), " ", #s:receive(100), " ", #s:receive(0), " ", #s:receive(-1))"""
        ) == "8192 20000 100 8192 8192\n"


def test_no_byte_is_read_from_a_closed_socket_either(server, upstream):
    u = upstream([up.close()])
    _, text = run(server, u, "local s = ngx.socket.tcp() ngx.say(s:receive(0))")
    assert text == "nilclosed\n"
