// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The rewrite module: directives that act in source order when a request enters a server or a location. Each adds a statement to the
// script of its block (http/request/script.h); the parts beside this file make them.
#include "core/conf/module.h"
#include "core/conf/value.h"
#include "modules/http_rewrite/return_.h"
#include "modules/http_rewrite/rewrite_conf.h"
#include "modules/http_rewrite/rewrite_rule.h"
#include "modules/http_rewrite/statements.h"

namespace fairlead {
namespace {

constexpr uint32_t in_script = in_server | in_server_if | in_location | in_location_if;

// The statements go to the block's script; of the Conf they set nothing.
template <ConfResult<Unit> (*Add)(Line&)>
ConfResult<Unit> add(Line& line, RewriteConf&) { return Add(line); }

constexpr Directive rows[] = {
    custom<add<add_rewrite>, RewriteConf>("rewrite", in_script, words(2, 3),
                                          "Gives the request another URI, or redirects it, where the path matches.")
        .many()
        .takes("regex replacement [last | break | redirect | permanent]"),
    custom<add<add_return>, RewriteConf>("return", in_script, words(1, 2), "Ends the request with a status, a text or a redirect.")
        .many()
        .takes("code [text] | code URL | URL"),
    custom<add<add_break>, RewriteConf>("break", in_script, words(0), "Ends the statements of the rewrite module.").many(),
    custom<add<add_if>, RewriteConf>("if", in_server | in_location, words_from(1), "What holds for requests that meet a condition.")
        .block()
        .many()
        .takes("(condition)"),
    custom<add<add_set>, RewriteConf>("set", in_script, words(2), "Gives a variable a value.").many().takes("$variable value"),
    slot<RewriteConf, &RewriteConf::rewrite_log>("rewrite_log", in_script | in_http, "Log what rewrites do, at level notice."),
    slot<RewriteConf, &RewriteConf::uninitialized_variable_warn>("uninitialized_variable_warn", in_script | in_http,
                                                                 "Log the use of variables that were not set."),
};

}  // namespace

extern constinit const Module http_rewrite_module = {
    .name = "http_rewrite",
    .conf = conf_of<RewriteConf>,
    .directives = rows,
};

}  // namespace fairlead
