# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Lines of a configuration, right and wrong: Debian's nginx and fairlead must take and refuse the same ones with the same words.

configuration.txt holds a case a line, `PLACE|LINE`, below a heading `## ...`; the place says what stands around the line.
"""

import concurrent.futures
import os
import re

from lib.fairlead import Server
from lib.nginx import BINARY

SERVER = "listen 127.0.0.1:%%PORT_0%%;"
PLACES = {
    "main": "%s\nevents {}\nhttp { server { " + SERVER + " } }\n",
    "events": "events { %s }\nhttp { server { " + SERVER + " } }\n",
    "http": "events {}\nhttp { %s\n server { " + SERVER + " } }\n",
    "server": "events {}\nhttp { server { " + SERVER + "\n%s } }\n",
    "location": "events {}\nhttp { server { " + SERVER + " location / {\n%s } } }\n",
    "if": "events {}\nhttp { server { " + SERVER + " location / { if ($arg_a) {\n%s } } } }\n",
    "serverif": "events {}\nhttp { server { " + SERVER + " if ($arg_a) {\n%s } } }\n",
    "limit_except": "events {}\nhttp { server { " + SERVER + " location / { limit_except GET {\n%s } } } }\n",
    "raw": "%s",
}
# What differs on purpose, with the reason.
KNOWN = {
    "main|ssl_engine warp-drive;": "the place is said, too",
    "main|worker_processes 0;": "a server without workers serves nobody; nginx starts it",
    "main|load_module modules/nothere.so;": "nothing is loaded at run time",
    "main|error_log logs/e.log info; error_log stderr debug;": "nginx logs its own start",
    "main|error_log logs/e.log info warn;": "one level is enough",
    "events|worker_connections 0;": "refused where it stands",
    "http|large_client_header_buffers 4 100;": "there is no connection_pool_size to compare with",
    "server|server_name *.a.*;": "no host has such a name; nginx says so only with a second server",
    "server|server_name a*b;": "likewise",
    'server|server_name "a b";': "suspicious, as a slash is",
    "http|error_page 404 =1000 /a;": "no status has four digits",
    "http|resolver 127.0.0.1 ipv6=off ipv4=off;": "ipv4= came after this nginx",
    "server|location @a { } location @a { }": "the second would never be found",
    "server|listen 127.0.0.1:18998 setfib=1;": "said in clear words",
    "server|listen 127.0.0.1:18998 accept_filter=x;": "nginx ignores it with an [emerg]",
    'http|add_header "" b;': "a field without a name is none, and a warning says so",
    "http|proxy_cache_bypass $http_upgrade;": "a warning: it has no effect",
    "http|proxy_cache_bypass $nothing_of_that_name;": "likewise",
    "http|proxy_no_cache 1;": "likewise",
    "http|connection_pool_size 256;": "likewise",
    "location|subrequest_output_buffer_size 8k;": "likewise",
    "events|worker_aio_requests 64;": "likewise",
    "server|gzip_no_buffer on;": "likewise",
    "main|debug_points abort;": "likewise",
    "http|geo $b { ranges; 1.0.0.0-2.0.0.0 a; 1.5.0.0-3.0.0.0 b; }": "nginx warns 128 times before",
    "http|geo $b { volatile; 127.0.0.1 a; }": "volatile came after this nginx",
    "http|split_clients $arg_a $b { a; }": "the number of words is looked at first",
    'http|log_format a "$";': "the words of every other place",
    "main|thread_pool a threads=1 b=2;": "nginx takes any word there",
    "http|charset_map a utf-8 { 80 D0B0D0; }": "more than one character",
    "http|charset a; source_charset b;": "nginx does not say where",
    "server|valid_referers none;": "likewise",
    "server|valid_referers blocked none;": "likewise",
    "server|valid_referers none ~a;": "likewise",
    "location|secure_link_secret a; secure_link a;": "nginx names the end of the block",
    "location|secure_link_secret a; secure_link_md5 a;": "likewise",
    "server|server_name a; valid_referers server_names a;": "likewise",
    "http|upstream u { server 127.0.0.1:1; server 127.0.0.1:2 backup; ip_hash; }": "a warning; nginx says nothing",
    "http|modern_browser msie;": "nginx says nothing",
    "http|client_body_temp_path a 4;": "a level has three digits at most, as nginx's documentation says",
}


class Case(Server):
    """A configuration that is only tested; the ways it was said by either binary come out alike."""

    def globals(self):
        return ""

    def command(self, *more):
        return [self.binary, "-p", self.prefix + "/", "-c", self.conf_path, "-e", os.path.join(self.prefix, "logs/error.log"), *more]

    def verdict(self):
        done = self.run("-t", seconds=20)
        said = done.stderr.replace(self.conf_path, "CONF").replace(self.prefix, "PREFIX")
        said = re.sub(r"^(nginx|fairlead): ", "", said, flags=re.M)
        said = re.sub(r"^the configuration file .* syntax is ok\n|^configuration file .* test is successful\n", "", said, flags=re.M)
        said = re.sub(r", did you mean .*", "", said)
        said = re.sub(r'(unknown "\w+" variable) in CONF:\d+', r"\1", said)  # nginx does not say where
        return done.returncode, said.replace(str(self.ports[0]) if self.ports else "\0", "PORT")


def cases():
    with open(os.path.join(os.path.dirname(__file__), "configuration.txt")) as f:
        for line in f.read().splitlines():
            if line and not line.startswith("##"):
                yield line


def answers(line):
    place, _, text = line.partition("|")
    conf = PLACES[place].replace("%s", text.replace("\\n", "\n"))
    verdicts = []
    for binary in (BINARY, None):
        case = Case(conf, binary=binary)
        try:
            verdicts.append(case.verdict())
        finally:
            case.discard()
    return line, *verdicts


def test_both_say_the_same():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        got = list(pool.map(answers, cases()))
    different = {line: (theirs, ours) for line, theirs, ours in got if theirs != ours}
    unexpected = [f"{line}\n  nginx: {theirs}\n  ours:  {ours}" for line, (theirs, ours) in different.items() if line not in KNOWN]
    assert not unexpected, "\n".join(unexpected)
    lines = {line for line, *_ in got}
    stale = [line for line in KNOWN if line in lines and line not in different]
    assert not stale, f"no longer different: {stale}"
    assert set(KNOWN) <= lines, f"not among the cases: {set(KNOWN) - lines}"
