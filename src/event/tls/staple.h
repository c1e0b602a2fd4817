// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Stapling: the answers of responders about a server's own certificates, fetched ahead and again before they end, so that no handshake
// waits. Each worker asks for itself.
#pragma once

#include "core/base/log.h"
#include "event/tls/server.h"

namespace fairlead {

class Worker;
struct ResolverConf;

// Keeps `server` stapled for as long as the worker serves. Both, and `names`, belong to the generation.
Task<Unit> keep_stapled(Worker& worker, const TlsServer& server, const ResolverConf& names, Logger log);

// Whether there is somebody to ask about each of the certificates, else the reason in nginx's words: for a warning when loading.
ConfResult<Unit> check_stapling(const TlsServer& server);

}  // namespace fairlead
