// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The rewrite module: directives that act in source order when a request enters a server or a location. Each adds a statement to the
// script of its block (http/request/script.h); the parts beside this file make them.
#include "core/conf/module.h"
#include "core/conf/value.h"
#include "rewrite_conf.h"
#include "return_.h"

namespace fairlead {
namespace {

constexpr uint32_t in_script = in_server | in_server_if | in_location | in_location_if;

ConfResult<Unit> set_return(Line& line, RewriteConf&) { return add_return(line); }

constexpr Directive rows[] = {
    custom<set_return, RewriteConf>("return", in_script, words(1, 2), "Ends the request with a status, a text or a redirect.")
        .many()
        .takes("code [text] | code URL | URL"),
};

}  // namespace

extern constinit const Module http_rewrite_module = {
    .name = "http_rewrite",
    .conf = conf_of<RewriteConf>,
    .directives = rows,
};

}  // namespace fairlead
