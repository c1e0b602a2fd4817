# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""ngx.errlog: lines kept in memory, levels, lines without the script's place."""

from lib.client import get

CONF = r"""
events {}
http {
    CAPTURE
    init_by_lua_block {
        local errlog = require "ngx.errlog"
        init_said = tostring(errlog.set_filter_level(ngx.WARN)) .. " " .. require "ngx.process".type()
    }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { content_by_lua_block { local errlog = require "ngx.errlog" SCRIPT } }
    }
}
"""


def run(server, script, capture="lua_capture_error_log 4k;"):
    s = server(CONF.replace("SCRIPT", script).replace("CAPTURE", capture))
    return s, get(s.port, "/").body.decode()


def test_lines_are_kept_and_given_once(server):
    s, text = run(server, """
        errlog.get_logs()
        ngx.log(ngx.ERR, "first") ngx.log(ngx.NOTICE, "not kept") ngx.log(ngx.WARN, "second")
        local one = errlog.get_logs(1)
        ngx.say(#one, " ", one[1], " ", math.abs(one[2] - ngx.now()) < 60, " ", one[3]:match("%[error%].*first") ~= nil)
        local rest = errlog.get_logs(10, {1, 2, 3, 4, 5, 6, 7})
        ngx.say(#rest, " ", rest[1], " ", rest[3]:match("second") ~= nil) ngx.say(#errlog.get_logs()) ngx.say(init_said)""")
    assert text == "3 4 true true\n3 5 true\n0\ntrue master\n"


def test_the_oldest_go_first(server):
    _, text = run(server, """
        errlog.get_logs()
        for i = 1, 100 do ngx.log(ngx.ERR, "line ", i, " ", ("x"):rep(100)) end
        local logs = errlog.get_logs() local bytes = 0
        for i = 3, #logs, 3 do bytes = bytes + #logs[i] end
        ngx.print(logs[#logs]:match("line %d+"), " ", bytes <= 4096, " ", #logs > 15)""")
    assert text == "line 100 true true"


def test_without_the_directive(server):
    _, text = run(server, 'ngx.print(errlog.get_logs()) ngx.print(" ", init_said, " ", errlog.set_filter_level(ngx.ERR))', "")
    assert text == 'nildirective "lua_capture_error_log" is not set nil master nilAPI disabled in the current context'


def test_raw_lines_and_levels(server):
    s, text = run(server, """
        errlog.raw_log(ngx.NOTICE, "as it is") ngx.say(errlog.get_sys_filter_level() == ngx.INFO)
        ngx.say(pcall(errlog.raw_log, 99, "x")) ngx.say(pcall(errlog.raw_log, 1, 2)) ngx.say(pcall(errlog.raw_log, "x", "x"))""")
    assert text == ("true\nfalsebad log level\nfalsebad argument #2 to 'raw_log' (must be a string)\n"
                    "falsebad argument #1 to 'raw_log' (must be a number)\n")
    s.wait_for_log(r"\[notice\] [^*]*\*\d+ as it is, client")
