# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""The rewrite module and try_files against nginx: one configuration, the same requests, the same status, Location and body."""

import itertools

from lib.client import Client

CONF = """
events {}
http {
    root %%PREFIX%%/www;
    rewrite_log on;
    uninitialized_variable_warn off;
    port_in_redirect off;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        set $mark "-";
        if ($arg_reject ~ "^(?<why>[a-z]+)$") { return 403 "rejected: $why $1"; }
        if ($arg_server = last) { rewrite ^/sl/(.*)$ /show/$1?from=server last; set $mark wrong; }
        if ($http_x_break) { break; }
        rewrite ^/plain/(.*)$ /show/$1;
        rewrite ^/sbreak/(.*)$ /alias/$1 break;
        rewrite ^/sredir/(.*)$ /r/$1 redirect;
        location / { return 200 "root $uri|$args|$mark\\n"; }
        location /show/ { return 200 "show $uri|$args|$is_args|$mark|$1\\n"; }

        location /last/ { rewrite ^/last/(\\w+)/(.*)$ /show/$2?a=$1 last; return 200 "not matched $1\\n"; }
        location /drop/ { rewrite ^/drop/(.*)$ /show/$1? last; }
        location /dropargs/ { rewrite ^/dropargs/(.*)$ /show/$1?x=y? last; }
        location /break/ { rewrite ^/break/(.*)$ /files/$1 break; }
        location /noflag/ {
            rewrite ^/noflag/(.*)$ /two/$1;
            rewrite ^/two/(.*)$ /show/two/$1?q=$1;
            set $mark noflag;
        }
        location /thenbreak/ { rewrite ^/thenbreak/(.*)$ /files/$1; break; }
        location /redirect/ { rewrite ^/redirect/(.*)$ /show/$1 redirect; }
        location /permanent/ { rewrite ^/permanent/(.*)$ http://other.example/$1?k=$1 permanent; }
        location /http/ { rewrite ^/http/(.*)$ http://other.example/$1; }
        location /https/ { rewrite ^/https/(.*)$ https://other.example/$1?; }
        location /scheme/ { rewrite ^/scheme/(.*)$ $scheme://other.example/$1?v=$1&w=$arg_a; }
        location /loop/ { rewrite ^/loop/(.*)$ /loop/x$1 last; }
        location /zero/ { rewrite ^/zero/(.*)$ $1 last; }
        location /marks/ { rewrite ^/marks/(.*)$ /show/a?b?c=$1 last; }
        location /named/ { rewrite ^/named/(?<first>[^/]+)/(?<rest>.*)$ /show/$rest?first=$first last; }
        location /clear/ {
            rewrite ^/clear/(.*)$ /clear/$1 break;
            return 200 "never\\n";
        }
        location /captures/ {
            if ($uri ~ ^/captures/(.)(.)(.*)$) { set $mark "$1.$2.$3"; }
            if ($uri ~ nothing) { set $mark wrong; }
            return 200 "$mark [$1]\\n";
        }

        location /quotes/ {
            if ($uri ~ ^/quotes/(.*)$) { set $one $1; }
            if ($uri ~ ^/quotes/(.*)$) { set $two "<$1>"; }
            if ($one = $1) { set $mark same; }
            rewrite ^/quotes/(.*)$ /quoted/$1;
            set $three $1;
            break;
            return 200 never;
        }
        location /quoted/ { return 200 "$one $two $three $mark\n"; }
        location /quotedset/ { rewrite ^/quotedset/(.*)$ /quoted/$1; set $three $1; if ($uri ~ (..)$) { set $two $1; } }
        location /setdollar/ { if ($uri ~ "^/setdollar/(.*)$") { return 302 /show/$1; } }

        location /if/ {
            set $mark none;
            if ($arg_a) { set $mark "$mark,truth"; }
            if ($arg_a = b) { set $mark "$mark,equal"; }
            if ($arg_a != b) { set $mark "$mark,differs"; }
            if ( $arg_a ~ ^B$ ) { set $mark "$mark,match"; }
            if ($arg_a ~* ^B$) { set $mark "$mark,caseless"; }
            if ($arg_a !~ ^B$) { set $mark "$mark,nomatch"; }
            if ($arg_a !~* ^B$) { set $mark "$mark,nocaseless"; }
            if (-f $document_root/files$arg_f) { set $mark "$mark,f"; }
            if (!-f $document_root/files$arg_f) { set $mark "$mark,!f"; }
            if (-d $document_root/files$arg_f) { set $mark "$mark,d"; }
            if (!-d $document_root/files$arg_f) { set $mark "$mark,!d"; }
            if (-e $document_root/files$arg_f) { set $mark "$mark,e"; }
            if (!-e $document_root/files$arg_f) { set $mark "$mark,!e"; }
            if (-x $document_root/files$arg_f) { set $mark "$mark,x"; }
            if (!-x $document_root/files$arg_f) { set $mark "$mark,!x"; }
            return 200 "$mark\\n";
        }
        location /ifreturn/ { if ($request_method = POST) { return 405; } if ($arg_a) { return 302 /there?$args; } return 200 end; }
        location /ifroot/ { root %%PREFIX%%/a; if ($arg_a) { root %%PREFIX%%/b; } }
        location /ifrewrite/ { if ($arg_a) { rewrite ^ /show/inner last; } rewrite ^ /show/outer last; }
        location /ifbreak/ { if ($arg_a) { break; } return 200 "no break\\n"; }
        location /iferror/ { error_page 404 /show/e; if ($arg_a) { error_page 404 =200 /show/f; } if ($arg_b) { return 404; } }
        location /iflast/ { if ($arg_a) { set $mark one; } if ($arg_b) { root %%PREFIX%%/b; }
            if ($arg_a) { set $mark "$mark two"; } return 200 "$mark $document_root\\n"; }
        location /setargs/ { set $args "new=$arg_a"; rewrite ^/setargs/(.*)$ /show/$1 last; }

        location /try/ { try_files $uri $uri/ /show/fallback?$args; }
        location /trystatus/ { try_files $uri =418; }
        location /trynamed/ { try_files $uri @named; }
        location /tryliteral/ { try_files /files/a.txt =404; }
        location /trydir/ { try_files /files/dir/ /files/a.txt =404; }
        location /tryindex/ { index b.txt; try_files $uri $uri/ =404; }
        location /tryif/ { try_files /files/a.txt =404; if ($arg_a) { set $mark x; } }
        location /tryrewrite/ { rewrite ^/tryrewrite/(.*)$ /files/$1 break; try_files $uri /show/none; }
        location /tryloop/ { try_files $uri /tryloop/x; }
        location @named { rewrite ^/trynamed/r/(.*)$ /show/$1 last; return 200 "named $uri|$args\\n"; }
        location @missing_inside { try_files $uri @gone; }
        location /trymissing/ { try_files $uri @gone; }

        location /alias/ { alias %%PREFIX%%/www/files/; }
        location /aliastry/ { alias %%PREFIX%%/www/files/; try_files $uri a.txt =404; }
        location /aliasliteral/ { alias %%PREFIX%%/www/files/; try_files dir/b.txt =404; }
        location /aliasdir/ { alias %%PREFIX%%/www/files/; index b.txt; try_files $uri $uri/ =404; }
        location ~ ^/rx/(.*)$ { alias %%PREFIX%%/www/files/$1; }
        location ~ ^/rxtry/(.*)$ { alias %%PREFIX%%/www/files; try_files /$1 =404; }
        location /aliasif/ { alias %%PREFIX%%/www/files/; if ($arg_a) { set $mark 1; } }
        location /outer/ { alias %%PREFIX%%/www/files/; location /outer/dir/ { } }

        location /internal/ { internal; return 200 "inside $uri\\n"; }
        location /tointernal/ { rewrite ^/tointernal/(.*)$ /internal/$1 last; }

        location /errors/ {
            error_page 404 = @error;
            error_page 403 =200 /show/denied;
            error_page 410 /show/gone;
            error_page 418 =204 /e204;
            if ($arg_s = 404) { return 404; }
            if ($arg_s = 403) { return 403; }
            if ($arg_s = 410) { return 410; }
            if ($arg_s = 418) { return 418; }
        }
        location @error { return 202 "error $uri\\n"; }
        location /e204 { return 204; }

        location /r/404 { return 404; }
        location /r/200 { return 200; }
        location /r/text { return 200 "text $arg_a"; }
        location /r/url { return https://other.example$request_uri; }
        location /r/scheme { return $scheme://other.example$request_uri; }
        location /r/301 { return 301 /there$is_args$args; }
        location /r/303 { return 303 /there; }
        location /r/307 { return 307 there; }
        location /r/308 { return 308 //there; }
        location /r/500text { return 500 oops; }
        location /r/555 { return 555; }
        location /r/204 { return 204; }
        location /r/type.html { return 200 html; }
        location /r/json { default_type application/json; return 200 "{}"; }
    }
}
"""

FILES = {"www/files/a.txt": "file a", "www/files/dir/b.txt": "file b", "www/files/index.html": "index", "www/files/a b.txt": "blank",
         "www/try/t.txt": "t", "www/try/dir/index.html": "try index", "www/tryindex/dir/b.txt": "own index", "www/tryindex/c.txt": "c",
         "www/trynamed/n.txt": "n", "www/tryif/x": "if x", "a/ifroot/f.txt": "in a", "b/ifroot/f.txt": "in b"}

PLACES = [f"{name}/" for name in """
    show last drop dropargs break noflag thenbreak redirect permanent http https scheme loop zero marks named
    captures quotes quotedset setdollar plain sbreak sredir sl if ifreturn ifrewrite ifbreak iferror iflast
    setargs tointernal internal try trystatus trynamed tryliteral trydir tryif tryrewrite tryloop alias aliastry
    aliasliteral aliasdir rx rxtry aliasif outer
""".split()] + [""]
TAILS = ["", "a.txt", "dir/b.txt", "a%20b.txt", "w/x+y?a=b&c=%20", "x%3Fy/%25z?a=B", "a.txt?a=1&server=last"]
MORE = (
    [f"/if/?a={a}&f={f}" for a in ("", "0", "b", "B", "c") for f in ("", "/a.txt", "/none", "/dir")]
    + [f"/errors/?s={s}" for s in (404, 403, 410, 418, 0)]
    + ["/r/" + r for r in ("404", "200", "text?a=%41", "url?x", "scheme/%20?y", "301?a=b", "301", "303", "307", "308", "500text", "555",
                           "204", "type.html", "json")]
    + ["/?reject=yes", "/show/?reject=YES", "/show/?reject=", "/try/t.txt", "/try/dir", "/try/dir/", "/try/none?x=1", "/trynamed/n.txt",
       "/trynamed/r/s?t", "/trymissing/x", "/tryindex/dir", "/tryindex/dir/", "/tryindex/c.txt", "/ifroot/f.txt", "/ifroot/f.txt?a=1",
       "/tryif/x?a=1", "/tryif/x", "/iflast/?a=1&b=1", "/iflast/?b=1", "/iferror/?a=1&b=1", "/iferror/?b=1", "/clear/x",
       "/outer/dir/b.txt", "/aliasdir/dir", "/aliasdir/dir/", "/sl/x?server=last", "/named/one/two?three=3", "/last/one/two%2Fthree?q"])


def answers(port, targets, headers=()):
    """Status, Location and body of each, by one client with as many connections as are closed on it."""
    client = Client(port)
    found = {}
    for target in targets:
        reply = client.get(target, headers)
        body = reply.body.decode()
        if reply.status >= 300 and "<center>" in body:
            body = body.split("<hr>")[0]
        found[target] = (reply.status, (reply.header("Location") or "").replace(str(port), "PORT"), reply.header("Content-Type"), body)
        if reply.has_word("Connection", "close"):
            client.close()
            client = Client(port)
    client.close()
    return found


def compare(server, nginx, targets, headers=()):
    ours, theirs = server(CONF, files=FILES), nginx(CONF, files=FILES, allow_log=[".*"])
    got, want = answers(ours.port, targets, headers), answers(theirs.port, targets, headers)

    def same(answer, prefix):
        return tuple(part.replace(prefix, "PREFIX") if isinstance(part, str) else part for part in answer)
    different = {t: (same(got[t], ours.prefix), same(want[t], theirs.prefix)) for t in targets
                 if same(got[t], ours.prefix) != same(want[t], theirs.prefix)}
    assert not different, "\n".join(f"{t}\n  fairlead {g}\n  nginx    {w}" for t, (g, w) in different.items())


def test_every_place_with_every_tail(server, nginx):
    compare(server, nginx, [f"/{place}{tail}" for place, tail in itertools.product(PLACES, TAILS)])


def test_conditions_errors_and_files(server, nginx):
    compare(server, nginx, MORE)


def test_break_at_the_server_level(server, nginx):
    compare(server, nginx, ["/plain/x", "/sredir/x", "/sl/x?server=last", "/last/one/two", "/try/t.txt"], ["X-Break: 1"])
