// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `internal_redirect`: on to another location once limits and access were checked. So what depends
// on who the client is, a limit for each user among it, can be checked behind the check of who that
// is.
#include "core/conf/module.h"
#include "core/conf/template.h"
#include "core/conf/value.h"
#include "http/hooks.h"
#include "http/request/lead_on.h"
#include "http/request/request.h"

namespace fairlead {
namespace {

using namespace http;

struct InternalRedirectConf {
  Template uri;
};

Verdict go_there(Request& request) {
  std::string_view uri = conf<InternalRedirectConf>(request).uri.evaluate(request);
  return uri.empty() ? Verdict::next() : lead_on(request, uri, {});
}

bool is_wanted(const Block& block) { return conf<InternalRedirectConf>(block).uri.is_set(); }

constexpr Directive rows[] = {
    slot<InternalRedirectConf, &InternalRedirectConf::uri>(
        "internal_redirect", in_server | in_location,
        "Where requests go on that limits and access let in: a URI, or a named location; nowhere if it is empty.")
        .takes("uri"),
};

constexpr PhaseEntry phases[] = {{.phase = Phase::precontent, .check = &go_there, .applies = &is_wanted}};
constexpr Hooks hooks = {.phases = phases};

}  // namespace

extern constinit const Module http_internal_redirect_module = {
    .name = "http_internal_redirect",
    .conf = conf_of<InternalRedirectConf>,
    .directives = rows,
    .http = &hooks,
};

}  // namespace fairlead
