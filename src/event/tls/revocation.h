// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Revocation of clients' certificates (`ssl_ocsp`): asks responders after a handshake that verified, and keeps verdicts in a zone for all
// workers.
#pragma once

#include <string>

#include "core/base/log.h"
#include "event/tls/server.h"

namespace fairlead {

class Worker;
struct ResolverConf;

// The client of `ssl` as far as OCSP knows: empty if its certificates are good (or it showed none), else the reason for 495: "certificate
// revoked" and the like. The reason of a failed question is logged. `names` and the conf outlive the task, `ssl` too.
Task<std::string> check_revocation(Worker& worker, const ResolverConf& names, const TlsServerConf& conf, SSL& ssl, Logger log);

}  // namespace fairlead
