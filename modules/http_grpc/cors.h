// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Calls of gRPC-Web from pages of other origins, as the Fetch standard has them (CORS): the browser asks first (a preflight), and shows a
// reply to the page only if that allows it. Private to this folder.
#pragma once

#include "core/conf/line.h"
#include "http/request/request.h"
#include "modules/http_grpc/grpc.h"

namespace fairlead::http::grpc {

// grpc_web_allow_origin
ConfResult<Unit> set_web_origins(Line& line, GrpcConf& own);
bool answers_origins(const Block& block);

// In a phase: a preflight ends here, whoever else may be asked about calls; it has no credentials, and no peer would know what it is.
Verdict answer_preflight(Request& request);
// Over a response: whether the page may see it. What a peer says about that does not count.
void tell_origin(Request& request);

}  // namespace fairlead::http::grpc
