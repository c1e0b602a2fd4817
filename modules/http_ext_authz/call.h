// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Asking a policy service: the subrequest that goes to it by HTTP or gRPC, and what its reply means. Private to this folder.
#pragma once

#include <string>

#include "http/request/subrequest.h"
#include "modules/http_ext_authz/answer.h"
#include "modules/http_ext_authz/conf.h"

namespace fairlead::http::ext_authz {

// One question. In the client's request; outlives the subrequest.
struct Call {
  Request& request;                      // the client's
  const ExtAuthzConf& conf;
  const BodyBeginning& beginning;
  std::string text = {};                 // the body of the call: what is told of the client's, or a message
  std::string_view path = {};            // of the call
  uint64_t deadline_ms = 0;              // 0: none
};

// The plan of the subrequest, made complete; then `asked.request()` must be given the call by attach().
SubrequestPlan plan_call(Call& call);
void attach(Subrequest& asked, const Call& call);
// After the subrequest.
Answer read_reply(const Call& call, Subrequest& asked);

}  // namespace fairlead::http::ext_authz
